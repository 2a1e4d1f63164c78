/** What `--help` shows below the options, by command. */
import * as HelpDoc from "@effect/cli/HelpDoc"

const examples: Readonly<Record<string, ReadonlyArray<string>>> = {
  "": [
    "chat-cache serve",
    "chat-cache status --json",
    "chat-cache quarantine list --url http://127.0.0.1:8080",
    "chat-cache --completions bash",
  ],
  serve: ["chat-cache serve", "CHAT_CACHE_PORT=9000 chat-cache serve --log-level debug"],
  send: [
    "chat-cache send --owner-id 1 --username ada --channel general Hello",
    "echo Psst | chat-cache send --owner-id 1 --username ada --recipient-id 2 --recipient bob",
  ],
  recent: [
    "chat-cache recent --limit 20",
    "chat-cache recent --channel general",
    "chat-cache recent --user 1 --json",
  ],
  history: [
    "chat-cache history --channel general --limit 100",
    "chat-cache history --user 1 --before CURSOR",
  ],
  flush: ["chat-cache flush", "chat-cache flush --url http://127.0.0.1:8080 --json"],
  status: ["chat-cache status", "chat-cache status --json | jq .queues.public.length"],
  "rate-limit": ["chat-cache rate-limit get", "chat-cache rate-limit set 20 60"],
  quarantine: [
    "chat-cache quarantine list --reason wrong_shape",
    "chat-cache quarantine show 7",
    "chat-cache quarantine replay 7 --edit",
    "chat-cache quarantine replay 7 --file corrected.json",
    "chat-cache quarantine replay --all --queue public",
    "chat-cache quarantine discard --reason invalid_utf8 --yes",
  ],
  private: ["chat-cache private clear 1", "chat-cache private clear --all --yes"],
  delete: ["chat-cache delete 0199c1c3-7a3e-7c55-9d2b-6f2a3f0c9d11 --yes"],
  events: ["chat-cache events --limit 20", "chat-cache events --type MessageQuarantined --follow"],
  migrate: ["chat-cache migrate --check", "chat-cache migrate"],
  doctor: ["chat-cache doctor", "chat-cache doctor --json"],
  import: ["chat-cache import --dry-run", "chat-cache import --time-zone Europe/Berlin"],
}

/** Name, default, meaning. A test holds them against the table in the README. */
const settings: ReadonlyArray<readonly [name: string, fallback: string, meaning: string]> = [
  ["VALKEY_URL", "embedded server", "redis:// or valkey://, with TLS rediss:// or valkeys://"],
  ["DATABASE_URL", "embedded server", "postgres://user:password@host:port/database"],
  ["CHAT_CACHE_DATA_DIR", ".data", "data of the embedded servers"],
  ["CHAT_CACHE_HOST", "127.0.0.1", "beyond loopback only with a token"],
  ["CHAT_CACHE_PORT", "8080", "0 takes any free port"],
  ["CHAT_CACHE_API_TOKEN", "unset", "bearer token for everything but /health/…"],
  ["CHAT_CACHE_ALLOWED_HOSTS", "empty", "names of a proxy in front, by commas"],
  ["CHAT_CACHE_VALKEY_CA", "unset", "authority of Valkey's certificate, PEM"],
  ["CHAT_CACHE_LOG_LEVEL", "info", "debug has a line for each request"],
  ["CHAT_CACHE_KEY_PREFIX", "empty", "goes before every key in Valkey"],
  [
    "CHAT_CACHE_MAX_CACHE_SIZE",
    "500",
    "length of a recent cache, and the queue length that triggers a flush",
  ],
  [
    "CHAT_CACHE_CHANNEL_IDLE_TIME",
    "1 day",
    "how long the recent messages of a channel stay cached after its last one",
  ],
  ["CHAT_CACHE_FLUSH_INTERVAL", "2 minutes", "the longest wait for a flush"],
  ["CHAT_CACHE_FLUSH_BATCH_SIZE", "2000", "rows in one transaction"],
  ["CHAT_CACHE_MAX_QUEUE_LENGTH", "1000000", "past it, publishing answers QueueFull"],
  ["CHAT_CACHE_MESSAGE_LIMIT", "10", "messages of one user per window"],
  ["CHAT_CACHE_WINDOW_SECONDS", "60", "length of that window"],
  ["CHAT_CACHE_SHUTDOWN_TIMEOUT", "25 seconds", "from the first signal to the end"],
  ["CHAT_CACHE_ALLOW_UNSAFE", "empty", "checks that may fail at start, by name, such as maxmemory-policy"],
  ["OTEL_EXPORTER_OTLP_ENDPOINT", "unset", "where traces are exported to; other OTEL_… variables hold, too"],
]

const exitCodes: ReadonlyArray<readonly [code: string, meaning: string]> = [
  ["0", "done"],
  ["1", "failed: the error says what to do"],
  ["64", "the command line makes no sense, or --yes is missing"],
  ["78", "the configuration is wrong or unsafe"],
  ["130", "interrupted"],
]

const lines = (title: string, rows: ReadonlyArray<string>): HelpDoc.HelpDoc =>
  HelpDoc.sequence(HelpDoc.h1(title), HelpDoc.blocks(rows.map((row) => HelpDoc.p(`  ${row}`))))

const columns = (rows: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> =>
  rows.map((row) =>
    row
      .map((text, column) => text.padEnd(Math.max(...rows.map((other) => other[column]!.length))))
      .join("  ")
      .trimEnd(),
  )

/** @param words what was typed after `chat-cache` */
export const footerOf = (words: ReadonlyArray<string>): HelpDoc.HelpDoc => {
  const command = words.find((word) => word !== "" && Object.hasOwn(examples, word)) ?? ""
  return HelpDoc.blocks([
    lines("EXAMPLES", examples[command]!),
    ...(command === "serve" ? [lines("SETTINGS (environment, all optional)", columns(settings))] : []),
    lines("EXIT CODES", columns(exitCodes)),
  ])
}

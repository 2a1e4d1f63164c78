import { Data, Effect } from "effect"
import { parseArgs } from "node:util"

/** Programs by others that questions about throughput can be asked of as well. */
export const comparisons = ["streams", "bullmq"] as const
export type Comparison = (typeof comparisons)[number]

/** What is measured, and how. */
export interface Options {
  /** Names of the questions, in order. */
  readonly questions: ReadonlyArray<string>
  /** The most timed runs of each contestant, after one that is not counted. */
  readonly repetitions: number
  /** Messages of one run, where the question's own number is not wanted. */
  readonly messages: number | undefined
  /** Fibers that publish at once, where the question's own number is not wanted. */
  readonly callers: number | undefined
  /** Different authors of the messages, each with a rate limit of its own. */
  readonly users: number
  /** Characters of the text of a message. */
  readonly textLength: number
  /** How long runs last that are as long as one wants. */
  readonly seconds: number
  /** Connections over which COPY and the batched INSERT store rows, where their own number is not wanted. */
  readonly sockets: number | undefined
  readonly compare: ReadonlyArray<Comparison>
  /** Where the results go, as JSON and as charts. */
  readonly results: string
  /** What was asked for on the command line besides the questions, for whoever wants to do it again. */
  readonly given: ReadonlyArray<string>
}

/** Load for a daemon that runs already. */
export interface LoadOptions {
  readonly url: URL
  /** Messages per second. */
  readonly rate: number
  readonly seconds: number
  /** Messages in one request; `undefined` sends each alone. */
  readonly batch: number | undefined
  readonly users: number
  readonly textLength: number
  readonly token: string | undefined
}

export type Command =
  | { readonly _tag: "Help" }
  | { readonly _tag: "Measure"; readonly options: Options }
  | { readonly _tag: "Load"; readonly options: LoadOptions }
  | { readonly _tag: "Report"; readonly results: string; readonly output: string }

/** The command line makes no sense. The message says what to change. */
export class UsageError extends Data.TaggedError("UsageError")<{ readonly message: string }> {}

export const usage = (questions: ReadonlyArray<string>): string => `
Usage: npm run bench -- [question …] [options]
       npm run bench -- report [--results DIRECTORY] [--output FILE]
       npm run bench -- --url URL --rate N --seconds N [--batch N] [--token TOKEN]

Measures chat-cache against other ways of doing the same, on a Valkey and a PostgreSQL that it brings up itself and
removes again. Progress goes to standard error, tables to standard output, JSON and charts to bench/results/.
"report" makes docs/benchmarks.md of them. With --url it sends messages to a daemon that runs, at a fixed rate.

Questions: ${questions.join(", ")} (all of them unless named)

  --repetitions N   timed runs of each contestant, after one to warm up (default 5)
  --messages N      messages in each run (default: the question's own number)
  --callers N       fibers that publish at once (default: the question's own number)
  --users N         authors of the messages (default 10000)
  --text-length N   characters of the text of a message (default 57: a payload of 234 bytes)
  --seconds N       length of a run under a fixed load (default 10; with --url there is none)
  --sockets N       connections over which COPY and the batched INSERT store rows (default 1 and 2)
  --compare NAMES   which programs by others run too: ${comparisons.join(",")}, or none (default: all)
  --results DIR     where results are (default bench/results)
  --output FILE     what report writes (default docs/benchmarks.md)

  --url URL         address of the daemon, on this machine unless --allow-remote is given
  --rate N          messages per second
  --batch N         messages in one request, 1 to 1000 (default: each alone, to the route for one)
  --token TOKEN     its bearer token; CHAT_CACHE_API_TOKEN does the same and is not seen by other users
  --allow-remote    lets --url name another machine
  --help            shows this

TMPDIR says where the servers keep their data meanwhile (default: the system's directory for temporary files).
`

const config = {
  allowPositionals: true,
  options: {
    repetitions: { type: "string" },
    messages: { type: "string" },
    callers: { type: "string" },
    users: { type: "string" },
    "text-length": { type: "string" },
    seconds: { type: "string" },
    sockets: { type: "string" },
    compare: { type: "string" },
    results: { type: "string" },
    output: { type: "string" },
    url: { type: "string" },
    rate: { type: "string" },
    batch: { type: "string" },
    token: { type: "string" },
    "allow-remote": { type: "boolean" },
    help: { type: "boolean" },
  },
} as const

const parseTexts = (args: ReadonlyArray<string>) => parseArgs({ args: [...args], ...config })
type Texts = ReturnType<typeof parseTexts>["values"]

const integer = <Default>(
  name: keyof Texts & string,
  text: string | undefined,
  whenAbsent: Default,
  maximum: number,
): Effect.Effect<number | Default, UsageError> => {
  if (text === undefined) return Effect.succeed(whenAbsent)
  const value = /^\d+$/.test(text) ? Number(text) : 0
  return value >= 1 && value <= maximum
    ? Effect.succeed(value)
    : Effect.fail(new UsageError({ message: `--${name} must be an integer from 1 to ${maximum}` }))
}

const required = (
  name: "rate" | "seconds",
  text: string | undefined,
  maximum: number,
): Effect.Effect<number, UsageError> =>
  text === undefined
    ? Effect.fail(new UsageError({ message: `--url needs --${name}: load never goes on without a limit` }))
    : integer(name, text, 0, maximum)

const comparisonsOf = (text: string | undefined): Effect.Effect<ReadonlyArray<Comparison>, UsageError> => {
  if (text === undefined) return Effect.succeed(comparisons)
  if (text === "none") return Effect.succeed([])
  const names = text.split(",")
  const unknown = names.find((name) => !comparisons.some((known) => known === name))
  return unknown === undefined
    ? Effect.succeed(names as Array<Comparison>)
    : Effect.fail(
        new UsageError({
          message: `--compare knows ${comparisons.join(" and ")}, or none; not "${unknown}"`,
        }),
      )
}

const isLoopback = (hostname: string): boolean =>
  hostname === "localhost" || hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname)

const urlOf = (text: string, allowRemote: boolean): Effect.Effect<URL, UsageError> => {
  const url = URL.parse(text)
  if (url === null || !["http:", "https:"].includes(url.protocol)) {
    return Effect.fail(
      new UsageError({ message: "--url must be a URL that begins with http:// or https://" }),
    )
  }
  return allowRemote || isLoopback(url.hostname)
    ? Effect.succeed(url)
    : Effect.fail(
        new UsageError({
          message: `--url names another machine, ${url.hostname}: that needs --allow-remote`,
        }),
      )
}

const defaultUsers = 10_000
const defaultTextLength = 57

/** Less than what chat-cache takes in one message. */
const maximumTextLength = 4000

const tokenOfEnvironment = () => process.env["CHAT_CACHE_API_TOKEN"]

const load = (texts: Texts, url: string) =>
  Effect.gen(function* () {
    return {
      url: yield* urlOf(url, texts["allow-remote"] === true),
      rate: yield* required("rate", texts.rate, 1_000_000),
      seconds: yield* required("seconds", texts.seconds, 86_400),
      batch: yield* integer("batch", texts.batch, undefined, 1000),
      users: yield* integer("users", texts.users, defaultUsers, 1_000_000),
      textLength: yield* integer("text-length", texts["text-length"], defaultTextLength, maximumTextLength),
      token: texts.token ?? tokenOfEnvironment(),
    } satisfies LoadOptions
  })

const measurement = (texts: Texts, questions: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    return {
      questions,
      repetitions: yield* integer("repetitions", texts.repetitions, 5, 1000),
      messages: yield* integer("messages", texts.messages, undefined, 1_000_000),
      callers: yield* integer("callers", texts.callers, undefined, 10_000),
      users: yield* integer("users", texts.users, defaultUsers, 1_000_000),
      textLength: yield* integer("text-length", texts["text-length"], defaultTextLength, maximumTextLength),
      seconds: yield* integer("seconds", texts.seconds, 10, 86_400),
      sockets: yield* integer("sockets", texts.sockets, undefined, 50),
      compare: yield* comparisonsOf(texts.compare),
      results: texts.results ?? defaultResults,
      given: Object.entries(texts).flatMap(([name, value]) =>
        name === "results" ? [] : [`--${name}`, String(value)],
      ),
    } satisfies Options
  })

const defaultResults = "bench/results"
const defaultOutput = "docs/benchmarks.md"

export const parse = (
  args: ReadonlyArray<string>,
  known: ReadonlyArray<string>,
): Effect.Effect<Command, UsageError> =>
  Effect.gen(function* () {
    const { values, positionals } = yield* Effect.try({
      try: () => parseTexts(args),
      catch: (error) => new UsageError({ message: (error as Error).message }),
    })
    if (values.help === true) return { _tag: "Help" }
    if (values.url !== undefined) return { _tag: "Load", options: yield* load(values, values.url) }
    if (positionals[0] === "report" && positionals.length === 1) {
      return {
        _tag: "Report",
        results: values.results ?? defaultResults,
        output: values.output ?? defaultOutput,
      }
    }
    const unknown = positionals.find((name) => !known.includes(name))
    if (unknown !== undefined) {
      return yield* new UsageError({
        message: `there is no question "${unknown}"; there is ${known.join(", ")}`,
      })
    }
    const questions = positionals.length === 0 ? known : [...new Set(positionals)]
    return { _tag: "Measure", options: yield* measurement(values, questions) }
  })

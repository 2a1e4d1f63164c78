/** What holds for every failure of PostgreSQL, and what is needed to bring one about. */
import { assert } from "@effect/vitest"
import { Context, Effect, Layer, Redacted, type Scope } from "effect"
import { Client } from "pg"
import { queueNames } from "../../src/domain/Message.ts"
import * as Keys from "../../src/layers/valkey/Keys.ts"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import { ValkeyServer } from "../../src/services/ValkeyServer.ts"
import { rawClient } from "../layers/valkey/rawClient.ts"
import * as Accounts from "./Accounts.ts"
import * as Daemon from "./DaemonProcess.ts"
import { eventually } from "./eventually.ts"
import { ControlledPostgres, controlledPostgres, query, uniqueKeyPrefix, valkeyShared } from "./Servers.ts"

/** Runs statements as the superuser, with a connection of its own. */
export const control = (statement: string, values: ReadonlyArray<unknown> = []) =>
  Effect.flatMap(PostgresServer, ({ url }) => query(url, statement, values))

/** How many public messages there are. */
export const stored = Effect.map(
  control("SELECT count(*)::int AS count FROM chat_messages"),
  ([row]) => row!["count"] as number,
)

/** The connections of daemons, by the process of PostgreSQL that serves each. */
export const backends = (condition = "true") =>
  Effect.map(
    control(`SELECT pid FROM pg_stat_activity WHERE application_name = 'chat-cache' AND ${condition}`),
    (rows) => rows.map(({ pid }) => pid as number),
  )

/** Ends the connections of all daemons, so that the next ones have what was changed. */
export const terminateConnections = control(
  "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'chat-cache'",
)

/** The URL of a role as an installation has one: it owns the database, and is no superuser. */
const ownerUrl = Effect.gen(function* () {
  const { url } = yield* PostgresServer
  yield* control("CREATE ROLE app LOGIN PASSWORD 'open-sesame'")
  yield* control("ALTER DATABASE chat_cache OWNER TO app")
  const changed = new URL(Redacted.value(url))
  changed.username = "app"
  changed.password = "open-sesame"
  return changed.href
})

/** A session of the test's own, for locks that it holds. */
export const session = Effect.flatMap(PostgresServer, ({ url }) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const client = new Client({ connectionString: Redacted.value(url), application_name: "test" })
      client.on("error", () => {})
      await client.connect()
      return client
    }),
    (client) => Effect.promise(() => client.end()),
  ),
)

/** Sends it to processes of PostgreSQL, as far as they have not ended. */
export const signalBackends = (pids: ReadonlyArray<number>, signal: NodeJS.Signals) =>
  Effect.sync(() => {
    for (const pid of pids) {
      try {
        process.kill(pid, signal)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error
      }
    }
  })

/** Returns the connections that wait for a lock that a test holds, once one does. */
export const waitingBackends = Effect.gen(function* () {
  const waiting = backends("wait_event_type = 'Lock' AND wait_event = 'advisory'")
  yield* eventually(
    "a transaction waits",
    Effect.map(waiting, (pids) => pids.length > 0),
  )
  return yield* waiting
})

export interface Stall {
  /** Holds the lock that is waited for. */
  readonly holder: Client
  /** Returns the processes that wait, once one does. */
  readonly waiting: Effect.Effect<ReadonlyArray<number>, never, PostgresServer>
  /** Lets everything go on. */
  readonly release: Effect.Effect<void>
}

const triggers = {
  insert: "CREATE TRIGGER stall AFTER INSERT ON chat_messages FOR EACH STATEMENT EXECUTE FUNCTION stall()",
  commit:
    "CREATE CONSTRAINT TRIGGER stall AFTER INSERT ON chat_messages DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION stall()",
}

/**
 * Makes every transaction that adds public messages wait where it inserts them, or where it commits, until it is
 * released or ended by somebody else. The statement timeout still holds.
 *
 * @param first a statement of PL/pgSQL that is executed before it waits
 */
export const stall = (
  at: "insert" | "commit",
  first = "",
): Effect.Effect<Stall, never, PostgresServer | Scope.Scope> =>
  Effect.gen(function* () {
    const holder = yield* session
    // Where the server has ended the session, the lock is released already.
    const release = Effect.promise(() =>
      holder.query("SELECT pg_advisory_unlock_all()").then(
        () => {},
        () => {},
      ),
    )
    yield* Effect.promise(() => holder.query("SELECT pg_advisory_lock(42)"))
    yield* Effect.acquireRelease(
      control(
        `CREATE FUNCTION stall() RETURNS trigger LANGUAGE plpgsql SET lock_timeout = 0 AS $$
         BEGIN ${first} PERFORM pg_advisory_xact_lock_shared(42); RETURN NULL; END $$;
         ${triggers[at]}`,
      ),
      // Nobody may wait any more, because a waiting transaction keeps the trigger from being dropped.
      () => Effect.zipRight(release, control("DROP FUNCTION stall CASCADE")),
    )
    return {
      holder,
      waiting: waitingBackends,
      release,
    }
  })

/** Makes every statement that adds public messages fail as the server itself would. */
export const raise = (sqlstate: string) => ({
  begin: control(
    `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
     BEGIN RAISE EXCEPTION 'as it happens' USING ERRCODE = '${sqlstate}'; END $$;
     CREATE TRIGGER refuse BEFORE INSERT ON chat_messages FOR EACH STATEMENT EXECUTE FUNCTION refuse()`,
  ),
  end: control("DROP FUNCTION refuse CASCADE"),
})

/** One daemon for all failures of a test file: it is never restarted. */
export class Scene extends Context.Tag("chat-cache/test/Scene")<
  Scene,
  {
    readonly accounts: Accounts.Accounts
    readonly daemon: Daemon.DaemonProcess
    readonly keyPrefix: string
  }
>() {}

/**
 * A daemon that has stored something already, and the accounts of what was said to it.
 *
 * @param throughProxy leads its connections to PostgreSQL through there
 */
export const makeScene = (
  environment: Record<string, string> = {},
  throughProxy: (url: string) => string = (url) => url,
) =>
  Effect.gen(function* () {
    const keyPrefix = yield* uniqueKeyPrefix
    const accounts = yield* Accounts.make(keyPrefix)
    const daemon = yield* Daemon.start({
      environment: {
        CHAT_CACHE_KEY_PREFIX: keyPrefix,
        DATABASE_URL: throughProxy(yield* ownerUrl),
        ...environment,
      },
    })
    yield* isWell(daemon)
    yield* accounts.publishAll(daemon.url, 5)
    const flushed = yield* flush(daemon)
    assert.strictEqual(flushed.status, 200, flushed.body?.message)
    return Scene.of({ accounts, daemon, keyPrefix })
  })

/** The servers, and a daemon on them. */
export const scene = (environment: Record<string, string> = {}) =>
  Layer.scoped(Scene, makeScene(environment)).pipe(
    Layer.provideMerge(Layer.merge(valkeyShared, controlledPostgres)),
  )

export const flush = ({ url }: Daemon.DaemonProcess) => Daemon.request("POST", `${url}/flush`)

export const readiness = ({ url }: Daemon.DaemonProcess) => Daemon.request("GET", `${url}/health/ready`)

export const isWell = (daemon: Daemon.DaemonProcess) =>
  eventually(
    "all is well",
    Effect.map(readiness(daemon), ({ body }) => body?.status === "ok"),
    "40 seconds",
  )

/** Messages are taken, and readiness says what is wrong and what to do about it. */
export const isDegraded = (daemon: Daemon.DaemonProcess, says: RegExp) =>
  eventually(
    `it is degraded and says ${says}`,
    Effect.map(
      readiness(daemon),
      ({ status, body }) =>
        status === 200 && body.status === "degraded" && says.test(body.problems.join(" ")),
    ),
  )

const queued = (keyPrefix: string) =>
  Effect.gen(function* () {
    const raw = yield* rawClient((yield* ValkeyServer).url)
    const { flushQueue } = Keys.make(keyPrefix)
    return yield* Effect.promise(async () => {
      const lengths = await Promise.all(queueNames.map((queue) => raw.llen(flushQueue[queue])))
      return lengths.reduce((sum, length) => sum + length, 0)
    })
  }).pipe(Effect.scoped)

export const nothingIsQuarantined = ({ url }: Daemon.DaemonProcess) =>
  Effect.map(Daemon.request("GET", `${url}/quarantine`), ({ body }) =>
    assert.deepStrictEqual(body.entries, []),
  )

/** The failure is over: without a restart everything is stored, once, and nothing is quarantined. */
export const settles = Effect.gen(function* () {
  const { accounts, daemon } = yield* Scene
  yield* accounts.settle(daemon)
  yield* nothingIsQuarantined(daemon)
  yield* isWell(daemon)
})

interface Failure<R> {
  /** From here on no flush succeeds. */
  readonly begin: Effect.Effect<unknown, never, R>
  readonly end: Effect.Effect<unknown, never, R>
  /** What readiness says of it. */
  readonly says: RegExp
  /** What a flush by hand is answered with. */
  readonly answer: Record<string, unknown>
}

/** What is expected of every failure that an operator ends. */
export const survives = <R>({ begin, end, says, answer }: Failure<R>) =>
  Effect.gen(function* () {
    const { accounts, daemon, keyPrefix } = yield* Scene
    yield* begin
    yield* accounts.publishAll(daemon.url, 30)
    yield* accounts.publishAll(daemon.url, 10, "private")
    const flushed = yield* flush(daemon)
    assert.strictEqual(flushed.status, 503)
    assert.deepInclude(flushed.body, answer)
    yield* isDegraded(daemon, says)
    yield* accounts.publishAll(daemon.url, 5)
    assert.isAtLeast(yield* queued(keyPrefix), 35)
    yield* end
    yield* settles
  })

export const restart = Effect.gen(function* () {
  const server = yield* ControlledPostgres
  yield* server.stop
  yield* server.start
})

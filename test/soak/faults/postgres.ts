import { Effect, Exit, Scope } from "effect"
import { NotDone, role } from "../Servers.ts"
import type { World } from "../World.ts"
import { fault } from "./Strike.ts"

const server = "postgres"

/** Those of the messages come first. */
const tables = ["chat_messages", "private_messages", "quarantined_messages", "deleted_messages", "events"]

const run =
  (...statements: ReadonlyArray<string>) =>
  ({ servers }: World) =>
    Effect.asVoid(servers.onPostgres(...statements))

const tableFault = (
  name: string,
  targets: number,
  strike: (table: string) => string,
  heal: (table: string) => string,
) =>
  fault({
    name,
    strikes: "table",
    targets,
    strike: (world, target) => run(strike(tables[target]!))(world),
    heal: (world, target) => run(heal(tables[target]!))(world),
  })

const release = (name: string) => (world: World, target: number) =>
  Effect.suspend(() => {
    const scope = world.held.get(`${name} ${target}`)
    world.held.delete(`${name} ${target}`)
    return scope === undefined ? Effect.void : Scope.close(scope, Exit.void)
  })

/** What the effect opens stays open until it is released. */
const hold = (
  name: string,
  acquire: (world: World, target: number) => Effect.Effect<void, NotDone, Scope.Scope>,
) => ({
  strike: (world: World, target: number) =>
    Effect.gen(function* () {
      yield* release(name)(world, target)
      const scope = yield* Scope.make()
      world.held.set(`${name} ${target}`, scope)
      yield* Scope.extend(acquire(world, target), scope)
    }),
  heal: release(name),
})

const lockTable = ({ servers }: World, target: number) =>
  Effect.gen(function* () {
    const { client } = yield* servers.connectPostgres("superuser")
    yield* Effect.tryPromise({
      try: () =>
        client.query(`SET lock_timeout = '3s'; BEGIN; LOCK TABLE ${tables[target]} IN ACCESS EXCLUSIVE MODE`),
      catch: (error) => new NotDone({ message: String(error) }),
    })
  })

/** More than the server allows. */
const connections = 100

const takeAllConnections = ({ servers }: World) =>
  Effect.iterate(0, {
    while: (count) => count < connections,
    body: (count) =>
      servers.connectPostgres("daemon").pipe(
        Effect.as(count + 1),
        Effect.orElseSucceed(() => connections),
      ),
  })

/** The server ends all other connections, too, and recovers as after a crash. */
const killBackend = ({ servers }: World) =>
  Effect.gen(function* () {
    const rows = yield* servers.onPostgres(
      `SELECT pid FROM pg_stat_activity WHERE usename = '${role}' ORDER BY random() LIMIT 1`,
    )
    yield* Effect.try({
      try: () => rows.forEach(({ pid }) => process.kill(Number(pid), "SIGKILL")),
      catch: (error) => new NotDone({ message: String(error) }),
    })
  })

const restart = (name: string, end: "stop" | "abort" | "kill") =>
  fault({
    name,
    strikes: server,
    strike: ({ servers }) => servers.postgres[end],
    heal: ({ servers }) => servers.postgres.start,
  })

export const postgresFaults = [
  restart("restart-postgres", "stop"),
  restart("restart-postgres-immediately", "abort"),
  restart("kill-postgres", "kill"),
  fault({
    name: "pause-postgres",
    strikes: server,
    longest: 8000,
    strike: ({ servers }) => servers.postgres.pause,
    heal: ({ servers }) => servers.postgres.resume,
  }),
  fault({ name: "kill-postgres-backend", strikes: server, strike: killBackend }),
  fault({
    name: "terminate-postgres-backends",
    strikes: "postgres backends",
    strike: run(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${role}'`),
  }),
  fault({
    name: "postgres-read-only",
    strikes: "postgres settings",
    strike: run("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"),
    heal: run("ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()"),
  }),
  fault({
    name: "too-many-postgres-clients",
    strikes: "postgres connections",
    ...hold("connections", takeAllConnections),
  }),
  tableFault(
    "rename-table",
    tables.length,
    (table) => `ALTER TABLE IF EXISTS ${table} RENAME TO ${table}_away`,
    (table) => `ALTER TABLE IF EXISTS ${table}_away RENAME TO ${table}`,
  ),
  tableFault(
    "revoke-rights",
    tables.length,
    (table) => `REVOKE ALL ON ${table} FROM ${role}`,
    (table) => `GRANT ALL ON ${table} TO ${role}`,
  ),
  tableFault(
    "constrain-table",
    2,
    (table) => `ALTER TABLE ${table} ADD CONSTRAINT soak CHECK (message NOT LIKE '%unwelcome%') NOT VALID`,
    (table) => `ALTER TABLE ${table} DROP CONSTRAINT IF EXISTS soak`,
  ),
  fault({ name: "lock-table", strikes: "table", targets: tables.length, ...hold("lock", lockTable) }),
]

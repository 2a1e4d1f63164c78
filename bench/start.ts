import { Effect } from "effect"
import * as fs from "node:fs/promises"
import * as os from "node:os"
import * as path from "node:path"
import * as compiled from "./start/compiled.ts"
import * as connections from "./support/connections.ts"
import { check } from "./support/check.ts"
import * as DaemonProcess from "./support/DaemonProcess.ts"
import type { Contestant, MakeQuestion, Servers } from "./support/Question.ts"
import * as tables from "./support/tables.ts"

interface Entrant {
  readonly name: string
  readonly entry: string
  readonly baseline?: string
}

const bare: Entrant = { name: "bare node:http server", entry: "bench/start/bareServer.ts" }
const source: Entrant = {
  name: "chat-cache, TypeScript (as npm start)",
  entry: DaemonProcess.daemon,
  baseline: bare.name,
}
const installed: Entrant = {
  name: "chat-cache, compiled (as installed)",
  entry: compiled.daemon,
  baseline: bare.name,
}

const publishFirst = async (url: string): Promise<number> => {
  const body = JSON.stringify({ owner_id: "1", username: "ada", channel: "general", message: "Hello" })
  const headers = { "content-type": "application/json" }
  return (await fetch(`${url}/messages`, { method: "POST", headers, body })).status
}

/** Of the benchmark alone, so that what it measures does not depend on what ran before. */
const compileCache = Effect.acquireRelease(
  Effect.promise(() => fs.mkdtemp(path.join(os.tmpdir(), "chat-cache-bench-code-"))),
  (directory) => Effect.promise(() => fs.rm(directory, { recursive: true, force: true })),
)

/** How long the daemon takes to be ready when its servers are up. */
export const make: MakeQuestion = () =>
  Effect.gen(function* () {
    const valkey = yield* connections.valkey
    const postgres = yield* connections.postgres
    yield* tables.migrate
    yield* Effect.promise(() => tables.empty(postgres))
    const servers = yield* Effect.context<Servers>()
    const environment = { NODE_COMPILE_CACHE: yield* compileCache }
    const isBuilt = yield* Effect.promise(compiled.isUpToDate)

    const enter = ({ name, entry, baseline }: Entrant, index: number): Contestant => {
      let status = 0
      return {
        name,
        baseline,
        prepare: connections.rewriteAppendOnlyFile(valkey),
        run: DaemonProcess.start(`bench:start:${index}:`, entry, environment).pipe(
          Effect.tap(({ url, end }) =>
            Effect.promise(async () => {
              status = await publishFirst(url)
              // Node keeps the code that it has compiled when it ends of itself.
              await end()
            }),
          ),
          Effect.map(({ startMillis }) => ({ value: startMillis })),
          Effect.scoped,
          Effect.provide(servers),
        ),
        check: check(async () => (status === 202 ? undefined : `it answered a first message with ${status}`)),
      }
    }

    return {
      name: "start",
      asks: "how long does the daemon take from being spawned to being ready?",
      unit: "ms",
      better: "lower",
      amount: 1,
      conditions: [
        "Valkey and PostgreSQL are up and the tables made",
        "files are in the page cache, and compiled code in Node's compile cache",
        ...(isBuilt ? [] : ["the compiled daemon is left out: `npm run build` makes it"]),
      ],
      doesNotShow:
        "A first start, which makes the tables and compiles its code; embedded servers, which have to start too; a cold disk.",
      contestants: [bare, source, ...(isBuilt ? [installed] : [])].map(enter),
    }
  })

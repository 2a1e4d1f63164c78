import { Effect } from "effect"
import * as Keys from "../src/layers/valkey/Keys.ts"
import * as connections from "./support/connections.ts"
import { check } from "./support/check.ts"
import * as DaemonProcess from "./support/DaemonProcess.ts"
import type { Contestant, MakeQuestion, Servers } from "./support/Question.ts"
import * as tables from "./support/tables.ts"

const bare = { name: "bare node:http server", entry: "bench/http/bareServer.ts" }
const entrants = [bare, { name: "chat-cache daemon", baseline: bare.name, entry: DaemonProcess.daemon }]

const publishFirst = async (url: string): Promise<number> => {
  const body = JSON.stringify({ owner_id: "1", username: "ada", channel: "general", message: "Hello" })
  const headers = { "content-type": "application/json" }
  return (await fetch(`${url}/messages`, { method: "POST", headers, body })).status
}

/** How long the daemon takes to be ready when its servers are up. */
export const make: MakeQuestion = () =>
  Effect.gen(function* () {
    const valkey = yield* connections.valkey
    const postgres = yield* connections.postgres
    // Ids that are in the table would have the counter raised above them, with a warning.
    yield* tables.migrate
    yield* Effect.promise(() => tables.empty(postgres))
    const servers = yield* Effect.context<Servers>()

    const enter = (entrant: (typeof entrants)[number], index: number): Contestant => {
      const { name, entry } = entrant
      const keyPrefix = `bench:start:${index}:`
      let status = 0
      return {
        name,
        baseline: "baseline" in entrant ? (entrant.baseline as string) : undefined,
        prepare: Effect.promise(() => valkey.set(Keys.make(keyPrefix).counter.public, 0)).pipe(
          Effect.zipRight(connections.rewriteAppendOnlyFile(valkey)),
        ),
        run: DaemonProcess.start(keyPrefix, entry, DaemonProcess.withoutFlushing).pipe(
          Effect.tap(({ url }) =>
            Effect.promise(async () => {
              status = await publishFirst(url)
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
      conditions: ["Valkey and PostgreSQL are up and the tables made", "files are in the page cache"],
      doesNotShow:
        "A first start, which makes the tables; embedded servers, which have to start too; a cold disk.",
      contestants: entrants.map(enter),
    }
  })

import { Effect } from "effect"
import type { PublicMessageDraft } from "../../src/domain/Message.ts"
import * as PublishTarget from "../publish/target.ts"
import * as connections from "../support/connections.ts"
import * as DaemonProcess from "../support/DaemonProcess.ts"
import { inFlight } from "../support/inFlight.ts"
import * as Latencies from "../support/Latencies.ts"
import { makeDrafts, payloadBytes } from "../support/messages.ts"
import type { Contestant, MakeQuestion } from "../support/Question.ts"
import * as tables from "../support/tables.ts"
import * as httpClient from "./client.ts"

interface Entrant {
  readonly name: string
  readonly baseline?: string
  readonly entry: string
}

const bare: Entrant = { name: "bare node:http server", entry: "bench/http/bareServer.ts" }
const entrants = [
  bare,
  { name: "chat-cache POST /messages", baseline: bare.name, entry: DaemonProcess.daemon },
] satisfies ReadonlyArray<Entrant>

const messagesByDefault = 30_000
const callersByDefault = 64

/** As the daemon of this question has it. */
const maxCacheSize = Number(DaemonProcess.withoutFlushing["CHAT_CACHE_MAX_CACHE_SIZE"])

/** Publishes one message, and returns the id that the server gave it. */
const publisherOver = ({ post }: httpClient.HttpClient, latencies: Latencies.Latencies) => {
  return async (draft: PublicMessageDraft): Promise<number> => {
    const start = performance.now()
    const answer = await post("/messages", draft)
    latencies.record(performance.now() - start)
    if (!httpClient.isSuccess(answer)) throw new Error(`the server answered ${answer.status}`)
    return (answer.body as { readonly cache_id: number }).cache_id
  }
}

/** How many messages per second come in one by one over HTTP. */
export const make: MakeQuestion = (options) =>
  Effect.gen(function* () {
    const valkey = yield* connections.valkey
    const postgres = yield* connections.postgres
    // Ids that are in the table would have the counter raised above them, with a warning.
    yield* tables.migrate
    yield* Effect.promise(() => tables.empty(postgres))
    const drafts = makeDrafts(options.messages ?? messagesByDefault, options)
    const callers = options.callers ?? callersByDefault

    const enter = Effect.fnUntraced(function* ({ name, baseline, entry }: Entrant, index: number) {
      const keyPrefix = `bench:http:${index}:`
      const { url, pid } = yield* DaemonProcess.start(keyPrefix, entry, DaemonProcess.withoutFlushing)
      const client = yield* httpClient.open(url, callers)
      const target = yield* PublishTarget.make(valkey, keyPrefix, maxCacheSize)
      let cacheIds: ReadonlyArray<number> = []
      return {
        name,
        baseline,
        daemon: Effect.succeed(pid),
        prepare: target.prepare,
        run: Effect.suspend(() => {
          const latencies = Latencies.make()
          const publish = publisherOver(client, latencies)
          return inFlight(callers, drafts, (draft) => Effect.promise(() => publish(draft))).pipe(
            Effect.map((ids) => {
              cacheIds = ids
              return { latency: latencies.percentiles() }
            }),
          )
        }),
        check: target.check(() => ({ drafts, cacheIds })),
      } satisfies Contestant
    })

    return {
      name: "http, single",
      asks: "how many messages per second come in one by one over HTTP?",
      unit: "messages/s",
      better: "higher",
      amount: drafts.length,
      conditions: [
        `${drafts.length} messages of ${payloadBytes(drafts[0]!)} bytes in each run`,
        `${callers} connections, each with one request at a time`,
        "the client is this process, the server one of its own",
      ],
      doesNotShow:
        "Latency at a given rate (each connection waits for its answer before it asks again, so the percentiles leave out those who would have come meanwhile: --url measures it); TLS; several clients. The client takes more processor time than either server and shares the machine with it. Nothing is flushed, and the recent cache is never cut.",
      contestants: yield* Effect.forEach(entrants, enter),
    }
  })

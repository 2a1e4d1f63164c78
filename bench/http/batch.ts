import { Array as Arrays, Effect, Either } from "effect"
import type { PublicMessageDraft } from "../../src/domain/Message.ts"
import { callsInFlight } from "../publish/publishAll.ts"
import * as PublishTarget from "../publish/target.ts"
import * as connections from "../support/connections.ts"
import * as DaemonProcess from "../support/DaemonProcess.ts"
import { inFlight } from "../support/inFlight.ts"
import { makeDrafts, payloadBytes } from "../support/messages.ts"
import * as publisher from "../support/publisher.ts"
import type { Contestant, MakeQuestion } from "../support/Question.ts"
import * as httpClient from "./client.ts"

const messagesByDefault = 100_000
const messagesPerCall = 500

/** As the daemon of this question has it. */
const maxCacheSize = Number(DaemonProcess.withoutFlushing["CHAT_CACHE_MAX_CACHE_SIZE"])

/** How batches are handed over. Only `send` is timed. */
interface Way<Request, Answer> {
  readonly requestOf: (drafts: ReadonlyArray<PublicMessageDraft>) => Request
  readonly send: (request: Request) => Effect.Effect<Answer>
  readonly cacheIdsOf: (answer: Answer) => ReadonlyArray<number>
}

interface BatchAnswer {
  readonly results: ReadonlyArray<{ readonly status: string; readonly cache_id: number }>
}

const inProcess = (keyPrefix: string) =>
  Effect.map(publisher.open({ keyPrefix, maxCacheSize }), ({ publishAll }) => {
    const send = (drafts: ReadonlyArray<PublicMessageDraft>) => publishAll("public", drafts)
    return {
      requestOf: (drafts) => drafts,
      send,
      cacheIdsOf: (outcomes) => outcomes.map((outcome) => Either.getOrThrow(outcome).cache_id),
    } satisfies Way<ReadonlyArray<PublicMessageDraft>, Effect.Effect.Success<ReturnType<typeof send>>>
  })

const overHttp = (url: string) =>
  Effect.map(httpClient.open(url, callsInFlight), ({ postText }): Way<string, string> => ({
    requestOf: (messages) => JSON.stringify({ messages }),
    send: (request) =>
      Effect.promise(async () => {
        const { status, text } = await postText("/messages/batch", request)
        if (status !== 200) throw new Error(`the daemon answered ${status}`)
        return text
      }),
    cacheIdsOf: (text) => (JSON.parse(text) as BatchAnswer).results.map(({ cache_id }) => cache_id),
  }))

/** What the batch route costs beside a call within a process. */
export const make: MakeQuestion = (options) =>
  Effect.gen(function* () {
    const valkey = yield* connections.valkey
    const drafts = makeDrafts(options.messages ?? messagesByDefault, options)
    const batches = Arrays.chunksOf(drafts, messagesPerCall)

    const enter = Effect.fnUntraced(function* <Request, Answer>(
      name: string,
      keyPrefix: string,
      way: Way<Request, Answer>,
    ) {
      const target = yield* PublishTarget.make(valkey, keyPrefix, maxCacheSize)
      const requests = batches.map(way.requestOf)
      let answers: ReadonlyArray<Answer> = []
      return {
        name,
        prepare: target.prepare,
        run: Effect.map(inFlight(callsInFlight, requests, way.send), (received) => {
          answers = received
        }),
        check: target.check(() => ({ drafts, cacheIds: answers.flatMap(way.cacheIdsOf) })),
      } satisfies Contestant
    })

    const daemonPrefix = "bench:batch:daemon:"
    const { url, pid } = yield* DaemonProcess.start(
      daemonPrefix,
      DaemonProcess.daemon,
      DaemonProcess.withoutFlushing,
    )
    const baseline = "publishAll within a process"
    return {
      name: "http, batch",
      asks: "how many messages per second come in by the batch route?",
      unit: "messages/s",
      better: "higher",
      amount: drafts.length,
      conditions: [
        `${drafts.length} messages of ${payloadBytes(drafts[0]!)} bytes in each run`,
        `${messagesPerCall} per call, ${callsInFlight} calls in flight`,
      ],
      doesNotShow:
        "Latency; TLS; a network; what it costs a client to write and read JSON, which is done before and after. Client, daemon and Valkey share the machine, where a call within a process has one process less. Nothing is flushed, and the recent cache is never cut.",
      contestants: [
        yield* enter(baseline, "bench:batch:process:", yield* inProcess("bench:batch:process:")),
        {
          ...(yield* enter("POST /messages/batch", daemonPrefix, yield* overHttp(url))),
          baseline,
          daemon: Effect.succeed(pid),
        },
      ],
    }
  })

import { Array as Arrays, Effect, Either } from "effect"
import type { PublicMessageDraft } from "../../src/domain/Message.ts"
import * as Keys from "../../src/layers/valkey/Keys.ts"
import { callsInFlight } from "../publish/publishAll.ts"
import { findProblem } from "../publish/findProblem.ts"
import { check } from "../support/check.ts"
import * as connections from "../support/connections.ts"
import * as DaemonProcess from "../support/DaemonProcess.ts"
import { inFlight } from "../support/inFlight.ts"
import { readList } from "../support/lists.ts"
import { makeDrafts, payloadBytes } from "../support/messages.ts"
import * as publisher from "../support/publisher.ts"
import type { Contestant, MakeQuestion } from "../support/Question.ts"
import * as httpClient from "./client.ts"

const messagesByDefault = 100_000
const messagesPerCall = 500

/** As the daemon of this question has it. */
const maxCacheSize = Number(DaemonProcess.withoutFlushing["CHAT_CACHE_MAX_CACHE_SIZE"])

type PublishSome = (drafts: ReadonlyArray<PublicMessageDraft>) => Effect.Effect<ReadonlyArray<number>>

interface BatchAnswer {
  readonly results: ReadonlyArray<{ readonly status: string; readonly cache_id: number }>
}

const inProcess = (keyPrefix: string) =>
  Effect.map(
    publisher.open({ keyPrefix, maxCacheSize }),
    ({ publishAll }): PublishSome =>
      (drafts) =>
        Effect.map(publishAll("public", drafts), (outcomes) =>
          outcomes.map((outcome) => Either.getOrThrow(outcome).cache_id),
        ),
  )

const overHttp = (url: string) =>
  Effect.map(
    httpClient.open(url, callsInFlight),
    ({ post }): PublishSome =>
      (drafts) =>
        Effect.promise(async () => {
          const answer = await post("/messages/batch", { messages: drafts })
          if (!httpClient.isSuccess(answer)) throw new Error(`the daemon answered ${answer.status}`)
          return (answer.body as BatchAnswer).results.map(({ cache_id }) => cache_id)
        }),
  )

/** What the batch route costs beside a call within a process. */
export const make: MakeQuestion = (options) =>
  Effect.gen(function* () {
    const valkey = yield* connections.valkey
    const drafts = makeDrafts(options.messages ?? messagesByDefault, options)
    const batches = Arrays.chunksOf(drafts, messagesPerCall)

    const enter = (name: string, keyPrefix: string, publishSome: PublishSome) => {
      const keys = Keys.make(keyPrefix)
      let cacheIds: ReadonlyArray<number> = []
      return {
        name,
        prepare: Effect.promise(async () => {
          await valkey.del(keys.flushQueue.public, keys.recent, keys.recentOfChannel(drafts[0]!.channel))
          await valkey.set(keys.counter.public, 0)
        }).pipe(Effect.zipRight(connections.rewriteAppendOnlyFile(valkey))),
        run: Effect.map(inFlight(callsInFlight, batches, publishSome), (ids) => {
          cacheIds = ids.flat()
        }),
        check: check(async () =>
          findProblem({
            drafts,
            cacheIds,
            queue: await readList(valkey, keys.flushQueue.public),
            recent: await readList(valkey, keys.recent),
            maxCacheSize,
          }),
        ),
      } satisfies Contestant
    }

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
        "Latency; TLS; a network. The client, which makes and reads the JSON, is this process and the daemon another one. Nothing is flushed, and the recent cache is never cut.",
      contestants: [
        enter(baseline, "bench:batch:process:", yield* inProcess("bench:batch:process:")),
        {
          ...enter("POST /messages/batch", daemonPrefix, yield* overHttp(url)),
          baseline,
          daemon: Effect.succeed(pid),
        },
      ],
    }
  })

import { type ConnectionOptions, Queue, Worker } from "bullmq"
import { Effect, Redacted, type Scope } from "effect"
import type { PublicMessage, PublicMessageDraft } from "../../src/domain/Message.ts"
import { ValkeyServer } from "../../src/services/ValkeyServer.ts"

const connection: Effect.Effect<ConnectionOptions, never, ValkeyServer> = Effect.map(
  ValkeyServer,
  ({ url }) => {
    const { hostname, port, username, password } = new URL(Redacted.value(url))
    return {
      host: hostname,
      port: Number(port),
      ...(username === "" ? {} : { username: decodeURIComponent(username) }),
      ...(password === "" ? {} : { password: decodeURIComponent(password) }),
      maxRetriesPerRequest: null,
    }
  },
)

/** BullMQ wants no colon in the name of a queue. */
export const openQueue = (name: string): Effect.Effect<Queue, never, ValkeyServer | Scope.Scope> =>
  Effect.flatMap(connection, (options) =>
    Effect.acquireRelease(
      Effect.promise(async () => {
        const queue = new Queue(name.replaceAll(":", "-"), {
          connection: options,
          // Whatever is done leaves, as in chat-cache.
          defaultJobOptions: { removeOnComplete: true },
          skipVersionCheck: true,
        })
        await queue.waitUntilReady()
        return queue
      }),
      (queue) => Effect.promise(() => queue.close()),
    ),
  )

/** @param handle succeeds when the job is done */
export const openWorker = (
  queue: Queue,
  concurrency: number,
  handle: (message: PublicMessage) => Promise<void>,
): Effect.Effect<Worker, never, ValkeyServer | Scope.Scope> =>
  Effect.flatMap(connection, (options) =>
    Effect.acquireRelease(
      Effect.promise(async () => {
        const worker = new Worker(queue.name, ({ data }) => handle(data as PublicMessage), {
          connection: options,
          concurrency,
          skipVersionCheck: true,
        })
        worker.on("error", () => {})
        await worker.waitUntilReady()
        return worker
      }),
      (worker) => Effect.promise(() => worker.close()),
    ),
  )

export const jobsOf = (messages: ReadonlyArray<PublicMessageDraft>) =>
  messages.map((data) => ({ name: "message", data }))

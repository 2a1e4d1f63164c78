import { Effect, Either, Layer } from "effect"
import { InvalidMessageId } from "../domain/Errors.ts"
import { MessageDeleted } from "../domain/Event.ts"
import { MessageId, type QueueName } from "../domain/Message.ts"
import { decodeWithProblems } from "../domain/Validation.ts"
import { Deletion } from "../services/Deletion.ts"
import { MessageCache } from "../services/MessageCache.ts"
import { MessageStore } from "../services/MessageStore.ts"

const decodeMessageId = decodeWithProblems(MessageId)

const make = Effect.gen(function* () {
  const cache = yield* MessageCache
  const store = yield* MessageStore

  const deleteFromStore = (queue: QueueName, message_id: string) =>
    store.transaction(
      Effect.fnUntraced(function* (transaction) {
        const { isNew, shownTo } = yield* transaction.deleteMessage(queue, message_id)
        if (!isNew) return shownTo
        // Of what was stored, it is known whose caches show it.
        const removed_row = shownTo.length > 0
        yield* transaction.journal([new MessageDeleted({ queue, message_id, removed_row })])
        return shownTo
      }),
    )

  return Deletion.of({
    delete: Effect.fn("Deletion.delete")(function* (queue, messageId) {
      const id = yield* Either.mapLeft(
        decodeMessageId(messageId),
        (problems) =>
          new InvalidMessageId({
            problems: problems.map(({ problem }) => ({ field: "message_id", problem })),
          }),
      )
      // PostgreSQL never goes back in time, so that what it was told is not forgotten with Valkey's data.
      const shownTo = yield* deleteFromStore(queue, id)
      yield* cache.remove(queue, id, shownTo)
    }),
  })
})

export const layer: Layer.Layer<Deletion, never, MessageCache | MessageStore> = Layer.effect(Deletion, make)

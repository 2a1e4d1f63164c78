import { Context, type Effect } from "effect"
import type { CacheUnavailable, InvalidMessageId, StoreError } from "../domain/Errors.ts"
import type { QueueName } from "../domain/Message.ts"

/** Takes messages back, wherever they are. It ends within 30 seconds once a server no longer answers. */
export class Deletion extends Context.Tag("chat-cache/Deletion")<
  Deletion,
  {
    /**
     * Deletes the message from its table and its recent caches, and has the flusher drop it if it is queued or ever
     * arrives later. PostgreSQL comes first: with a `StoreError` nothing has changed. With `CacheUnavailable` the message
     * is deleted for good and may be seen in recent caches; repeating the deletion completes it.
     *
     * @param messageId unknown input: it is validated as a `MessageId`. It need not be one that was ever seen.
     */
    readonly delete: (
      queue: QueueName,
      messageId: unknown,
    ) => Effect.Effect<void, InvalidMessageId | CacheUnavailable | StoreError>
  }
>() {}

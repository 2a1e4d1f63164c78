/** A message store that fails on demand, in front of the real or the memory one. */
import { Context, Effect, Layer, Ref } from "effect"
import { RowsRefused, type StoreError, StoreUnavailable } from "../../src/domain/Errors.ts"
import { MessageStore, type StoreTransaction } from "../../src/services/MessageStore.ts"

export const outage = new StoreUnavailable({
  operation: "test",
  reason: "connect ECONNREFUSED",
  sqlstate: null,
})

/**
 * Where transactions fail.
 * - `begin`: before anything happens, as when PostgreSQL is away.
 * - `commit`: after the body, with nothing stored.
 * - `reply`: after COMMIT: everything is stored, and the caller does not know.
 */
export interface StoreFault {
  readonly at: "begin" | "commit" | "reply"
  readonly error: StoreError
}

export class StoreFaults extends Context.Tag("chat-cache/test/StoreFaults")<
  StoreFaults,
  {
    /** `stuck`: a transaction never ends. No real one does that: it is how a fault of ours looks from outside. */
    readonly set: (fault: StoreFault | "stuck" | undefined) => Effect.Effect<void>
    /** As a check constraint would: refuses each statement that has a message of such a `cache_id`. */
    readonly refuseRows: (isRefused: (cacheId: number) => boolean) => Effect.Effect<void>
  }
>() {}

/** Puts itself in front of the `MessageStore` that it is provided with. */
export const layer: Layer.Layer<MessageStore | StoreFaults, never, MessageStore> = Layer.effectContext(
  Effect.gen(function* () {
    const store = yield* MessageStore
    const fault = yield* Ref.make<StoreFault | "stuck" | undefined>(undefined)

    const refused = yield* Ref.make<(cacheId: number) => boolean>(() => false)

    const constrained = (transaction: StoreTransaction): StoreTransaction => ({
      ...transaction,
      insert: (queue, messages) =>
        Effect.flatMap(Ref.get(refused), (isRefused) =>
          messages.some(({ cache_id }) => isRefused(cache_id))
            ? new RowsRefused({ reason: "check constraint", sqlstate: "23514" })
            : transaction.insert(queue, messages),
        ),
    })

    const faulty = MessageStore.of({
      ...store,
      greatestCacheId: (queue) =>
        Effect.flatMap(Ref.get(fault), (current) =>
          current !== "stuck" && current?.at === "begin"
            ? Effect.fail(current.error)
            : store.greatestCacheId(queue),
        ),
      transaction: (body) =>
        Effect.gen(function* () {
          const current = yield* Ref.get(fault)
          if (current === "stuck") return yield* Effect.never
          if (current?.at === "begin") return yield* current.error
          const result = yield* store.transaction((transaction) =>
            Effect.tap(body(constrained(transaction)), () =>
              current?.at === "commit" ? current.error : Effect.void,
            ),
          )
          if (current?.at === "reply") return yield* current.error
          return result
        }),
    })
    return Context.make(MessageStore, faulty).pipe(
      Context.add(StoreFaults, {
        set: (next) => Ref.set(fault, next),
        refuseRows: (isRefused) => Ref.set(refused, isRefused),
      }),
    )
  }),
)

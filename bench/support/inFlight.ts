import { Effect } from "effect"

/** Makes one call per item by `callers` fibers, each of which has one call under way at a time. Replies in order. */
export const inFlight = <Item, Reply, E>(
  callers: number,
  items: ReadonlyArray<Item>,
  call: (item: Item) => Effect.Effect<Reply, E>,
): Effect.Effect<ReadonlyArray<Reply>, E> =>
  Effect.suspend(() => {
    const replies: Array<Reply> = Array.from({ length: items.length })
    let next = 0
    const caller = Effect.whileLoop({
      while: () => next < items.length,
      body: () => {
        const index = next++
        return Effect.map(call(items[index]!), (reply) => {
          replies[index] = reply
        })
      },
      step: () => {},
    })
    return Effect.as(
      Effect.all(
        Array.from({ length: callers }, () => caller),
        { concurrency: "unbounded", discard: true },
      ),
      replies,
    )
  })

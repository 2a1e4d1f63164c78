import { Effect, HashMap, STM, TRef } from "effect"

/** Named locks, each held by one owner at a time until that owner lets go of all that it has. */
export interface Locks {
  /** Waits while another owner has the lock. Having it already is fine. */
  readonly take: (name: string, owner: symbol) => Effect.Effect<void>
  readonly releaseAll: (owner: symbol) => Effect.Effect<void>
}

export const make: Effect.Effect<Locks> = Effect.map(
  TRef.make(HashMap.empty<string, symbol>()),
  (owners): Locks => ({
    // Interrupted at any moment, it leaves at most a lock that its owner will let go of with the others.
    take: (name, owner) =>
      TRef.get(owners).pipe(
        STM.tap((held) => {
          const holder = HashMap.get(held, name)
          return STM.check(() => holder._tag === "None" || holder.value === owner)
        }),
        STM.flatMap((held) => TRef.set(owners, HashMap.set(held, name, owner))),
        STM.commit,
      ),
    releaseAll: (owner) =>
      STM.commit(TRef.update(owners, (held) => HashMap.filter(held, (holder) => holder !== owner))),
  }),
)

import { Effect, Fiber } from "effect"

/**
 * Runs an effect with deadlines inside a finalizer.
 *
 * A finalizer is uninterruptible, so a timeout in it would wait for what it gives up; and its fiber may have been
 * interrupted before, so an interruptible region in it would end at once. A fiber of its own has neither trouble.
 */
export const inOwnFiber = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  effect.pipe(Effect.interruptible, Effect.forkDaemon, Effect.flatMap(Fiber.join))

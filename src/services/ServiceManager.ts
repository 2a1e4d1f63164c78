import { Context, type Duration, type Effect, type Option } from "effect"

/**
 * What started this process and watches over it. Where nothing does, nothing is told to nobody.
 * Each operation ends within 5 seconds.
 */
export class ServiceManager extends Context.Tag("chat-cache/ServiceManager")<
  ServiceManager,
  {
    /** Everything is up. */
    readonly ready: Effect.Effect<void>
    /** One line for people on what is going on. */
    readonly status: (line: string) => Effect.Effect<void>
    /** The end has begun. */
    readonly stopping: Effect.Effect<void>
    /** The process is alive. It is killed and started again when it has not said so for `watchdogTimeout`. */
    readonly alive: Effect.Effect<void>
    /** Absent when the manager does not want to know. */
    readonly watchdogTimeout: Option.Option<Duration.Duration>
  }
>() {}

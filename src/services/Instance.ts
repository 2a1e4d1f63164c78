import { Context } from "effect"

/** This process, as status and journal name it. */
export class Instance extends Context.Tag("chat-cache/Instance")<
  Instance,
  {
    /** A UUID made at start. */
    readonly id: string
    readonly version: string
    /** Milliseconds since 1970. */
    readonly startedAt: number
  }
>() {}

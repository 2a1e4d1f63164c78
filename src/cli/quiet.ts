import { LogLevel } from "effect"

/** How much is logged unless --log-level says otherwise. An object of its own, so that the two can be told apart. */
export const quiet: LogLevel.LogLevel = { ...LogLevel.None }

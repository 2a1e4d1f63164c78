import * as Command from "@effect/cli/Command"
import { Effect, FiberRef } from "effect"
import { quiet } from "../quiet.ts"

/** The daemon becomes this process: its own signals, its own exit codes, its own log. */
export const serve = Command.make("serve", {}, () =>
  Effect.gen(function* () {
    const level = yield* FiberRef.get(FiberRef.currentMinimumLogLevel)
    const { run } = yield* Effect.promise(() => import("../../DaemonProcess.ts"))
    run(level === quiet ? undefined : level)
  }),
).pipe(Command.withDescription("Runs the daemon until a signal ends it."))

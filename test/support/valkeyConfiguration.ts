/** Directives of `valkey.conf` for a controlled Valkey, which a running one does not take. */
import { Effect } from "effect"
import * as fs from "node:fs/promises"
import { rawClient } from "../layers/valkey/rawClient.ts"
import { ControlledValkey } from "./Servers.ts"

/** Starts the server anew with these directives, each of which takes the place of an earlier one. */
export const restartWith = (directives: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const server = yield* ControlledValkey
    const info = yield* Effect.scoped(
      Effect.flatMap(rawClient(server.url), (raw) => Effect.promise(() => raw.info("server"))),
    )
    const file = /^config_file:(.*)$/m.exec(info)?.[1]?.trim() ?? ""
    yield* server.stop
    yield* Effect.promise(() => fs.appendFile(file, `${directives.join("\n")}\n`))
    yield* server.start
  })

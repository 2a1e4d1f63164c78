/** A program that brings up both embedded servers in the directory it is given and holds them until it is ended. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect, Layer } from "effect"
import * as PostgresServerEmbedded from "../../src/layers/PostgresServerEmbedded.ts"
import * as ValkeyServerEmbedded from "../../src/layers/ValkeyServerEmbedded.ts"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import { ValkeyServer } from "../../src/services/ValkeyServer.ts"

const directory = process.argv[2] as string

const program = Effect.gen(function* () {
  yield* ValkeyServer
  yield* PostgresServer
  process.stdout.write("ready\n")
  return yield* Effect.never
}).pipe(
  Effect.provide(
    Layer.merge(ValkeyServerEmbedded.layer({ directory }), PostgresServerEmbedded.layer({ directory })),
  ),
)

NodeRuntime.runMain(program)

import { Context, Effect, Layer, type Scope } from "effect"
import * as fs from "node:fs/promises"
import * as os from "node:os"
import * as path from "node:path"
import type { EmbeddedServerError } from "../../src/domain/EmbeddedServerErrors.ts"
import * as PostgresServerEmbedded from "../../src/layers/PostgresServerEmbedded.ts"
import * as ValkeyServerEmbedded from "../../src/layers/ValkeyServerEmbedded.ts"
import { PostgresServer } from "../../src/services/PostgresServer.ts"
import { ValkeyServer } from "../../src/services/ValkeyServer.ts"
import type { Servers } from "./Question.ts"

const makeDirectory = async (): Promise<string> => {
  const directory = await fs.mkdtemp(path.join(os.tmpdir(), "chat-cache-bench-"))
  // The account that PostgreSQL runs as for root has to get through.
  await fs.chmod(directory, 0o755)
  return directory
}

const make: Effect.Effect<Context.Context<Servers>, EmbeddedServerError, Scope.Scope> = Effect.gen(
  function* () {
    const directories: Array<string> = []
    yield* Effect.addFinalizer(() =>
      Effect.promise(() =>
        Promise.all(
          directories.map((directory) =>
            fs.rm(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 }),
          ),
        ),
      ),
    )
    const directory = yield* Effect.promise(makeDirectory)
    directories.push(directory)
    const [valkey, postgres] = yield* Effect.all(
      [ValkeyServerEmbedded.make({ directory }), PostgresServerEmbedded.make({ directory })],
      { concurrency: "unbounded" },
    )
    // Somewhere else where root starts it and its account does not reach the directory.
    directories.push(path.dirname(postgres.path))
    // A server that ends is not started again: the figures would not be what they say.
    yield* Effect.all([valkey.run, postgres.run], { concurrency: "unbounded", discard: true })
    return Context.make(ValkeyServer, { url: valkey.url }).pipe(
      Context.add(PostgresServer, { url: postgres.url }),
    )
  },
)

/** Servers of the benchmark's own, configured as the daemon's: on free ports, with their data in a temporary directory. */
export const layer: Layer.Layer<Servers, EmbeddedServerError> = Layer.scopedContext(make)

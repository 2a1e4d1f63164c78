import { Effect } from "effect"
import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import type { ValkeyScript } from "../../services/Valkey.ts"

/** From `src/layers/valkey` as from `dist/layers/valkey`. */
const directory = new URL("../../../lua/", import.meta.url)

/**
 * Reads `lua/<name>.lua`. A file that cannot be read is a defect and ends the start: the installation is incomplete, and
 * nothing that could be tried again would change that.
 */
export const load = (name: string): Effect.Effect<ValkeyScript> =>
  Effect.sync(() => {
    try {
      const text = readFileSync(new URL(`${name}.lua`, directory), "utf8")
      return { name, text, sha1: createHash("sha1").update(text).digest("hex") }
    } catch (cause) {
      throw new Error(`The script lua/${name}.lua cannot be read: install chat-cache again.`, { cause })
    }
  })

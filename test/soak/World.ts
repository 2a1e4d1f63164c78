import type { Context, Scope } from "effect"
import type { ChatCache } from "../../src/services/ChatCache.ts"
import type { Books } from "./books.ts"
import type { Fleet } from "./Fleet.ts"
import type { Servers } from "./Servers.ts"

/** Everything that takes part in a soak run. */
export interface World {
  readonly servers: Servers
  readonly fleet: Fleet
  /** chat-cache within this process. */
  readonly chatCache: Context.Tag.Service<ChatCache>
  readonly books: Books
  /** What failures hold open until they are healed. */
  readonly held: Map<string, Scope.CloseableScope>
}

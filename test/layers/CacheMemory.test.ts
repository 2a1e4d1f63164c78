import { flushQueueContract } from "../contracts/FlushQueueContract.ts"
import { messageCacheContract } from "../contracts/MessageCacheContract.ts"
import { rateLimitStoreContract } from "../contracts/RateLimitStoreContract.ts"
import { memory } from "./cacheBackends.ts"

messageCacheContract(memory)
flushQueueContract(memory)
rateLimitStoreContract(memory)

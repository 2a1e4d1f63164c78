import { flushQueueContract } from "../contracts/FlushQueueContract.ts"
import { messageCacheContract } from "../contracts/MessageCacheContract.ts"
import { rateLimitStoreContract } from "../contracts/RateLimitStoreContract.ts"
import { valkey } from "./cacheBackends.ts"

messageCacheContract(valkey)
flushQueueContract(valkey)
rateLimitStoreContract(valkey)

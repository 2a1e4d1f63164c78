import { Layer } from "effect"
import { historyContract } from "../contracts/HistoryContract.ts"
import * as caches from "./cacheBackends.ts"
import * as stores from "./storeBackends.ts"

const unlimited = { rateLimit: { message_limit: 1_000_000_000, window_seconds: 60 } }

historyContract({
  name: "memory",
  runs: 100,
  environment: Layer.empty,
  ports: Layer.merge(caches.memory.ports(unlimited), stores.memory.ports),
})

historyContract({
  name: "Valkey and PostgreSQL",
  runs: 15,
  environment: Layer.merge(caches.valkey.environment, stores.postgres.environment),
  ports: Layer.merge(caches.valkey.ports(unlimited), stores.postgres.ports),
})

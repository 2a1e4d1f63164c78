import { daemonFaults } from "./daemons.ts"
import { networkFaults } from "./network.ts"
import { postgresFaults } from "./postgres.ts"
import { requestFaults } from "./requests.ts"
import type { Fault } from "./Strike.ts"
import { valkeyFaults } from "./valkey.ts"

export const faults: ReadonlyArray<Fault> = [
  ...daemonFaults,
  ...valkeyFaults,
  ...postgresFaults,
  ...networkFaults,
  ...requestFaults,
]

import { randomFillSync } from "node:crypto"
import { v7 as uuidV7 } from "uuid"

const bytesPerId = 16

/** Asking the system for random bytes costs far more than making an id of them, so they are fetched for many at once. */
const pool = new Uint8Array(bytesPerId * 256)
let used = pool.length

/** A new UUIDv7. */
export const nextMessageId = (): string => {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  const random = pool.subarray(used, used + bytesPerId)
  used += bytesPerId
  return uuidV7({ random })
}

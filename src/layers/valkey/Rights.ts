import type { Keys } from "./Keys.ts"

/** A command with all of its arguments, as an example of what is to be allowed. The key, if it takes one, comes first. */
export interface Right {
  readonly command: readonly [name: string, ...args: ReadonlyArray<string>]
  readonly key: string | undefined
}

const anywhere = (name: string, ...args: ReadonlyArray<string>): Right => ({
  command: [name, ...args],
  key: undefined,
})

/** Arguments behind the key, by command. */
const argumentsBehindKey = {
  expire: ["1"],
  get: [],
  hget: ["field"],
  hmget: ["field"],
  hset: ["field", "value"],
  incr: [],
  incrby: ["1"],
  lindex: ["0"],
  llen: [],
  lpush: ["element"],
  lrange: ["0", "0"],
  lrem: ["0", "element"],
  ltrim: ["0", "0"],
  pexpire: ["1"],
  pttl: [],
  rpush: ["element"],
  set: ["value"],
  type: [],
  unlink: [],
  zadd: ["1", "member"],
  zrange: ["0", "0"],
  zremrangebyrank: ["0", "0"],
  zremrangebyscore: ["0", "0"],
  zscore: ["member"],
} as const

type KeyCommand = keyof typeof argumentsBehindKey

const on = (key: string, names: ReadonlyArray<KeyCommand>): ReadonlyArray<Right> =>
  names.map((name) => ({ command: [name, key, ...argumentsBehindKey[name]], key }))

const recent = ["llen", "lrange", "lrem", "ltrim", "rpush", "type"] as const
const queue = ["lindex", "llen", "lrange", "ltrim", "rpush", "type"] as const
const deleted = ["expire", "type", "zadd", "zrange", "zremrangebyrank", "zremrangebyscore", "zscore"] as const
const counter = ["get", "incr", "incrby", "set", "type"] as const

/** Stand for all users and channels: a right to the keys of one alone makes no sense. */
const someUser = "0"
const someChannel = "0"

/** All that this program sends or that its scripts call, on the keys that it is for. */
export const make = (keys: Keys): ReadonlyArray<Right> => [
  anywhere("eval", "", "0"),
  anywhere("evalsha", "", "0"),
  anywhere("info"),
  anywhere("scan", "0"),
  anywhere("time"),
  ...on(keys.flushQueue.public, queue),
  ...on(keys.flushQueue.private, queue),
  ...on(keys.recent, recent),
  ...on(keys.recentOfChannel(someChannel), [...recent, "lindex", "lpush", "pexpire"]),
  ...on(keys.recentPrivate(someUser), [...recent, "unlink"]),
  ...on(keys.counter.public, counter),
  ...on(keys.counter.private, counter),
  ...on(keys.deleted.public, deleted),
  ...on(keys.deleted.private, deleted),
  ...on(keys.rateLimit(someUser), ["expire", "incr", "pexpire", "pttl"]),
  ...on(keys.rateLimitSettings, ["hget", "hmget", "hset", "type"]),
]

/** The arguments of checkRights. */
export const argumentsOf = (rights: ReadonlyArray<Right>): ReadonlyArray<string | number> =>
  rights.flatMap(({ command }) => [command.length, ...command])

/** In words, by key, such as `SCAN; LTRIM, RPUSH on flush_messages`. */
export const describe = (rights: ReadonlyArray<Right>): string =>
  [...Map.groupBy(rights, ({ key }) => key)]
    .map(([key, group]) => {
      const names = group.map(({ command: [name] }) => name.toUpperCase()).join(", ")
      return key === undefined ? names : `${names} on ${key}`
    })
    .join("; ")

import { expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import { controlledValkey } from "../support/Servers.ts"
import { type Scripting, scripting } from "./scripting.ts"

interface Batch {
  readonly limits?: readonly [maxQueueLength: number, maxCacheSize: number, limit: number, window: number]
  /** The owner's limiter and the caches of each message. A cache of a channel expires. */
  readonly messages: ReadonlyArray<ReadonlyArray<string>>
}

const fixedKeys = ["queue", "counter", "settings"]
const idleMillis = 30_000

const payload = (index: number): string => `{"n":${index}}`

const publish = ({ run }: Scripting, { limits = [1000, 500, 10, 60], messages }: Batch) => {
  const limiters = [...new Set(messages.map(([limiter]) => limiter!))]
  const caches = [...new Set(messages.flatMap((message) => message.slice(1)))]
  const [lasting, expiring] = [false, true].map((expires) =>
    caches.filter((cache) => cache.startsWith("channel:") === expires),
  ) as [Array<string>, Array<string>]
  const cachesInOrder = [...lasting, ...expiring]
  const digits = (place: number) => String.fromCharCode(place >> 7, place & 127)
  const places = messages.map(([limiter, one, other]) =>
    [limiters.indexOf(limiter!), cachesInOrder.indexOf(one!), cachesInOrder.indexOf(other ?? one!)]
      .map(digits)
      .join(""),
  )
  return run(
    "publishMessages-3",
    [...fixedKeys, ...limiters, ...cachesInOrder],
    [
      ...limits,
      idleMillis,
      limiters.length,
      lasting.length,
      places.join(""),
      ...messages.map((_, index) => payload(index)),
    ],
  )
}

const entry = (id: string, index: number): string => `{"cache_id":${id},"data":${payload(index)}}`

const one = [["limiter:ann", "recent"]]

layer(controlledValkey)("publishMessages", (it) => {
  it.scoped("answers with the queue's length and one item per message, and writes the lists", () =>
    Effect.gen(function* () {
      const server = yield* scripting
      const { admin } = server
      yield* Effect.promise(() => admin.set("counter", 41))
      yield* Effect.promise(() => admin.set("limiter:bob", 2, "PX", 9500))
      const reply = (yield* publish(server, {
        limits: [3, 2, 2, 60],
        messages: [
          ["limiter:ann", "recent"],
          ["limiter:bob", "recent"],
          ["limiter:ann", "recent"],
          ["limiter:ann", "recent"],
          ["limiter:cleo", "recent"],
          ["limiter:dan", "recent"],
        ],
      })) as ReadonlyArray<number>
      expect(reply).toEqual([3, 42, expect.any(Number), 43, -60000, 44, 0])
      expect(reply[2]).toBeLessThan(0)
      expect(reply[2]).toBeGreaterThanOrEqual(-9500)
      const entries = [entry("42", 0), entry("43", 2), entry("44", 4)]
      expect(yield* Effect.promise(() => admin.lrange("queue", 0, -1))).toEqual(entries)
      expect(yield* Effect.promise(() => admin.lrange("recent", 0, -1))).toEqual(entries.slice(1))
      expect(
        yield* Effect.promise(() =>
          admin.mget("counter", "limiter:ann", "limiter:bob", "limiter:cleo", "limiter:dan"),
        ),
      ).toEqual(["44", "3", "3", "1", null])
    }),
  )

  it.scoped("puts a private message into both caches, and one to oneself into one once", () =>
    Effect.gen(function* () {
      const server = yield* scripting
      yield* Effect.promise(() => server.admin.set("counter", 0))
      expect(
        yield* publish(server, {
          messages: [
            ["limiter:ann", "recent:ann", "recent:bob"],
            ["limiter:ann", "recent:ann", "recent:ann"],
          ],
        }),
      ).toEqual([2, 1, 2])
      const lists = yield* Effect.promise(() =>
        Promise.all([server.admin.lrange("recent:ann", 0, -1), server.admin.lrange("recent:bob", 0, -1)]),
      )
      expect(lists).toEqual([[entry("1", 0), entry("2", 1)], [entry("1", 0)]])
    }),
  )

  it.scoped("puts a public message into the cache of its channel, which expires unless a message comes", () =>
    Effect.gen(function* () {
      const server = yield* scripting
      const { admin } = server
      yield* Effect.promise(async () => {
        await admin.set("counter", 0)
        await admin.rpush("channel:b", "old", "older")
        await admin.pexpire("channel:b", 10_000)
        await admin.rpush("channel:c", "untouched")
        await admin.pexpire("channel:c", 10_000)
      })
      const reply = yield* publish(server, {
        limits: [1000, 3, 2, 60],
        messages: [
          ["limiter:ann", "recent", "channel:a"],
          ["limiter:ann", "recent", "channel:b"],
          ["limiter:ann", "recent", "channel:c"],
          ["limiter:bob", "recent", "channel:a"],
          ["limiter:bob", "recent", "channel:b"],
        ],
      })
      expect(reply).toEqual([4, 1, 2, -60000, 3, 4])
      const lists = yield* Effect.promise(() =>
        Promise.all(["recent", "channel:a", "channel:b", "channel:c"].map((key) => admin.lrange(key, 0, -1))),
      )
      expect(lists).toEqual([
        [entry("2", 1), entry("3", 3), entry("4", 4)],
        [entry("1", 0), entry("3", 3)],
        ["older", entry("2", 1), entry("4", 4)],
        ["untouched"],
      ])
      const left = yield* Effect.promise(() =>
        Promise.all(["recent", "channel:a", "channel:b", "channel:c"].map((key) => admin.pttl(key))),
      )
      expect(left[0]).toBe(-1)
      for (const renewed of left.slice(1, 3)) {
        expect(renewed).toBeGreaterThan(10_000)
        expect(renewed).toBeLessThanOrEqual(idleMillis)
      }
      expect(left[3]).toBeLessThanOrEqual(10_000)
    }),
  )

  it.scoped("takes a message whose channel's cache is not what it should be, and leaves that as it is", () =>
    Effect.gen(function* () {
      const server = yield* scripting
      const { admin } = server
      yield* Effect.promise(async () => {
        await admin.set("counter", 0)
        await admin.set("channel:text", "x")
      })
      expect(
        yield* publish(server, {
          messages: [
            ["limiter:ann", "recent", "channel:text"],
            ["limiter:ann", "recent", "channel:a"],
          ],
        }),
      ).toEqual([2, 1, 2])
      expect(yield* Effect.promise(() => admin.get("channel:text"))).toBe("x")
      expect(yield* Effect.promise(() => admin.lrange("channel:a", 0, -1))).toEqual([entry("2", 1)])
    }),
  )

  it.scoped("tells more than 128 limiters and caches apart", () =>
    Effect.gen(function* () {
      const server = yield* scripting
      const { admin } = server
      yield* Effect.promise(() => admin.set("counter", 0))
      const messages = Array.from({ length: 400 }, (_, index) => [
        `limiter:${index}`,
        `recent:${index}`,
        `recent:${(index * 7) % 400}`,
      ])
      yield* publish(server, { messages })
      for (const index of [0, 1, 127, 128, 129, 255, 256, 399]) {
        const other = messages.findIndex(([, , cache]) => cache === `recent:${index}`)
        expect(yield* Effect.promise(() => admin.get(`limiter:${index}`))).toBe("1")
        expect(yield* Effect.promise(() => admin.lrange(`recent:${index}`, 0, -1))).toEqual(
          [...new Set([index, other])].sort((a, b) => a - b).map((at) => entry(String(at + 1), at)),
        )
      }
    }),
  )

  it.scoped("prints ids exactly up to 2^53 - 1, and gives none above", () =>
    Effect.gen(function* () {
      const server = yield* scripting
      const { admin } = server
      yield* Effect.promise(() => admin.set("counter", "123456789012344"))
      expect(yield* publish(server, { messages: one })).toEqual([1, 123456789012345])
      yield* Effect.promise(() => admin.set("counter", "9007199254740989"))
      expect(yield* publish(server, { messages: [...one, ...one] })).toEqual([
        3, 9007199254740990, 9007199254740991,
      ])
      expect(yield* Effect.promise(() => admin.lrange("queue", 0, -1))).toEqual([
        entry("123456789012345", 0),
        entry("9007199254740990", 0),
        entry("9007199254740991", 1),
      ])
      const before = yield* server.contents
      expect(yield* publish(server, { messages: one })).toMatch(/^COUNTER_INVALID counter /)
      expect(yield* server.contents).toEqual(before)
    }),
  )

  it.scoped.each([0, 7, 8, 9, 97, 98, 99, 19_999])("counts on from %i past the next ten", (held) =>
    Effect.gen(function* () {
      const server = yield* scripting
      yield* Effect.promise(() => server.admin.set("counter", held))
      const messages = Array.from({ length: 13 }, () => one[0]!)
      const ids = messages.map((_, index) => held + 1 + index)
      expect(yield* publish(server, { limits: [1000, 500, 100, 60], messages })).toEqual([13, ...ids])
      const entries = ids.map((id, index) => entry(String(id), index))
      expect(yield* Effect.promise(() => server.admin.lrange("queue", 0, -1))).toEqual(entries)
      expect(yield* Effect.promise(() => server.admin.lrange("recent", 0, -1))).toEqual(entries)
    }),
  )

  it.scoped("takes 1000 messages at once and refuses more", () =>
    Effect.gen(function* () {
      const server = yield* scripting
      yield* Effect.promise(() => server.admin.set("counter", 0))
      const messages = (count: number) =>
        Array.from({ length: count }, (_, index) => [
          `limiter:${index % 200}`,
          "recent:a",
          `recent:${index % 7}`,
        ])
      const before = yield* server.contents
      expect(yield* publish(server, { messages: messages(1001) })).toMatch(/at most 1000 messages/)
      expect(yield* server.contents).toEqual(before)
      const reply = (yield* publish(server, {
        limits: [1000, 500, 10, 60],
        messages: messages(1000),
      })) as Array<number>
      expect(reply.length).toBe(1001)
      expect(reply[0]).toBe(1000)
      expect(reply.at(-1)).toBe(1000)
      expect(yield* Effect.promise(() => server.admin.llen("recent:a"))).toBe(500)
    }),
  )

  it.scoped("refuses without a trace while the counter is missing", () =>
    Effect.gen(function* () {
      const server = yield* scripting
      expect(yield* publish(server, { messages: one })).toMatch(/^COUNTER_MISSING counter /)
      expect(yield* server.contents).toEqual({})
    }),
  )

  it.effect.each(["abc", "", "-1", "007", "1e3", "1.5", "9007199254740992", "99999999999999999999"])(
    "refuses without a trace while the counter is %j",
    (value) =>
      Effect.gen(function* () {
        const server = yield* scripting
        yield* Effect.promise(() => server.admin.set("counter", value))
        const before = yield* server.contents
        expect(yield* publish(server, { messages: one })).toMatch(/^COUNTER_INVALID counter /)
        expect(yield* server.contents).toEqual(before)
      }).pipe(Effect.scoped),
  )

  it.effect.each([
    ["queue", "string"],
    ["counter", "list"],
    ["settings", "list"],
  ] as const)("refuses without a trace while the %s is a %s", ([key, type]) =>
    Effect.gen(function* () {
      const server = yield* scripting
      const { admin } = server
      yield* Effect.promise(async () => {
        await admin.set("counter", 5)
        await admin.del(key)
        await (type === "string" ? admin.set(key, "x") : admin.rpush(key, "x"))
      })
      const before = yield* server.contents
      expect(yield* publish(server, { messages: one })).toMatch(/^WRONGTYPE /)
      expect(yield* server.contents).toEqual(before)
    }).pipe(Effect.scoped),
  )

  it.scoped("refuses a message alone whose limiter or cache is not what it should be", () =>
    Effect.gen(function* () {
      const server = yield* scripting
      const { admin } = server
      yield* Effect.promise(async () => {
        await admin.set("counter", 0)
        await admin.rpush("limiter:list", "x")
        await admin.set("limiter:text", "many")
        await admin.set("recent:text", "x")
      })
      const reply = yield* publish(server, {
        messages: [
          ["limiter:ann", "recent:ann", "recent:bob"],
          ["limiter:list", "recent:list", "recent:bob"],
          ["limiter:text", "recent:cleo", "recent:bob"],
          ["limiter:dan", "recent:text", "recent:dan"],
          ["limiter:eve", "recent:eve", "recent:text"],
          ["limiter:bob", "recent:bob", "recent:ann"],
        ],
      })
      expect(reply).toEqual([
        2,
        1,
        expect.stringMatching(/^WRONGTYPE /),
        expect.stringMatching(/^ERR value is not an integer/),
        expect.stringMatching(/^WRONGTYPE /),
        expect.stringMatching(/^WRONGTYPE /),
        2,
      ])
      expect(Object.keys(yield* server.contents)).toEqual([
        "counter",
        "limiter:ann",
        "limiter:bob",
        "limiter:list",
        "limiter:text",
        "queue",
        "recent:ann",
        "recent:bob",
        "recent:text",
      ])
      expect(yield* Effect.promise(() => admin.lrange("queue", 0, -1))).toEqual([
        entry("1", 0),
        entry("2", 5),
      ])
    }),
  )

  it.scoped("opens a window with its first message and leaves a running one as it is", () =>
    Effect.gen(function* () {
      const server = yield* scripting
      const { admin } = server
      yield* Effect.promise(() => admin.set("counter", 0))
      yield* publish(server, { messages: [...one, ...one] })
      const opened = yield* Effect.promise(() => admin.pttl("limiter:ann"))
      expect(opened).toBeGreaterThan(55_000)
      expect(opened).toBeLessThanOrEqual(60_000)
      yield* Effect.promise(() => admin.pexpire("limiter:ann", 30_000))
      yield* publish(server, { messages: one })
      expect(yield* Effect.promise(() => admin.pttl("limiter:ann"))).toBeLessThanOrEqual(30_000)
    }),
  )

  it.scoped("gives a counter that has lost its TTL, or has too long a one, the window in force", () =>
    Effect.gen(function* () {
      const server = yield* scripting
      const { admin } = server
      yield* Effect.promise(async () => {
        await admin.set("counter", 0)
        await admin.set("limiter:ann", 99)
        await admin.set("limiter:bob", 99, "EX", 3600)
      })
      expect(
        yield* publish(server, {
          messages: [
            ["limiter:ann", "recent"],
            ["limiter:bob", "recent"],
          ],
        }),
      ).toEqual([0, -60000, -60000])
      for (const limiter of ["limiter:ann", "limiter:bob"]) {
        const left = yield* Effect.promise(() => admin.pttl(limiter))
        expect(left).toBeGreaterThan(55_000)
        expect(left).toBeLessThanOrEqual(60_000)
      }
    }),
  )

  it.scoped("follows the settings hash field by field, and the defaults where it says nothing of use", () =>
    Effect.gen(function* () {
      const server = yield* scripting
      const { admin } = server
      yield* Effect.promise(() => admin.set("counter", 0))
      const send = (settings: Record<string, string>) =>
        Effect.gen(function* () {
          yield* Effect.promise(async () => {
            await admin.del("settings", "limiter:ann")
            await admin.hset("settings", settings)
          })
          const reply = yield* publish(server, {
            limits: [1000, 500, 1, 60],
            messages: [...one, ...one, ...one],
          })
          return (reply as Array<number>).slice(1).map((outcome) => (outcome > 0 ? "taken" : outcome))
        })
      expect(yield* send({ message_limit: "2", window_seconds: "7" })).toEqual(["taken", "taken", -7000])
      expect(yield* send({ message_limit: "2" })).toEqual(["taken", "taken", -60000])
      expect(yield* send({ window_seconds: "7" })).toEqual(["taken", -7000, -7000])
      expect(yield* send({ message_limit: "many", window_seconds: "1.5" })).toEqual(["taken", -60000, -60000])
      expect(yield* send({ message_limit: "0", window_seconds: "-1" })).toEqual(["taken", -60000, -60000])
      expect(yield* send({ message_limit: "2e3", window_seconds: "99999999999999999999" })).toEqual([
        "taken",
        -60000,
        -60000,
      ])
    }),
  )

  it.scoped("shortens a cache that is longer than it should be", () =>
    Effect.gen(function* () {
      const server = yield* scripting
      yield* Effect.promise(async () => {
        await server.admin.set("counter", 0)
        await server.admin.rpush("recent", "1", "2", "3", "4", "5")
      })
      yield* publish(server, { limits: [1000, 3, 10, 60], messages: one })
      expect(yield* Effect.promise(() => server.admin.lrange("recent", 0, -1))).toEqual([
        "4",
        "5",
        entry("1", 0),
      ])
    }),
  )

  it.scoped("is refused as a whole and without a trace when the server is out of memory", () =>
    Effect.gen(function* () {
      const server = yield* scripting
      const { admin, run } = server
      yield* Effect.promise(() => admin.set("counter", 0))
      yield* publish(server, { messages: [...one, ...one] })
      const before = yield* server.contents
      yield* Effect.acquireRelease(
        Effect.promise(() => admin.config("SET", "maxmemory", 1)),
        () => Effect.promise(() => admin.config("SET", "maxmemory", 0)),
      )
      expect(yield* publish(server, { messages: [...one, ["limiter:bob", "recent"]] })).toMatch(/^OOM /)
      expect(yield* server.contents).toEqual(before)
      expect(yield* run("readHead-1", ["queue"], [10, 10_000])).toEqual([entry("1", 0), entry("2", 1)])
    }),
  )
})

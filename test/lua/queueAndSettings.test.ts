import { describe, expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import { createHash } from "node:crypto"
import { controlledValkey } from "../support/Servers.ts"
import { type Scripting, scripting } from "./scripting.ts"

const sha1 = (text: string): string => createHash("sha1").update(text).digest("hex")

const queueOf = (...entries: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const server = yield* scripting
    if (entries.length > 0) yield* Effect.promise(() => server.admin.rpush("queue", ...entries))
    const left = Effect.promise(() => server.admin.lrange("queue", 0, -1))
    return { ...server, left }
  })

layer(controlledValkey)("readQueuePage", (it) => {
  const fill = (server: Scripting, entries: ReadonlyArray<string>) =>
    Effect.promise(() => server.admin.rpush("queue", ...entries))
  const numbered = (...ids: ReadonlyArray<number>) => ids.map((id) => `{"cache_id":${id},"data":{}}`)
  const read = (server: Scripting, direction: string, id: number | "", entries = 100, bytes = 100_000) =>
    server.run("readQueuePage-1", ["queue"], [direction, id, entries, bytes])

  it.scoped("finds an id in a queue with gaps, from either side, and tells what lies around", () =>
    Effect.gen(function* () {
      const server = yield* scripting
      expect(yield* read(server, "before", "")).toEqual([0, 0])
      expect(yield* read(server, "after", 5)).toEqual([0, 0])
      yield* fill(server, numbered(3, 4, 9, 20, 21, 1000))
      expect(yield* read(server, "before", "", 2)).toEqual([0, 1, ...numbered(1000, 21)])
      expect(yield* read(server, "before", 20, 2)).toEqual([1, 1, ...numbered(20, 9)])
      expect(yield* read(server, "before", 2)).toEqual([1, 0])
      expect(yield* read(server, "after", 10, 9)).toEqual([1, 0, ...numbered(20, 21, 1000)])
      expect(yield* read(server, "after", 0, 1)).toEqual([0, 1, ...numbered(3)])
      expect(yield* read(server, "after", 1001)).toEqual([1, 0])
      expect(yield* read(server, "after", 4, 100, 60)).toEqual([1, 1, ...numbered(4, 9)])
    }),
  )

  it.scoped("misses nothing beyond an id where other things stand between the messages", () =>
    Effect.gen(function* () {
      const server = yield* scripting
      const junk = (count: number) => Array.from({ length: count }, (_, index) => `junk ${index}`)
      const entries = [
        ...junk(3),
        ...numbered(1),
        ...junk(1),
        ...numbered(2, 3),
        ...junk(40),
        ...numbered(4, 5, 6),
        ...junk(20),
      ]
      yield* fill(server, entries)
      for (const id of [0, 1, 2, 3, 4, 5, 6, 7]) {
        const idsOf = (reply: unknown) =>
          (reply as ReadonlyArray<string | number>).flatMap((entry) => {
            const match = /"cache_id":(\d+)/.exec(String(entry))
            return match === null ? [] : [Number(match[1])]
          })
        const before = idsOf(yield* read(server, "before", id, 1000))
        const after = idsOf(yield* read(server, "after", id, 1000))
        const all = [1, 2, 3, 4, 5, 6]
        expect(before.filter((found) => found <= id)).toEqual(all.filter((found) => found <= id).toReversed())
        expect(after.filter((found) => found >= id)).toEqual(all.filter((found) => found >= id))
      }
    }),
  )
})

layer(controlledValkey)("scripts", (it) => {
  describe("readHead", () => {
    it.scoped("ends before the entry that exceeds the bytes, but not before the first", () =>
      Effect.gen(function* () {
        const { run } = yield* queueOf("aaaa", "bb", "c", "dddd")
        expect(yield* run("readHead-1", ["queue"], [10, 7])).toEqual(["aaaa", "bb", "c"])
        expect(yield* run("readHead-1", ["queue"], [10, 6])).toEqual(["aaaa", "bb"])
        expect(yield* run("readHead-1", ["queue"], [10, 1])).toEqual(["aaaa"])
        expect(yield* run("readHead-1", ["queue"], [2, 100])).toEqual(["aaaa", "bb"])
        expect(yield* run("readHead-1", ["nothing"], [2, 100])).toEqual([])
      }),
    )

    it.scoped("passes over entries, and over all of them where the expected ones are at the head", () =>
      Effect.gen(function* () {
        const { run } = yield* queueOf("a", "b", "c", "d", "e")
        const read = (skip: number, ...expected: ReadonlyArray<string>) =>
          run(
            "readHead-1",
            ["queue"],
            [
              2,
              100,
              skip,
              ...(expected.length === 0 ? [] : [expected.length, sha1(expected[0]!), sha1(expected.at(-1)!)]),
            ],
          )
        expect(yield* read(1)).toEqual(["b", "c"])
        expect(yield* read(4)).toEqual(["e"])
        expect(yield* read(5)).toEqual([])
        expect(yield* read(0, "a", "b")).toBeNull()
        expect(yield* read(0, "a")).toBeNull()
        expect(yield* read(0, "b", "c")).toEqual(["a", "b"])
        expect(yield* read(0, "a", "x", "b")).toEqual(["a", "b"])
        expect(yield* read(0, "a", "b", "c", "d", "e", "e")).toEqual(["a", "b"])
      }),
    )

    it.scoped("reads more than one chunk, in order", () =>
      Effect.gen(function* () {
        const entries = Array.from({ length: 100 }, (_, index) => String(index))
        const { run } = yield* queueOf(...entries)
        for (const count of [15, 16, 17, 32, 33, 100]) {
          expect(yield* run("readHead-1", ["queue"], [count, 100_000])).toEqual(entries.slice(0, count))
        }
        expect(yield* run("readHead-1", ["queue"], [500, 100_000])).toEqual(entries)
      }),
    )
  })

  describe("acknowledgeBatch", () => {
    it.scoped("removes a batch that stands at the head as it was read", () =>
      Effect.gen(function* () {
        const { run, left } = yield* queueOf("a", "b", "c", "d")
        expect(yield* run("acknowledgeBatch-1", ["queue"], [3, sha1("a"), sha1("c")])).toBe(3)
        expect(yield* left).toEqual(["d"])
        expect(yield* run("acknowledgeBatch-1", ["queue"], [1, sha1("d"), sha1("d")])).toBe(1)
        expect(yield* run("acknowledgeBatch-1", ["queue"], [1, sha1("d"), sha1("d")])).toBe(0)
      }),
    )

    it.scoped("removes nothing when the first or the last entry is another one, or the queue too short", () =>
      Effect.gen(function* () {
        const { run, left } = yield* queueOf("a", "b", "c")
        expect(yield* run("acknowledgeBatch-1", ["queue"], [2, sha1("x"), sha1("b")])).toBe(-1)
        expect(yield* run("acknowledgeBatch-1", ["queue"], [2, sha1("a"), sha1("x")])).toBe(-1)
        expect(yield* run("acknowledgeBatch-1", ["queue"], [4, sha1("a"), sha1("d")])).toBe(-1)
        expect(yield* left).toEqual(["a", "b", "c"])
      }),
    )
  })

  describe("acknowledgeEntries", () => {
    it.scoped("removes from the head while it is a given entry, each as often as it is given", () =>
      Effect.gen(function* () {
        const { run, left } = yield* queueOf("b", "a", "a", "c", "b", "d")
        const given = ["a", "b", "c", "a"].map(sha1)
        expect(yield* run("acknowledgeEntries-1", ["queue"], given)).toBe(4)
        expect(yield* left).toEqual(["b", "d"])
        expect(yield* run("acknowledgeEntries-1", ["queue"], ["d"].map(sha1))).toBe(0)
        expect(yield* run("acknowledgeEntries-1", ["nothing"], given)).toBe(0)
        expect(yield* left).toEqual(["b", "d"])
      }),
    )

    it.scoped("goes beyond one chunk", () =>
      Effect.gen(function* () {
        const entries = Array.from({ length: 70 }, (_, index) => String(index))
        const { run, left } = yield* queueOf(...entries)
        expect(yield* run("acknowledgeEntries-1", ["queue"], entries.slice(0, 64).map(sha1))).toBe(64)
        expect(yield* left).toEqual(entries.slice(64))
        expect(yield* run("acknowledgeEntries-1", ["queue"], entries.map(sha1))).toBe(6)
      }),
    )
  })

  describe("a server that is out of memory", () => {
    it.scoped("still reads and acknowledges", () =>
      Effect.gen(function* () {
        const { admin, run, left } = yield* queueOf("a", "b", "c", "d")
        yield* Effect.acquireRelease(
          Effect.promise(() => admin.config("SET", "maxmemory", 1)),
          () => Effect.promise(() => admin.config("SET", "maxmemory", 0)),
        )
        const refused = yield* Effect.promise(() =>
          admin.rpush("queue", "e").catch((error: Error) => error.message),
        )
        expect(refused).toMatch(/^OOM /)
        expect(yield* run("readHead-1", ["queue"], [1, 1])).toEqual(["a"])
        expect(yield* run("acknowledgeBatch-1", ["queue"], [2, sha1("a"), sha1("b")])).toBe(2)
        expect(yield* run("acknowledgeEntries-1", ["queue"], [sha1("c")])).toBe(1)
        expect(yield* left).toEqual(["d"])
      }),
    )
  })

  describe("raiseCounter", () => {
    it.scoped("goes by the floor, what is held, and the newest entry", () =>
      Effect.gen(function* () {
        const { admin, run } = yield* queueOf()
        const raise = (floor: number | string) => run("raiseCounter-2", ["counter", "queue"], [floor])
        expect(yield* raise(0)).toEqual([null, "0"])
        expect(yield* raise(7)).toEqual(["0", "7"])
        expect(yield* raise(3)).toEqual(["7", "7"])
        yield* Effect.promise(() => admin.rpush("queue", '{"cache_id":12,"data":{"cache_id":99}}'))
        expect(yield* raise(3)).toEqual(["7", "12"])
        yield* Effect.promise(() => admin.rpush("queue", ' { "cache_id" : 123456789012345, "data":{}}'))
        expect(yield* raise(3)).toEqual(["12", "123456789012345"])
        expect(yield* raise("9007199254740991")).toEqual(["123456789012345", "9007199254740991"])
      }),
    )

    it.effect.each([
      "no entry",
      '{"cache_id":"9"}',
      '{"cache_id":-9}',
      '{"cache_id":9007199254740993,"data":{}}',
      "\u00ff",
    ])("passes over a newest entry such as %j", (entry) =>
      Effect.gen(function* () {
        const { run } = yield* queueOf('{"cache_id":12,"data":{}}', entry)
        expect(yield* run("raiseCounter-2", ["counter", "queue"], [5])).toEqual([null, "5"])
      }).pipe(Effect.scoped),
    )

    it.scoped("leaves a counter alone that is none, and the TTL off one that is", () =>
      Effect.gen(function* () {
        const { admin, run } = yield* queueOf()
        for (const value of ["abc", "-1", "9007199254740992"]) {
          yield* Effect.promise(() => admin.set("counter", value))
          expect(yield* run("raiseCounter-2", ["counter", "queue"], [5])).toMatch(/^COUNTER_INVALID counter /)
          expect(yield* Effect.promise(() => admin.get("counter"))).toBe(value)
        }
        yield* Effect.promise(() => admin.set("counter", 1, "EX", 100))
        expect(yield* run("raiseCounter-2", ["counter", "queue"], [5])).toEqual(["1", "5"])
        expect(yield* Effect.promise(() => admin.ttl("counter"))).toBe(-1)
      }),
    )
  })

  describe("takeCacheId", () => {
    it.scoped("counts on, but does not begin", () =>
      Effect.gen(function* () {
        const { admin, run, contents } = yield* queueOf()
        expect(yield* run("takeCacheId-1", ["counter"])).toMatch(/^COUNTER_MISSING counter /)
        expect(yield* contents).toEqual({})
        yield* Effect.promise(() => admin.set("counter", "9007199254740990"))
        expect(yield* run("takeCacheId-1", ["counter"])).toBe(9007199254740991)
        expect(yield* run("takeCacheId-1", ["counter"])).toMatch(/^COUNTER_INVALID counter /)
      }),
    )
  })

  describe("applyRateLimitSettings", () => {
    it.scoped("puts the newer settings in force", () =>
      Effect.gen(function* () {
        const { admin, run } = yield* queueOf()
        const apply = (...args: [number, number, number]) =>
          run("applyRateLimitSettings-1", ["settings"], args)
        const held = Effect.promise(() => admin.hgetall("settings"))
        expect(yield* apply(5, 60, 10)).toBe(1)
        expect(yield* apply(6, 61, 9)).toBe(-1)
        expect(yield* apply(7, 62, 10)).toBe(0)
        expect(yield* held).toEqual({ message_limit: "5", window_seconds: "60", position: "10" })
        expect(yield* apply(8, 63, 11)).toBe(1)
        expect(yield* held).toEqual({ message_limit: "8", window_seconds: "63", position: "11" })
        yield* Effect.promise(() => admin.hdel("settings", "position"))
        expect(yield* apply(9, 64, 1)).toBe(1)
        expect(yield* held).toEqual({ message_limit: "9", window_seconds: "64", position: "1" })
        yield* Effect.promise(() => admin.del("settings"))
        expect(yield* apply(9, 64, 1)).toBe(1)
      }),
    )
  })
})

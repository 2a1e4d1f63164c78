import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { GroupCommit, type GroupCommitItem, type GroupCommitLimits } from "../../src/layers/GroupCommit.ts"

interface Item extends GroupCommitItem {
  readonly id: string
}

const item = (id: string, size = 1): Item => ({ id, size })

const roomy: GroupCommitLimits = {
  batchesUnderWay: 1,
  batchItems: 100,
  batchSize: 100,
  waitingItems: 100,
  waitingSize: 100,
}

/** Lets every microtask run that is queued now. */
const tick = (): Promise<void> => Promise.resolve()

/** A `send` in the hands of the test: each batch stays under way until `finish`. */
const driven = (limits: GroupCommitLimits) => {
  const batches: Array<ReadonlyArray<Item>> = []
  const underWay: Array<() => void> = []
  let mostUnderWay = 0
  const groupCommit = new GroupCommit<Item>((batch, done) => {
    batches.push(batch)
    underWay.push(done)
    mostUnderWay = Math.max(mostUnderWay, underWay.length)
  }, limits)
  /** @param which of the batches under way is done, by default the oldest */
  const finish = (which = 0): boolean => {
    const [done] = underWay.splice(which % Math.max(1, underWay.length), 1)
    done?.()
    return done !== undefined
  }
  return {
    groupCommit,
    batches,
    finish,
    add: (...items: ReadonlyArray<Item>) => items.map((next) => groupCommit.add(next)),
    ids: () => batches.map((batch) => batch.map(({ id }) => id).join("")),
    mostUnderWay: () => mostUnderWay,
  }
}

describe("GroupCommit", () => {
  it("sends what was added together together, once the adding is over", async () => {
    const { add, groupCommit, ids } = driven(roomy)
    add(item("a"), item("b"))
    queueMicrotask(() => add(item("c")))
    assert.deepStrictEqual(ids(), [])
    assert.strictEqual(groupCommit.pending, 2)
    await tick()
    assert.deepStrictEqual(ids(), ["ab"])
  })

  it("waits for what the running microtasks still add", async () => {
    const { add, ids } = driven(roomy)
    queueMicrotask(() => add(item("b")))
    add(item("a"))
    await tick()
    assert.deepStrictEqual(ids(), ["ab"])
  })

  it("gathers while a batch is under way, and sends on when it is done", async () => {
    const { add, finish, groupCommit, ids } = driven(roomy)
    add(item("a"))
    await tick()
    add(item("b"))
    await tick()
    add(item("c"))
    assert.deepStrictEqual(ids(), ["a"])
    assert.strictEqual(groupCommit.pending, 3)
    finish()
    assert.deepStrictEqual(ids(), ["a", "bc"])
    assert.strictEqual(groupCommit.pending, 2)
    finish()
    assert.strictEqual(groupCommit.pending, 0)
    add(item("d"))
    await tick()
    assert.deepStrictEqual(ids(), ["a", "bc", "d"])
  })

  it("takes a batch that is done at once", async () => {
    const sent: Array<string> = []
    const groupCommit = new GroupCommit<Item>(
      (batch, done) => {
        sent.push(...batch.map(({ id }) => id))
        done()
      },
      { ...roomy, batchItems: 1 },
    )
    for (const id of "abc") groupCommit.add(item(id))
    await tick()
    assert.deepStrictEqual(sent, ["a", "b", "c"])
    assert.strictEqual(groupCommit.pending, 0)
  })

  it.each<
    [
      name: string,
      limits: Partial<GroupCommitLimits>,
      sizes: ReadonlyArray<number>,
      batches: ReadonlyArray<string>,
    ]
  >([
    ["as many items as a batch may have", { batchItems: 2 }, [1, 1, 1, 1, 1], ["01", "23", "4"]],
    ["as much as a batch may hold", { batchSize: 5 }, [2, 3, 4, 1, 1], ["01", "23", "4"]],
    ["one that is too big for a batch, alone", { batchSize: 5 }, [1, 9, 1], ["0", "1", "2"]],
    ["a first one that is too big, alone", { batchSize: 5 }, [9, 1, 9], ["0", "1", "2"]],
    ["what has no size with the rest", { batchSize: 5 }, [5, 0, 0, 1], ["012", "3"]],
  ])("sends %s", async (_, limits, sizes, expected) => {
    const { add, finish, ids } = driven({ ...roomy, ...limits })
    add(...sizes.map((size, index) => item(String(index), size)))
    await tick()
    while (finish());
    assert.deepStrictEqual(ids(), expected)
  })

  it.each<[name: string, limits: Partial<GroupCommitLimits>]>([
    ["many", { waitingItems: 2 }],
    ["much", { waitingSize: 5 }],
  ])("refuses and forgets what comes when too %s are waiting, until some have left", async (_, limits) => {
    const { add, finish, groupCommit, ids } = driven({ ...roomy, ...limits })
    assert.deepStrictEqual(add(item("a", 3), item("b", 2), item("c", 1)), [true, true, false])
    assert.strictEqual(groupCommit.pending, 2)
    await tick()
    assert.deepStrictEqual(add(item("d", 3), item("e", 2), item("f", 1)), [true, true, false])
    finish()
    assert.deepStrictEqual(add(item("g", 3), item("h", 2), item("i", 1)), [true, true, false])
    while (finish());
    assert.deepStrictEqual(ids(), ["ab", "de", "gh"])
  })

  it("sends as many batches at once as may be under way, and the next when any of them is done", async () => {
    const { add, finish, ids } = driven({ ...roomy, batchesUnderWay: 2, batchItems: 2 })
    add(..."abcdefg".split("").map((id) => item(id)))
    await tick()
    assert.deepStrictEqual(ids(), ["ab", "cd"])
    finish(1)
    assert.deepStrictEqual(ids(), ["ab", "cd", "ef"])
    finish()
    assert.deepStrictEqual(ids(), ["ab", "cd", "ef", "g"])
  })

  it("does not let what comes wait while another batch may go", async () => {
    const { add, ids } = driven({ ...roomy, batchesUnderWay: 2 })
    add(item("a"))
    await tick()
    add(item("b"))
    await tick()
    add(item("c"))
    await tick()
    assert.deepStrictEqual(ids(), ["a", "b"])
  })
})

describe("GroupCommit.onIdle", () => {
  it("calls back at once when there is nothing to do", () => {
    let calls = 0
    driven(roomy).groupCommit.onIdle(() => calls++)
    assert.strictEqual(calls, 1)
  })

  it("calls back once, when the last batch is done", async () => {
    const { add, finish, groupCommit } = driven({ ...roomy, batchItems: 1 })
    const calls: Array<string> = []
    add(item("a"), item("b"))
    groupCommit.onIdle(() => calls.push("first"))
    groupCommit.onIdle(() => calls.push(`second, ${groupCommit.pending} pending`))
    await tick()
    finish()
    assert.deepStrictEqual(calls, [])
    finish()
    assert.deepStrictEqual(calls, ["first", "second, 0 pending"])
    add(item("c"))
    await tick()
    finish()
    assert.lengthOf(calls, 2)
  })

  it("waits for all batches that are under way", async () => {
    const { add, finish, groupCommit } = driven({ ...roomy, batchesUnderWay: 2, batchItems: 1 })
    let calls = 0
    add(item("a"), item("b"))
    await tick()
    groupCommit.onIdle(() => calls++)
    finish(1)
    assert.strictEqual(calls, 0)
    finish()
    assert.strictEqual(calls, 1)
  })

  it("may be used to add more", async () => {
    const { add, finish, groupCommit, ids } = driven(roomy)
    add(item("a"))
    groupCommit.onIdle(() => add(item("b")))
    await tick()
    finish()
    await tick()
    assert.deepStrictEqual(ids(), ["a", "b"])
  })
})

type Command =
  | { readonly _tag: "Add"; readonly size: number }
  | { readonly _tag: "Tick" }
  | { readonly _tag: "Finish"; readonly which: number }

const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ _tag: fc.constant("Add" as const), size: fc.nat(6) }) },
  { weight: 2, arbitrary: fc.record({ _tag: fc.constant("Tick" as const) }) },
  { weight: 1, arbitrary: fc.record({ _tag: fc.constant("Finish" as const), which: fc.nat(2) }) },
)

const smallLimits: fc.Arbitrary<GroupCommitLimits> = fc.record({
  batchesUnderWay: fc.integer({ min: 1, max: 3 }),
  batchItems: fc.integer({ min: 1, max: 4 }),
  batchSize: fc.integer({ min: 1, max: 10 }),
  waitingItems: fc.integer({ min: 1, max: 8 }),
  waitingSize: fc.integer({ min: 1, max: 20 }),
})

const sizeOf = (items: ReadonlyArray<Item>): number => items.reduce((total, { size }) => total + size, 0)

const isTooMuch = (waiting: ReadonlyArray<Item>, next: Item, limits: GroupCommitLimits): boolean =>
  waiting.length >= limits.waitingItems || sizeOf(waiting) + next.size > limits.waitingSize

/** Runs the commands, checks every answer on the way, and returns what should have left, in order. */
const run = async (
  commands: ReadonlyArray<Command>,
  limits: GroupCommitLimits,
  { batches, finish, groupCommit }: ReturnType<typeof driven>,
) => {
  const accepted: Array<Item> = []
  for (const next of commands) {
    if (next._tag === "Tick") await tick()
    if (next._tag === "Finish") finish(next.which)
    if (next._tag === "Add") {
      const waiting = accepted.slice(batches.flat().length)
      const one = item(String(accepted.length), next.size)
      assert.strictEqual(groupCommit.add(one), !isTooMuch(waiting, one, limits))
      if (!isTooMuch(waiting, one, limits)) accepted.push(one)
    }
  }
  await tick()
  while (finish());
  return accepted
}

describe("GroupCommit, whatever comes in whatever order", () => {
  it("sends each accepted item exactly once, in order, in bounded batches, a bounded number of them at a time", () =>
    fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 60 }), smallLimits, async (commands, limits) => {
        const drive = driven(limits)
        const expected = await run(commands, limits, drive)
        assert.deepStrictEqual(drive.batches.flat(), expected)
        assert.isAtMost(drive.mostUnderWay(), limits.batchesUnderWay)
        assert.strictEqual(drive.groupCommit.pending, 0)
        for (const batch of drive.batches) {
          assert.isNotEmpty(batch)
          assert.isAtMost(batch.length, limits.batchItems)
          if (batch.length > 1) assert.isAtMost(sizeOf(batch), limits.batchSize)
        }
      }),
      { numRuns: 500 },
    ))

  it("fills each batch as far as it may", () =>
    fc.assert(
      fc.asyncProperty(fc.array(fc.nat(6)), smallLimits, async (sizes, limits) => {
        const drive = driven({ ...limits, waitingItems: sizes.length, waitingSize: 1000 })
        drive.add(...sizes.map((size, index) => item(String(index), size)))
        await tick()
        while (drive.finish());
        for (const [index, batch] of drive.batches.slice(0, -1).entries()) {
          const next = drive.batches[index + 1]![0]!
          assert.isTrue(batch.length === limits.batchItems || sizeOf([...batch, next]) > limits.batchSize)
        }
      }),
    ))
})

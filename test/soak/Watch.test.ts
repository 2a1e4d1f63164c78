import { assert, it } from "@effect/vitest"
import type { Usage } from "./Fleet.ts"
import { checkUsage } from "./Watch.ts"

const mebibyte = 2 ** 20

const usages = (
  count: number,
  openFiles: (index: number) => number,
  mebibytes: (index: number) => number,
): ReadonlyArray<Usage> =>
  Array.from({ length: count }, (_, index) => ({
    openFiles: openFiles(index),
    residentBytes: mebibytes(index) * mebibyte,
  }))

const noise = (index: number): number => (index * 7919) % 40

it("usage that goes up and down, or has a peak, is no leak", () => {
  const steady = usages(
    600,
    (index) => 30 + noise(index),
    (index) => 200 + noise(index),
  )
  assert.deepStrictEqual(checkUsage(steady).problems, [])
  const peak = usages(
    600,
    (index) => (index > 300 && index < 350 ? 500 : 30),
    () => 200,
  )
  assert.deepStrictEqual(checkUsage(peak).problems, [])
})

it("open files that are never closed, and memory that is never given back, are leaks", () => {
  assert.lengthOf(
    checkUsage(
      usages(
        600,
        (index) => 30 + index / 10,
        () => 200,
      ),
    ).problems,
    1,
  )
  assert.lengthOf(
    checkUsage(
      usages(
        600,
        () => 30,
        (index) => 200 + index / 2,
      ),
    ).problems,
    1,
  )
})

it("a run that is too short to tell is not judged, and says so", () => {
  const { name, problems } = checkUsage(
    usages(
      60,
      (index) => index * 10,
      (index) => index * 10,
    ),
  )
  assert.deepStrictEqual(problems, [])
  assert.include(name, "not judged: 60 samples")
})

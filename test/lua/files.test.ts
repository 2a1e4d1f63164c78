import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Script from "../../src/layers/valkey/Script.ts"
import { rawClient } from "../layers/valkey/rawClient.ts"
import { ValkeyServer } from "../../src/services/ValkeyServer.ts"
import { valkeyShared } from "../support/Servers.ts"
import { scriptNames, scriptText } from "./scripting.ts"

/** The numbers n for which `name[n]` stands in the text. */
const indexes = (text: string, name: "KEYS" | "ARGV"): ReadonlyArray<number> =>
  [...text.matchAll(new RegExp(`${name}\\[(\\d+)`, "g"))].map((match) => Number(match[1]))

const parts = (text: string) => {
  const match = /^(?:#!lua[^\n]*\n)?--\[\[\n(.*?)\n\]\]\n(.*)$/s.exec(text)
  return { header: match?.[1] ?? "", code: (match?.[2] ?? "").replace(/--[^\n]*/g, "") }
}

it("finds the scripts", () => {
  expect(scriptNames.length).toBeGreaterThan(0)
})

it.each(scriptNames)("%s: the number in its name is the number of its fixed keys", (name) => {
  const fixedKeys = Number(/^[a-z][A-Za-z]*-(\d+)$/.exec(name)?.[1])
  expect(Math.max(0, ...indexes(parts(scriptText(name)).code, "KEYS"))).toBe(fixedKeys)
})

it.each(scriptNames)("%s: its header describes every key and argument, and the reply", (name) => {
  const { header, code } = parts(scriptText(name))
  for (const kind of ["KEYS", "ARGV"] as const) {
    const described = new Set(indexes(header, kind))
    for (const index of indexes(code, kind)) expect(described).toContain(index)
    if (code.includes(kind)) expect(header).toContain(kind)
  }
  expect(header).toMatch(/^ {2}Reply: /m)
})

it.each(scriptNames)("%s: never takes a payload apart, and prints ids with all their digits", (name) => {
  const { code } = parts(scriptText(name))
  expect(code).not.toMatch(/cjson|cmsgpack|struct\./)
  expect(code).not.toMatch(/tostring|\.\. *id\b/)
})

it.scopedLive("are known to the server by the SHA-1 that is computed for them", () =>
  Effect.gen(function* () {
    const client = yield* rawClient((yield* ValkeyServer).url)
    for (const name of scriptNames) {
      const { text, sha1 } = yield* Script.load(name)
      expect(yield* Effect.promise(() => client.script("LOAD", text))).toBe(sha1)
    }
  }).pipe(Effect.provide(valkeyShared)),
)

it.effect("stop the start with a clear error when one is missing", () =>
  Effect.gen(function* () {
    const defect = yield* Script.load("nothing-1").pipe(
      Effect.sandbox,
      Effect.flip,
      Effect.map((cause) => String(cause)),
    )
    expect(defect).toContain("lua/nothing-1.lua cannot be read")
  }),
)

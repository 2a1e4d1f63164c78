import { expect, it } from "@effect/vitest"
import { Either } from "effect"
import { address, parse } from "../../../src/layers/valkey/ServerUrl.ts"

const plain = { port: 6379, tls: false, username: undefined, password: undefined, database: 0 }

it.each([
  ["redis://localhost", { ...plain, host: "localhost" }, "localhost:6379"],
  ["valkey://localhost/", { ...plain, host: "localhost" }, "localhost:6379"],
  [
    "rediss://10.0.0.1:6380/3",
    { ...plain, host: "10.0.0.1", port: 6380, tls: true, database: 3 },
    "10.0.0.1:6380",
  ],
  ["valkeys://db.example", { ...plain, host: "db.example", tls: true }, "db.example:6379"],
  ["valkey://:s3cr%2Fet@h:1", { ...plain, host: "h", port: 1, password: "s3cr/et" }, "h:1"],
  ["redis://app:100%@h", { ...plain, host: "h", username: "app", password: "100%" }, "h:6379"],
  ["valkey://[::1]:6400", { ...plain, host: "::1", port: 6400 }, "[::1]:6400"],
])("reads %s", (url, expected, shown) => {
  const parsed = parse(url)
  expect(parsed).toEqual(Either.right(expected))
  if (Either.isRight(parsed)) expect(address(parsed.right)).toBe(shown)
})

it.each([
  "",
  "localhost:6379",
  "http://localhost",
  "redis://",
  "redis:///0",
  "redis://:sec#ret@host",
  "redis://:secret@host/zero",
  "redis://:secret@host?enableOfflineQueue=true",
  "redis://:secret@host#secret",
  "redis://:secret@host:99999",
])("refuses %j without quoting it", (url) => {
  const parsed = parse(url)
  expect(Either.isLeft(parsed)).toBe(true)
  if (Either.isLeft(parsed)) {
    expect(parsed.left).toMatch(/^must /)
    expect(parsed.left).not.toMatch(/secret|sec#/)
  }
})

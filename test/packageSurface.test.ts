/** What applications can import, as far as it can be told from the types: nothing that they meet is missing. */
import { assert, it } from "@effect/vitest"
import type { Effect, Layer, Stream } from "effect"
import * as chatCache from "../src/index.ts"

type Tag<Failure> = Failure extends { readonly _tag: infer Name extends string } ? Name : never

/** What the operations of a service can fail with, those of services in it included. */
type FailureOf<Member> = Member extends (...args: never) => infer Result
  ? FailureOf<Result>
  : Member extends Effect.Effect<unknown, infer Failure, infer _>
    ? Failure
    : Member extends Stream.Stream<unknown, infer Failure, infer _>
      ? Failure
      : Member extends object
        ? { readonly [Name in keyof Member]: FailureOf<Member[Name]> }[keyof Member]
        : never

type LayerFailure<Candidate> =
  Candidate extends Layer.Layer<infer _Provided, infer Failure, infer _Needed> ? Failure : never

type Met =
  | Tag<FailureOf<chatCache.ChatCache["Type"]>>
  | Exclude<
      Tag<
        | LayerFailure<typeof chatCache.ChatCacheLayer.layer>
        | LayerFailure<typeof chatCache.ServersTemporary.layer>
      >,
      // It comes from Effect.
      "ConfigError"
    >

it("every error that an operation or a layer can fail with is exported", () => {
  const errors: { readonly [Name in Met]: unknown } = chatCache
  // One of a service itself, of a service in it, and of each layer.
  const some: ReadonlyArray<Met> = [
    "InvalidMessage",
    "ReplayRefused",
    "UnsafeConfiguration",
    "ServerNotInstalled",
  ]
  for (const name of some) assert.isFunction(errors[name])
})

it("nothing else is exported than what stands here", () => {
  assert.deepStrictEqual(Object.keys(chatCache).sort(), [
    "Accepted",
    "BooksOutOfBalance",
    "CacheUnavailable",
    "CachedPrivateMessage",
    "CachedPublicMessage",
    "ChatCache",
    "ChatCacheLayer",
    "ChatCacheMemory",
    "Event",
    "InvalidHistoryQuery",
    "InvalidMessage",
    "InvalidMessageId",
    "InvalidRateLimitSettings",
    "PostgresServer",
    "PrivateMessageDraft",
    "PublicMessageDraft",
    "QuarantineEntryNotFound",
    "QuarantineEntryResolved",
    "QueueFull",
    "QueueName",
    "RateLimitSettings",
    "RateLimited",
    "RecordedEvent",
    "ReplayRefused",
    "SchemaSuspected",
    "ServerDirectoryInUse",
    "ServerNotInstalled",
    "ServerNotStarted",
    "ServersConfig",
    "ServersTemporary",
    "Settings",
    "SettingsConfig",
    "ShuttingDown",
    "StoreMisconfigured",
    "StoreUnavailable",
    "UnsafeConfiguration",
    "ValkeyServer",
    "maximumMessageBytes",
    "queueNames",
  ])
})

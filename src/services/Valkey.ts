import { Context, type Effect } from "effect"
import type { CacheUnavailable } from "../domain/Errors.ts"

/** A command and its arguments, such as `["pexpire", "ratelimit:7", 1000, "LT"]`. */
export type ValkeyCommand = readonly [name: string, ...args: ReadonlyArray<string | number>]

/** What Valkey answers, texts decoded as UTF-8. Integers are exact up to 2^53. */
export type ValkeyReply = string | number | null | ReadonlyArray<ValkeyReply>

/** What Valkey answers, texts left as the bytes that they are. */
export type ValkeyBinaryReply = Uint8Array | number | null | ReadonlyArray<ValkeyBinaryReply>

/** A Lua file of `lua/`. */
export interface ValkeyScript {
  /** Name of the file, without its extension. */
  readonly name: string
  readonly text: string
  /** SHA-1 of the text in lower-case hex, by which Valkey knows the script. */
  readonly sha1: string
}

/**
 * One connection to Valkey that keeps itself up.
 *
 * Nothing here is retried or waits for a connection, and every call ends within 12 seconds (a script that the
 * server has forgotten is sent again, so that is twice the command timeout). `CacheUnavailable`
 * says `refused` when Valkey certainly did not execute the command, and `unknown` when it may have. Its `reason` begins
 * with Valkey's error code where Valkey gave one.
 */
export class Valkey extends Context.Tag("chat-cache/Valkey")<
  Valkey,
  {
    /** Host and port, without credentials. */
    readonly address: string

    /** One sentence on why Valkey cannot be used at the moment, or `undefined` while it is connected. Never waits. */
    readonly problem: Effect.Effect<string | undefined>

    /** @param operation what the caller is doing, for the error */
    readonly send: (operation: string, command: ValkeyCommand) => Effect.Effect<ValkeyReply, CacheUnavailable>

    readonly sendForBytes: (
      operation: string,
      command: ValkeyCommand,
    ) => Effect.Effect<ValkeyBinaryReply, CacheUnavailable>

    /** Sends the commands together and returns their replies in order; fails when one of them fails. Not atomic. */
    readonly sendAll: (
      operation: string,
      commands: ReadonlyArray<ValkeyCommand>,
    ) => Effect.Effect<ReadonlyArray<ValkeyReply>, CacheUnavailable>

    /** Runs a script, whether or not the server has it already. */
    readonly run: (
      operation: string,
      script: ValkeyScript,
      keys: ReadonlyArray<string>,
      args: ReadonlyArray<string | number>,
    ) => Effect.Effect<ValkeyReply, CacheUnavailable>

    readonly runForBytes: (
      operation: string,
      script: ValkeyScript,
      keys: ReadonlyArray<string>,
      args: ReadonlyArray<string | number>,
    ) => Effect.Effect<ValkeyBinaryReply, CacheUnavailable>
  }
>() {}

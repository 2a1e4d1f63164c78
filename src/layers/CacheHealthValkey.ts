import { DateTime, Duration, Effect, Either, Layer } from "effect"
import type { CacheUnavailable } from "../domain/Errors.ts"
import { CacheHealth, type Finding } from "../services/Health.ts"
import { Settings } from "../services/Settings.ts"
import { Valkey } from "../services/Valkey.ts"
import { errorCode } from "./valkey/Failure.ts"
import * as Keys from "./valkey/Keys.ts"
import * as Rights from "./valkey/Rights.ts"
import * as Script from "./valkey/Script.ts"

type Info = ReadonlyMap<string, string>

/** The first version that knows the flags of scripts and PEXPIRE with LT. */
const oldestVersion = 7

const answerWithin = Duration.seconds(2)

const parseInfo = (text: string): Info => {
  const info = new Map<string, string>()
  for (const line of text.split("\r\n")) {
    const colon = line.indexOf(":")
    if (colon > 0) info.set(line.slice(0, colon), line.slice(colon + 1))
  }
  return info
}

const evictionProblem = (info: Info, queueKey: string): Finding | undefined => {
  const policy = info.get("maxmemory_policy") ?? "not shown by INFO"
  if (policy === "noeviction") return undefined
  const repair = "Set it to noeviction: CONFIG SET maxmemory-policy noeviction, and the same in valkey.conf."
  if (policy.startsWith("volatile-")) {
    return {
      check: "maxmemory-policy",
      severity: "warning",
      reason: `maxmemory-policy is ${policy}: when memory runs short Valkey drops running rate limits; messages are safe. ${repair}`,
    }
  }
  return {
    check: "maxmemory-policy",
    severity: "unsafe",
    reason: `maxmemory-policy is ${policy}: when memory runs short Valkey drops whole keys without an error, and with ${queueKey} every message that waits for PostgreSQL. ${repair}`,
  }
}

const roleProblem = (info: Info): Finding | undefined => {
  const role = info.get("role")
  if (role === "master") return undefined
  const primary = info.has("master_host") ? ` of ${info.get("master_host")}:${info.get("master_port")}` : ""
  return {
    check: "role",
    severity: "blocking",
    reason: `The server is a replica${primary} and takes no messages. Point VALKEY_URL to the primary, or promote this server with REPLICAOF NO ONE.`,
  }
}

const versionProblem = (info: Info): Finding | undefined => {
  // Valkey tells the version of Redis that it is compatible with, too.
  const version = info.get("redis_version") ?? "unknown"
  return Number.parseInt(version, 10) >= oldestVersion
    ? undefined
    : {
        check: "version",
        severity: "unsafe",
        reason: `The server's version is ${version}: queued messages could not be acknowledged. Use Valkey, or Redis from ${oldestVersion}.0 on.`,
      }
}

const appendOnlyProblem = (info: Info): Finding | undefined => {
  if (info.get("aof_enabled") !== "0") return undefined
  const snapshot = DateTime.formatIso(DateTime.unsafeMake(Number(info.get("rdb_last_save_time") ?? 0) * 1000))
  const changes = info.get("rdb_changes_since_last_save") ?? "unknown"
  return {
    check: "appendonly",
    severity: "warning",
    reason: `appendonly is off: when Valkey or its machine stops unexpectedly, every message that PostgreSQL does not have yet and that came after the last snapshot is lost (now: all since ${snapshot}, ${changes} changes). Turn it on: CONFIG SET appendonly yes, and the same in valkey.conf; then at most about two seconds are lost with a power failure, and with the end of the process only what a slow disk has kept from being written.`,
  }
}

const appendOnlyWriteProblem = (info: Info): Finding | undefined =>
  info.get("aof_last_write_status") === "err"
    ? {
        check: "appendonly-write",
        severity: "blocking",
        reason:
          "Valkey cannot write its append-only file and refuses messages until it can: most often its disk is full. Free space, or see Valkey's log.",
      }
    : undefined

const keyTypeProblem = (key: string, expected: string, found: unknown): Finding | undefined =>
  found === expected || found === "none"
    ? undefined
    : {
        check: "key-types",
        severity: "unsafe",
        reason: `The key ${key} holds a ${String(found)} where a ${expected} belongs: another program uses it. Rename or delete the key, or set CHAT_CACHE_KEY_PREFIX.`,
      }

const missingRights = (what: string): Finding => ({
  check: "permissions",
  severity: "unsafe",
  reason: `The Valkey user lacks rights that chat-cache needs: ${what}. Grant them with ACL SETUSER: +command for each command, ~pattern for the keys.`,
})

const unreachable = (reason: string): Finding => ({ check: "valkey", severity: "blocking", reason })

const make = Effect.gen(function* () {
  const valkey = yield* Valkey
  const keys = Keys.make((yield* Settings).keyPrefix)
  const keyTypes = [
    [keys.flushQueue.public, "list"],
    [keys.flushQueue.private, "list"],
    [keys.recent, "list"],
    [keys.counter.public, "string"],
    [keys.counter.private, "string"],
    [keys.rateLimitSettings, "hash"],
    [keys.deleted.public, "zset"],
    [keys.deleted.private, "zset"],
  ] as const
  const rights = Rights.make(keys)
  const checkRights = yield* Script.load("checkRights-0")

  const problemsOf = ([infoText, ...types]: ReadonlyArray<unknown>): ReadonlyArray<Finding> => {
    const info = parseInfo(String(infoText))
    return [
      versionProblem(info),
      roleProblem(info),
      evictionProblem(info, keys.flushQueue.public),
      ...keyTypes.map(([key, expected], index) => keyTypeProblem(key, expected, types[index])),
      appendOnlyWriteProblem(info),
      appendOnlyProblem(info),
    ].filter((problem) => problem !== undefined)
  }

  const serverProblems = Effect.map(
    valkey.sendAll("check", [["info"], ...keyTypes.map(([key]) => ["type", key] as const)]),
    problemsOf,
  )

  const rightsProblems = Effect.map(
    valkey.run("check", checkRights, [], Rights.argumentsOf(rights)),
    (reply): ReadonlyArray<Finding> => {
      const missing = (reply as ReadonlyArray<number>).map((number) => rights[number - 1]!)
      return missing.length > 0 ? [missingRights(Rights.describe(missing))] : []
    },
  )

  const problemOf = ({ reason }: CacheUnavailable): Finding =>
    errorCode(reason) === "NOPERM"
      ? missingRights(reason)
      : unreachable(`Valkey at ${valkey.address} does not answer: ${reason}.`)

  /** A missing right keeps the other question from being answered, and too old a server knows no such script. */
  const ask = Effect.all([Effect.either(rightsProblems), Effect.either(serverProblems)], {
    concurrency: "unbounded",
  }).pipe(
    Effect.map(([ofRights, ofServer]) => {
      const lacking = Either.getOrElse(ofRights, (error) => [problemOf(error)])
      if (lacking.some(({ check }) => check === "permissions")) return lacking
      const found = Either.getOrElse(ofServer, (error) => [problemOf(error)])
      return found.length > 0 ? found : lacking
    }),
    Effect.timeoutTo({
      duration: answerWithin,
      onSuccess: (found) => found,
      onTimeout: () => [
        unreachable(
          `Valkey at ${valkey.address} does not answer: no answer within ${Duration.format(answerWithin)}.`,
        ),
      ],
    }),
  )

  const findings = Effect.flatMap(valkey.problem, (problem) =>
    problem === undefined ? ask : Effect.succeed([unreachable(problem)]),
  ).pipe(Effect.withSpan("CacheHealth.findings"))

  return CacheHealth.of({ findings })
})

/** Whether the Valkey server is one that messages can be entrusted to. */
export const layer: Layer.Layer<CacheHealth, never, Valkey | Settings> = Layer.effect(CacheHealth, make)

/**
 * What the clients were told, and whether it is what the servers hold in the end.
 *
 * No two messages have the same text, so the text tells them apart also where no `message_id` came back.
 */
import type { QueueName } from "../../src/domain/Message.ts"

/** What a client was told about one attempt. */
export type Told = "accepted" | "refused" | "unknown"

export interface Claim {
  readonly queue: QueueName
  /** A table may for some time have a constraint that refuses it. */
  readonly unwelcome: boolean
  /** `undefined` until the attempt under way is answered. */
  told: Told | undefined
  messageId: string | undefined
  /** A deletion may have failed half-way, until it was confirmed. */
  deletion?: "attempted" | "confirmed"
}

/** Entries that were put into a queue by hand. As latin1, in which every byte is one character. */
export interface Poison {
  readonly queue: QueueName
  readonly raw: string
}

/** Two messages with one `message_id`: one of them is stored, and the other one quarantined. */
export interface Rivals {
  readonly queue: QueueName
  readonly messageId: string
  readonly texts: readonly [string, string]
}

export interface Books {
  readonly claims: Map<string, Claim>
  readonly poison: Array<Poison>
  readonly rivals: Array<Rivals>
  /** Texts and raw entries that stood in a queue when Valkey's data was lost. */
  readonly lost: Set<string>
}

export const open = (): Books => ({ claims: new Map(), poison: [], rivals: [], lost: new Set() })

/** An attempt that was accepted outweighs all others, and one whose fate is unknown those that were refused. */
export const record = (claim: Claim, told: Told, messageId?: string): void => {
  claim.messageId ??= messageId
  if (claim.told === "accepted" || (claim.told === "unknown" && told === "refused")) return
  claim.told = told
}

export interface Row {
  readonly queue: QueueName
  readonly messageId: string
  readonly text: string
}

export interface Quarantined {
  readonly queue: QueueName
  /** As latin1. */
  readonly raw: string
  readonly reason: string
}

export interface Totals {
  readonly persisted: number
  readonly quarantined: number
  readonly deleted: number
}

export interface Findings {
  readonly rows: ReadonlyArray<Row>
  readonly quarantined: ReadonlyArray<Quarantined>
  /** By the journal. */
  readonly journal: Totals
  /** By the table of deletions: all of them, and those that took a row away. */
  readonly deletions: { readonly all: number; readonly ofRows: number }
  /** What the recent caches show, by its text. */
  readonly shown: ReadonlyArray<string>
  /** Entries that are still queued. */
  readonly queued: number
}

export interface Check {
  readonly name: string
  readonly problems: ReadonlyArray<string>
}

const countBy = <A>(values: ReadonlyArray<A>, keyOf: (value: A) => string | undefined) => {
  const counts = new Map<string, number>()
  for (const value of values) {
    const key = keyOf(value)
    if (key !== undefined) counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  return counts
}

const dataOf = (raw: string): { readonly message?: string; readonly message_id?: string } | undefined => {
  try {
    return JSON.parse(Buffer.from(raw, "latin1").toString("utf8")).data
  } catch {
    return undefined
  }
}

const brief = (text: string): string => JSON.stringify(text.slice(0, 60))

/** How often each text was stored, and how often it was quarantined because PostgreSQL refused it. */
interface Places {
  readonly stored: ReadonlyMap<string, number>
  readonly refused: ReadonlyMap<string, number>
}

const placesOf = ({ rows, quarantined }: Findings): Places => ({
  stored: countBy(rows, ({ text }) => text),
  refused: countBy(quarantined, ({ raw, reason }) =>
    reason === "refused_by_postgres" ? dataOf(raw)?.message : undefined,
  ),
})

const times = ({ stored, refused }: Places, text: string, { unwelcome }: Claim): number =>
  (stored.get(text) ?? 0) + (unwelcome ? (refused.get(text) ?? 0) : 0)

const checkClaims = ({ claims, lost }: Books, findings: Findings): ReadonlyArray<Check> => {
  const places = placesOf(findings)
  const problems: Record<Told | "deleted", Array<string>> = {
    accepted: [],
    refused: [],
    unknown: [],
    deleted: [],
  }
  for (const [text, claim] of claims) {
    const found = times(places, text, claim)
    const told = claim.told ?? "unknown"
    const atLeast = told === "accepted" && claim.deletion === undefined && !lost.has(text) ? 1 : 0
    const atMost = told === "refused" ? 0 : 1
    if (claim.deletion === "confirmed") {
      if (found > 0) problems.deleted.push(`${brief(text)} (${claim.queue}, ${claim.messageId}) is stored`)
    } else if (found < atLeast || found > atMost) {
      problems[told].push(`${brief(text)} (${claim.queue}, ${claim.messageId}) is there ${found} times`)
    }
  }
  return [
    { name: "what was accepted is stored or quarantined exactly once", problems: problems.accepted },
    { name: "what was refused is nowhere", problems: problems.refused },
    { name: "what is unknown is there at most once", problems: problems.unknown },
    { name: "what was deleted is not stored again", problems: problems.deleted },
  ]
}

const checkRows = ({ claims, rivals }: Books, { rows }: Findings): Check => {
  const rivalOf = new Map(rivals.flatMap((pair) => pair.texts.map((text) => [text, pair] as const)))
  const problems = rows.flatMap(({ queue, messageId, text }) => {
    const claim = claims.get(text) ?? rivalOf.get(text)
    if (claim === undefined) return [`nobody sent ${brief(text)} (${queue}, ${messageId})`]
    if (claim.queue !== queue) return [`${brief(text)} is in the table of the ${queue} messages`]
    return claim.messageId === undefined || claim.messageId === messageId
      ? []
      : [`${brief(text)} has the message_id ${messageId} instead of ${claim.messageId}`]
  })
  return { name: "nothing else is stored, and everything under its id", problems }
}

const checkRivals = ({ rivals, lost }: Books, { rows, quarantined }: Findings): Check => {
  const stored = countBy(rows, ({ messageId }) => messageId)
  const conflicts = countBy(quarantined, ({ raw, reason }) =>
    reason === "message_id_conflict" ? dataOf(raw)?.message_id : undefined,
  )
  const problems = rivals.flatMap(({ messageId, texts }) => {
    const found = [stored.get(messageId) ?? 0, conflicts.get(messageId) ?? 0]
    const isRight = found.every((count) => count === 1)
    const isExcused = texts.some((text) => lost.has(text)) && found.every((count) => count <= 1)
    return isRight || isExcused
      ? []
      : [`${messageId}: stored ${found[0]} times, quarantined ${found[1]} times`]
  })
  return { name: "of two messages with one id one is stored and one quarantined", problems }
}

const checkPoison = ({ poison, claims, rivals, lost }: Books, { quarantined }: Findings): Check => {
  const found = countBy(quarantined, ({ queue, raw }) => `${queue} ${raw}`)
  const pushed = new Set(poison.map(({ queue, raw }) => `${queue} ${raw}`))
  const rivalIds = new Set(rivals.map(({ messageId }) => messageId))
  const wrong = poison.flatMap(({ queue, raw }) => {
    const count = found.get(`${queue} ${raw}`) ?? 0
    return count === 1 || (count === 0 && lost.has(raw))
      ? []
      : [`${brief(raw)} is quarantined ${count} times`]
  })
  const strange = quarantined.flatMap(({ queue, raw, reason }) => {
    const data = dataOf(raw)
    const isExpected =
      pushed.has(`${queue} ${raw}`) ||
      (reason === "refused_by_postgres" && claims.get(data?.message ?? "")?.unwelcome === true) ||
      (reason === "message_id_conflict" && rivalIds.has(data?.message_id ?? ""))
    return isExpected ? [] : [`${brief(raw)} is quarantined: ${reason}`]
  })
  return { name: "exactly what cannot be stored is quarantined, once", problems: [...wrong, ...strange] }
}

const checkShown = ({ claims, lost }: Books, { shown }: Findings): Check => ({
  name: "what was deleted is not shown",
  problems: shown.flatMap((text) =>
    claims.get(text)?.deletion === "confirmed" && lost.size === 0 ? [`${brief(text)} is shown`] : [],
  ),
})

const checkTotals = ({ deletions, journal, rows, quarantined, queued }: Findings): ReadonlyArray<Check> => {
  const tables: Totals = {
    persisted: rows.length + deletions.ofRows,
    quarantined: quarantined.length,
    deleted: deletions.all,
  }
  const differences = (["persisted", "quarantined", "deleted"] as const).flatMap((total) =>
    journal[total] === tables[total]
      ? []
      : [`${total}: ${journal[total]} by the journal, ${tables[total]} by the tables`],
  )
  return [
    { name: "both queues are empty", problems: queued === 0 ? [] : [`${queued} entries are still queued`] },
    { name: "the journal tells of what is in the tables", problems: differences },
  ]
}

export const check = (books: Books, findings: Findings): ReadonlyArray<Check> => [
  ...checkClaims(books, findings),
  checkRows(books, findings),
  checkRivals(books, findings),
  checkPoison(books, findings),
  checkShown(books, findings),
  ...checkTotals(findings),
]

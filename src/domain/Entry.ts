import { Either, Option, Schema } from "effect"
import { v5 as uuidV5 } from "uuid"
import { UndecodableEntry } from "./Errors.ts"
import {
  CacheId,
  type CachedMessage,
  MessageId,
  PrivateMessage,
  PublicMessage,
  type QueueName,
} from "./Message.ts"
import { plainPrivateEntry, plainPublicEntry } from "./PlainEntry.ts"
import { Timestamp } from "./Timestamp.ts"
import { decodeWithProblems, type Problem } from "./Validation.ts"

/**
 * One element of a Valkey list: `{"cache_id":<integer>,"data":<payload>}` in UTF-8, where the payload is the JSON
 * text of a message. Kept as bytes, because an element that is not valid UTF-8 can only be recognised by its bytes.
 */
export type Entry = Uint8Array

const singleBytes = new TextDecoder("latin1")

/** A text that two entries share exactly when their bytes are the same. */
export const entryKey = (entry: Entry): string => singleBytes.decode(entry)

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** The namespace of the ids derived for entries that were written without a `message_id`. */
const derivedIdNamespace = "3d9c9e40-6a3b-5d0e-9a53-4f2d0f1f7c55"

const asObject = { message: () => "must be an object" }

/** `data` is annotated here, too: `omit` drops what was annotated, and the default text quotes the input. */
const decoder = <A extends object, I>(data: Schema.Schema<A, I>) =>
  decodeWithProblems(
    Schema.Struct({ cache_id: CacheId, data: data.annotations(asObject) }).annotations(asObject),
  )

const decoders = {
  public: {
    identified: decoder(PublicMessage),
    anonymous: decoder(PublicMessage.omit("message_id")),
  },
  private: {
    identified: decoder(PrivateMessage),
    anonymous: decoder(PrivateMessage.omit("message_id")),
  },
}

const describe = (problems: ReadonlyArray<Problem>): string =>
  problems.map(({ field, problem }) => (field === "" ? problem : `${field} ${problem}`)).join("; ")

const parse = (entry: Entry): Either.Either<unknown, UndecodableEntry> => {
  let text: string
  try {
    text = utf8.decode(entry)
  } catch {
    return Either.left(
      new UndecodableEntry({ reason: "invalid_utf8", detail: "the bytes are not valid UTF-8" }),
    )
  }
  try {
    return Either.right(JSON.parse(text))
  } catch {
    return Either.left(new UndecodableEntry({ reason: "invalid_json", detail: "the text is not JSON" }))
  }
}

/** The id that an entry without one is stored under. */
export const derivedMessageId = (entry: Entry): string => uuidV5(entry, derivedIdNamespace)

const lacksMessageId = (value: unknown): boolean => {
  const data = (value as { readonly data?: unknown } | null)?.data
  return typeof data === "object" && data !== null && !Object.hasOwn(data, "message_id")
}

/** By the schemas, which say what is wrong. */
const decodeValue = (
  queue: QueueName,
  entry: Entry,
  value: unknown,
): Either.Either<CachedMessage, UndecodableEntry> => {
  const anonymous = lacksMessageId(value)
  const decode: (
    input: unknown,
  ) => Either.Either<{ readonly cache_id: number; readonly data: object }, ReadonlyArray<Problem>> =
    decoders[queue][anonymous ? "anonymous" : "identified"]
  return Either.mapBoth(decode(value), {
    onLeft: (problems) => new UndecodableEntry({ reason: "wrong_shape", detail: describe(problems) }),
    onRight: ({ cache_id, data }) =>
      ({
        cache_id,
        ...(anonymous ? { message_id: derivedMessageId(entry) } : {}),
        ...data,
      }) as CachedMessage,
  })
}

const plainEntry: Record<QueueName, (value: unknown) => CachedMessage | undefined> = {
  public: plainPublicEntry,
  private: plainPrivateEntry,
}

/**
 * Reads an entry of a queue or of a recent cache.
 *
 * An entry without a `message_id`, as the predecessor of this program wrote it, gets one derived from its bytes, so
 * that flushing it twice stores it once.
 */
export const decodeEntry = (
  queue: QueueName,
  entry: Entry,
): Either.Either<CachedMessage, UndecodableEntry> => {
  const parsed = parse(entry)
  if (Either.isLeft(parsed)) return Either.left(parsed.left)
  const plain = plainEntry[queue](parsed.right)
  return plain === undefined ? decodeValue(queue, entry, parsed.right) : Either.right(plain)
}

/** The payload of an entry: the JSON text that Valkey, and nobody after it, splices into the entry. */
export const encodePayload = (message: object): string => JSON.stringify(message)

/** The entry of a message that is stored, as Valkey made it but for how its time is written. */
export const entryTextOf = ({ cache_id, ...message }: CachedMessage): string =>
  `{"cache_id":${cache_id},"data":${encodePayload(message)}}`

const lenient = <A, I>(schema: Schema.Schema<A, I>) => {
  const decode = Schema.decodeUnknownOption(schema)
  return (value: unknown): A | undefined => Option.getOrUndefined(decode(value))
}

const cacheIdOf = lenient(Schema.Struct({ cache_id: CacheId }))
const messageIdOf = lenient(Schema.Struct({ data: Schema.Struct({ message_id: MessageId }) }))
const authoredAtOf = lenient(Schema.Struct({ data: Schema.Struct({ authored_at: Timestamp }) }))

/** What can still be read of an entry that is not a message, to keep its identity when it is corrected. */
export const salvageEntry = (
  entry: Entry,
): {
  readonly cache_id: number | undefined
  readonly message_id: string | undefined
  readonly authored_at: string | undefined
} => {
  const value = Either.getOrUndefined(parse(entry))
  return {
    cache_id: cacheIdOf(value)?.cache_id,
    message_id: messageIdOf(value)?.data.message_id,
    authored_at: authoredAtOf(value)?.data.authored_at,
  }
}

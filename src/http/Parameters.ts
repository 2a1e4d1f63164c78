/** Schemas of path and query parameters. Their messages never quote what was given. */
import { Schema } from "effect"
import { QueueName } from "../domain/Message.ts"
import { QuarantineStatus } from "../domain/Quarantine.ts"

const saying = (message: string) => ({ message: () => ({ message, override: true }) })

/** An integer in decimal digits. */
export const IntegerParameter = (minimum: number, maximum: number = Number.MAX_SAFE_INTEGER) => {
  const range =
    maximum === Number.MAX_SAFE_INTEGER ? `${minimum} or greater` : `from ${minimum} to ${maximum}`
  return Schema.transform(
    Schema.String.pipe(
      Schema.filter((text) => /^\d{1,16}$/.test(text) && Number(text) >= minimum && Number(text) <= maximum, {
        jsonSchema: { type: "integer", minimum, maximum },
      }),
    ),
    Schema.Number,
    { strict: true, decode: Number, encode: String },
  ).annotations(saying(`must be one integer, ${range}`))
}

export const QueueParameter = QueueName.annotations(saying('must be "public" or "private"'))

export const QuarantineStatusParameter = QuarantineStatus.annotations(
  saying('must be "open", "replayed" or "discarded"'),
)

/** Any text, percent-encoded in the path. Empty, it would be the path of the route for all users. */
export const UserIdParameter = Schema.String.pipe(
  Schema.filter((text) => text !== "", { jsonSchema: { minLength: 1 } }),
).annotations(saying("must not be empty"))

/** As a channel is named when something is published in it. */
export const ChannelParameter = Schema.NonEmptyString.annotations(
  saying("must be one name that is not empty"),
)

/** Read by the history, which says what is wrong with one. */
export const CursorParameter = Schema.String.annotations(saying("must be given once"))

/** A query in which every parameter may be absent. All its problems are told at once. */
export const Query = <Fields extends Schema.Struct.Fields>(fields: Fields) =>
  Schema.partialWith(Schema.Struct(fields), { exact: true }).annotations({ parseOptions: { errors: "all" } })

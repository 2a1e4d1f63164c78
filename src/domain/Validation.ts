import { Either, ParseResult, Schema } from "effect"

/** One thing that is wrong with an input: where, as a path such as `data.channel`, and what to change. */
export const Problem = Schema.Struct({ field: Schema.String, problem: Schema.String }).annotations({
  identifier: "Problem",
})
export type Problem = typeof Problem.Type

const unreadable: ReadonlyArray<Problem> = [{ field: "", problem: "cannot be read: it throws an error" }]

/**
 * Decodes unknown input and reports every problem at once. Never throws, also where the input does when it is read.
 * The texts never quote the input, so that they may be logged.
 */
export const decodeWithProblems = <A, I>(schema: Schema.Schema<A, I>) => {
  const decode = Schema.decodeUnknownEither(schema, { errors: "all" })
  return (input: unknown): Either.Either<A, ReadonlyArray<Problem>> => {
    try {
      return Either.mapLeft(decode(input), (error) =>
        ParseResult.ArrayFormatter.formatErrorSync(error).map((issue) => ({
          field: issue.path.map(String).join("."),
          problem: issue.message,
        })),
      )
    } catch {
      return Either.left(unreadable)
    }
  }
}

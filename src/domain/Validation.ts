import { Either, ParseResult, Schema } from "effect"

/** One thing that is wrong with an input: where, as a path such as `data.channel`, and what to change. */
export const Problem = Schema.Struct({ field: Schema.String, problem: Schema.String }).annotations({
  identifier: "Problem",
})
export type Problem = typeof Problem.Type

/**
 * Decodes unknown input and reports every problem at once.
 * The texts never quote the input, so that they may be logged.
 */
export const decodeWithProblems = <A, I>(schema: Schema.Schema<A, I>) => {
  const decode = Schema.decodeUnknownEither(schema, { errors: "all" })
  return (input: unknown): Either.Either<A, ReadonlyArray<Problem>> =>
    Either.mapLeft(decode(input), (error) =>
      ParseResult.ArrayFormatter.formatErrorSync(error).map((issue) => ({
        field: issue.path.map(String).join("."),
        problem: issue.message,
      })),
    )
}

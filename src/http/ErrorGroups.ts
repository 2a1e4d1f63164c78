/** Errors that several routes answer with. */
import { Schema } from "effect"
import { errorAnswers as error } from "./ErrorAnswers.ts"

export const StoreErrors = Schema.Union(error.StoreUnavailable, error.StoreMisconfigured)

export const BodyErrors = Schema.Union(
  error.InvalidJson,
  error.PayloadTooLarge,
  error.UnsupportedMediaType,
  error.TooManyUploads,
)

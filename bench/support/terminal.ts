import { Effect } from "effect"

/** Results go to standard output, */
export const print = (text: string): Effect.Effect<void> =>
  Effect.sync(() => void process.stdout.write(`${text}\n`))

/** and whatever is only of interest meanwhile to standard error. */
export const tell = (text: string): void => void process.stderr.write(text)

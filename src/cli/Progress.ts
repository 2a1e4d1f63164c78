import { Effect } from "effect"

const width = 30

export interface Progress {
  /** Draws how much of the whole is done. */
  readonly advance: (by: number) => Effect.Effect<void>
  /** Leaves the line as it was. */
  readonly clear: Effect.Effect<void>
}

/** A bar on standard error, where that is a terminal; otherwise nothing. */
export const make = (label: string, total: number): Progress => {
  if (process.stderr.isTTY !== true || total === 0) return { advance: () => Effect.void, clear: Effect.void }
  let done = 0
  const draw = () => {
    const share = Math.min(1, done / total)
    const filled = Math.round(share * width)
    const bar = "█".repeat(filled) + "░".repeat(width - filled)
    process.stderr.write(`\r${label} ${bar} ${Math.floor(share * 100)}% (${done}/${total})`)
  }
  return {
    advance: (by) =>
      Effect.sync(() => {
        done += by
        draw()
      }),
    clear: Effect.sync(() => void process.stderr.write("\r\u001b[2K")),
  }
}

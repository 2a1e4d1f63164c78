/** Loaded into a daemon with `node --import`: SIGUSR2 sets its clock forward or back, as somebody sets a machine's. */

/** The environment of a daemon whose clock can be set. */
export const by = (millis: number): Record<string, string> => ({
  NODE_OPTIONS: `--import ${import.meta.url}`,
  TEST_CLOCK_JUMP: String(millis),
})

const jump = process.env["TEST_CLOCK_JUMP"]

if (jump !== undefined) {
  const System = Date
  let offset = 0
  const now = (): number => System.now() + offset
  class Shown extends System {
    constructor(...args: ReadonlyArray<unknown>) {
      super(...((args.length === 0 ? [now()] : args) as [number]))
    }
    static override now = now
  }
  globalThis.Date = Shown as DateConstructor
  process.on("SIGUSR2", () => {
    offset += Number(jump)
  })
}

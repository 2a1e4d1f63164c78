/** A real browser without a window: the Chromium or Chrome of this machine, with a profile that nobody uses later. */
import { Effect, type Scope } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { type BrowserContext, chromium } from "playwright-core"
import { inject } from "vitest"

/** The program, `undefined` where there is none. */
export const executable: string | undefined = (process.env["PATH"] ?? "")
  .split(path.delimiter)
  .flatMap((folder) =>
    ["chromium", "chromium-browser", "google-chrome"].map((name) => path.join(folder, name)),
  )
  .find((file) => fs.existsSync(file))

const flags = [
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
]

/** One profile, as of one person. Ends with the scope, and its files with the run. */
export const launch: Effect.Effect<BrowserContext, never, Scope.Scope> = Effect.acquireRelease(
  Effect.promise(() =>
    chromium.launchPersistentContext(fs.mkdtempSync(path.join(inject("temporaryDirectory"), "chromium-")), {
      executablePath: executable as string,
      headless: true,
      chromiumSandbox: false,
      args: flags,
    }),
  ),
  (context) => Effect.promise(() => context.close()),
)

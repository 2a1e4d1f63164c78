/** The page of `examples/websocket-chat`, in a real browser. */
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import type { Page } from "playwright-core"
import * as Chromium from "../support/Chromium.ts"
import { eventually } from "../support/eventually.ts"
import * as Example from "../support/ExampleProcess.ts"
import { freshDatabase, uniqueKeyPrefix, valkeyShared } from "../support/Servers.ts"

const servers = Layer.merge(valkeyShared, freshDatabase)

/** Where every change is checked, the page has to be, too. */
const isSkipped = Chromium.executable === undefined && process.env["CI"] !== "true"

const say = (page: Page, username: string, message: string) =>
  Effect.promise(async () => {
    await page.fill("#username", username)
    await page.fill("#message", message)
    await page.click("button")
  })

const shows = (page: Page, lines: ReadonlyArray<string>) =>
  eventually(
    `the page shows ${lines.join(", ")}`,
    Effect.promise(async () => {
      const shown = await page
        .locator("#messages li")
        .evaluateAll((items) => items.map((item) => item.textContent ?? ""))
      return shown.join("\n") === lines.join("\n")
    }),
    "30 seconds",
  )

const says = (page: Page, pattern: RegExp) =>
  eventually(
    `the page says ${pattern}`,
    Effect.promise(async () => pattern.test((await page.textContent("#status")) ?? "")),
    "30 seconds",
  )

it.live.skipIf(isSkipped)(
  `two pages chat with each other${isSkipped ? " (skipped: no Chromium on the path)" : ""}`,
  () =>
    Effect.gen(function* () {
      assert.isDefined(Chromium.executable, "install Chromium: apt-get install chromium")
      const chat = yield* Example.start("websocket-chat", {
        CHAT_CACHE_KEY_PREFIX: yield* uniqueKeyPrefix,
        CHAT_CACHE_MESSAGE_LIMIT: "3",
      })
      const browser = yield* Chromium.launch
      const complaints: Array<string> = []
      const openPage = Effect.promise(async () => {
        const page = await browser.newPage()
        page.on("pageerror", (error) => complaints.push(String(error)))
        page.on("console", (entry) => {
          if (entry.type() === "error") complaints.push(`${entry.text()} ${entry.location().url}`)
        })
        await page.goto(chat.url)
        return page
      })
      const ada = yield* openPage
      const grace = yield* openPage
      yield* says(ada, /^$/)
      yield* says(grace, /^$/)

      yield* say(ada, "ada", "Hello")
      yield* shows(grace, ["ada: Hello"])
      yield* say(grace, "grace", "<img src=x onerror=alert(1)>")
      yield* shows(ada, ["ada: Hello", "grace: <img src=x onerror=alert(1)>"])
      assert.strictEqual(yield* Effect.promise(() => ada.inputValue("#message")), "")

      yield* say(ada, "ada", "")
      yield* says(ada, /^The message was not taken: message must not be empty\.$/)
      yield* say(ada, "ada", "two")
      yield* shows(grace, ["ada: Hello", "grace: <img src=x onerror=alert(1)>", "ada: two"])
      yield* say(ada, "ada", "three")
      yield* shows(grace, ["ada: Hello", "grace: <img src=x onerror=alert(1)>", "ada: two", "ada: three"])
      yield* say(ada, "ada", "four")
      yield* says(ada, /^Not so fast: try again in \d+ s\.$/)
      assert.strictEqual(yield* Effect.promise(() => ada.inputValue("#message")), "four")

      const late = yield* openPage
      yield* shows(late, ["ada: Hello", "grace: <img src=x onerror=alert(1)>", "ada: two", "ada: three"])
      assert.deepStrictEqual(
        complaints.filter((text) => !text.includes("favicon.ico")),
        [],
      )

      yield* chat.signal("SIGTERM")
      yield* says(late, /^The server is going down\./)
      assert.strictEqual(yield* chat.exited, 0, yield* chat.output)
    }).pipe(Effect.scoped, Effect.provide(servers)),
  120_000,
)

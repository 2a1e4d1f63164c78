/** What an application may rely on, whatever chat-cache stands on. */
import { assert, describe, it } from "@effect/vitest"
import { Chunk, Effect, Either, Fiber, type Layer, Stream } from "effect"
import * as fc from "fast-check"
import type { PublicMessageDraft } from "../../src/domain/Message.ts"
import { evolve, initialState } from "../../src/domain/State.ts"
import { ChatCache } from "../../src/services/ChatCache.ts"
import type { Settings } from "../../src/services/Settings.ts"
import * as arbitraries from "../support/arbitraries.ts"

const draft = (text: string, fields: Partial<PublicMessageDraft> = {}): PublicMessageDraft => ({
  owner_id: "1",
  username: "ada",
  channel: "general",
  message: text,
  ...fields,
})

const unlimited = { message_limit: 1_000_000, window_seconds: 60 }

const noTrace = { persisted: 0, duplicates: 0, quarantined: 0, deleted: 0, remaining: 0 }

const recordedEvents = Effect.flatMap(ChatCache, (chat) => Stream.runCollect(chat.events())).pipe(
  Effect.map(Chunk.toReadonlyArray),
)

/** @param chatCache makes a chat-cache that nobody else uses, with these settings */
export const suite = <E>(
  name: string,
  chatCache: (settings: Partial<Settings["Type"]>) => Layer.Layer<ChatCache, E>,
) =>
  describe(`ChatCache on ${name}`, () => {
    const test = <F>(
      title: string,
      body: Effect.Effect<void, F, ChatCache>,
      settings: Partial<Settings["Type"]> = { rateLimit: unlimited },
    ) => it.live(title, () => Effect.provide(body, chatCache(settings)))

    test(
      "fills in what the publisher leaves out, and keeps what it gives",
      Effect.gen(function* () {
        const chat = yield* ChatCache
        const first = yield* chat.publish(draft("Hello"))
        assert.match(first.message_id, /^[0-9a-f]{8}-[0-9a-f]{4}-7/)
        assert.isNotNaN(Date.parse(first.authored_at))
        const identity = {
          message_id: "6f9619ff-8b86-4d11-b42d-00c04fc964ff",
          authored_at: "2026-03-01T12:00:00.123456+02:00",
        }
        const second = yield* chat.publish(
          draft("again", { ...identity, message_id: identity.message_id.toUpperCase() }),
        )
        assert.deepStrictEqual(second, { cache_id: first.cache_id + 1, ...identity })
        assert.deepStrictEqual(yield* chat.recent(), [
          { ...draft("Hello"), ...first },
          { ...draft("again"), ...second },
        ])
      }),
    )

    test(
      "refuses what cannot be stored, with every field that is wrong, and loses nothing else",
      Effect.gen(function* () {
        const chat = yield* ChatCache
        const outcomes = yield* chat.publishAll([
          draft("good"),
          draft("\u0000", { channel: "x".repeat(25) }),
          "not a message",
          draft("also good"),
        ])
        assert.deepStrictEqual(
          outcomes.map((outcome) => (Either.isRight(outcome) ? "accepted" : outcome.left._tag)),
          ["accepted", "InvalidMessage", "InvalidMessage", "accepted"],
        )
        const refusal = outcomes[1]
        assert.isTrue(refusal !== undefined && Either.isLeft(refusal))
        if (refusal?._tag === "Left" && refusal.left._tag === "InvalidMessage") {
          assert.deepStrictEqual(
            refusal.left.problems.map(({ field }) => field),
            ["channel", "message"],
          )
        }
        assert.deepStrictEqual(
          (yield* chat.recent()).map(({ message }) => message),
          ["good", "also good"],
        )
      }),
    )

    test(
      "shows the newest messages of a channel, however busy another one is, whatever the channel is called",
      Effect.gen(function* () {
        const chat = yield* ChatCache
        const quiet = ["a:b", "{}", "*", "[a-z]?", "a\r\nb", "👩‍👩‍👧", " ", "recent_messages", "\\"]
        yield* Effect.all(yield* chat.publishAll(quiet.map((channel) => draft(`in ${channel}`, { channel }))))
        const noise = Array.from({ length: 20 }, (_, number) => draft(`${number}`, { channel: "busy" }))
        yield* Effect.all(yield* chat.publishAll(noise))
        const texts = (limit: number | undefined, channel?: string) =>
          Effect.map(chat.recent(limit, channel), (messages) => messages.map(({ message }) => message))
        const busy = noise.map(({ message }) => message)
        for (const flushed of [false, true]) {
          if (flushed) yield* chat.flush
          for (const channel of quiet)
            assert.deepStrictEqual(yield* texts(undefined, channel), [`in ${channel}`])
          assert.deepStrictEqual(yield* texts(undefined, "busy"), busy.slice(-5))
          assert.deepStrictEqual(yield* texts(2, "busy"), busy.slice(-2))
          assert.deepStrictEqual(yield* texts(undefined), busy.slice(-5))
          assert.deepStrictEqual(yield* texts(undefined, "nobody"), [])
        }
      }),
      { rateLimit: unlimited, maxCacheSize: 5 },
    )

    test(
      "pages through the history of a channel and of a user, and goes on from a recent message",
      Effect.gen(function* () {
        const chat = yield* ChatCache
        const texts = (page: { readonly messages: ReadonlyArray<{ readonly message: string }> }) =>
          page.messages.map(({ message }) => message)
        for (const number of [1, 2, 3, 4, 5]) {
          yield* chat.publish(draft(`${number}`))
          yield* chat.publish(draft(`${number}`, { channel: "other" }))
          yield* chat.publishPrivate({
            owner_id: "1",
            username: "ada",
            recipient_id: `${number % 2}`,
            recipient: "bob",
            message: `${number}`,
          })
          if (number === 3) yield* chat.flush
        }
        const newest = yield* chat.history({ channel: "general", limit: 2 })
        assert.deepStrictEqual(texts(newest), ["4", "5"])
        const older = yield* chat.history({ channel: "general", limit: 2, before: newest.previous })
        assert.deepStrictEqual(texts(older), ["2", "3"])
        const [recent] = yield* chat.recent(1, "other")
        const before = `${recent?.cache_id}.${recent?.message_id}`
        assert.deepStrictEqual(texts(yield* chat.history({ before, limit: 3 })), ["4", "4", "5"])
        assert.deepStrictEqual(texts(yield* chat.privateHistory("0")), ["2", "4"])
        assert.deepStrictEqual(texts(yield* chat.privateHistory("1", { limit: 3 })), ["3", "4", "5"])
        assert.strictEqual(
          (yield* Effect.flip(chat.privateHistory("1", { before: "x" })))._tag,
          "InvalidHistoryQuery",
        )
      }),
    )

    test(
      "shows a private message to both, one to oneself once, and a third nothing",
      Effect.gen(function* () {
        const chat = yield* ChatCache
        const from = { owner_id: "a:{}*", username: "ada", message: "Psst" }
        yield* chat.publishPrivate({ ...from, recipient_id: "b", recipient: "bob" })
        yield* chat.publishPrivate({ ...from, recipient_id: "a:{}*", recipient: "ada", message: "note" })
        const texts = (user: string) =>
          Effect.map(chat.recentPrivate(user), (messages) => messages.map(({ message }) => message))
        assert.deepStrictEqual(yield* texts("a:{}*"), ["Psst", "note"])
        assert.deepStrictEqual(yield* texts("b"), ["Psst"])
        assert.deepStrictEqual(yield* texts("c"), [])
        assert.strictEqual(yield* chat.clearPrivate("b"), 1)
        assert.deepStrictEqual(yield* texts("b"), [])
        assert.strictEqual(yield* chat.clearPrivate(), 1)
        assert.deepInclude((yield* chat.flush).private, { persisted: 2 })
      }),
    )

    test(
      "shows a message that was sent again once, and stores it once",
      Effect.gen(function* () {
        const chat = yield* ChatCache
        const identity = {
          message_id: "6f9619ff-8b86-4d11-b42d-00c04fc964ff",
          authored_at: "2026-03-01T12:00:00Z",
        }
        yield* chat.publish(draft("Hello", identity))
        yield* chat.publish(draft("between"))
        yield* chat.publish(draft("Hello", identity))
        assert.deepStrictEqual(
          (yield* chat.recent(2)).map(({ message }) => message),
          ["Hello", "between"],
        )
        assert.deepStrictEqual((yield* chat.flush).public, { ...noTrace, persisted: 2, duplicates: 1 })
      }),
    )

    test(
      "reads as far back as it takes to show as many messages as are asked for",
      Effect.gen(function* () {
        const chat = yield* ChatCache
        const identity = { message_id: "6f9619ff-8b86-4d11-b42d-00c04fc964ff" }
        yield* chat.publish(draft("first"))
        yield* chat.publish(draft("second"))
        const again = yield* chat.publishAll(Array.from({ length: 120 }, () => draft("again", identity)))
        yield* Effect.all(again)
        for (const channel of [undefined, draft("").channel]) {
          const shown = yield* chat.recent(2, channel)
          assert.deepStrictEqual(
            shown.map(({ message }) => message),
            ["second", "again"],
          )
        }
      }),
      { rateLimit: unlimited },
    )

    test(
      "a message sent again without its time, which is then filled in anew, is the same message",
      Effect.gen(function* () {
        const chat = yield* ChatCache
        const message_id = "6f9619ff-8b86-4d11-b42d-00c04fc964ff"
        yield* chat.publish(draft("Hello", { message_id, authored_at: "2026-03-01T12:00:00Z" }))
        yield* chat.publish(draft("Hello", { message_id }))
        assert.deepStrictEqual((yield* chat.flush).public, { ...noTrace, persisted: 1, duplicates: 1 })
      }),
    )

    test(
      "quarantines a message whose id is stored with other content; corrected, it is stored, and nothing is done twice",
      Effect.gen(function* () {
        const chat = yield* ChatCache
        const identity = {
          message_id: "6f9619ff-8b86-4d11-b42d-00c04fc964ff",
          authored_at: "2026-03-01T12:00:00Z",
        }
        yield* chat.publish(draft("first", identity))
        yield* chat.publish(draft("second", identity))
        yield* chat.publish(draft("neighbour"))
        assert.deepStrictEqual((yield* chat.flush).public, { ...noTrace, persisted: 2, quarantined: 1 })

        const [entry, ...others] = yield* chat.quarantine.list({ limit: 10 })
        assert.deepStrictEqual(others, [])
        assert.deepInclude(entry, {
          queue: "public",
          reason: "message_id_conflict",
          status: "open",
          cache_id: 2,
        })
        const id = entry?.id ?? 0
        assert.strictEqual((yield* Effect.flip(chat.quarantine.replay(id)))._tag, "ReplayRefused")
        assert.strictEqual(
          (yield* Effect.flip(chat.quarantine.replay(id, { message: 1 })))._tag,
          "ReplayRefused",
        )
        const replayed = yield* chat.quarantine.replay(id, draft("second"))
        assert.deepInclude(replayed, { id, status: "replayed" })
        assert.isNotNull(replayed.resolved_at)
        assert.deepStrictEqual(yield* chat.quarantine.replay(id), replayed)
        assert.strictEqual(
          (yield* Effect.flip(chat.quarantine.replay(id, draft("third"))))._tag,
          "QuarantineEntryResolved",
        )
        assert.strictEqual((yield* Effect.flip(chat.quarantine.discard(id)))._tag, "QuarantineEntryResolved")
        assert.strictEqual((yield* Effect.flip(chat.quarantine.show(id + 1)))._tag, "QuarantineEntryNotFound")
        assert.deepStrictEqual(yield* chat.quarantine.list({ limit: 10 }), [])
        assert.deepStrictEqual(yield* chat.quarantine.list({ limit: 10, status: "replayed" }), [replayed])
        const tags = (yield* recordedEvents).map(({ event }) => event._tag)
        assert.strictEqual(tags.filter((tag) => tag === "QuarantineReplayed").length, 1)
      }),
    )

    test(
      "discards a quarantined message, keeping its bytes",
      Effect.gen(function* () {
        const chat = yield* ChatCache
        const identity = { message_id: "6f9619ff-8b86-4d11-b42d-00c04fc964ff" }
        yield* chat.publish(draft("first", identity))
        yield* chat.publish(draft("second", identity))
        yield* chat.flush
        const [entry] = yield* chat.quarantine.list({ limit: 1 })
        const discarded = yield* chat.quarantine.discard(entry?.id ?? 0)
        assert.strictEqual(discarded.status, "discarded")
        assert.match(new TextDecoder().decode(discarded.raw), /"message":"second"/)
        assert.deepStrictEqual(yield* chat.quarantine.discard(discarded.id), discarded)
        assert.strictEqual(
          (yield* Effect.flip(chat.quarantine.replay(discarded.id)))._tag,
          "QuarantineEntryResolved",
        )
      }),
    )

    test(
      "deletes a message that is queued: it is not shown from then on, and never stored",
      Effect.gen(function* () {
        const chat = yield* ChatCache
        const { message_id } = yield* chat.publish(draft("regretted"))
        yield* chat.publish(draft("neighbour"))
        yield* chat.delete(message_id.toUpperCase())
        const texts = Effect.map(chat.recent(), (messages) => messages.map(({ message }) => message))
        assert.deepStrictEqual(yield* texts, ["neighbour"])
        assert.deepStrictEqual((yield* chat.flush).public, { ...noTrace, persisted: 1, deleted: 1 })
        assert.deepStrictEqual(yield* texts, ["neighbour"])
        assert.deepInclude((yield* chat.status).queues.public, { persisted: 1, deleted: 1, length: 0 })
      }),
    )

    test(
      "deletes a private message for both of its users, queued or stored",
      Effect.gen(function* () {
        const chat = yield* ChatCache
        const from = { owner_id: "a", username: "ada", recipient_id: "b", recipient: "bob" }
        const stored = yield* chat.publishPrivate({ ...from, message: "stored" })
        yield* chat.flush
        const queued = yield* chat.publishPrivate({ ...from, message: "queued" })
        yield* chat.publishPrivate({ ...from, message: "kept" })
        // In the public queue these are other messages.
        yield* chat.delete(stored.message_id)
        const shown = (user: string) =>
          Effect.map(chat.recentPrivate(user), (messages) => messages.map(({ message }) => message))
        assert.deepStrictEqual(yield* shown("a"), ["stored", "queued", "kept"])
        yield* chat.deletePrivate(queued.message_id)
        yield* chat.deletePrivate(stored.message_id)
        for (const user of ["a", "b"]) assert.deepStrictEqual(yield* shown(user), ["kept"])
        assert.deepStrictEqual((yield* chat.flush).private, { ...noTrace, persisted: 1, deleted: 1 })
        for (const user of ["a", "b"]) assert.deepStrictEqual(yield* shown(user), ["kept"])
      }),
    )

    test(
      "deletes what nobody has seen, which then does not arrive, and says so once however often it is repeated",
      Effect.gen(function* () {
        const chat = yield* ChatCache
        const message_id = "6f9619ff-8b86-4d11-b42d-00c04fc964ff"
        yield* chat.delete(message_id)
        yield* chat.delete(message_id)
        yield* chat.publish(draft("too late", { message_id }))
        assert.deepStrictEqual(yield* chat.recent(), [])
        assert.deepStrictEqual((yield* chat.flush).public, { ...noTrace, deleted: 1 })
        const events = (yield* recordedEvents).filter(({ event }) => event._tag === "MessageDeleted")
        assert.deepStrictEqual(
          events.map(({ event }) => ({ ...event })),
          [{ _tag: "MessageDeleted", queue: "public", message_id, removed_row: false }],
        )
      }),
    )

    test(
      "does not delete what is no id, and says why",
      Effect.gen(function* () {
        const chat = yield* ChatCache
        for (const id of ["", "recent", "17", "6f9619ff-8b86-4d11-b42d-00c04fc964f"]) {
          const error = yield* Effect.flip(chat.deletePrivate(id))
          assert.strictEqual(error._tag, "InvalidMessageId")
          assert.include(error.message, "must be a UUID")
        }
      }),
    )

    test(
      "does not replay a quarantined message that was deleted",
      Effect.gen(function* () {
        const chat = yield* ChatCache
        const message_id = "6f9619ff-8b86-4d11-b42d-00c04fc964ff"
        yield* chat.publish(draft("first", { message_id }))
        yield* chat.publish(draft("second", { message_id }))
        yield* chat.flush
        yield* chat.delete(message_id)
        const [entry] = yield* chat.quarantine.list({ limit: 1 })
        const refused = yield* Effect.flip(chat.quarantine.replay(entry?.id ?? 0))
        assert.strictEqual(refused._tag, "ReplayRefused")
        assert.include(refused.message, "was deleted")
        // With a corrected identity it is another message.
        const replayed = yield* chat.quarantine.replay(entry?.id ?? 0, draft("second"))
        assert.strictEqual(replayed.status, "replayed")
      }),
    )

    test(
      "limits each user by itself; new settings are in force from the next message on",
      Effect.gen(function* () {
        const chat = yield* ChatCache
        assert.deepStrictEqual(yield* chat.rateLimitSettings, { message_limit: 2, window_seconds: 60 })
        yield* chat.publish(draft("one"))
        yield* chat.publish(draft("two"))
        const limited = yield* Effect.flip(chat.publish(draft("three")))
        assert.strictEqual(limited._tag, "RateLimited")
        if (limited._tag === "RateLimited") {
          assert.isAbove(limited.retry_after_ms, 0)
          assert.isAtMost(limited.retry_after_ms, 60_000)
          // Noting where it was made would cost more than all the rest of a message.
          assert.notInclude(limited.stack ?? "", "\n    at ")
          assert.include(new Error("as before").stack, "\n    at ")
        }
        yield* chat.publish(draft("of another user", { owner_id: "2" }))
        yield* chat.updateRateLimitSettings(10, 30)
        assert.deepStrictEqual(yield* chat.rateLimitSettings, { message_limit: 10, window_seconds: 30 })
        yield* chat.publish(draft("four"))
        const invalid = yield* Effect.flip(chat.updateRateLimitSettings(0, 1.5))
        assert.strictEqual(invalid._tag, "InvalidRateLimitSettings")
        yield* chat.updateRateLimitSettings(10, 30)
        const changes = (yield* recordedEvents).filter(({ event }) => event._tag === "RateLimitChanged")
        assert.strictEqual(changes.length, 1)
      }),
      { rateLimit: { message_limit: 2, window_seconds: 60 } },
    )

    test(
      "tells the publisher when the queue is full, and takes messages again after a flush",
      Effect.gen(function* () {
        const chat = yield* ChatCache
        const outcomes = yield* chat.publishAll(["1", "2", "3", "4"].map((text) => draft(text)))
        assert.deepStrictEqual(
          outcomes.map((outcome) => (Either.isRight(outcome) ? "accepted" : outcome.left._tag)),
          ["accepted", "accepted", "accepted", "QueueFull"],
        )
        assert.strictEqual((yield* chat.readiness).status, "unavailable")
        yield* chat.flush
        yield* chat.publish(draft("5"))
        assert.strictEqual((yield* chat.readiness).status, "ok")
      }),
      { rateLimit: unlimited, maxQueueLength: 3 },
    )

    test(
      "publishing from many fibers: each is told its own id, and the recent list is the newest in order",
      Effect.gen(function* () {
        const chat = yield* ChatCache
        const texts = Array.from({ length: 700 }, (_, index) => `number ${index}`)
        const accepted = yield* Effect.forEach(
          texts,
          (text) => Effect.map(chat.publish(draft(text)), ({ cache_id }) => ({ cache_id, text })),
          { concurrency: "unbounded" },
        )
        const inOrder = accepted.toSorted((left, right) => left.cache_id - right.cache_id)
        assert.strictEqual(new Set(inOrder.map(({ cache_id }) => cache_id)).size, texts.length)
        assert.deepStrictEqual(
          (yield* chat.recent()).map(({ cache_id, message }) => ({ cache_id, text: message })),
          inOrder.slice(-50),
        )
        // The threshold has set the flusher to work already; whoever moved them, all are moved.
        yield* chat.flush
        assert.strictEqual((yield* chat.status).queues.public.persisted, texts.length)
      }),
      { rateLimit: unlimited, maxCacheSize: 50 },
    )

    test(
      "a publisher that is interrupted leaves the others alone, and its message is there once at the most",
      Effect.gen(function* () {
        const chat = yield* ChatCache
        const fiber = yield* Effect.fork(chat.publish(draft("first thoughts")))
        yield* Effect.yieldNow()
        yield* Fiber.interrupt(fiber)
        yield* chat.publish(draft("second thoughts"))
        const texts = (yield* chat.recent()).map(({ message }) => message)
        assert.include(texts, "second thoughts")
        assert.isAtMost(texts.filter((text) => text === "first thoughts").length, 1)
      }),
    )

    test(
      "what the daemon reports is the fold of the journal from its beginning",
      Effect.gen(function* () {
        const chat = yield* ChatCache
        const identity = { message_id: "6f9619ff-8b86-4d11-b42d-00c04fc964ff" }
        yield* chat.publishAll([draft("a"), draft("b", identity), draft("c", identity)])
        yield* chat.flush
        yield* chat.updateRateLimitSettings(7, 8)
        const [entry] = yield* chat.quarantine.list({ limit: 1 })
        yield* chat.quarantine.discard(entry?.id ?? 0)
        const status = yield* chat.status
        const events = yield* recordedEvents
        const state = events.reduce((folded, { event }) => evolve(folded, event), initialState)
        for (const queue of ["public", "private"] as const) {
          const { flush, quarantine, reseeds } = state.queues[queue]
          assert.deepInclude(status.queues[queue], { ...flush, quarantine, reseeds })
        }
        assert.deepInclude(status.settings, { ...state.rateLimit, message_limit: 7, window_seconds: 8 })
        assert.strictEqual(status.journalPosition, events.at(-1)?.position)
        assert.deepInclude(state.queues.public.flush, { persisted: 2, quarantined: 1 })
        assert.deepStrictEqual(state.queues.public.quarantine, { open: 0, replayed: 0, discarded: 1 })
      }),
    )

    test(
      "the books say what became of every message",
      Effect.gen(function* () {
        const chat = yield* ChatCache
        const books = Effect.map(chat.status, ({ queues }) => queues.public.books)
        const identity = { message_id: "6f9619ff-8b86-4d11-b42d-00c04fc964ff" }
        const nothing = { lost: 0, balanced: true, difference: null, foreign: 0, deleted: 0 }
        const none = { open: 0, replayed: 0, discarded: 0 }
        yield* chat.publishAll([draft("a"), draft("b", identity), draft("b", identity), draft("c", identity)])
        assert.deepStrictEqual(yield* books, {
          ...nothing,
          accepted: 4,
          stored: 0,
          duplicates: 0,
          quarantine: none,
          queued: 4,
        })
        yield* chat.flush
        const flushed = {
          ...nothing,
          accepted: 4,
          stored: 2,
          duplicates: 1,
          quarantine: { ...none, open: 1 },
          queued: 0,
        }
        assert.deepStrictEqual(yield* books, flushed)
        yield* chat.publishAll([draft("\u0000"), draft("d")])
        assert.deepStrictEqual(yield* books, { ...flushed, accepted: 5, queued: 1 })
        const [entry] = yield* chat.quarantine.list({ limit: 1 })
        yield* chat.quarantine.replay(entry!.id, draft("corrected"))
        yield* chat.flush
        assert.deepStrictEqual(yield* books, {
          ...flushed,
          accepted: 5,
          stored: 4,
          quarantine: { ...none, replayed: 1 },
        })
      }),
    )

    test(
      "the books and the audit know what was deleted: stored, queued, or never seen",
      Effect.gen(function* () {
        const chat = yield* ChatCache
        const id = (number: number) => `6f9619ff-8b86-4d11-b42d-00c04fc964f${number}`
        const said = (number: number) => draft(`number ${number}`, { message_id: id(number) })
        yield* chat.publishAll([said(1), said(2), said(3)])
        yield* chat.flush
        yield* chat.publishAll([said(4), said(5)])
        for (const number of [1, 4, 6, 1]) yield* chat.delete(id(number))
        yield* chat.flush
        yield* chat.publish(said(1))
        yield* chat.flush
        const { books } = (yield* chat.status).queues.public
        assert.deepInclude(books, {
          accepted: 6,
          stored: 4,
          deleted: 2,
          queued: 0,
          balanced: true,
          difference: null,
        })
        const { consistent, findings, queues } = yield* chat.audit
        assert.deepStrictEqual({ consistent, findings }, { consistent: true, findings: [] })
        assert.deepInclude(queues.public, { rows: 3, rowsJournalled: 3 })
      }),
    )

    test(
      "the audit counts again, and finds nothing where nothing went wrong",
      Effect.gen(function* () {
        const chat = yield* ChatCache
        const identity = { message_id: "6f9619ff-8b86-4d11-b42d-00c04fc964ff" }
        yield* chat.publishAll([draft("a"), draft("b", identity), draft("b", identity), draft("c", identity)])
        yield* chat.publishPrivate({
          owner_id: "1",
          username: "ada",
          recipient_id: "2",
          recipient: "bob",
          message: "Psst",
        })
        yield* chat.flush
        const [entry] = yield* chat.quarantine.list({ limit: 1 })
        yield* chat.quarantine.replay(entry!.id, draft("corrected"))
        yield* chat.publish(draft("d"))
        const { durationMs: _, ...report } = yield* chat.audit
        const none = { open: 0, replayed: 0, discarded: 0 }
        assert.deepStrictEqual(report, {
          consistent: true,
          findings: [],
          queues: {
            public: { rows: 3, rowsJournalled: 3, quarantine: { ...none, replayed: 1 }, queued: 1 },
            private: { rows: 1, rowsJournalled: 1, quarantine: none, queued: 0 },
          },
          journalPosition: (yield* recordedEvents).at(-1)!.position,
        })
      }),
    )

    test(
      "the books balance whenever they are looked at while messages are published and flushed",
      Effect.gen(function* () {
        const chat = yield* ChatCache
        const drafts = Array.from({ length: 200 }, (_, index) => draft(`number ${index}`))
        const publishing = yield* Effect.fork(Effect.replicateEffect(chat.publishAll(drafts), 20))
        const flushing = yield* Effect.fork(Effect.forever(chat.flush))
        while (publishing.unsafePoll() === null) {
          const { queues } = yield* chat.status
          assert.isNull(queues.public.books.difference)
        }
        yield* Fiber.interrupt(flushing)
        yield* chat.flush
        assert.deepInclude((yield* chat.status).queues.public.books, {
          accepted: 4000,
          stored: 4000,
          queued: 0,
          balanced: true,
        })
      }),
      { rateLimit: unlimited, flushBatchSize: 150, maxCacheSize: 100 },
    )

    it.live("payloads survive all the way: what is read back, recent or stored, is what was said", () =>
      Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(
            fc.array(arbitraries.publicMessageDraft, { minLength: 1, maxLength: 40 }),
            (drafts) =>
              Effect.gen(function* () {
                const chat = yield* ChatCache
                const outcomes = yield* chat.publishAll(drafts)
                const accepted = yield* Effect.all(outcomes)
                const expected = new Map(
                  drafts.map((given, index) => [
                    accepted[index]?.message_id,
                    { ...given, message_id: accepted[index]?.message_id },
                  ]),
                )
                for (const { cache_id: _, ...message } of yield* chat.recent()) {
                  assert.deepInclude(message, {
                    ...expected.get(message.message_id),
                    message_id: message.message_id,
                  })
                }
                const { persisted, quarantined, remaining } = (yield* chat.flush).public
                assert.deepStrictEqual(
                  { persisted, quarantined, remaining },
                  {
                    persisted: expected.size,
                    quarantined: 0,
                    remaining: 0,
                  },
                )
              }).pipe(Effect.provide(chatCache({ rateLimit: unlimited })), Effect.runPromise),
          ),
          { numRuns: 15 },
        ),
      ),
    )
  })

/** An application with chat-cache inside: it publishes, reads, looks at the status and stops without losing anything. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { ChatCache, ChatCacheLayer, ServersTemporary, Settings, SettingsConfig } from "chat-cache"
import { Console, Duration, Effect, Layer } from "effect"

const ada = { owner_id: "1", username: "ada" }
const grace = { owner_id: "2", username: "grace" }

const program = Effect.gen(function* () {
  const chat = yield* ChatCache

  const hello = yield* chat.publish({ ...ada, channel: "general", message: "Hello, everybody" })
  yield* Console.log(`Accepted ${hello.message_id} as number ${hello.cache_id}: it cannot be lost any more.`)
  yield* chat.publish({ ...grace, channel: "general", message: "Hello, Ada" })
  yield* chat.publishPrivate({
    ...grace,
    recipient_id: ada.owner_id,
    recipient: ada.username,
    message: "Lunch?",
  })

  for (const { username, message } of yield* chat.recent(20)) yield* Console.log(`${username}: ${message}`)
  for (const { username, recipient, message } of yield* chat.recentPrivate(ada.owner_id)) {
    yield* Console.log(`${username} to ${recipient}: ${message}`)
  }

  // Every failure is a value with a type: the compiler says which ones there are.
  yield* chat.publish({ ...ada, channel: "", message: "Where does this go?" }).pipe(
    Effect.catchTags({
      InvalidMessage: ({ message }) => Console.log(message),
      RateLimited: ({ retry_after_ms }) => Console.log(`Slower: wait ${retry_after_ms} ms.`),
    }),
  )

  const { status, queues, settings } = yield* chat.status
  yield* Console.log(
    `Status ${status}: ${queues.public.length} public and ${queues.private.length} private messages wait for PostgreSQL,` +
      ` at most ${settings.flushIntervalMs / 1000} seconds.`,
  )

  // Closing the layer does the same; asking for it gives the report.
  const drained = yield* chat.shutdown
  yield* Console.log(
    `Stopped: ${drained.public.persisted} public and ${drained.private.persisted} private messages are in PostgreSQL.`,
  )
})

/** `CHAT_CACHE_…` of the environment, and what this application decides for itself. */
const settings = Layer.effect(
  Settings,
  Effect.map(SettingsConfig.config, (fromEnvironment) => ({
    ...fromEnvironment,
    flushInterval: Duration.seconds(30),
  })),
)

program.pipe(
  Effect.provide(
    ChatCacheLayer.layer.pipe(Layer.provide(settings), Layer.provide(ServersTemporary.layerConfig)),
  ),
  NodeRuntime.runMain,
)

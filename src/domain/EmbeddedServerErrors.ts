/**
 * Why an embedded Valkey or PostgreSQL does not run. Each message says what to do about it, and the daemon does not
 * start until that is done.
 */
import { Schema } from "effect"

export const EmbeddedServerName = Schema.Literal("Valkey", "PostgreSQL")
export type EmbeddedServerName = typeof EmbeddedServerName.Type

const urlVariable = (server: EmbeddedServerName): string =>
  server === "Valkey" ? "VALKEY_URL" : "DATABASE_URL"

/** The program itself is not on this machine, or not in a version that can be used. */
export class ServerNotInstalled extends Schema.TaggedError<ServerNotInstalled>()("ServerNotInstalled", {
  server: EmbeddedServerName,
  reason: Schema.String,
}) {
  override get message(): string {
    return `${this.server} is not installed: ${this.reason}, or set ${urlVariable(this.server)} to a server that runs already.`
  }
}

/** Somebody else keeps data in this directory at this moment. */
export class ServerDirectoryInUse extends Schema.TaggedError<ServerDirectoryInUse>()("ServerDirectoryInUse", {
  server: EmbeddedServerName,
  directory: Schema.String,
}) {
  override get message(): string {
    return `${this.directory} is already in use by another chat-cache; set CHAT_CACHE_DATA_DIR or ${urlVariable(this.server)}.`
  }
}

/** The server is there but did not come up. `reason` ends with the last lines of its own log where there are any. */
export class ServerNotStarted extends Schema.TaggedError<ServerNotStarted>()("ServerNotStarted", {
  server: EmbeddedServerName,
  reason: Schema.String,
}) {
  override get message(): string {
    return `The embedded ${this.server} did not start: ${this.reason}`
  }
}

/** Why a server that is started on its own does not run. */
export type EmbeddedServerError = ServerNotInstalled | ServerDirectoryInUse | ServerNotStarted

/** A command needs a server, was given none, and no daemon runs one on this directory. */
export class ServerNotRunning extends Schema.TaggedError<ServerNotRunning>()("ServerNotRunning", {
  server: EmbeddedServerName,
  directory: Schema.String,
}) {
  override get message(): string {
    return `No daemon runs a ${this.server} on the data in ${this.directory}: start one with \`chat-cache serve\`, set ${urlVariable(this.server)} to a server of your own or CHAT_CACHE_DATA_DIR to another directory, or ask a daemon with --url.`
  }
}

import { Schema } from "effect"

/** The command line makes no sense. */
export class UsageError extends Schema.TaggedError<UsageError>()("UsageError", { reason: Schema.String }) {
  override get message(): string {
    return this.reason
  }
}

/** What cannot be undone was asked for where nobody can be asked whether it is meant. */
export class NotConfirmed extends Schema.TaggedError<NotConfirmed>()("NotConfirmed", {
  what: Schema.String,
}) {
  override get message(): string {
    return `${this.what}: nothing was done. Confirm it with --yes.`
  }
}

/** Nobody answered at the address of --url. */
export class DaemonUnreachable extends Schema.TaggedError<DaemonUnreachable>()("DaemonUnreachable", {
  url: Schema.String,
  reason: Schema.String,
}) {
  override get message(): string {
    return `The daemon at ${this.url} cannot be reached (${this.reason}): check --url and whether it runs, or leave --url out to use VALKEY_URL and DATABASE_URL.`
  }
}

/** Whoever answered is no chat-cache, or one of another version. */
export class UnexpectedAnswer extends Schema.TaggedError<UnexpectedAnswer>()("UnexpectedAnswer", {
  url: Schema.String,
  reason: Schema.String,
}) {
  override get message(): string {
    return `What answers at ${this.url} does not answer as a chat-cache of this version does (${this.reason}): check --url and the version of the daemon.`
  }
}

/** Some of many were not done. What was done is in the output. */
export class PartlyFailed extends Schema.TaggedError<PartlyFailed>()("PartlyFailed", {
  reason: Schema.String,
}) {
  override get message(): string {
    return this.reason
  }
}

/** A file that was named cannot be used. */
export class FileUnusable extends Schema.TaggedError<FileUnusable>()("FileUnusable", {
  file: Schema.String,
  reason: Schema.String,
}) {
  override get message(): string {
    return `${this.file}: ${this.reason}.`
  }
}

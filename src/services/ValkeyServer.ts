import { Context, type Redacted } from "effect"

/** Where the Valkey server is: one that the operator runs, or one that the daemon started for itself. */
export class ValkeyServer extends Context.Tag("chat-cache/ValkeyServer")<
  ValkeyServer,
  {
    /** `redis://`, `valkey://`, or their TLS forms; it may hold a password. */
    readonly url: Redacted.Redacted<string>
    /** The authority that signed the server's certificate, in PEM, where it is none of those that Node knows. */
    readonly ca?: string | undefined
  }
>() {}

import { Context, type Redacted } from "effect"

/** Where the PostgreSQL server is: one that the operator runs, or one that the daemon started for itself. */
export class PostgresServer extends Context.Tag("chat-cache/PostgresServer")<
  PostgresServer,
  {
    /** `postgres://user:password@host:port/database`, with `sslmode` where the server wants TLS. */
    readonly url: Redacted.Redacted<string>
  }
>() {}

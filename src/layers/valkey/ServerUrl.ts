import { Either } from "effect"

/** Where and how to connect, taken apart from a URL. */
export interface ServerUrl {
  readonly host: string
  readonly port: number
  readonly tls: boolean
  readonly username: string | undefined
  readonly password: string | undefined
  readonly database: number
}

const schemes: Readonly<Record<string, { readonly tls: boolean } | undefined>> = {
  "redis:": { tls: false },
  "valkey:": { tls: false },
  "rediss:": { tls: true },
  "valkeys:": { tls: true },
}

const defaultPort = 6379

const decode = (text: string): string | undefined => {
  try {
    return text === "" ? undefined : decodeURIComponent(text)
  } catch {
    return text
  }
}

/**
 * Reads `valkey://[[user]:password@]host[:port][/database]`, also as `redis://`, and with TLS `valkeys://` or
 * `rediss://`. Says what is wrong otherwise, without quoting the text, which may hold a password.
 *
 * The client would read a URL too, but takes its query parameters for options, by which a URL could turn the safe ones
 * off again.
 */
export const parse = (text: string): Either.Either<ServerUrl, string> => {
  const url = URL.parse(text)
  const scheme = url === null ? undefined : schemes[url.protocol]
  if (url === null || scheme === undefined) {
    return Either.left(
      "must be a URL such as valkey://127.0.0.1:6379 or, with TLS, valkeys://user:password@host:6379 (redis:// and rediss:// are read too); characters such as / and # in a password are written as %2F and %23",
    )
  }
  if (url.hostname === "") return Either.left("must name a host, as in valkey://127.0.0.1:6379")
  if (!/^(?:\/\d*)?$/.test(url.pathname)) {
    return Either.left(
      "must end with the number of a database, as in valkey://127.0.0.1:6379/0, or without a path",
    )
  }
  if (url.search !== "" || url.hash !== "") return Either.left("must not have query parameters or a fragment")
  return Either.right({
    host: decode(url.hostname.replace(/^\[|\]$/g, "")) ?? "",
    port: url.port === "" ? defaultPort : Number(url.port),
    tls: scheme.tls,
    username: decode(url.username),
    password: decode(url.password),
    database: Number(url.pathname.slice(1)),
  })
}

/** Host and port, as they may be shown to anybody. */
export const address = ({ host, port }: ServerUrl): string =>
  host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`

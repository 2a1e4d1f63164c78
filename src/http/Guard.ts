import { Option, Redacted } from "effect"
import { createHash, timingSafeEqual } from "node:crypto"
import type { IncomingMessage } from "node:http"
import { isIPv6 } from "node:net"
import { CrossSiteRequest, MisdirectedRequest, Unauthorized } from "./Errors.ts"

/** What keeps a request out before anything of it is looked at, `undefined` when it may come in. */
export type Guard = (
  request: IncomingMessage,
) => MisdirectedRequest | CrossSiteRequest | Unauthorized | undefined

const wildcards = new Set(["0.0.0.0", "::"])

/** A host as it stands in a URL. */
export const bracketed = (host: string): string => (isIPv6(host) ? `[${host}]` : host)

/** The address that the connection came in on, in the form that its client wrote. */
const localHost = (request: IncomingMessage): string =>
  bracketed((request.socket.localAddress ?? "").replace(/^::ffff:(?=\d+\.)/, ""))

/** Node keeps the first of several Host headers, and a proxy on the way may have gone by another. */
const hasOneHost = ({ rawHeaders }: IncomingMessage): boolean => {
  let count = 0
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]!
    if (name.length === 4 && name.toLowerCase() === "host") count++
  }
  return count === 1
}

/**
 * Whether `localhost:8080`, say, is this server. Names that anybody could point here are not, so that a page of theirs
 * cannot have a browser talk to us as if we were their site (DNS rebinding).
 */
const isOwn = (host: string, authority: string, request: IncomingMessage): boolean => {
  const port = request.socket.localPort
  const suffix = `:${port}`
  const name = authority.endsWith(suffix)
    ? authority.slice(0, -suffix.length).toLowerCase()
    : port === 80
      ? authority.toLowerCase()
      : undefined
  return (
    name === host ||
    name === "localhost" ||
    name === "127.0.0.1" ||
    name === "[::1]" ||
    (wildcards.has(host) && name === localHost(request))
  )
}

/** What `CHAT_CACHE_ALLOWED_HOSTS` may hold: a name or an address, with a port or for every port. */
const allowedHost = /^(?:[a-z\d](?:[a-z\d.-]*[a-z\d])?|\[[\da-f:.]+\])(?::\d{1,5})?$/i

export const isAllowedHost = (text: string): boolean => allowedHost.test(text)

const withoutPort = (authority: string): string => authority.replace(/:\d{1,5}$/, "")

const changesNothing = new Set(["GET", "HEAD"])

/** Browsers say from which site a request comes: in `Sec-Fetch-Site`, old ones in `Origin`. Other clients say nothing. */
const isCrossSite = (
  isOurs: (authority: string, request: IncomingMessage) => boolean,
  request: IncomingMessage,
): boolean => {
  const { "sec-fetch-site": site, origin } = request.headers
  if (site !== undefined) return site !== "same-origin" && site !== "none"
  return origin !== undefined && !isOurs(origin.replace(/^https?:\/\//, ""), request)
}

const digest = (bytes: Buffer): Buffer => createHash("sha256").update(bytes).digest()

/** Comparing digests takes the same time whatever was sent. */
const bearerCheck = (token: Redacted.Redacted<string>): ((request: IncomingMessage) => boolean) => {
  const expected = digest(Buffer.from(Redacted.value(token), "utf8"))
  return ({ headers: { authorization = "" } }) => {
    const given = /^bearer +(.*)$/i.exec(authorization)?.[1]
    // Node reads headers as Latin-1, byte by byte.
    return timingSafeEqual(digest(Buffer.from(given ?? "", "latin1")), expected) && given !== undefined
  }
}

/**
 * @param options.host what the server listens on
 * @param options.allowedHosts what a proxy in front of it is called
 */
export const make = (options: {
  readonly host: string
  readonly allowedHosts?: ReadonlyArray<string>
  readonly apiToken: Option.Option<Redacted.Redacted<string>>
}): Guard => {
  const host = bracketed(options.host.toLowerCase())
  const allowedHosts = new Set(options.allowedHosts?.map((name) => name.toLowerCase()))
  const isAuthorized = Option.match(options.apiToken, { onNone: () => () => true, onSome: bearerCheck })
  const isOurs = (authority: string, request: IncomingMessage): boolean => {
    if (isOwn(host, authority, request)) return true
    if (allowedHosts.size === 0) return false
    const name = authority.toLowerCase()
    return allowedHosts.has(name) || allowedHosts.has(withoutPort(name))
  }
  return (request) => {
    // Only a proxy is spoken to with a whole URL in the first line, and this is none.
    const isForUs =
      request.url!.startsWith("/") && hasOneHost(request) && isOurs(request.headers.host!, request)
    if (!isForUs) return new MisdirectedRequest()
    if (!changesNothing.has(request.method!) && isCrossSite(isOurs, request)) return new CrossSiteRequest()
    if (!request.url!.startsWith("/health/") && !isAuthorized(request)) return new Unauthorized()
    return undefined
  }
}

import { daemons } from "../Fleet.ts"
import type { Mode } from "../../support/TcpProxy.ts"
import { fault } from "./Strike.ts"

/** The daemons, and the application with chat-cache in it. */
export const users = daemons + 1

const modes: ReadonlyArray<readonly [name: string, mode: Mode]> = [
  ["cut", "cut"],
  ["black-hole", "blackhole"],
  ["drop-replies-of", "dropReplies"],
  ["refuse", "refuse"],
]

/** Each strikes the way from one user to one server. */
export const networkFaults = (["valkey", "postgres"] as const).flatMap((server) =>
  modes.map(([name, mode]) =>
    fault({
      name: `${name}-${server}`,
      strikes: `way to ${server}`,
      targets: users,
      longest: 9000,
      weight: 2,
      strike: ({ servers }, target) => servers.proxies[server][target]!.setMode(mode),
      heal: ({ servers }, target) => servers.proxies[server][target]!.setMode("pass"),
    }),
  ),
)

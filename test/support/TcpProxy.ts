/** A TCP proxy that can be told to fail in the ways in which networks and servers fail. */
import { Effect, type Scope } from "effect"
import * as net from "node:net"
import { freePort } from "../../src/layers/ChildServer.ts"

/**
 * - `pass`: everything goes through.
 * - `dropReplies`: requests reach the server, and what it answers is thrown away.
 * - `blackhole`: connections stay open or are accepted, and nothing moves in either direction. What was sent meanwhile
 *   arrives when the mode becomes `pass`.
 * - `cut`: open connections are reset, new ones are accepted and reset.
 * - `refuse`: open connections are reset, and nobody listens any more (ECONNREFUSED).
 */
export type Mode = "pass" | "dropReplies" | "blackhole" | "cut" | "refuse"

export interface TcpProxy {
  readonly host: "127.0.0.1"
  readonly port: number
  /** The address of the server, as it is reached through the proxy. */
  readonly through: (url: string) => string
  /** Leads to another server from now on, as the name of a primary does after a failover. Open connections are reset. */
  readonly leadTo: (url: string) => Effect.Effect<void>
  /** Returns when the mode is in force. */
  readonly setMode: (mode: Mode) => Effect.Effect<void>
  readonly counts: Effect.Effect<Counts>
}

export interface Counts {
  readonly openConnections: number
  readonly bytesToServer: number
  readonly bytesToClient: number
  readonly bytesDropped: number
}

interface Connection {
  readonly client: net.Socket
  readonly server: net.Socket
  /** Has lost bytes: what the server says next would be taken for the answer to something else. */
  lossy: boolean
}

const listen = (listener: net.Server, port: number): Promise<void> =>
  new Promise((resolve, reject) => {
    listener.once("error", reject)
    listener.listen(port, "127.0.0.1", () => {
      listener.off("error", reject)
      resolve()
    })
  })

const stopListening = (listener: net.Server): Promise<void> =>
  listener.listening ? new Promise((resolve) => listener.close(() => resolve())) : Promise.resolve()

class Proxy {
  readonly #connections = new Set<Connection>()
  readonly #counts = { bytesToServer: 0, bytesToClient: 0, bytesDropped: 0 }
  #target: net.NetConnectOpts
  readonly #listener: net.Server
  #mode: Mode = "pass"

  constructor(target: net.NetConnectOpts) {
    this.#target = target
    this.#listener = net.createServer((client) => this.#accept(client))
  }

  listen(port: number): Promise<void> {
    return listen(this.#listener, port)
  }

  async setMode(mode: Mode, port: number): Promise<void> {
    this.#mode = mode
    for (const connection of this.#connections) this.#apply(connection)
    if (mode === "refuse") await stopListening(this.#listener)
    else if (!this.#listener.listening) await listen(this.#listener, port)
  }

  leadTo(target: net.NetConnectOpts): void {
    this.#target = target
    for (const connection of this.#connections) this.#reset(connection)
  }

  async close(): Promise<void> {
    for (const connection of this.#connections) this.#reset(connection)
    await stopListening(this.#listener)
  }

  counts(): Counts {
    return { openConnections: this.#connections.size, ...this.#counts }
  }

  #accept(client: net.Socket): void {
    if (this.#mode === "cut") {
      client.resetAndDestroy()
      return
    }
    const server = net.connect(this.#target)
    const connection: Connection = { client, server, lossy: false }
    this.#connections.add(connection)
    client.on("data", (bytes) => {
      this.#counts.bytesToServer += bytes.length
      server.write(bytes)
    })
    server.on("data", (bytes) => this.#reply(connection, bytes))
    for (const socket of [client, server]) {
      socket.setNoDelay(true)
      socket.on("error", () => this.#reset(connection))
      socket.on("close", () => this.#reset(connection))
    }
    this.#apply(connection)
  }

  #reply(connection: Connection, bytes: Buffer): void {
    if (this.#mode === "dropReplies") {
      this.#counts.bytesDropped += bytes.length
      connection.lossy = true
      return
    }
    this.#counts.bytesToClient += bytes.length
    connection.client.write(bytes)
  }

  #apply(connection: Connection): void {
    const ends = this.#mode === "cut" || this.#mode === "refuse"
    if (ends || (this.#mode === "pass" && connection.lossy)) return this.#reset(connection)
    const paused = this.#mode === "blackhole"
    for (const socket of [connection.client, connection.server]) {
      if (paused) socket.pause()
      else socket.resume()
    }
  }

  #reset(connection: Connection): void {
    if (!this.#connections.delete(connection)) return
    connection.client.resetAndDestroy()
    connection.server.resetAndDestroy()
  }
}

const targetOf = (url: string): net.NetConnectOpts => {
  const { hostname, port } = new URL(url)
  return { host: hostname, port: Number(port) }
}

/** Stands in front of the server at `url` until the scope is closed. */
export const make = (url: string): Effect.Effect<TcpProxy, never, Scope.Scope> =>
  Effect.gen(function* () {
    const proxy = yield* Effect.acquireRelease(
      Effect.sync(() => new Proxy(targetOf(url))),
      (opened) => Effect.promise(() => opened.close()),
    )
    // Not a port that outgoing connections are given: while it refuses, a client could come to talk to itself.
    const port = yield* Effect.orDie(freePort("Valkey"))
    yield* Effect.promise(() => proxy.listen(port))
    return {
      host: "127.0.0.1",
      port,
      through: (original) => {
        const changed = new URL(original)
        changed.host = `127.0.0.1:${port}`
        return changed.href
      },
      leadTo: (other) => Effect.sync(() => proxy.leadTo(targetOf(other))),
      setMode: (mode) => Effect.promise(() => proxy.setMode(mode, port)),
      counts: Effect.sync(() => proxy.counts()),
    }
  })

import * as net from "node:net"
import { Client, types } from "pg"

export interface ConnectionOptions {
  readonly url: string
  readonly connectTimeoutMillis: number
  /** How long the connection may take to say goodbye before its socket is destroyed. */
  readonly terminationTimeoutMillis: number
}

/** One connection by pg, which ends in time even if the server hangs, and never ends the process by an error event. */
export interface Connection {
  readonly client: Client
  readonly connect: () => Promise<void>
  readonly end: () => Promise<void>
}

const int8Oid: number = types.builtins.INT8

/** Numbers of 64 bits are numbers here: the domain keeps all of ours below 2^53. */
const parsers = {
  getTypeParser: (oid: number, format?: "text" | "binary") =>
    oid === int8Oid ? Number : types.getTypeParser(oid, format as "text"),
}

/** @param onError is told that the open connection has broken */
export const make = (options: ConnectionOptions, onError: (error: Error) => void): Connection => {
  const socket = new net.Socket()
  const client = new Client({
    connectionString: options.url,
    fallback_application_name: "chat-cache",
    connectionTimeoutMillis: options.connectTimeoutMillis,
    keepAlive: true,
    types: parsers,
    stream: () => socket,
  })
  let isOpen = false
  client.on("error", (error) => {
    if (isOpen) onError(error)
  })
  return {
    client,
    connect: async () => {
      try {
        await client.connect()
        isOpen = true
      } catch (error) {
        socket.destroy()
        throw error
      }
    },
    end: async () => {
      isOpen = false
      const timer = setTimeout(() => socket.destroy(), options.terminationTimeoutMillis)
      try {
        await client.end()
      } finally {
        clearTimeout(timer)
      }
    },
  }
}

/** `host:port` of a URL, without what is secret in it. What is wrong with a wrong one is said when it is used. */
export const addressOf = (url: string): string => {
  try {
    const { host, port } = new Client({ connectionString: url })
    return `${host}:${port}`
  } catch {
    return "the configured address"
  }
}

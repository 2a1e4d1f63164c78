/**
 * What any server on Valkey and PostgreSQL has to do before it can listen: load the clients of both, connect, and ask each
 * whether it is there. It answers every request with 202 and keeps nothing.
 */
import { Redis } from "iovalkey"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import { Client } from "pg"

const valkey = new Redis(process.env["VALKEY_URL"]!)
const postgres = new Client({ connectionString: process.env["DATABASE_URL"] })

await Promise.all([valkey.ping(), postgres.connect().then(() => postgres.query("SELECT 1"))])

const server = http.createServer((request, response) => {
  request.resume().once("end", () => response.writeHead(202).end())
})

process.once("SIGTERM", () => process.exit(0))

server.listen(0, "127.0.0.1", () => {
  process.stdout.write(`listens on http://127.0.0.1:${(server.address() as AddressInfo).port}\n`)
})

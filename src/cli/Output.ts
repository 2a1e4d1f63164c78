/** What the commands print: a document for programs, tables for people. Everything else goes to standard error. */
import Table from "cli-table3"
import { Effect } from "effect"
import { stripVTControlCharacters, styleText } from "node:util"

const isTerminal = process.stdout.isTTY === true

/** The most characters of what somebody wrote on a terminal. What is printed into a file or a pipe is never cut. */
const cellMaximum = 60

// oxlint-disable-next-line no-control-regex -- what people wrote must not steer the terminal of whoever reads it
const controls = /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g

const visible = (text: string): string =>
  text.replace(controls, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`)

export const cut = (text: string): string => {
  const characters = isTerminal ? [...text] : []
  return characters.length > cellMaximum ? `${characters.slice(0, cellMaximum - 1).join("")}…` : text
}

export type Cell = string | number | null | undefined

export const cell = (value: Cell): string =>
  value === null || value === undefined ? "–" : visible(String(value))

const noBorders = Object.fromEntries(
  ["top", "bottom", "left", "right"]
    .flatMap((side) => [side, `${side}-mid`, `${side}-left`, `${side}-right`])
    .concat("mid", "mid-mid", "left-mid", "mid-left", "right-mid", "mid-right", "middle")
    .map((part) => [part, part === "middle" ? "  " : ""]),
)

const render = (rows: ReadonlyArray<ReadonlyArray<string>>, head: ReadonlyArray<string> = []): string => {
  const table = new Table({
    head: [...head],
    chars: noBorders,
    style: { "padding-left": 0, "padding-right": 0, head: [], border: [], compact: true },
  })
  table.push(...rows.map((row) => [...row]))
  return table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n")
}

export const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<Cell>>): string =>
  render(
    rows.map((row) => row.map(cell)),
    head.map((name) => style("bold", name)),
  )

/** One line for each: what it is, and its value. */
export const record = (fields: ReadonlyArray<readonly [name: string, value: Cell]>): string =>
  render(fields.map(([name, value]) => [style("bold", name), cell(value)]))

/** Styles only what goes to a terminal that wants colours. */
export const style = (format: "bold" | "green" | "yellow" | "red" | "dim", text: string): string =>
  styleText(format, text, { stream: process.stdout })

/** Waits until the text is out, so that a reader that is gone (EPIPE) ends the command. */
export const write = (text: string, stream: NodeJS.WriteStream = process.stdout): Effect.Effect<void> =>
  Effect.async((resume) => {
    stream.write(`${text}\n`, () => resume(Effect.void))
  })

export const formatted = (document: unknown): string => JSON.stringify(document, null, 2)

/** @param document printed with `--json`, as one document */
export const print = (json: boolean, document: unknown, text: () => string): Effect.Effect<void> =>
  Effect.suspend(() => write(json ? formatted(document) : text()))

/** Help without colours where nobody would see them. */
export const plain = (text: string): string => (isTerminal ? text : stripVTControlCharacters(text))

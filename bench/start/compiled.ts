/** The daemon as the package has it: compiled. */
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

const project = fileURLToPath(new URL("../../", import.meta.url))

export const daemon = "dist/main.js"

const changedAt = async (file: string): Promise<number> => (await fs.stat(path.join(project, file))).mtimeMs

/** Whether it has been compiled since the sources were changed last. */
export const isUpToDate = async (): Promise<boolean> => {
  const sources = await fs.readdir(path.join(project, "src"), { recursive: true })
  const compiledAt = await changedAt(daemon).catch(() => 0)
  const changes = await Promise.all(sources.map((source) => changedAt(path.join("src", source))))
  return changes.every((at) => at < compiledAt)
}

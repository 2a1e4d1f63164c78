/** Memory of a process, in MiB. Linux tells it; elsewhere the questions about memory are not asked. */
import { readFile } from "node:fs/promises"

export const isKnown = process.platform === "linux"

const read = async (pid: number, field: "VmRSS" | "VmHWM"): Promise<number> => {
  const status = await readFile(`/proc/${pid}/status`, "utf8")
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]) / 1024
}

export const resident = (pid: number): Promise<number> => read(pid, "VmRSS")

/** The most that it has ever had. */
export const peak = (pid: number): Promise<number> => read(pid, "VmHWM")

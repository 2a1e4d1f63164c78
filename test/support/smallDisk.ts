/** A disk that is full soon. */
import { Effect, type Scope } from "effect"
import { execFile, execFileSync } from "node:child_process"
import { randomUUID } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { promisify } from "node:util"
import { inject } from "vitest"

/** Where the system lets the test have a disk of its own. */
export const canMount = ((): boolean => {
  const directory = mkdtempSync(path.join(tmpdir(), "chat-cache-mount-"))
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", directory], { stdio: "ignore" })
    execFileSync("umount", [directory], { stdio: "ignore" })
    return true
  } catch {
    return false
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})()

export const mount = (size: string, owner: { readonly uid: number; readonly gid: number }) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const directory = path.join(inject("temporaryDirectory"), `disk-${randomUUID()}`)
      await fs.mkdir(directory)
      const options = `size=${size},mode=0700,uid=${owner.uid},gid=${owner.gid}`
      await promisify(execFile)("mount", ["-t", "tmpfs", "-o", options, "tmpfs", directory])
      return directory
    }),
    // The server on it may still be running.
    (directory) => Effect.promise(() => promisify(execFile)("umount", ["--lazy", directory])),
  ) satisfies Effect.Effect<string, never, Scope.Scope>

/** Makes room on it. */
export const enlarge = (directory: string, size: string): Effect.Effect<void> =>
  Effect.asVoid(Effect.promise(() => promisify(execFile)("mount", ["-o", `remount,size=${size}`, directory])))

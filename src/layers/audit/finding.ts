import type { AuditCheck } from "../../domain/AuditCheck.ts"
import type { QueueName } from "../../domain/Message.ts"
import type { AuditFinding } from "../../services/Audit.ts"

/** The most examples of one finding. */
export const exampleLimit = 10

const make =
  (severity: AuditFinding["severity"]) =>
  (check: AuditCheck, queue: QueueName) =>
  (count: number, reason: string, examples: ReadonlyArray<string> = []): AuditFinding => ({
    severity,
    check,
    queue,
    count,
    reason,
    examples: examples.slice(0, exampleLimit),
  })

export const error = make("error")
export const warning = make("warning")
export const notice = make("notice")

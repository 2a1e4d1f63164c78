import type { Told } from "./books.ts"
import type { Options } from "./Options.ts"
import { listed, total } from "./Progress.ts"
import type { Result } from "./soak.ts"
import { describeUsage } from "./Watch.ts"

/** As many problems of one check as help to understand it. */
const problemsShown = 10

export const commandOf = ({ minutes, clients, seed, lossy, faults }: Options): string =>
  [
    "npm run soak --",
    `--minutes ${minutes} --clients ${clients} --seed ${seed}`,
    ...(lossy ? ["--lossy"] : []),
    ...(faults.length === 0 ? [] : [`--faults ${faults.join(",")}`]),
  ].join(" ")

export const hasFailed = ({ checks }: Result): boolean => checks.some(({ problems }) => problems.length > 0)

const tellings: ReadonlyArray<Told> = ["accepted", "refused", "unknown"]

const facts = ({ claims, findings, load, record, watch }: Result): ReadonlyArray<string> => {
  const told = [...claims.values()]
  const perTelling = tellings.map(
    (telling) => `${telling} ${told.filter((claim) => (claim.told ?? "unknown") === telling).length}`,
  )
  return [
    `messages       ${claims.size}: ${perTelling.join(", ")}`,
    `answers        ${listed(load.counts)}`,
    `stored         ${findings.rows.length}, quarantined ${findings.quarantined.length}, deleted ${findings.deletions.all}`,
    `largest queue  ${watch.largest}`,
    `failures       ${total(record.struck)}: ${listed(record.struck)}`,
    `did not come   ${total(record.missed)}: ${listed(record.missed)}`,
    `usage          ${watch.usages.length === 0 ? "unknown" : describeUsage(watch.usages)}`,
  ]
}

export const report = (result: Result): string =>
  [
    ...facts(result).map((fact) => `  ${fact}`),
    "",
    ...result.checks.flatMap(({ name, problems }) => [
      `  ${problems.length === 0 ? "ok    " : "failed"}  ${name}${problems.length === 0 ? "" : ` (${problems.length})`}`,
      ...problems.slice(0, problemsShown).map((problem) => `            ${problem}`),
    ]),
    "",
  ].join("\n")

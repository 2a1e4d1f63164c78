/** `--url`: drives a daemon that runs already. */
import { Effect, Schedule } from "effect"
import * as httpClient from "./http/client.ts"
import * as httpLoad from "./load/httpLoad.ts"
import { format } from "./support/figures.ts"
import type { LoadOptions } from "./support/Options.ts"
import { CheckFailed } from "./support/Question.ts"
import { print, tell } from "./support/terminal.ts"

/** Undici opens them as they are needed. */
const connections = 256

const counts = (of: ReadonlyMap<string, number>): string =>
  of.size === 0
    ? "none"
    : [...of]
        .toSorted(([one], [other]) => one.localeCompare(other))
        .map(([status, count]) => `${status} ${count}`)
        .join(" · ")

/** What was measured until now. */
export const summary = (
  { url, rate, seconds, batch }: LoadOptions,
  observed: httpLoad.Observed,
  elapsedSeconds: number,
): string => {
  const { requests, statuses, results, accepted } = observed
  const { p50, p99, p999 } = requests.latencies.percentiles()
  const perRequest = batch ?? 1
  return [
    `load of ${url.origin}: ${rate} messages/s for ${seconds} s, ${perRequest} per request`,
    `  took        ${elapsedSeconds.toFixed(1)} s`,
    `  requests    ${requests.sent} sent, ${requests.answered} answered, ${requests.dropped} not sent because too many were under way`,
    `  accepted    ${accepted} messages, ${format(accepted / Math.max(elapsedSeconds, 0.001))} messages/s`,
    `  answers     ${counts(statuses)}`,
    ...(batch === undefined ? [] : [`  in batches  ${counts(results)}`]),
    ...(requests.answered === 0
      ? []
      : [
          `  latency     p50 ${format(p50 / 1000)} ms · p99 ${format(p99 / 1000)} ms · p99.9 ${format(p999 / 1000)} ms, from when each request was due`,
        ]),
    "",
  ].join("\n")
}

const somethingWasAccepted = ({ accepted }: httpLoad.Observed) =>
  accepted > 0 ? Effect.void : Effect.fail(new CheckFailed({ message: "nothing was accepted" }))

const idsAreDistinct = ({ cacheIds, noted }: httpLoad.Observed) =>
  cacheIds.size === noted
    ? Effect.void
    : Effect.fail(
        new CheckFailed({ message: `${noted} messages were accepted under ${cacheIds.size} different ids` }),
      )

/** Sends for as long as it was told to. Interrupted, it says what it has seen so far. */
export const load = (options: LoadOptions): Effect.Effect<void, CheckFailed> =>
  Effect.gen(function* () {
    const observed = httpLoad.observe()
    const start = performance.now()
    const elapsed = () => (performance.now() - start) / 1000
    const client = yield* httpClient.open(options.url.origin, connections, options.token)
    yield* Effect.sync(() => {
      const left = Math.max(0, Math.ceil(options.seconds - elapsed()))
      tell(
        `${observed.requests.answered} requests answered, ${observed.accepted} messages accepted; ${left} s left\n`,
      )
    }).pipe(Effect.schedule(Schedule.spaced("1 second")), Effect.forkScoped)
    yield* httpLoad
      .run(client, options, observed)
      .pipe(Effect.ensuring(Effect.suspend(() => print(summary(options, observed, elapsed())))))
    yield* somethingWasAccepted(observed)
    yield* idsAreDistinct(observed)
  }).pipe(Effect.scoped)

import * as OtelMetrics from "@effect/opentelemetry/Metrics"
import * as Resource from "@effect/opentelemetry/Resource"
import { PrometheusSerializer } from "@opentelemetry/exporter-prometheus"
import type { MetricData } from "@opentelemetry/sdk-metrics"
import { Effect, Metric } from "effect"
import * as Metrics from "./Metrics.ts"
import { version } from "./version.ts"

const isMetric = (value: object): value is Metric.Metric<unknown, never, unknown> =>
  Metric.MetricTypeId in value

/** Every metric without a label that is only known later. A rate is only seen from the second value of a counter on. */
const all: ReadonlyArray<Metric.Metric<unknown, never, unknown>> = Object.values(Metrics).flatMap(
  function metricsOf(value: object): ReadonlyArray<Metric.Metric<unknown, never, unknown>> {
    return isMetric(value) ? [value] : Object.values(value).flatMap(metricsOf)
  },
)

/** What Prometheus calls this format. */
export const contentType = "text/plain; version=0.0.4; charset=utf-8"

/** Effect counts its fibers, too, under names without a promise. */
const isOurs = ({ descriptor }: MetricData): boolean => descriptor.name.startsWith("chat_cache_")

const register = Effect.forEach(
  all.filter((metric) => metric !== Metrics.scriptSeconds),
  Metric.value,
  { discard: true },
)

/** Makes what writes down everything that this process has counted since its start, in the text format of Prometheus. */
export const make: Effect.Effect<() => Promise<string>> = register.pipe(
  Effect.zipRight(OtelMetrics.makeProducer),
  Effect.map((producer) => {
    const serializer = new PrometheusSerializer(undefined, false, undefined, false, true)
    return async () => {
      const { resourceMetrics } = await producer.collect()
      return serializer.serialize({
        ...resourceMetrics,
        scopeMetrics: resourceMetrics.scopeMetrics.map((scope) => ({
          ...scope,
          metrics: scope.metrics.filter(isOurs),
        })),
      })
    }
  }),
  Effect.provide(Resource.layer({ serviceName: "chat-cache", serviceVersion: version })),
)

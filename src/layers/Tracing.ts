import { Config, type ConfigError, Context, DefaultServices, Effect, Layer, Option, Tracer } from "effect"
import { version } from "./version.ts"

/** The standard variables of OpenTelemetry. The exporter reads the others itself: headers, timeouts, certificates, … */
const config = Config.all({
  isDisabled: Config.boolean("OTEL_SDK_DISABLED").pipe(Config.withDefault(false)),
  endpoint: Config.option(
    Config.string("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").pipe(
      Config.orElse(() => Config.string("OTEL_EXPORTER_OTLP_ENDPOINT")),
    ),
  ),
  protocol: Config.literal(
    "http/protobuf",
    "http/json",
  )("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL").pipe(
    Config.orElse(() => Config.literal("http/protobuf", "http/json")("OTEL_EXPORTER_OTLP_PROTOCOL")),
    Config.withDefault("http/protobuf"),
  ),
  serviceName: Config.string("OTEL_SERVICE_NAME").pipe(Config.withDefault("chat-cache")),
})

/** Loaded only where traces are wanted: it takes longer than all the rest of the start. */
const exporting = (protocol: "http/protobuf" | "http/json", serviceName: string) =>
  Effect.promise(async () => {
    const [NodeSdk, { BatchSpanProcessor }, { OTLPTraceExporter }] = await Promise.all([
      import("@effect/opentelemetry/NodeSdk"),
      import("@opentelemetry/sdk-trace-base"),
      protocol === "http/json"
        ? import("@opentelemetry/exporter-trace-otlp-http")
        : import("@opentelemetry/exporter-trace-otlp-proto"),
    ])
    return NodeSdk.layer(() => ({
      resource: { serviceName, serviceVersion: version },
      spanProcessor: new BatchSpanProcessor(new OTLPTraceExporter()),
    }))
  })

/** Whether spans go anywhere: the tracer that Effect brings forgets them. */
export const isExported: Effect.Effect<boolean> = Effect.map(
  Effect.tracer,
  (tracer) => tracer !== Context.get(DefaultServices.liveServices, Tracer.Tracer),
)

/** Exports traces by OTLP where the environment says where to. No span carries what anybody said. */
export const layerConfig: Layer.Layer<never, ConfigError.ConfigError> = Layer.unwrapEffect(
  Effect.gen(function* () {
    const { isDisabled, endpoint, protocol, serviceName } = yield* config
    if (isDisabled || Option.isNone(endpoint)) return Layer.empty
    return Layer.discard(yield* exporting(protocol, serviceName))
  }),
)

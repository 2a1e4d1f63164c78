/** The document, and the page that shows it. Loaded when somebody asks for one of them: it is more than the routes themselves. */
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpApiSwagger from "@effect/platform/HttpApiSwagger"
import type * as HttpApp from "@effect/platform/HttpApp"
import type * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as OpenApi from "@effect/platform/OpenApi"
import { Context, Effect, Layer } from "effect"
import { createHash } from "node:crypto"
import { RecordedEvent } from "../../domain/Event.ts"
import { version } from "../../layers/version.ts"
import { Api } from "../Api.ts"
import { bodyOf, errorAnswers, headersOf, isErrorAnswer } from "../ErrorAnswers.ts"
import { errorExamples } from "./errors.ts"
import { groups, operations, type OperationText } from "./operations.ts"

const description = `Takes chat messages into Valkey and moves them into PostgreSQL in batches, losing nothing.

Errors are JSON with a \`_tag\` and a \`message\` that says what to do. \`Retry-After\` says when to try again.
Besides what is listed with each operation, a path that is not here is answered with \`RouteNotFound\` and another method with
\`MethodNotAllowed\`. Bodies are JSON in UTF-8, of 1 MiB at most, batches of 8 MiB.`

type Operation = OpenApi.OpenAPISpecOperation
type Responses = Operation["responses"]
type JsonSchema = {
  readonly $ref?: string
  readonly type?: string
  readonly anyOf?: ReadonlyArray<JsonSchema>
}

const nameOf = (schema: JsonSchema): string | undefined => schema.$ref?.split("/").at(-1)

/** What the library would answer to a request that does not decode. We answer with `InvalidRequest`. */
const unanswered: ReadonlySet<string | undefined> = new Set(["HttpApiDecodeError", "Issue", "PropertyKey"])

/** The schemas of an answer that can be one of several. */
const alternatives = (schema: JsonSchema): ReadonlyArray<JsonSchema> =>
  (schema.anyOf ?? [schema]).filter((alternative) => !unanswered.has(nameOf(alternative)))

const errorsOf = (schema: JsonSchema) =>
  alternatives(schema).flatMap((alternative) => {
    const example = errorExamples[nameOf(alternative) as keyof typeof errorExamples]
    return example === undefined ? [] : [example]
  })

const documentedErrors = (schema: JsonSchema) => {
  const schemas = alternatives(schema)
  const errors = errorsOf(schema)
  const headers = [...new Set(errors.flatMap((error) => Object.keys(headersOf(error))))]
  return {
    description: errors.map(({ _tag }) => _tag).join(", "),
    ...(headers.length === 0
      ? {}
      : { headers: Object.fromEntries(headers.map((name) => [name, { schema: { type: "string" } }])) }),
    content: {
      "application/json": {
        schema: schemas.length === 1 ? schemas[0] : { anyOf: schemas },
        examples: Object.fromEntries(errors.map((error) => [error._tag, { value: bodyOf(error) }])),
      },
    },
  }
}

const documentedResponses = (responses: Responses, text: OperationText | undefined) =>
  Object.fromEntries(
    Object.entries(responses).map(([status, response]) => {
      const [contentType, content] = Object.entries(response.content ?? {})[0] ?? []
      if (contentType === undefined || content === undefined) return [status, { description: "Done." }]
      const schema = content.schema as JsonSchema
      if (Number(status) >= 400 && errorsOf(schema).length > 0) return [status, documentedErrors(schema)]
      const example = Number(status) < 400 && text?.response !== undefined ? { example: text.response } : {}
      const described =
        Number(status) < 400 ? "What is answered when it succeeds." : "The same, when it is not well."
      return [status, { description: described, content: { [contentType]: { ...content, ...example } } }]
    }),
  )

const withoutKeys = (record: object, keys: ReadonlySet<string | undefined>) =>
  Object.fromEntries(Object.entries(record).filter(([key]) => !keys.has(key)))

const isNothing = (schema: JsonSchema): boolean => schema.type === "null"

/** That there may be no body is not a schema of a body. */
const documentedBody = ({ requestBody }: Operation, text: OperationText | undefined) => {
  if (requestBody === undefined) return {}
  const media = Object.entries(requestBody.content).map(([type, { schema }]) => {
    const bodies = alternatives(schema as JsonSchema).filter((body) => !isNothing(body))
    return [type, { schema: bodies.length === 1 ? bodies[0] : { anyOf: bodies }, example: text?.request }]
  })
  const required = !Object.values(requestBody.content).some(({ schema }) =>
    alternatives(schema as JsonSchema).some(isNothing),
  )
  return { requestBody: { content: Object.fromEntries(media), required } }
}

const documentedOperation = (operation: Operation) => {
  const text = operations[operation.operationId]
  // An empty list would say that there is no token, whatever the document says.
  const { security: _security, ...rest } = operation
  const isOpen = operation.tags?.includes("health")
  return {
    ...rest,
    ...(text === undefined ? {} : { summary: text.summary, description: text.description }),
    ...documentedBody(operation, text),
    responses: documentedResponses(operation.responses, text),
    ...(isOpen ? { security: [] } : {}),
  }
}

const transform = (generated: Record<string, any>): Record<string, any> => {
  const spec = generated as OpenApi.OpenAPISpec
  const documentedPaths = Object.entries(spec.paths).map(([path, item]) => [
    path,
    Object.fromEntries(
      Object.entries(item).map(([method, operation]) => [
        method,
        documentedOperation(operation as Operation),
      ]),
    ),
  ])
  const schemas = Object.entries(withoutKeys(spec.components.schemas, unanswered)).map(([name, schema]) => {
    const example = errorExamples[name as keyof typeof errorExamples]
    return [name, isErrorAnswer(example) ? { ...schema, examples: [bodyOf(example)] } : schema]
  })
  return {
    ...spec,
    paths: Object.fromEntries(documentedPaths),
    tags: spec.tags.map((tag) => ({ ...tag, description: groups[tag.name] })),
    components: {
      schemas: Object.fromEntries(schemas),
      securitySchemes: {
        token: { type: "http", scheme: "bearer", description: "The value of CHAT_CACHE_API_TOKEN." },
      },
    },
    // Without a token in the settings, which is allowed on loopback alone, none is asked for.
    security: [{ token: [] }, {}],
  }
}

const documentedApi = Api.annotateContext(
  OpenApi.annotations({
    title: "chat-cache",
    version,
    description,
    license: { name: "MIT" },
    transform,
  }),
).annotate(HttpApi.AdditionalSchemas, [
  errorAnswers.RouteNotFound,
  errorAnswers.MethodNotAllowed,
  RecordedEvent.annotations({ identifier: "RecordedEvent" }),
])

/** The document, as OpenAPI 3.1. */
export const document: OpenApi.OpenAPISpec = OpenApi.fromApi(documentedApi)

const hashesOf = (html: string, element: "script" | "style"): string =>
  [...html.matchAll(new RegExp(`<${element}>([^]*?)</${element}>`, "g"))]
    .map(([, text]) => `'sha256-${createHash("sha256").update(text!).digest("base64")}'`)
    .join(" ")

/** The page runs the scripts that are in it and no others, and talks to this server alone. */
const policyFor = (html: string): string =>
  [
    "default-src 'none'",
    `script-src ${hashesOf(html, "script")}`,
    `style-src ${hashesOf(html, "style")}`,
    "img-src data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ")

let known: { readonly page: Uint8Array; readonly policy: string } | undefined

/** The page is the same each time, and long. */
const policyOf = (page: Uint8Array): string => {
  if (known?.page !== page) known = { page, policy: policyFor(new TextDecoder().decode(page)) }
  return known.policy
}

/** The page has a policy of its own, since no other answer may run anything. */
const withPolicy = (response: HttpServerResponse.HttpServerResponse): HttpServerResponse.HttpServerResponse =>
  response.body._tag === "Uint8Array" && response.body.contentType.startsWith("text/html")
    ? HttpServerResponse.setHeader(response, "content-security-policy", policyOf(response.body.body))
    : response

const routes = Layer.merge(
  HttpApiBuilder.middlewareOpenApi({ path: "/openapi.json" }),
  HttpApiSwagger.layer({ path: "/docs" }),
).pipe(
  Layer.provide(
    Layer.succeed(HttpApi.Api, { api: documentedApi as never, context: Context.empty() as never }),
  ),
)

/** Answers requests for either. */
export const pages: Effect.Effect<HttpApp.Default<unknown, HttpRouter.HttpRouter.DefaultServices>> =
  HttpApiBuilder.Router.router.pipe(
    Effect.provide(Layer.provideMerge(routes, HttpApiBuilder.Router.Live)),
    Effect.map((router) => Effect.map(router, withPolicy)),
  )

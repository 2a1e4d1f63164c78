import * as HttpApi from "@effect/platform/HttpApi"
import { assert, describe, it } from "@effect/vitest"
import { Validator } from "@seriousme/openapi-schema-validator"
import { Effect, Either, Option, Schema } from "effect"
import { createHash } from "node:crypto"
import { Api } from "../../src/http/Api.ts"
import { errorExamples } from "../../src/http/documentation/errors.ts"
import { groups, operations } from "../../src/http/documentation/operations.ts"
import * as pages from "../../src/http/documentation/pages.ts"
import { errorAnswers, statusOf } from "../../src/http/ErrorAnswers.ts"
import { send } from "./client.ts"
import { test, token } from "./TestServer.ts"

interface Endpoint {
  readonly id: string
  readonly method: string
  readonly path: string
  readonly payload: Schema.Schema<unknown> | undefined
  readonly success: Schema.Schema<unknown> | undefined
  readonly statuses: ReadonlyArray<string>
  readonly errors: ReadonlyArray<string>
}

/** The tags of the errors that a route can answer, as its schema names them. */
const tagsIn = (schema: Schema.Schema<unknown>): ReadonlyArray<string> =>
  Object.entries(errorAnswers).flatMap(([tag, answer]) => {
    const members: ReadonlyArray<unknown> = schema.ast._tag === "Union" ? schema.ast.types : [schema.ast]
    return members.includes(answer.ast) ? [tag] : []
  })

const endpoints: Array<Endpoint> = []
HttpApi.reflect(Api, {
  onGroup: () => {},
  onEndpoint: ({ group, endpoint, successes, errors }) => {
    const payload = Option.getOrUndefined(endpoint.payloadSchema) as Schema.Schema<unknown> | undefined
    const success = [...successes.values()][0]!.ast
    endpoints.push({
      id: `${group.identifier}.${endpoint.name}`,
      method: endpoint.method.toLowerCase(),
      path: endpoint.path.replaceAll(/:(\w+)/g, "{$1}"),
      payload,
      success: Option.getOrUndefined(Option.map(success, (ast) => Schema.make<unknown>(ast))),
      statuses: [...successes.keys(), ...errors.keys()].map(String),
      errors: [...errors.values()].flatMap(({ ast }) =>
        Option.match(ast, { onNone: () => [], onSome: (known) => tagsIn(Schema.make<unknown>(known)) }),
      ),
    })
  },
})

// The document has far more in it than its type says.
const document = pages.document as any

const referencesIn = (value: unknown): ReadonlyArray<string> =>
  [...JSON.stringify(value).matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name!)

const assertDecodes = (schema: Schema.Schema<unknown>, value: unknown, what: string): void => {
  const decoded = Schema.decodeUnknownEither(schema, { onExcessProperty: "error" })(value)
  if (Either.isLeft(decoded)) assert.fail(`${what}: ${decoded.left.message}`)
}

describe("the OpenAPI document", () => {
  it("is valid", async () => {
    const { errors, valid } = await new Validator().validate(structuredClone(document))
    assert.isTrue(valid, JSON.stringify(errors))
  })

  it("says what it is", () => {
    assert.strictEqual(document.info.title, "chat-cache")
    assert.match(document.info.version, /^\d+\.\d+\.\d+/)
    assert.include(document.info.description, "Retry-After")
    assert.deepInclude(document.components.securitySchemes.token, { type: "http", scheme: "bearer" })
  })

  it("has every route, and no other", () => {
    const documented = Object.entries<object>(document.paths).flatMap(([path, item]) =>
      Object.keys(item).map((method) => `${method} ${path}`),
    )
    assert.sameMembers(
      documented,
      endpoints.map(({ method, path }) => `${method} ${path}`),
    )
  })

  it("has every error, with an example of its body", () => {
    for (const [tag, answer] of Object.entries(errorAnswers)) {
      const schema = document.components.schemas[tag]
      assert.isDefined(schema, tag)
      assertDecodes(answer as Schema.Schema<unknown>, schema.examples[0], tag)
      assert.strictEqual(schema.examples[0]._tag, tag)
      assert.isNotEmpty(schema.examples[0].message)
    }
    assert.sameMembers(Object.keys(errorExamples), Object.keys(errorAnswers))
  })

  it("refers to nothing that is not in it, and has nothing that is never answered", () => {
    for (const name of referencesIn(document)) assert.isDefined(document.components.schemas[name], name)
    assert.notInclude(JSON.stringify(document), "HttpApiDecodeError")
  })

  for (const { id, method, path, payload, success, statuses, errors } of endpoints) {
    it(`tells what a reader of ${id} needs`, () => {
      const operation = document.paths[path][method]
      const text = operations[id]
      assert.isDefined(text, "it has no summary")
      assert.strictEqual(operation.summary, text!.summary)
      assert.isNotEmpty(operation.description)
      assert.sameMembers(Object.keys(operation.responses), [...new Set(statuses)])
      for (const tag of errors) {
        const response = operation.responses[statusOf(errorExamples[tag as keyof typeof errorExamples])]
        assert.include(referencesIn(response), tag)
        assert.isDefined(response.content["application/json"].examples[tag], tag)
      }
      for (const response of Object.values<any>(operation.responses)) assert.isNotEmpty(response.description)
      if (payload === undefined) assert.isUndefined(operation.requestBody)
      else {
        assertDecodes(payload, text!.request, "the example of the body")
        assert.deepEqual(operation.requestBody.content["application/json"].example, text!.request)
      }
      if (success !== undefined) assertDecodes(success, text!.response, "the example of the answer")
      if (id.startsWith("health.")) assert.deepEqual(operation.security, [])
      else assert.isUndefined(operation.security)
    })
  }

  it("describes every group, and nothing that is not there", () => {
    const ids = endpoints.map(({ id }) => id)
    assert.sameMembers(Object.keys(operations), ids)
    assert.sameMembers(Object.keys(groups), [...new Set(ids.map((id) => id.split(".")[0]!))])
    for (const tag of document.tags) assert.isNotEmpty(tag.description, tag.name)
  })

  test(
    "is served, to those who have the token",
    Effect.gen(function* () {
      assert.strictEqual((yield* send("GET", "/openapi.json")).status, 401)
      const headers = { authorization: "Bearer secret" }
      const { status, body } = yield* send("GET", "/openapi.json", { headers })
      assert.strictEqual(status, 200)
      assert.deepEqual(body, document)
    }),
    token("secret"),
  )
})

describe("the page", () => {
  test(
    "has everything in it, and a policy that lets its own scripts run and no others",
    Effect.gen(function* () {
      const { status, body, headers } = yield* send("GET", "/docs")
      assert.strictEqual(status, 200)
      assert.match(headers["content-type"]!, /^text\/html/)
      const page = body as string
      assert.include(page, "Publish a public message")
      assert.notMatch(page, /<(?:script|link|img|iframe)[^>]*\s(?:src|href)=/)
      const policy = headers["content-security-policy"] as string
      const scripts = [...page.matchAll(/<script>([^]*?)<\/script>/g)].map(([, text]) => text!)
      assert.isNotEmpty(scripts)
      for (const script of scripts) {
        assert.include(policy, `'sha256-${createHash("sha256").update(script).digest("base64")}'`)
      }
      assert.match(policy, /^default-src 'none'; /)
      assert.notMatch(policy, /unsafe|https?:|\*/)
      assert.strictEqual((yield* send("GET", "/docs?a=b")).headers["content-security-policy"], policy)
    }),
  )

  test(
    "is read and nothing else",
    Effect.gen(function* () {
      for (const path of ["/docs", "/openapi.json"]) {
        const { status, headers } = yield* send("POST", path)
        assert.strictEqual(status, 405)
        assert.strictEqual(headers.allow, "GET")
      }
      assert.strictEqual((yield* send("GET", "/docs/")).status, 404)
    }),
  )
})

/** Codes of Node and OpenSSL for certificates that nobody whom we trust has signed. */
const untrusted: ReadonlySet<unknown> = new Set([
  "CERT_SIGNATURE_FAILURE",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
])

const expired: ReadonlySet<unknown> = new Set(["CERT_HAS_EXPIRED", "CERT_NOT_YET_VALID"])

const noTls: ReadonlySet<unknown> = new Set([
  "ERR_SSL_WRONG_VERSION_NUMBER",
  "ERR_SSL_PACKET_LENGTH_TOO_LONG",
])

/** The first code in an error and what caused it. Some wrap the error of the socket. */
const codeOf = (error: unknown): unknown => {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 5; cause = cause.cause, depth++) {
    if ("code" in cause && typeof cause.code === "string") return cause.code
  }
  return undefined
}

/**
 * Why a server cannot be spoken to by TLS, and what to do about it. `undefined` for any other error.
 *
 * @param authority how the authority that signed the certificate of such a server is named
 */
export const tlsProblem = (error: unknown, authority: string): string | undefined => {
  const code = codeOf(error)
  if (untrusted.has(code)) {
    return `its certificate is signed by nobody who is trusted here (${code}): name the authority that signed it with ${authority}`
  }
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return `its certificate is for another name (${code}): use a host name that is in the certificate`
  }
  if (expired.has(code)) return `its certificate is not valid now (${code}): renew it, or set the clock`
  if (noTls.has(code)) return `it does not speak TLS on that port (${code}): use the port on which it does`
  return undefined
}

/** Authorities of the test's own, and certificates that they have signed. */
import "reflect-metadata"
import * as x509 from "@peculiar/x509"
import { Effect } from "effect"
import { webcrypto } from "node:crypto"

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" }

export interface Certificate {
  /** In PEM, as are the others. */
  readonly certificate: string
  readonly key: string
}

export interface Authority {
  readonly certificate: string
  /** A certificate for a server with these names. */
  readonly issue: (names: ReadonlyArray<string>) => Effect.Effect<Certificate>
}

const makeKeys = () => webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"])

const isAddress = (name: string): boolean => /^[\d.]+$|:/.test(name)

const issuedBy =
  (authority: x509.X509Certificate, signingKey: webcrypto.CryptoKey) =>
  async (names: ReadonlyArray<string>): Promise<Certificate> => {
    const keys = await makeKeys()
    const certificate = await x509.X509CertificateGenerator.create({
      subject: `CN=${names[0]}`,
      issuer: authority.subject,
      signingKey,
      publicKey: keys.publicKey,
      signingAlgorithm: algorithm,
      extensions: [
        new x509.SubjectAlternativeNameExtension(
          names.map((value) => ({ type: isAddress(value) ? "ip" : "dns", value })),
        ),
      ],
    })
    const key = x509.PemConverter.encode(
      await webcrypto.subtle.exportKey("pkcs8", keys.privateKey),
      "PRIVATE KEY",
    )
    return { certificate: certificate.toString("pem"), key }
  }

export const makeAuthority = (name: string): Effect.Effect<Authority> =>
  Effect.promise(async () => {
    x509.cryptoProvider.set(webcrypto as never)
    const keys = await makeKeys()
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      name: `CN=${name}`,
      keys,
      signingAlgorithm: algorithm,
      extensions: [new x509.BasicConstraintsExtension(true, 1, true)],
    })
    const issue = issuedBy(certificate, keys.privateKey)
    return {
      certificate: certificate.toString("pem"),
      issue: (names) => Effect.promise(() => issue(names)),
    }
  })

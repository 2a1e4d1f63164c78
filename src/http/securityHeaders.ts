/**
 * What every answer tells a browser: to take it for what it says it is, to keep none of it, and to let no page of another
 * site have it or show it. Nothing that is answered loads anything, the documentation apart, which says so itself.
 */
export const securityHeaders: Readonly<Record<string, string>> = {
  "Cache-Control": "no-store",
  "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
}

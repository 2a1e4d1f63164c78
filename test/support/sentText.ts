/** The SQL that a call of `Client.query` of pg sends, which is given as a text or as something that has one. */
export const sentText = (statement: unknown): string =>
  String((statement as { readonly text?: unknown }).text ?? statement).trim()

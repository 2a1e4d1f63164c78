/**
 * A text of our own about something, such as an error, as PostgreSQL can store it: what it cannot becomes U+FFFD. Never
 * for what users say, which is stored as it is or refused.
 */
export const toStorable = (text: string): string => text.toWellFormed().replaceAll("\u0000", "\uFFFD")

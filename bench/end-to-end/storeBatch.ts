import type { ClientBase } from "pg"
import type { PublicMessage } from "../../src/domain/Message.ts"
import * as ArrayLiteral from "../../src/layers/postgres/ArrayLiteral.ts"

const statement = {
  name: "bench_store_batch",
  text: `
    INSERT INTO chat_messages (message_id, cache_id, owner_id, username, channel, message, authored_at)
    SELECT * FROM unnest(
      $1::uuid[], $2::bigint[], $3::varchar[], $4::varchar[], $5::varchar[], $6::text[], $7::timestamptz[])
    ON CONFLICT (message_id) DO NOTHING`,
}

/** One statement for many rows. A message that is there already is passed over, whatever it says. */
export const storeBatch = async (
  client: ClientBase,
  messages: ReadonlyArray<PublicMessage>,
  firstId: number,
): Promise<void> => {
  const texts = (field: keyof PublicMessage) => ArrayLiteral.texts(messages.map((message) => message[field]!))
  await client.query({
    ...statement,
    values: [
      texts("message_id"),
      ArrayLiteral.integers(messages.map((_, index) => firstId + index)),
      texts("owner_id"),
      texts("username"),
      texts("channel"),
      texts("message"),
      texts("authored_at"),
    ],
  })
}

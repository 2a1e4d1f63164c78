-- What the history is asked for: the messages of a channel, and those that a user sent or received, from an id on. That
-- of all public messages goes by the index on `cache_id` alone, as does the greatest id of either table. `message_id`,
-- which decides between equal ids, is not part of them: there are hardly any, and each index costs every flush.

CREATE INDEX chat_messages_channel ON chat_messages (channel, cache_id);
CREATE INDEX private_messages_owner ON private_messages (owner_id, cache_id);
CREATE INDEX private_messages_recipient ON private_messages (recipient_id, cache_id);

-- A deletion also has to know which channel's recent cache shows the message.
ALTER TABLE deleted_messages ADD COLUMN channel text;

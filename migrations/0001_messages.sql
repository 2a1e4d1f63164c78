-- What was published. `message_id` alone says whether two messages are the same one: `cache_id` orders, but Valkey gives
-- an id twice when it loses its data, so it is indexed and not unique.

CREATE TABLE chat_messages (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  message_id   uuid         NOT NULL UNIQUE,
  cache_id     bigint       NOT NULL,
  owner_id     varchar(36)  NOT NULL,
  username     varchar(64)  NOT NULL,
  channel      varchar(24)  NOT NULL,
  message      text         NOT NULL,
  authored_at  timestamptz  NOT NULL,
  persisted_at timestamptz  NOT NULL DEFAULT now()
);

CREATE INDEX chat_messages_cache_id ON chat_messages (cache_id);

CREATE TABLE private_messages (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  message_id   uuid         NOT NULL UNIQUE,
  cache_id     bigint       NOT NULL,
  owner_id     varchar(36)  NOT NULL,
  username     varchar(64)  NOT NULL,
  recipient_id varchar(36)  NOT NULL,
  recipient    varchar(64)  NOT NULL,
  message      text         NOT NULL,
  authored_at  timestamptz  NOT NULL,
  persisted_at timestamptz  NOT NULL DEFAULT now()
);

CREATE INDEX private_messages_cache_id ON private_messages (cache_id);

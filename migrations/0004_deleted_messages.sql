-- What was deleted, also of what has not arrived yet: a message whose id stands here never becomes a row again. It is
-- kept for good, because a queue that has gone back in time may bring a message back at any time. The users are those
-- whose recent caches show the message, as far as it was stored, so that a deletion can be completed when it is repeated.

CREATE TABLE deleted_messages (
  queue        text        NOT NULL CHECK (queue IN ('public', 'private')),
  message_id   uuid        NOT NULL,
  owner_id     text,
  recipient_id text,
  deleted_at   timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (queue, message_id)
);

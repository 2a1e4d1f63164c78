-- Entries of a queue that could not become rows, with their bytes as they were found there.
-- Without a check on `reason`: an older program has to be able to keep what a newer one added.

CREATE TABLE quarantined_messages (
  id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  queue          text        NOT NULL CHECK (queue IN ('public', 'private')),
  cache_id       bigint,
  raw            bytea       NOT NULL,
  reason         text        NOT NULL,
  sqlstate       text,
  error          text        NOT NULL,
  status         text        NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'replayed', 'discarded')),
  quarantined_at timestamptz NOT NULL DEFAULT now(),
  resolved_at    timestamptz,
  CHECK ((status = 'open') = (resolved_at IS NULL))
);

-- A batch that is read again must not quarantine an entry again. The bytes themselves may be too long for an index.
CREATE UNIQUE INDEX quarantined_messages_entry ON quarantined_messages (queue, sha256(raw));
CREATE INDEX quarantined_messages_status ON quarantined_messages (status, id);
CREATE INDEX quarantined_messages_cache_id ON quarantined_messages (queue, cache_id);

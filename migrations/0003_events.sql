-- The journal: what happened, in the order in which it became visible, never changed afterwards.

CREATE TABLE events (
  position    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  type        text        NOT NULL,
  data        jsonb       NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- A reader goes on from the last position that it saw, so a lower one must never appear later. Positions are given
-- when a row is made and become visible with COMMIT; the lock keeps other writers from taking one in between. It is
-- taken before the statement makes its first row, and held until the transaction ends: journal last.
CREATE FUNCTION events_lock_journal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- 1667785076 is 'chat' in ASCII, the first half of every advisory lock of chat-cache; the second is a table's oid.
  PERFORM pg_advisory_xact_lock(1667785076, TG_RELID::int4);
  RETURN NULL;
END
$$;

CREATE TRIGGER events_in_order BEFORE INSERT ON events
  FOR EACH STATEMENT EXECUTE FUNCTION events_lock_journal();

CREATE FUNCTION events_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the journal is append-only' USING ERRCODE = 'object_not_in_prerequisite_state';
END
$$;

CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events
  FOR EACH STATEMENT EXECUTE FUNCTION events_refuse_change();

-- Refuses every change of a stored event. Triggers on `event` and `tag` call it.
CREATE OR REPLACE FUNCTION "leftfold_log".refuse() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, "leftfold_log", pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'events are never changed: % of % is refused', TG_OP, TG_TABLE_NAME;
END
$$;

DO $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_trigger WHERE tgname = 'event_is_never_changed' AND tgrelid = '"leftfold_log".event'::regclass
    ) THEN
        CREATE TRIGGER event_is_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE
        ON "leftfold_log".event
        EXECUTE FUNCTION "leftfold_log".refuse();
    END IF;
    IF NOT EXISTS (
        SELECT FROM pg_trigger WHERE tgname = 'tag_is_never_changed' AND tgrelid = '"leftfold_log".tag'::regclass
    ) THEN
        CREATE TRIGGER tag_is_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE
        ON "leftfold_log".tag
        EXECUTE FUNCTION "leftfold_log".refuse();
    END IF;
END
$$;

-- The leases of a log's workers: which process does each one's work. Nothing depends on them but who works: what two
-- processes write at once is fenced in the log. The table can be emptied at any time.

CREATE TABLE lease (
    name         text PRIMARY KEY,
    holder       text NOT NULL,
    beat         bigint NOT NULL,
    microseconds bigint NOT NULL    -- since 1970, UTC, when the holder was last heard of; for people
);

-- In the functions, which act as their owner, no name may mean a temporary table of the caller's: pg_temp comes last.

CREATE FUNCTION take_lease(wanted text, expected_holder text, expected_beat bigint, new_holder text)
RETURNS TABLE (name text, holder text, beat bigint, microseconds bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = "leftfold_log", pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    now_microseconds bigint := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
BEGIN
    IF expected_holder IS NULL THEN
        RETURN QUERY
            INSERT INTO lease VALUES (wanted, new_holder, 1, now_microseconds)
            ON CONFLICT DO NOTHING
            RETURNING name, holder, beat, microseconds;
    ELSE
        RETURN QUERY
            UPDATE lease SET holder = new_holder, beat = beat + 1, microseconds = now_microseconds
            WHERE name = wanted AND holder = expected_holder AND beat = expected_beat
            RETURNING name, holder, beat, microseconds;
    END IF;
END
$$;

CREATE FUNCTION beat_leases(present_holder text, held text[])
RETURNS TABLE (name text, holder text, beat bigint, microseconds bigint)
LANGUAGE sql SECURITY DEFINER SET search_path = "leftfold_log", pg_catalog, pg_temp AS $$
    UPDATE lease SET beat = lease.beat + 1, microseconds = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
    WHERE lease.name = ANY (held) AND lease.holder = present_holder
    RETURNING lease.name, lease.holder, lease.beat, lease.microseconds
$$;

CREATE FUNCTION release_leases(present_holder text, held text[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = "leftfold_log", pg_catalog, pg_temp AS $$
    DELETE FROM lease WHERE lease.name = ANY (held) AND lease.holder = present_holder
$$;

REVOKE ALL ON FUNCTION take_lease, beat_leases, release_leases FROM PUBLIC;

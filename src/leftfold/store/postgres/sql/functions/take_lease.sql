-- Gives a lease to a new holder if it stands as expected, and returns it; returns no row otherwise.
CREATE OR REPLACE FUNCTION "leftfold_log".take_lease(
    wanted text,
    expected_holder text,
    expected_beat bigint,
    new_holder text
)
RETURNS TABLE (name text, holder text, beat bigint, microseconds bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, "leftfold_log", pg_temp AS $$
#variable_conflict use_column
DECLARE
    now_microseconds bigint := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
BEGIN
    IF expected_holder IS NULL THEN
        RETURN QUERY
            INSERT INTO lease
            SELECT wanted, new_holder, 1, now_microseconds
            WHERE '"leftfold_log"."append_lock_LOG_ID"'::regclass IS NOT NULL
            ON CONFLICT DO NOTHING
            RETURNING name, holder, beat, microseconds;
    ELSE
        RETURN QUERY
            UPDATE lease SET holder = new_holder, beat = beat % 9223372036854775807 + 1, microseconds = now_microseconds
            WHERE name = wanted
                AND holder = expected_holder
                AND beat = expected_beat
                AND '"leftfold_log"."append_lock_LOG_ID"'::regclass IS NOT NULL
            RETURNING name, holder, beat, microseconds;
    END IF;
END
$$;

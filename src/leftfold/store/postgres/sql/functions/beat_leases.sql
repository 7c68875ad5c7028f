-- Renews the leases of a holder, and returns those that it still holds.
CREATE OR REPLACE FUNCTION "leftfold_log".beat_leases(present_holder text, held text[])
RETURNS TABLE (name text, holder text, beat bigint, microseconds bigint)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, "leftfold_log", pg_temp AS $$
    UPDATE lease
    SET
        beat = lease.beat % 9223372036854775807 + 1,
        microseconds = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
    WHERE lease.name = ANY (held)
        AND lease.holder = present_holder
        AND '"leftfold_log"."append_lock_LOG_ID"'::regclass IS NOT NULL
    RETURNING lease.name, lease.holder, lease.beat, lease.microseconds
$$;

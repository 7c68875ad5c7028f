-- Releases the leases of a holder.
CREATE OR REPLACE FUNCTION "leftfold_log".release_leases(present_holder text, held text[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, "leftfold_log", pg_temp AS $$
    DELETE FROM lease WHERE lease.name = ANY (held) AND lease.holder = present_holder
$$;

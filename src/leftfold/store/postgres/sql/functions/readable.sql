-- Returns bytes as text, or null if PostgreSQL cannot hold them as text.
CREATE OR REPLACE FUNCTION "leftfold_log".readable(bytes bytea) RETURNS text LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, "leftfold_log", pg_temp AS $$
BEGIN
    RETURN convert_from(bytes, 'UTF8');
EXCEPTION WHEN character_not_in_repertoire OR untranslatable_character THEN
    RETURN NULL;
END
$$;

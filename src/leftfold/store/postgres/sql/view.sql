-- The view `events` of the log "leftfold_log": one row an event for any SQL tool, with the columns that a log in SQLite
-- has. Tags are a JSON array. Bytes that are not UTF-8, or have a NUL among them, are in the column that ends with _hex; the
-- other one is NULL then.

-- Bytes as text where PostgreSQL can hold them as one, else NULL.
CREATE OR REPLACE FUNCTION "leftfold_log".readable(bytes bytea) RETURNS text LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, "leftfold_log", pg_temp AS $$
BEGIN
    RETURN convert_from(bytes, 'UTF8');
EXCEPTION WHEN character_not_in_repertoire OR untranslatable_character THEN
    RETURN NULL;
END
$$;

CREATE VIEW "leftfold_log".events AS
SELECT
    event.position,
    to_char(
        timestamp '1970-01-01'
            + event.time / 1000000 * interval '1 second' + event.time % 1000000 * interval '1 microsecond',
        'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
    ) AS time,
    event.time AS microseconds,
    type.name AS type,
    event.version,
    array_to_json(string_to_array(event.tags, E'\n'))::text AS tags,
    "leftfold_log".readable(event.data) AS data,
    "leftfold_log".readable(event.metadata) AS metadata,
    CASE WHEN "leftfold_log".readable(event.data) IS NULL THEN encode(event.data, 'hex') END AS data_hex,
    CASE WHEN "leftfold_log".readable(event.metadata) IS NULL THEN encode(event.metadata, 'hex') END AS metadata_hex
FROM "leftfold_log".event
JOIN "leftfold_log".type ON type.id = event.type;

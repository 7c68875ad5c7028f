-- One row for each event, for any SQL tool, with the same columns as the view of a log in SQLite. Tags are a JSON array.
-- Bytes that are not UTF-8, or that contain a NUL, are in the column that ends with _hex; the other column is then NULL.
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

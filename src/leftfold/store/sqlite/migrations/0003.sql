-- Format 3: the view events has the same columns, with the same values, as that of a log in PostgreSQL.

DROP VIEW events;

-- One row an event for any SQL tool, with the columns that a log in PostgreSQL has. Tags are a JSON array. Bytes that are not
-- UTF-8, or have a NUL among them, are in the column that ends with _hex; the other one is NULL then.
CREATE VIEW events AS
SELECT
    event.position,
    strftime('%Y-%m-%dT%H:%M:%S', event.time / 1000000, 'unixepoch') || printf('.%06dZ', event.time % 1000000) AS time,
    event.time AS microseconds,
    type.name AS type,
    event.version,
    CASE event.tags
        WHEN '' THEN '[]'
        ELSE '["' || replace(replace(replace(event.tags, '\', '\\'), '"', '\"'), char(10), '","') || '"]'
    END AS tags,
    iif(typeof(event.data) = 'text' AND NOT instr(CAST(event.data AS BLOB), x'00'), event.data, NULL) AS data,
    iif(typeof(event.metadata) = 'text' AND NOT instr(CAST(event.metadata AS BLOB), x'00'), event.metadata, NULL)
        AS metadata,
    iif(typeof(event.data) = 'text' AND NOT instr(CAST(event.data AS BLOB), x'00'), NULL, lower(hex(event.data)))
        AS data_hex,
    iif(
        typeof(event.metadata) = 'text' AND NOT instr(CAST(event.metadata AS BLOB), x'00'),
        NULL,
        lower(hex(event.metadata))
    ) AS metadata_hex
FROM event
JOIN type ON type.id = event.type;

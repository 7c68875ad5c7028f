-- A log in SQLite, format 4. Events are only ever inserted.

CREATE TABLE log (
    id      TEXT NOT NULL,
    created INTEGER NOT NULL    -- microseconds since 1970, UTC
) STRICT;

CREATE TABLE type (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE event (
    position INTEGER PRIMARY KEY,
    time     INTEGER NOT NULL,  -- microseconds since 1970, UTC
    type     INTEGER NOT NULL REFERENCES type (id),
    version  INTEGER NOT NULL,
    tags     TEXT NOT NULL,     -- one a line
    data     ANY NOT NULL,      -- TEXT where the bytes are UTF-8, else BLOB
    metadata ANY NOT NULL
) STRICT;

CREATE INDEX event_type ON event (type);

-- The tags of the events, in segments of the log. The tags of one segment are stored together, so that the tags of new
-- events touch few pages. Segments are merged as the log grows, so that a search looks at only a few of them.
CREATE TABLE segment_tag (
    segment  INTEGER NOT NULL,
    tag      TEXT NOT NULL,
    position INTEGER NOT NULL,
    type     INTEGER NOT NULL,
    PRIMARY KEY (segment, tag, position)
) STRICT, WITHOUT ROWID;

-- The segments to search; each position belongs to exactly one.
CREATE TABLE segment (
    first INTEGER PRIMARY KEY,  -- the events from this position
    last  INTEGER NOT NULL,     -- to this one; the newest segment ends with the largest integer
    id    INTEGER NOT NULL,
    level INTEGER NOT NULL      -- how often its tags have been merged
) STRICT;

-- New segments that are being filled with the tags of the segments from first to last.
CREATE TABLE segment_merge (
    id    INTEGER PRIMARY KEY,
    first INTEGER NOT NULL,
    last  INTEGER NOT NULL,
    level INTEGER NOT NULL
) STRICT;

-- Segments that have been merged into others: nobody searches them, and their tags are being deleted.
CREATE TABLE segment_merged (
    id INTEGER PRIMARY KEY
) STRICT;

INSERT INTO segment (first, last, id, level) VALUES (1, 9223372036854775807, 1, 0);

CREATE TABLE idempotency_key (
    key            TEXT PRIMARY KEY,
    first_position INTEGER NOT NULL,
    last_position  INTEGER NOT NULL,
    digest         BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- One row for each event, for any SQL tool, with the same columns as the view of a log in PostgreSQL. Tags are a JSON array.
-- Bytes that are not UTF-8, or that contain a NUL, are in the column that ends with _hex; the other column is then NULL.
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

CREATE TRIGGER event_is_never_updated BEFORE UPDATE ON event
BEGIN
    SELECT raise(ABORT, 'events are never updated');
END;

CREATE TRIGGER event_is_never_deleted BEFORE DELETE ON event
BEGIN
    SELECT raise(ABORT, 'events are never deleted');
END;

-- Stored rows never change. REPLACE deletes the conflicting row, by default without firing triggers, so triggers before
-- INSERT refuse it.

CREATE TRIGGER event_is_never_replaced BEFORE INSERT ON event
WHEN EXISTS (SELECT 1 FROM event WHERE position = new.position)
BEGIN
    SELECT raise(ABORT, 'events are never replaced');
END;

CREATE TRIGGER type_is_never_updated BEFORE UPDATE ON type
BEGIN
    SELECT raise(ABORT, 'types are never updated');
END;

CREATE TRIGGER type_is_never_deleted BEFORE DELETE ON type
BEGIN
    SELECT raise(ABORT, 'types are never deleted');
END;

CREATE TRIGGER type_is_never_replaced BEFORE INSERT ON type
WHEN EXISTS (SELECT 1 FROM type WHERE id = new.id OR name = new.name)
BEGIN
    SELECT raise(ABORT, 'types are never replaced');
END;

CREATE TRIGGER idempotency_key_is_never_updated BEFORE UPDATE ON idempotency_key
BEGIN
    SELECT raise(ABORT, 'idempotency keys are never updated');
END;

CREATE TRIGGER idempotency_key_is_never_deleted BEFORE DELETE ON idempotency_key
BEGIN
    SELECT raise(ABORT, 'idempotency keys are never deleted');
END;

CREATE TRIGGER idempotency_key_is_never_replaced BEFORE INSERT ON idempotency_key
WHEN EXISTS (SELECT 1 FROM idempotency_key WHERE key = new.key)
BEGIN
    SELECT raise(ABORT, 'idempotency keys are never replaced');
END;

CREATE TRIGGER log_is_never_updated BEFORE UPDATE ON log
BEGIN
    SELECT raise(ABORT, 'the identity of a log is never updated');
END;

CREATE TRIGGER log_is_never_deleted BEFORE DELETE ON log
BEGIN
    SELECT raise(ABORT, 'the identity of a log is never deleted');
END;

CREATE TRIGGER log_has_one_identity BEFORE INSERT ON log
WHEN EXISTS (SELECT 1 FROM log)
BEGIN
    SELECT raise(ABORT, 'a log has one identity');
END;

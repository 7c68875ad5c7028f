-- A log in SQLite, format 1. Events are only ever inserted.

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

CREATE TABLE tag (
    tag      TEXT NOT NULL,
    position INTEGER NOT NULL,
    type     INTEGER NOT NULL,
    PRIMARY KEY (tag, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency_key (
    key            TEXT PRIMARY KEY,
    first_position INTEGER NOT NULL,
    last_position  INTEGER NOT NULL,
    digest         BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE VIEW events AS
SELECT
    event.position,
    strftime('%Y-%m-%dT%H:%M:%S', event.time / 1000000, 'unixepoch') || printf('.%06dZ', event.time % 1000000) AS time,
    type.name AS type,
    event.version,
    event.tags,
    event.data,
    event.metadata
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

PRAGMA application_id = 1818651748;
PRAGMA user_version = 2;
BEGIN TRANSACTION;
CREATE TABLE event (
    position INTEGER PRIMARY KEY,
    time     INTEGER NOT NULL,  -- microseconds since 1970, UTC
    type     INTEGER NOT NULL REFERENCES type (id),
    version  INTEGER NOT NULL,
    tags     TEXT NOT NULL,     -- one a line
    data     ANY NOT NULL,      -- TEXT where the bytes are UTF-8, else BLOB
    metadata ANY NOT NULL
) STRICT;
INSERT INTO "event" VALUES(1,1796023814087500,1,1,'order:o-1','{"order":"o-1","amount":"9.50","waits":"P2D","at":"09:30:00","prices":{"a":1,"b":2}}','{"command":"b16c70c02b4a486ea8110a24e61656f7","command_type":"shop.place","correlation":"b16c70c02b4a486ea8110a24e61656f7"}');
INSERT INTO "event" VALUES(2,1796023814095612,1,1,'order:o-2','{"order":"o-2","amount":"10.00","waits":"PT10800S","at":"12:00:00","prices":{"a":1,"b":2}}','{"command":"d4368e78b33e4f6e9a9fdb8ad92c4fac","command_type":"shop.place","correlation":"d4368e78b33e4f6e9a9fdb8ad92c4fac"}');
INSERT INTO "event" VALUES(3,1796023814096641,1,1,'order:o-3','{"order":"o-3","amount":"-3","waits":"-PT1S","at":"08:00:00.000005","prices":{}}','{"command":"1f8a156629e343bfa75ffd38bbcb4093","command_type":"shop.place","correlation":"1f8a156629e343bfa75ffd38bbcb4093"}');
INSERT INTO "event" VALUES(4,1796023814104642,1,1,'order:o-1','{"order":"o-1","amount":"0.10","waits":"P10D","at":"09:30:00","prices":{"a":1,"b":2}}','{"command":"6d6982e7fb1d4fc985576e0f9c20211e","command_type":"shop.place","correlation":"6d6982e7fb1d4fc985576e0f9c20211e"}');
CREATE TABLE idempotency_key (
    key            TEXT PRIMARY KEY,
    first_position INTEGER NOT NULL,
    last_position  INTEGER NOT NULL,
    digest         BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE log (
    id      TEXT NOT NULL,
    created INTEGER NOT NULL    -- microseconds since 1970, UTC
) STRICT;
INSERT INTO "log" VALUES('e4c888e8a7e7452abe6381d2f30a3d83',1796023811477976);
CREATE TABLE segment (
    first INTEGER PRIMARY KEY,  -- the events from this position
    last  INTEGER NOT NULL,     -- to this one; the newest segment ends with the largest integer
    id    INTEGER NOT NULL,
    level INTEGER NOT NULL      -- how often its tags have been merged
) STRICT;
INSERT INTO "segment" VALUES(1,9223372036854775807,1,0);
CREATE TABLE segment_merge (
    id    INTEGER PRIMARY KEY,
    first INTEGER NOT NULL,
    last  INTEGER NOT NULL,
    level INTEGER NOT NULL
) STRICT;
CREATE TABLE segment_merged (
    id INTEGER PRIMARY KEY
) STRICT;
CREATE TABLE segment_tag (
    segment  INTEGER NOT NULL,
    tag      TEXT NOT NULL,
    position INTEGER NOT NULL,
    type     INTEGER NOT NULL,
    PRIMARY KEY (segment, tag, position)
) STRICT, WITHOUT ROWID;
INSERT INTO "segment_tag" VALUES(1,'order:o-1',1,1);
INSERT INTO "segment_tag" VALUES(1,'order:o-1',4,1);
INSERT INTO "segment_tag" VALUES(1,'order:o-2',2,1);
INSERT INTO "segment_tag" VALUES(1,'order:o-3',3,1);
CREATE TABLE type (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO "type" VALUES(1,'shop.placed');
CREATE INDEX event_type ON event (type);
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
COMMIT;

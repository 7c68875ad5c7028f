-- A log as format 3 has it.
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
INSERT INTO "event" VALUES(1,1767225600000000,3,2,'account:a-1','{"owner":"ann"}','{"actor":"ann"}');
INSERT INTO "event" VALUES(2,1767225600000000,4,1,'account:a-0
account:b-0','{"amount":0}','{}');
INSERT INTO "event" VALUES(3,1767225600000000,4,1,'account:a-1
account:b-1','{"amount":1}','{}');
INSERT INTO "event" VALUES(4,1767225600000000,4,1,'account:a-2
account:b-2','{"amount":2}','{}');
INSERT INTO "event" VALUES(5,1767225600000000,4,1,'account:a-0
account:b-3','{"amount":3}','{}');
INSERT INTO "event" VALUES(6,1767225600000000,4,1,'account:a-1
account:b-4','{"amount":4}','{}');
INSERT INTO "event" VALUES(7,1767225600000000,4,1,'account:a-2
account:b-0','{"amount":5}','{}');
INSERT INTO "event" VALUES(8,1767225600000000,4,1,'account:a-0
account:b-1','{"amount":6}','{}');
INSERT INTO "event" VALUES(9,1767225600000000,4,1,'account:a-1
account:b-2','{"amount":7}','{}');
INSERT INTO "event" VALUES(10,1767225600000000,4,1,'account:a-2
account:b-3','{"amount":8}','{}');
INSERT INTO "event" VALUES(11,1767225600000000,4,1,'account:a-0
account:b-4','{"amount":9}','{}');
INSERT INTO "event" VALUES(12,1767225600000000,4,1,'account:a-1
account:b-0','{"amount":10}','{}');
INSERT INTO "event" VALUES(13,1767225600000000,4,1,'account:a-2
account:b-1','{"amount":11}','{}');
INSERT INTO "event" VALUES(14,1767225600000000,4,1,'account:a-0
account:b-2','{"amount":12}','{}');
INSERT INTO "event" VALUES(15,1767225600000000,4,1,'account:a-1
account:b-3','{"amount":13}','{}');
INSERT INTO "event" VALUES(16,1767225600000000,4,1,'account:a-2
account:b-4','{"amount":14}','{}');
INSERT INTO "event" VALUES(17,1767225600000000,4,1,'account:a-0
account:b-0','{"amount":15}','{}');
INSERT INTO "event" VALUES(18,1767225600000000,4,1,'account:a-1
account:b-1','{"amount":16}','{}');
INSERT INTO "event" VALUES(19,1767225600000000,4,1,'account:a-2
account:b-2','{"amount":17}','{}');
INSERT INTO "event" VALUES(20,1767225600000000,4,1,'account:a-0
account:b-3','{"amount":18}','{}');
INSERT INTO "event" VALUES(21,1767225600000000,4,1,'account:a-1
account:b-4','{"amount":19}','{}');
INSERT INTO "event" VALUES(22,1767225600000000,2,1,'a:''
a:%
ä:ß',X'FF0001',X'FE');
INSERT INTO "event" VALUES(23,1767225600000000,1,1,'','','{}');
INSERT INTO "event" VALUES(24,1767225600000000,1,1,'','','{}');
INSERT INTO "event" VALUES(25,1767225600000000,1,1,'','','{}');
CREATE TABLE idempotency_key (
    key            TEXT PRIMARY KEY,
    first_position INTEGER NOT NULL,
    last_position  INTEGER NOT NULL,
    digest         BLOB NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "idempotency_key" VALUES('k-1',1,1,X'FD52C76D7E4C6E48F02BB9A12DEAFFBE');
INSERT INTO "idempotency_key" VALUES('k-2',22,22,X'AF74878C74B2EB8B6042BB55413599EE');
CREATE TABLE log (
    id      TEXT NOT NULL,
    created INTEGER NOT NULL    -- microseconds since 1970, UTC
) STRICT;
INSERT INTO "log" VALUES('972e5eb087924d60bd31988035474922',1796027251733032);
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
INSERT INTO "segment_tag" VALUES(1,'a:%',22,2);
INSERT INTO "segment_tag" VALUES(1,'a:''',22,2);
INSERT INTO "segment_tag" VALUES(1,'account:a-0',2,4);
INSERT INTO "segment_tag" VALUES(1,'account:a-0',5,4);
INSERT INTO "segment_tag" VALUES(1,'account:a-0',8,4);
INSERT INTO "segment_tag" VALUES(1,'account:a-0',11,4);
INSERT INTO "segment_tag" VALUES(1,'account:a-0',14,4);
INSERT INTO "segment_tag" VALUES(1,'account:a-0',17,4);
INSERT INTO "segment_tag" VALUES(1,'account:a-0',20,4);
INSERT INTO "segment_tag" VALUES(1,'account:a-1',1,3);
INSERT INTO "segment_tag" VALUES(1,'account:a-1',3,4);
INSERT INTO "segment_tag" VALUES(1,'account:a-1',6,4);
INSERT INTO "segment_tag" VALUES(1,'account:a-1',9,4);
INSERT INTO "segment_tag" VALUES(1,'account:a-1',12,4);
INSERT INTO "segment_tag" VALUES(1,'account:a-1',15,4);
INSERT INTO "segment_tag" VALUES(1,'account:a-1',18,4);
INSERT INTO "segment_tag" VALUES(1,'account:a-1',21,4);
INSERT INTO "segment_tag" VALUES(1,'account:a-2',4,4);
INSERT INTO "segment_tag" VALUES(1,'account:a-2',7,4);
INSERT INTO "segment_tag" VALUES(1,'account:a-2',10,4);
INSERT INTO "segment_tag" VALUES(1,'account:a-2',13,4);
INSERT INTO "segment_tag" VALUES(1,'account:a-2',16,4);
INSERT INTO "segment_tag" VALUES(1,'account:a-2',19,4);
INSERT INTO "segment_tag" VALUES(1,'account:b-0',2,4);
INSERT INTO "segment_tag" VALUES(1,'account:b-0',7,4);
INSERT INTO "segment_tag" VALUES(1,'account:b-0',12,4);
INSERT INTO "segment_tag" VALUES(1,'account:b-0',17,4);
INSERT INTO "segment_tag" VALUES(1,'account:b-1',3,4);
INSERT INTO "segment_tag" VALUES(1,'account:b-1',8,4);
INSERT INTO "segment_tag" VALUES(1,'account:b-1',13,4);
INSERT INTO "segment_tag" VALUES(1,'account:b-1',18,4);
INSERT INTO "segment_tag" VALUES(1,'account:b-2',4,4);
INSERT INTO "segment_tag" VALUES(1,'account:b-2',9,4);
INSERT INTO "segment_tag" VALUES(1,'account:b-2',14,4);
INSERT INTO "segment_tag" VALUES(1,'account:b-2',19,4);
INSERT INTO "segment_tag" VALUES(1,'account:b-3',5,4);
INSERT INTO "segment_tag" VALUES(1,'account:b-3',10,4);
INSERT INTO "segment_tag" VALUES(1,'account:b-3',15,4);
INSERT INTO "segment_tag" VALUES(1,'account:b-3',20,4);
INSERT INTO "segment_tag" VALUES(1,'account:b-4',6,4);
INSERT INTO "segment_tag" VALUES(1,'account:b-4',11,4);
INSERT INTO "segment_tag" VALUES(1,'account:b-4',16,4);
INSERT INTO "segment_tag" VALUES(1,'account:b-4',21,4);
INSERT INTO "segment_tag" VALUES(1,'ä:ß',22,2);
CREATE TABLE type (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO "type" VALUES(1,'bare');
INSERT INTO "type" VALUES(2,'odd');
INSERT INTO "type" VALUES(3,'opened');
INSERT INTO "type" VALUES(4,'sent');
CREATE INDEX event_type ON event (type);
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
COMMIT;
PRAGMA application_id = 1818651748;
PRAGMA user_version = 3;

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
INSERT INTO "event" VALUES(1,1796023615813200,1,1,'account:a
owner:owner of a','{"account":"a","owner":"owner of a","kind":"savings"}','{"command":"5baab3b8cb24491ca96f9c8e97fc4ed8","command_type":"Open","correlation":"5baab3b8cb24491ca96f9c8e97fc4ed8"}');
INSERT INTO "event" VALUES(2,1796023615874613,1,1,'account:b
owner:owner of b','{"account":"b","owner":"owner of b","kind":"savings"}','{"command":"b4add90663c24c658a83c9777336f1dd","command_type":"Open","correlation":"b4add90663c24c658a83c9777336f1dd"}');
INSERT INTO "event" VALUES(3,1796023615991792,1,1,'account:c
owner:owner of c','{"account":"c","owner":"owner of c","kind":"savings"}','{"command":"e1d32ef18e424a6a90c06bf8df62e6e0","command_type":"Open","correlation":"e1d32ef18e424a6a90c06bf8df62e6e0"}');
INSERT INTO "event" VALUES(4,1796023616013487,2,1,'account:a','{"account":"a","amount":7}','{"command":"5ce5017d1e93459990c541c45388b97e","command_type":"Deposit","correlation":"5ce5017d1e93459990c541c45388b97e"}');
INSERT INTO "event" VALUES(5,1796023616043727,2,1,'account:a','{"account":"a","amount":8}','{"command":"7a86650b9c4140ef8bd67a062896269e","command_type":"Deposit","correlation":"7a86650b9c4140ef8bd67a062896269e"}');
INSERT INTO "event" VALUES(6,1796023616063935,2,1,'account:a','{"account":"a","amount":9}','{"command":"d9cbb9508f414e31b31b1d56e0d22e55","command_type":"Deposit","correlation":"d9cbb9508f414e31b31b1d56e0d22e55"}');
INSERT INTO "event" VALUES(7,1796023616107530,2,1,'account:a','{"account":"a","amount":10}','{"command":"70a8cca18ec54561bea4c9d6d928f70e","command_type":"Deposit","correlation":"70a8cca18ec54561bea4c9d6d928f70e"}');
INSERT INTO "event" VALUES(8,1796023616146668,2,1,'account:a','{"account":"a","amount":11}','{"command":"ea00d7b68332401081f44bd82d0c7ff8","command_type":"Deposit","correlation":"ea00d7b68332401081f44bd82d0c7ff8"}');
INSERT INTO "event" VALUES(9,1796023616222162,2,1,'account:c','{"account":"c","amount":12}','{"command":"9dc490c0511e480786c0743240a8902b","command_type":"Deposit","correlation":"9dc490c0511e480786c0743240a8902b"}');
INSERT INTO "event" VALUES(10,1796023616238843,3,1,'leftfold.ticket:60e95b748053e824a934ce29232bda51','{"ticket":"60e95b748053e824a934ce29232bda51","command":"Thank","command_version":1,"data":{"account":"a"}}','{"command":"60e95b748053e824a934ce29232bda51","command_type":"Thank","correlation":"ea00d7b68332401081f44bd82d0c7ff8","cause":8,"extra":{"process":"Thanks"}}');
INSERT INTO "event" VALUES(11,1796023616238843,4,1,'leftfold.process:Thanks/a','{"instance":"Thanks/a","position":8,"tickets":["60e95b748053e824a934ce29232bda51"],"names":{},"done":false}','{"correlation":"ea00d7b68332401081f44bd82d0c7ff8","cause":8,"extra":{"process":"Thanks"}}');
INSERT INTO "event" VALUES(12,1796023616257254,6,1,'account:a','{"account":"a"}','{"command":"60e95b748053e824a934ce29232bda51","command_type":"Thank","correlation":"ea00d7b68332401081f44bd82d0c7ff8","cause":8,"extra":{"process":"Thanks"}}');
INSERT INTO "event" VALUES(13,1796023616257254,5,1,'leftfold.ticket:60e95b748053e824a934ce29232bda51','{"ticket":"60e95b748053e824a934ce29232bda51","events":1}','{"command":"60e95b748053e824a934ce29232bda51","command_type":"Thank","correlation":"ea00d7b68332401081f44bd82d0c7ff8","cause":8,"extra":{"process":"Thanks"}}');
INSERT INTO "event" VALUES(14,1796023616271102,3,1,'leftfold.ticket:79dfb616308f3ba52a90f2f90c5e459d','{"ticket":"79dfb616308f3ba52a90f2f90c5e459d","command":"Thank","command_version":1,"data":{"account":"c"}}','{"command":"79dfb616308f3ba52a90f2f90c5e459d","command_type":"Thank","correlation":"9dc490c0511e480786c0743240a8902b","cause":9,"extra":{"process":"Thanks"}}');
INSERT INTO "event" VALUES(15,1796023616271102,4,1,'leftfold.process:Thanks/c','{"instance":"Thanks/c","position":9,"tickets":["79dfb616308f3ba52a90f2f90c5e459d"],"names":{},"done":false}','{"correlation":"9dc490c0511e480786c0743240a8902b","cause":9,"extra":{"process":"Thanks"}}');
INSERT INTO "event" VALUES(16,1796023616299737,6,1,'account:c','{"account":"c"}','{"command":"79dfb616308f3ba52a90f2f90c5e459d","command_type":"Thank","correlation":"9dc490c0511e480786c0743240a8902b","cause":9,"extra":{"process":"Thanks"}}');
INSERT INTO "event" VALUES(17,1796023616299737,5,1,'leftfold.ticket:79dfb616308f3ba52a90f2f90c5e459d','{"ticket":"79dfb616308f3ba52a90f2f90c5e459d","events":1}','{"command":"79dfb616308f3ba52a90f2f90c5e459d","command_type":"Thank","correlation":"9dc490c0511e480786c0743240a8902b","cause":9,"extra":{"process":"Thanks"}}');
INSERT INTO "event" VALUES(18,1796023616337847,7,1,'leftfold.reactor:letters','{"reactor":"letters","position":15,"again":[]}','{}');
INSERT INTO "event" VALUES(19,1796023616399043,7,1,'leftfold.reactor:letters','{"reactor":"letters","position":18,"again":[]}','{}');
CREATE TABLE idempotency_key (
    key            TEXT PRIMARY KEY,
    first_position INTEGER NOT NULL,
    last_position  INTEGER NOT NULL,
    digest         BLOB NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "idempotency_key" VALUES('leftfold.process/Thanks/a/8',10,11,X'');
INSERT INTO "idempotency_key" VALUES('leftfold.process/Thanks/c/9',14,15,X'');
INSERT INTO "idempotency_key" VALUES('open a',1,1,X'44BC039936B7125019BC5BFF9E858226');
INSERT INTO "idempotency_key" VALUES('open b',2,2,X'C3101D9C7C42978A0D7F10BCEB8D2C43');
INSERT INTO "idempotency_key" VALUES('open c',3,3,X'112A73C5152B517E33D57696C193F30B');
CREATE TABLE log (
    id      TEXT NOT NULL,
    created INTEGER NOT NULL    -- microseconds since 1970, UTC
) STRICT;
INSERT INTO "log" VALUES('eea36dc98aab463aafacd6d6267fdf81',1796023614658226);
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
INSERT INTO "segment_tag" VALUES(1,'account:a',1,1);
INSERT INTO "segment_tag" VALUES(1,'account:a',4,2);
INSERT INTO "segment_tag" VALUES(1,'account:a',5,2);
INSERT INTO "segment_tag" VALUES(1,'account:a',6,2);
INSERT INTO "segment_tag" VALUES(1,'account:a',7,2);
INSERT INTO "segment_tag" VALUES(1,'account:a',8,2);
INSERT INTO "segment_tag" VALUES(1,'account:a',12,6);
INSERT INTO "segment_tag" VALUES(1,'account:b',2,1);
INSERT INTO "segment_tag" VALUES(1,'account:c',3,1);
INSERT INTO "segment_tag" VALUES(1,'account:c',9,2);
INSERT INTO "segment_tag" VALUES(1,'account:c',16,6);
INSERT INTO "segment_tag" VALUES(1,'leftfold.process:Thanks/a',11,4);
INSERT INTO "segment_tag" VALUES(1,'leftfold.process:Thanks/c',15,4);
INSERT INTO "segment_tag" VALUES(1,'leftfold.reactor:letters',18,7);
INSERT INTO "segment_tag" VALUES(1,'leftfold.reactor:letters',19,7);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:60e95b748053e824a934ce29232bda51',10,3);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:60e95b748053e824a934ce29232bda51',13,5);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:79dfb616308f3ba52a90f2f90c5e459d',14,3);
INSERT INTO "segment_tag" VALUES(1,'leftfold.ticket:79dfb616308f3ba52a90f2f90c5e459d',17,5);
INSERT INTO "segment_tag" VALUES(1,'owner:owner of a',1,1);
INSERT INTO "segment_tag" VALUES(1,'owner:owner of b',2,1);
INSERT INTO "segment_tag" VALUES(1,'owner:owner of c',3,1);
CREATE TABLE type (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO "type" VALUES(1,'shop.opened');
INSERT INTO "type" VALUES(2,'shop.deposited');
INSERT INTO "type" VALUES(3,'leftfold.command.submitted');
INSERT INTO "type" VALUES(4,'leftfold.process.reacted');
INSERT INTO "type" VALUES(5,'leftfold.command.handled');
INSERT INTO "type" VALUES(6,'shop.thanked');
INSERT INTO "type" VALUES(7,'leftfold.reactor.reacted');
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

-- A log in PostgreSQL, format 1: one schema, whose name stands for "leftfold_log" below. Events are only ever inserted.

CREATE SCHEMA "leftfold_log";

SET LOCAL search_path = "leftfold_log", pg_temp;

CREATE TABLE log (
    id      text NOT NULL,
    created bigint NOT NULL,    -- microseconds since 1970, UTC
    format  integer NOT NULL
);

CREATE TABLE type (
    id   integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE
);

CREATE TABLE event (
    position bigint PRIMARY KEY,
    time     bigint NOT NULL,   -- microseconds since 1970, UTC
    type     integer NOT NULL,
    version  integer NOT NULL,
    tags     text COLLATE "C" NOT NULL,     -- one a line
    data     bytea NOT NULL,
    metadata bytea NOT NULL
);

CREATE INDEX event_type ON event (type, position);

CREATE TABLE tag (
    tag      text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    type     integer NOT NULL,
    PRIMARY KEY (tag, position) INCLUDE (type)
);

CREATE TABLE idempotency_key (
    key            text COLLATE "C" PRIMARY KEY,
    first_position bigint NOT NULL,
    last_position  bigint NOT NULL,
    digest         bytea NOT NULL
);

INSERT INTO log (id, created, format)
VALUES (
    'LOG_ID',
    (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
    1
);

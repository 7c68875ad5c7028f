-- The events. Rows are only ever inserted.
CREATE TABLE "leftfold_log".event (
    position bigint PRIMARY KEY,
    time     bigint NOT NULL,   -- microseconds since 1970, UTC
    type     integer NOT NULL,
    version  integer NOT NULL,
    tags     text COLLATE "C" NOT NULL,     -- one per line
    data     bytea NOT NULL,
    metadata bytea NOT NULL
);

CREATE INDEX event_type ON "leftfold_log".event (type, position);

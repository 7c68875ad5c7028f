-- The identity of the log, in one row.
CREATE TABLE "leftfold_log".log (
    id      text NOT NULL,
    created bigint NOT NULL,    -- microseconds since 1970, UTC
    format  integer NOT NULL
);

INSERT INTO "leftfold_log".log (id, created, format)
VALUES (
    'LOG_ID',
    (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
    1
);

-- The leases of a log's workers: which process does each one's work. Nothing depends on them but who works: what two
-- processes write at once is fenced in the log. The table can be emptied at any time.

CREATE TABLE IF NOT EXISTS "leftfold_log".lease (
    name         text PRIMARY KEY,
    holder       text NOT NULL,
    beat         bigint NOT NULL,
    microseconds bigint NOT NULL    -- since 1970, UTC, when the holder was last heard of; for people
);

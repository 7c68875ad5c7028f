-- The leases of the workers on this log: which process does which work. Losing them is harmless, because the log itself
-- refuses the writes of a worker that was replaced. The table can be emptied at any time.
CREATE TABLE IF NOT EXISTS "leftfold_log".lease (
    name         text PRIMARY KEY,
    holder       text NOT NULL,
    beat         bigint NOT NULL,
    microseconds bigint NOT NULL    -- since 1970, UTC, when the holder last renewed it; for people
);

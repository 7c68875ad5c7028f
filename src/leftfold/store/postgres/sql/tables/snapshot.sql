-- Snapshots of decision models: at most one for each model and key. A state is only used while the log has the same event
-- at its position. Losing them only costs time. The table can be emptied at any time.
CREATE TABLE "leftfold_log".snapshot (
    model       text COLLATE "C" NOT NULL,
    key_digest  text COLLATE "C" NOT NULL,  -- the SHA-256 of the key in hex: an index cannot hold every key
    key         text COLLATE "C" NOT NULL,
    fingerprint text COLLATE "C" NOT NULL,
    position    bigint NOT NULL,
    state       text COLLATE "C" NOT NULL,
    identity    text COLLATE "C" NOT NULL,  -- of the event at the position
    PRIMARY KEY (model, key_digest)
);

CREATE INDEX snapshot_position ON "leftfold_log".snapshot (position);

REVOKE ALL ON "leftfold_log".snapshot FROM PUBLIC;

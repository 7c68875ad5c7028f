-- The idempotency keys of appends: the positions that each stands for, and the digest of its payload.
CREATE TABLE "leftfold_log".idempotency_key (
    key            text COLLATE "C" PRIMARY KEY,
    first_position bigint NOT NULL,
    last_position  bigint NOT NULL,
    digest         bytea NOT NULL
);

PRAGMA application_id = 0;
PRAGMA user_version = 0;
BEGIN TRANSACTION;
CREATE TABLE snapshot (
        log         TEXT NOT NULL,
        model       TEXT NOT NULL,
        key         TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        position    INTEGER NOT NULL,
        state       TEXT NOT NULL,
        identity    TEXT NOT NULL,  -- of the event at the position
        PRIMARY KEY (log, model, key)
    ) STRICT;
INSERT INTO "snapshot" VALUES('bcefe3c603f24b7f98796417f5abe676','Customer','["ann"]','source-1:95f5f6e5dd705ebf:8cd9a6dda35ba5e5cde4f1643b48be9a',12,'{"customer":"ann","parcels":["imported","v1","cancelled","p1","p2"],"fees":"12.50"}','62b7b5a6de697c853968d4df5c875c85f43e577a5e93b9628793ab0e8427ee96');
INSERT INTO "snapshot" VALUES('bcefe3c603f24b7f98796417f5abe676','Customer','["bob"]','source-1:95f5f6e5dd705ebf:8cd9a6dda35ba5e5cde4f1643b48be9a',12,'{"customer":"bob","parcels":["bad scales letters van","worse scales letters transport","bad transport","bad stops"],"fees":"10.00"}','62b7b5a6de697c853968d4df5c875c85f43e577a5e93b9628793ab0e8427ee96');
COMMIT;

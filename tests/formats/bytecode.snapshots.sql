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
        PRIMARY KEY (log, model, key)
    ) STRICT;
INSERT INTO "snapshot" VALUES('eea36dc98aab463aafacd6d6267fdf81','Account','["a"]','1ccdcd13fd35cbeea0992adb66fc8c53',6,'{"account":"a","kind":"savings","balance":24,"counts":[]}');
COMMIT;

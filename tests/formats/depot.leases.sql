PRAGMA application_id = 0;
PRAGMA user_version = 0;
BEGIN TRANSACTION;
CREATE TABLE lease (
        log          TEXT NOT NULL,
        name         TEXT NOT NULL,
        holder       TEXT NOT NULL,
        beat         INTEGER NOT NULL,
        microseconds INTEGER NOT NULL,
        PRIMARY KEY (log, name)
    ) STRICT;
INSERT INTO "lease" VALUES('bcefe3c603f24b7f98796417f5abe676','types of depot','depot.booked
depot.counted
depot.delivered
depot.dispatched
depot.reminded
depot.sent',1,1740718800000000);
INSERT INTO "lease" VALUES('bcefe3c603f24b7f98796417f5abe676','commands of depot f83a4d97','32743@depot-1 0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0 pid:[4026531836] 3644975 99089cdbeaf94106a6d304ac70522ad5 depot 0',12,1740718800000000);
INSERT INTO "lease" VALUES('bcefe3c603f24b7f98796417f5abe676','process depot.transport','32743@depot-1 0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0 pid:[4026531836] 3644975 99089cdbeaf94106a6d304ac70522ad5 depot 3',10,1740718800000000);
INSERT INTO "lease" VALUES('bcefe3c603f24b7f98796417f5abe676','process depot.farewell','32743@depot-1 0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0 pid:[4026531836] 3644975 99089cdbeaf94106a6d304ac70522ad5 depot 1',8,1740718800000000);
INSERT INTO "lease" VALUES('bcefe3c603f24b7f98796417f5abe676','reactor letters','32743@depot-1 0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0 pid:[4026531836] 3644975 99089cdbeaf94106a6d304ac70522ad5 depot 1',6,1740718800000000);
INSERT INTO "lease" VALUES('bcefe3c603f24b7f98796417f5abe676','reactor bells','32743@depot-1 0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0 pid:[4026531836] 3644975 99089cdbeaf94106a6d304ac70522ad5 depot 1',4,1740718800000000);
COMMIT;

PRAGMA application_id = 0;
PRAGMA user_version = 0;
BEGIN TRANSACTION;
CREATE TABLE account (
	customer VARCHAR NOT NULL, 
	parcels BIGINT NOT NULL, 
	grams BIGINT NOT NULL, 
	PRIMARY KEY (customer)
)
 WITHOUT ROWID

;
INSERT INTO "account" VALUES('ann',6,6550);
INSERT INTO "account" VALUES('bob',4,10200);
CREATE TABLE leftfold_checkpoint (
	model VARCHAR NOT NULL, 
	position BIGINT NOT NULL, 
	build VARCHAR NOT NULL, 
	fingerprint VARCHAR NOT NULL, 
	log_id VARCHAR NOT NULL, 
	tables VARCHAR NOT NULL, 
	version BIGINT DEFAULT '1' NOT NULL, 
	anchor VARCHAR, 
	PRIMARY KEY (model)
);
INSERT INTO "leftfold_checkpoint" VALUES('shelf',134,'a094b1057dbf4656a5b40198cd151f4b','source-1:efeadd876026a4cd:5cedfb10356111225bbc9b617eacd934/2','bcefe3c603f24b7f98796417f5abe676','shelf shelf_history',1,'134:9f3590fe26c71c279c77c24bdc184574c38692ae8e5f521915250c23fc2decfa');
INSERT INTO "leftfold_checkpoint" VALUES('weight',134,'b7941a6cefb64d5fad59cb0b98d67fea','source-1:7f5bbe2c3cea79ee:16f56caa9f06faa95e9a0f2ff28eca30/2','bcefe3c603f24b7f98796417f5abe676','weight',1,'134:9f3590fe26c71c279c77c24bdc184574c38692ae8e5f521915250c23fc2decfa');
INSERT INTO "leftfold_checkpoint" VALUES('account#1/2',134,'2d9dbc66f15441439ab745b5fa12ca00','source-1:5f403037d49e637b:f441a1a9231ad1ae91963b6a4bc3014f','bcefe3c603f24b7f98796417f5abe676','account',1,'134:9f3590fe26c71c279c77c24bdc184574c38692ae8e5f521915250c23fc2decfa');
INSERT INTO "leftfold_checkpoint" VALUES('account#2/2',134,'918f9a920c324f9f92aac9c4df2f4567','source-1:5f403037d49e637b:f441a1a9231ad1ae91963b6a4bc3014f','bcefe3c603f24b7f98796417f5abe676','account',1,'134:9f3590fe26c71c279c77c24bdc184574c38692ae8e5f521915250c23fc2decfa');
INSERT INTO "leftfold_checkpoint" VALUES('lines',134,'e068446fc94643be8a01c66618e78210','source-1:1d28f8c590ce906a:66805e057d49b2b94ce0115011c49666','bcefe3c603f24b7f98796417f5abe676','lines',1,'134:9f3590fe26c71c279c77c24bdc184574c38692ae8e5f521915250c23fc2decfa');
INSERT INTO "leftfold_checkpoint" VALUES('stops',72,'7a40cd62d9a84ea7b9e7ccd8f78ce678','source-1:a315fcc8e9106dc0:99245817affa3c841b61c358ee07009d','bcefe3c603f24b7f98796417f5abe676','stops',1,'72:55947e3659122bd3db3774b4cdef8e4e6ef355591664582592a379a12c0a0f5b');
CREATE TABLE leftfold_lease (
	name VARCHAR NOT NULL, 
	holder VARCHAR NOT NULL, 
	beat BIGINT NOT NULL, 
	microseconds BIGINT NOT NULL, 
	PRIMARY KEY (name)
)
 WITHOUT ROWID

;
INSERT INTO "leftfold_lease" VALUES('present: projection account v1 shard 1/2: 32743@depot-1 0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0 pid:[4026531836] 3644975 99089cdbeaf94106a6d304ac70522ad5 depot 0','32743@depot-1 0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0 pid:[4026531836] 3644975 99089cdbeaf94106a6d304ac70522ad5 depot 0',1,1796055887542419);
INSERT INTO "leftfold_lease" VALUES('projection account v1 shard 1/2','32743@depot-1 0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0 pid:[4026531836] 3644975 99089cdbeaf94106a6d304ac70522ad5 depot 0',2,1796055887566430);
INSERT INTO "leftfold_lease" VALUES('projection account v1 shard 2/2','32743@depot-1 0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0 pid:[4026531836] 3644975 99089cdbeaf94106a6d304ac70522ad5 depot 0',2,1796055887568433);
INSERT INTO "leftfold_lease" VALUES('projection lines v1','32743@depot-1 0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0 pid:[4026531836] 3644975 99089cdbeaf94106a6d304ac70522ad5 depot 0',2,1796055887562561);
INSERT INTO "leftfold_lease" VALUES('projection shelf v1','32743@depot-1 0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0 pid:[4026531836] 3644975 99089cdbeaf94106a6d304ac70522ad5 depot 0',2,1796055887555623);
INSERT INTO "leftfold_lease" VALUES('projection stops v1','32743@depot-1 0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0 pid:[4026531836] 3644975 99089cdbeaf94106a6d304ac70522ad5 depot 0',2,1796055887564172);
INSERT INTO "leftfold_lease" VALUES('projection weight v1','32743@depot-1 0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0 pid:[4026531836] 3644975 99089cdbeaf94106a6d304ac70522ad5 depot 0',2,1796055887560881);
CREATE TABLE leftfold_parked (
	model VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	position BIGINT NOT NULL, 
	problem VARCHAR NOT NULL, 
	traceback VARCHAR, 
	PRIMARY KEY (model, "key")
)
 WITHOUT ROWID

;
INSERT INTO "leftfold_parked" VALUES('stops','[]',73,'ValueError: bad stops does not go through the stops','Traceback (most recent call last):
  File "/srv/depot/src/leftfold/query/tables/free_folding.py", line 73, in _step
    self._write(batch)
  File "/srv/depot/src/leftfold/query/tables/free_folding.py", line 135, in _write
    self._handling.handle(connection, batch.events)
  File "/srv/depot/src/leftfold/query/tables/handling.py", line 77, in handle
    self._handler.function(event, connection, *more)
  File "/srv/depot/tests/formats/depot.py", line 279, in write_stop
    check(event.parcel, "stops")
  File "/srv/depot/tests/formats/depot.py", line 55, in check
    raise ValueError(f"{parcel} does not go through the {where}")
ValueError: bad stops does not go through the stops

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/srv/depot/src/leftfold/query/tables/handling.py", line 94, in handle_one_by_one
    self.handle(connection, [event])
  File "/srv/depot/src/leftfold/query/tables/handling.py", line 77, in handle
    self._handler.function(event, connection, *more)
  File "/srv/depot/tests/formats/depot.py", line 279, in write_stop
    check(event.parcel, "stops")
  File "/srv/depot/tests/formats/depot.py", line 55, in check
    raise ValueError(f"{parcel} does not go through the {where}")
ValueError: bad stops does not go through the stops');
INSERT INTO "leftfold_parked" VALUES('weight','["bad scales letters van"]',9,'ValueError: bad scales letters van does not go through the scales','Traceback (most recent call last):
  File "/srv/depot/src/leftfold/query/batch_fold.py", line 109, in fold
    state = self._next(key, row.state, concern)
            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/srv/depot/src/leftfold/query/batch_fold.py", line 135, in _next
    after = self._evolve(self._start(key) if state is None else state, event)
            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/srv/depot/tests/formats/depot.py", line 167, in evolve
    check(event.parcel, "scales")
  File "/srv/depot/tests/formats/depot.py", line 55, in check
    raise ValueError(f"{parcel} does not go through the {where}")
ValueError: bad scales letters van does not go through the scales');
CREATE TABLE leftfold_parked_event (
	model VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	position BIGINT NOT NULL, 
	PRIMARY KEY (model, "key", position)
)
 WITHOUT ROWID

;
INSERT INTO "leftfold_parked_event" VALUES('stops','[]',73);
INSERT INTO "leftfold_parked_event" VALUES('weight','["bad scales letters van"]',9);
INSERT INTO "leftfold_parked_event" VALUES('weight','["bad scales letters van"]',74);
CREATE TABLE lines (
	position BIGINT NOT NULL, 
	parcel VARCHAR NOT NULL, 
	actor VARCHAR, 
	PRIMARY KEY (position)
);
INSERT INTO "lines" VALUES(2,'imported',NULL);
INSERT INTO "lines" VALUES(3,'v1','former');
INSERT INTO "lines" VALUES(4,'v1',NULL);
INSERT INTO "lines" VALUES(6,'cancelled','eve');
INSERT INTO "lines" VALUES(7,'p1','eve');
INSERT INTO "lines" VALUES(8,'p2','eve');
INSERT INTO "lines" VALUES(9,'bad scales letters van','eve');
INSERT INTO "lines" VALUES(10,'worse scales letters transport','eve');
INSERT INTO "lines" VALUES(11,'bad transport','eve');
INSERT INTO "lines" VALUES(12,'bad stops','eve');
INSERT INTO "lines" VALUES(42,'imported',NULL);
INSERT INTO "lines" VALUES(46,'v1',NULL);
INSERT INTO "lines" VALUES(48,'cancelled',NULL);
INSERT INTO "lines" VALUES(50,'p1',NULL);
INSERT INTO "lines" VALUES(52,'p2',NULL);
INSERT INTO "lines" VALUES(55,'bad stops',NULL);
INSERT INTO "lines" VALUES(120,'bad letters late',NULL);
INSERT INTO "lines" VALUES(128,'bad letters late',NULL);
CREATE TABLE shelf (
	parcel VARCHAR NOT NULL, 
	customer VARCHAR NOT NULL, 
	size VARCHAR NOT NULL, 
	fee VARCHAR COLLATE "RTRIM" NOT NULL, 
	sent VARCHAR, 
	delivered BOOLEAN NOT NULL, 
	PRIMARY KEY (parcel)
)
 WITHOUT ROWID

;
INSERT INTO "shelf" VALUES('bad letters late','ann','small','a1 2.5 ','2025-02-28 05:00:00.000000+00:00',0);
INSERT INTO "shelf" VALUES('bad scales letters van','bob','large','a1 2.5 ',NULL,0);
INSERT INTO "shelf" VALUES('bad stops','bob','large','a1 2.5 ','2025-02-26 12:00:00.000000+00:00',1);
INSERT INTO "shelf" VALUES('bad transport','bob','large','a1 2.5 ',NULL,0);
INSERT INTO "shelf" VALUES('cancelled','ann','small','a1 2.5 ','2025-02-26 12:00:00.000000+00:00',0);
INSERT INTO "shelf" VALUES('imported','ann','small','a1 2.5 ','2025-02-26 12:00:00.000000+00:00',0);
INSERT INTO "shelf" VALUES('p1','ann','small','a1 2.5 ','2025-02-26 12:00:00.000000+00:00',1);
INSERT INTO "shelf" VALUES('p2','ann','large','a1 2.5 ','2025-02-26 12:00:00.000000+00:00',0);
INSERT INTO "shelf" VALUES('v1','ann','small','a1 2.5 ','2025-02-26 12:00:00.000000+00:00',0);
INSERT INTO "shelf" VALUES('worse scales letters transport','bob','large','a1 2.5 ',NULL,0);
CREATE TABLE shelf_history (
	parcel VARCHAR NOT NULL, 
	customer VARCHAR NOT NULL, 
	size VARCHAR NOT NULL, 
	fee VARCHAR COLLATE "RTRIM" NOT NULL, 
	sent VARCHAR, 
	delivered BOOLEAN NOT NULL, 
	valid_from BIGINT NOT NULL, 
	valid_until BIGINT, 
	PRIMARY KEY (parcel, valid_from)
)
 WITHOUT ROWID

;
INSERT INTO "shelf_history" VALUES('bad letters late','ann','small','a1 2.5 ',NULL,0,120,128);
INSERT INTO "shelf_history" VALUES('bad letters late','ann','small','a1 2.5 ','2025-02-28 05:00:00.000000+00:00',0,128,NULL);
INSERT INTO "shelf_history" VALUES('bad scales letters van','bob','large','a1 2.5 ',NULL,0,9,NULL);
INSERT INTO "shelf_history" VALUES('bad stops','bob','large','a1 2.5 ',NULL,0,12,55);
INSERT INTO "shelf_history" VALUES('bad stops','bob','large','a1 2.5 ','2025-02-26 12:00:00.000000+00:00',0,55,73);
INSERT INTO "shelf_history" VALUES('bad stops','bob','large','a1 2.5 ','2025-02-26 12:00:00.000000+00:00',1,73,NULL);
INSERT INTO "shelf_history" VALUES('bad transport','bob','large','a1 2.5 ',NULL,0,11,NULL);
INSERT INTO "shelf_history" VALUES('cancelled','ann','small','a1 2.5 ',NULL,0,6,48);
INSERT INTO "shelf_history" VALUES('cancelled','ann','small','a1 2.5 ','2025-02-26 12:00:00.000000+00:00',0,48,NULL);
INSERT INTO "shelf_history" VALUES('imported','ann','small','a1 2.5 ',NULL,0,2,42);
INSERT INTO "shelf_history" VALUES('imported','ann','small','a1 2.5 ','2025-02-26 12:00:00.000000+00:00',0,42,NULL);
INSERT INTO "shelf_history" VALUES('p1','ann','small','a1 2.5 ',NULL,0,7,50);
INSERT INTO "shelf_history" VALUES('p1','ann','small','a1 2.5 ','2025-02-26 12:00:00.000000+00:00',0,50,72);
INSERT INTO "shelf_history" VALUES('p1','ann','small','a1 2.5 ','2025-02-26 12:00:00.000000+00:00',1,72,NULL);
INSERT INTO "shelf_history" VALUES('p2','ann','large','a1 2.5 ',NULL,0,8,52);
INSERT INTO "shelf_history" VALUES('p2','ann','large','a1 2.5 ','2025-02-26 12:00:00.000000+00:00',0,52,NULL);
INSERT INTO "shelf_history" VALUES('v1','ann','small','a1 2.5 ',NULL,0,3,4);
INSERT INTO "shelf_history" VALUES('v1','ann','small','a1 2.5 ','2025-02-26 12:00:00.000000+00:00',0,4,46);
INSERT INTO "shelf_history" VALUES('v1','ann','small','a1 2.5 ','2025-02-26 12:00:00.000000+00:00',0,46,NULL);
INSERT INTO "shelf_history" VALUES('worse scales letters transport','bob','large','a1 2.5 ',NULL,0,10,NULL);
CREATE TABLE stops (
	parcel VARCHAR NOT NULL, 
	PRIMARY KEY (parcel)
);
INSERT INTO "stops" VALUES('p1');
CREATE TABLE weight (
	parcel VARCHAR NOT NULL, 
	grams BIGINT NOT NULL, 
	reminders JSON NOT NULL, 
	PRIMARY KEY (parcel)
)
 WITHOUT ROWID

;
INSERT INTO "weight" VALUES('bad letters late',50,'[]');
INSERT INTO "weight" VALUES('bad stops',3000,'[]');
INSERT INTO "weight" VALUES('bad transport',3000,'[]');
INSERT INTO "weight" VALUES('cancelled',500,'[]');
INSERT INTO "weight" VALUES('imported',900,'[0]');
INSERT INTO "weight" VALUES('p1',700,'[]');
INSERT INTO "weight" VALUES('p2',1400,'[]');
INSERT INTO "weight" VALUES('v1',3000,'[]');
CREATE INDEX shelf_history_until ON shelf_history (valid_until, valid_from);
COMMIT;

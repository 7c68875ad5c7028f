PRAGMA application_id = 0;
PRAGMA user_version = 0;
BEGIN TRANSACTION;
CREATE TABLE balance (
	account VARCHAR NOT NULL, 
	owner VARCHAR NOT NULL, 
	kind VARCHAR, 
	total BIGINT NOT NULL, 
	interest VARCHAR COLLATE leftfold_decimal NOT NULL, 
	note VARCHAR NOT NULL, 
	PRIMARY KEY (account)
)
 WITHOUT ROWID

;
INSERT INTO "balance" VALUES('a','owner of a','savings',45,'0.90','  11 of B');
INSERT INTO "balance" VALUES('b','owner of b','savings',0,'0','');
INSERT INTO "balance" VALUES('c','owner of c','savings',12,'0.24','  12 of B');
CREATE TABLE divided (
	account VARCHAR NOT NULL, 
	times BIGINT NOT NULL, 
	seen JSON NOT NULL, 
	PRIMARY KEY (account)
)
 WITHOUT ROWID

;
INSERT INTO "divided" VALUES('a',5,'[7, 8, 9, 10, 11]');
INSERT INTO "divided" VALUES('c',1,'[12]');
CREATE TABLE latest (
	account VARCHAR NOT NULL, 
	amount BIGINT NOT NULL, 
	PRIMARY KEY (account)
)
 WITHOUT ROWID

;
INSERT INTO "latest" VALUES('a',11);
INSERT INTO "latest" VALUES('c',12);
CREATE TABLE latest_history (
	account VARCHAR NOT NULL, 
	amount BIGINT NOT NULL, 
	valid_from BIGINT NOT NULL, 
	valid_until BIGINT, 
	PRIMARY KEY (account, valid_from)
)
 WITHOUT ROWID

;
INSERT INTO "latest_history" VALUES('a',7,4,5);
INSERT INTO "latest_history" VALUES('a',8,5,6);
INSERT INTO "latest_history" VALUES('a',9,6,7);
INSERT INTO "latest_history" VALUES('a',10,7,8);
INSERT INTO "latest_history" VALUES('a',11,8,NULL);
INSERT INTO "latest_history" VALUES('c',12,9,NULL);
CREATE TABLE leftfold_checkpoint (
	model VARCHAR NOT NULL, 
	position BIGINT NOT NULL, 
	build VARCHAR NOT NULL, 
	fingerprint VARCHAR NOT NULL, 
	log_id VARCHAR NOT NULL, 
	tables VARCHAR NOT NULL, 
	version BIGINT DEFAULT '1' NOT NULL, 
	PRIMARY KEY (model)
);
INSERT INTO "leftfold_checkpoint" VALUES('balance',19,'42b9cf11a98342c3916246182a36ffa9','f5daeedb75931c530c4a8093c41eda9a','eea36dc98aab463aafacd6d6267fdf81','balance',1);
INSERT INTO "leftfold_checkpoint" VALUES('latest',19,'14ce23ed8b324bdb8619179236c40e20','c093eb53b2e0c4043e8b7f248c623731','eea36dc98aab463aafacd6d6267fdf81','latest latest_history',1);
INSERT INTO "leftfold_checkpoint" VALUES('divided#1/2',19,'5c59170ca9274e89af01c914745eaea1','6f29d1e3edf7007beba40f62efbf8f37','eea36dc98aab463aafacd6d6267fdf81','divided',1);
INSERT INTO "leftfold_checkpoint" VALUES('divided#2/2',19,'e54253548a8a43a8a336b67dab47a209','6f29d1e3edf7007beba40f62efbf8f37','eea36dc98aab463aafacd6d6267fdf81','divided',1);
INSERT INTO "leftfold_checkpoint" VALUES('lines',19,'bc03c06d993448a1ae708f550ed8bfc9','da5ae71b45801efc944db1ee30f2dff5','eea36dc98aab463aafacd6d6267fdf81','lines',1);
CREATE TABLE leftfold_lease (
	name VARCHAR NOT NULL, 
	holder VARCHAR NOT NULL, 
	beat BIGINT NOT NULL, 
	microseconds BIGINT NOT NULL, 
	PRIMARY KEY (name)
)
 WITHOUT ROWID

;
CREATE TABLE leftfold_parked (
	model VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	position BIGINT NOT NULL, 
	problem VARCHAR NOT NULL, 
	PRIMARY KEY (model, "key")
)
 WITHOUT ROWID

;
CREATE TABLE leftfold_parked_event (
	model VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	position BIGINT NOT NULL, 
	PRIMARY KEY (model, "key", position)
)
 WITHOUT ROWID

;
CREATE TABLE lines (
	account VARCHAR, 
	amount INTEGER
);
INSERT INTO "lines" VALUES('a',7);
INSERT INTO "lines" VALUES('a',8);
INSERT INTO "lines" VALUES('a',9);
INSERT INTO "lines" VALUES('a',10);
INSERT INTO "lines" VALUES('a',11);
INSERT INTO "lines" VALUES('c',12);
CREATE INDEX latest_history_until ON latest_history (valid_until, valid_from);
COMMIT;

BEGIN TRANSACTION;
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
INSERT INTO "leftfold_checkpoint" VALUES('order',4,'b713a4b75e694bd8980596e62232bc5e','24e9f5e0c301dd3475a865cf7a533664','e4c888e8a7e7452abe6381d2f30a3d83','order order_history',1);
INSERT INTO "leftfold_checkpoint" VALUES('prices',4,'ede29ca4db514a76845fc63fbc033d7e','166606135abe15dfd5dbcf039e6e50cf','e4c888e8a7e7452abe6381d2f30a3d83','prices',1);
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
CREATE TABLE "order" (
	"order" VARCHAR NOT NULL, 
	amount VARCHAR COLLATE leftfold_decimal NOT NULL, 
	waits JSON NOT NULL, 
	at JSON NOT NULL, 
	maybe VARCHAR COLLATE leftfold_decimal, 
	PRIMARY KEY ("order")
)
 WITHOUT ROWID

;
INSERT INTO "order" VALUES('o-1','9.60','"P10D"','"09:30:00"',NULL);
INSERT INTO "order" VALUES('o-2','10.00','"PT10800S"','"12:00:00"',NULL);
INSERT INTO "order" VALUES('o-3','-3','"-PT1S"','"08:00:00.000005"',NULL);
CREATE TABLE order_history (
	"order" VARCHAR NOT NULL, 
	amount VARCHAR COLLATE leftfold_decimal NOT NULL, 
	waits JSON NOT NULL, 
	at JSON NOT NULL, 
	maybe VARCHAR COLLATE leftfold_decimal, 
	valid_from BIGINT NOT NULL, 
	valid_until BIGINT, 
	PRIMARY KEY ("order", valid_from)
)
 WITHOUT ROWID

;
INSERT INTO "order_history" VALUES('o-1','9.50','"P2D"','"09:30:00"',NULL,1,4);
INSERT INTO "order_history" VALUES('o-1','9.60','"P10D"','"09:30:00"',NULL,4,NULL);
INSERT INTO "order_history" VALUES('o-2','10.00','"PT10800S"','"12:00:00"',NULL,2,NULL);
INSERT INTO "order_history" VALUES('o-3','-3','"-PT1S"','"08:00:00.000005"',NULL,3,NULL);
CREATE TABLE prices (
	"order" VARCHAR NOT NULL, 
	prices JSON NOT NULL, 
	PRIMARY KEY ("order")
)
 WITHOUT ROWID

;
INSERT INTO "prices" VALUES('o-1','{"a": 1, "b": 2}');
INSERT INTO "prices" VALUES('o-2','{"a": 1, "b": 2}');
INSERT INTO "prices" VALUES('o-3','{}');
CREATE INDEX order_history_until ON order_history (valid_until, valid_from);
COMMIT;

-- The tags of the events, with the type, so that a search by tag and type does not read `event`.
CREATE TABLE "leftfold_log".tag (
    tag      text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    type     integer NOT NULL,
    PRIMARY KEY (tag, position) INCLUDE (type)
);

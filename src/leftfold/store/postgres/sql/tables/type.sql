-- The names of the types of events.
CREATE TABLE "leftfold_log".type (
    id   integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE
);

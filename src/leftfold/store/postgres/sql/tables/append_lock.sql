-- An append locks this empty table. Only the owner may lock it, and so only the functions do. The id of the log is part of
-- its name: the functions of a renamed schema do not find the table in another log that has taken the old name.
CREATE TABLE IF NOT EXISTS "leftfold_log"."append_lock_LOG_ID" ();

-- The schema of a log, format 1. Its name stands for "leftfold_log" in all of these files.
CREATE SCHEMA "leftfold_log";

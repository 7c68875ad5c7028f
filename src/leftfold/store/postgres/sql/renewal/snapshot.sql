-- Adds the table of snapshots to a log of an older leftfold, in the name of the owner of the log.
SET LOCAL lock_timeout = '1s';
LOCK TABLE "leftfold_log".log IN SHARE ROW EXCLUSIVE MODE;
DO $outer$
BEGIN
    IF to_regclass('"leftfold_log".snapshot') IS NULL THEN  -- else another process has made it
        EXECUTE $script${snapshot}$script$;
        EXECUTE format(
            'ALTER TABLE "leftfold_log".snapshot OWNER TO %I',
            (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = '"leftfold_log".log'::regclass)
        );
    END IF;
END $outer$;

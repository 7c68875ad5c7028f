-- Rights on the snapshots for the roles of the log, if they have rights on the log. The writer writes and deletes snapshots
-- and cannot read a state; the reader selects.
DO $$
BEGIN
    IF to_regclass('"leftfold_log".snapshot') IS NULL THEN
        RETURN;
    END IF;
    IF EXISTS (
        SELECT FROM pg_roles
        JOIN pg_proc ON proname = 'append' AND pronamespace = '"leftfold_log"'::regnamespace
        WHERE rolname = 'leftfold_log_writer' AND has_function_privilege(pg_roles.oid, pg_proc.oid, 'EXECUTE')
    ) THEN
        GRANT INSERT, UPDATE, DELETE, SELECT (model, key_digest, fingerprint, position)
        ON "leftfold_log".snapshot TO "leftfold_log_writer";
    END IF;
    IF EXISTS (
        SELECT FROM pg_roles
        WHERE rolname = 'leftfold_log_reader' AND has_table_privilege(oid, '"leftfold_log".event', 'SELECT')
    ) THEN
        GRANT SELECT ON "leftfold_log".snapshot TO "leftfold_log_reader";
    END IF;
END
$$;

-- The two roles of a log. The writer may call the functions that append and that manage leases, and may write snapshots; the
-- reader may select. They may do nothing else. Grant both to the role of a program: GRANT "leftfold_log_writer" TO app.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'leftfold_log_writer') THEN
        CREATE ROLE "leftfold_log_writer" NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'leftfold_log_reader') THEN
        CREATE ROLE "leftfold_log_reader" NOLOGIN;
    END IF;
END
$$;

REVOKE ALL ON ALL TABLES IN SCHEMA "leftfold_log" FROM PUBLIC, "leftfold_log_writer", "leftfold_log_reader";
GRANT USAGE ON SCHEMA "leftfold_log" TO "leftfold_log_writer", "leftfold_log_reader";
GRANT EXECUTE ON FUNCTION
    "leftfold_log".append, "leftfold_log".append_few, "leftfold_log".take_lease, "leftfold_log".beat_leases,
    "leftfold_log".release_leases, "leftfold_log".listen
TO "leftfold_log_writer";
GRANT SELECT ON ALL TABLES IN SCHEMA "leftfold_log" TO "leftfold_log_reader";
GRANT EXECUTE ON FUNCTION "leftfold_log".listen, "leftfold_log".readable TO "leftfold_log_reader";

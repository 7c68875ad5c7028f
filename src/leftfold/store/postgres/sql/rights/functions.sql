-- Rights on the functions: PUBLIC may call none of them. A role that already has rights on the log gets the rights on the
-- functions that go with them. This runs last: the comment marks the functions as complete, by the number of the revision.
DO $$
DECLARE
    function record;
    role record;
BEGIN
    FOR function IN
        SELECT oid::regprocedure AS name
        FROM pg_proc
        WHERE pronamespace = '"leftfold_log"'::regnamespace
            AND pg_has_role(proowner, 'USAGE')
            AND proname IN (
                'append', 'append_few', 'beat_leases', 'check_dating', 'listen', 'matching',
                'may_date_events', 'readable', 'refuse', 'release_leases', 'take_lease'
            )
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', function.name);
    END LOOP;
    FOR role IN
        SELECT
            bool_or(may.is_grantable) AND may.grantee <> 0 AS may_pass_on,
            CASE may.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(may.grantee)) END AS name,
            needed.function AS function
        FROM (
            SELECT proname::text AS object, grantee, privilege_type, is_grantable
            FROM pg_proc CROSS JOIN aclexplode(proacl)
            WHERE pronamespace = '"leftfold_log"'::regnamespace AND grantee <> 0
            UNION ALL
            SELECT relname, grantee, privilege_type, is_grantable
            FROM pg_class CROSS JOIN aclexplode(relacl)
            WHERE relnamespace = '"leftfold_log"'::regnamespace
        ) AS may
        JOIN (
            VALUES
                ('append', 'EXECUTE', 'listen()'),
                ('append_few', 'EXECUTE', 'listen()'),
                ('event', 'SELECT', 'listen()'),
                ('event', 'SELECT', 'readable(bytea)'),
                ('events', 'SELECT', 'readable(bytea)')
        ) AS needed (object, privilege, function)
            ON needed.object = may.object AND needed.privilege = may.privilege_type
        WHERE to_regprocedure('"leftfold_log".' || needed.function) IS NOT NULL
        GROUP BY may.grantee, needed.function
    LOOP
        EXECUTE format(
            'GRANT EXECUTE ON FUNCTION "leftfold_log".%s TO %s%s',
            role.function, role.name, CASE WHEN role.may_pass_on THEN ' WITH GRANT OPTION' ELSE '' END
        );
    END LOOP;
END
$$;

COMMENT ON TABLE "leftfold_log".log IS 'leftfold, revision 2 of the functions';

-- Replaces the view of an older leftfold. Other roles keep the rights that they were granted on it. This waits only briefly
-- for sessions that read the old view.
SET LOCAL lock_timeout = '1s';
LOCK TABLE "leftfold_log".log IN SHARE ROW EXCLUSIVE MODE;
DO $outer$
DECLARE
    older constant oid := (
        SELECT attrelid
        FROM pg_attribute
        WHERE attrelid = to_regclass('"leftfold_log".events') AND attname IN ('position', 'microseconds')
        GROUP BY attrelid
        HAVING count(*) = 1
    );
    rights constant aclitem[] := (SELECT relacl FROM pg_class WHERE oid = older);
    granted record;
BEGIN
    IF older IS NULL THEN
        RETURN;  -- another process has replaced it
    END IF;
    DROP VIEW "leftfold_log".events;
    EXECUTE $script${events}$script$;
    FOR granted IN
        SELECT
            privilege_type AS privilege,
            CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS role,
            CASE WHEN is_grantable AND grantee <> 0 THEN ' WITH GRANT OPTION' ELSE '' END AS option
        FROM aclexplode(rights)
        WHERE pg_get_userbyid(grantee) <> current_user
    LOOP
        EXECUTE format(
            'GRANT %s ON "leftfold_log".events TO %s%s', granted.privilege, granted.role, granted.option
        );
        CONTINUE WHEN granted.privilege <> 'SELECT';
        EXECUTE format(
            'GRANT EXECUTE ON FUNCTION "leftfold_log".readable TO %s%s', granted.role, granted.option
        );
    END LOOP;
END $outer$;

-- Acts as the owner of the log, so that it owns what is made. If two processes renew the functions, one waits for the other.
SET LOCAL lock_timeout = '1s';

SELECT set_config('role', pg_get_userbyid(relowner), true)
FROM pg_class
WHERE oid = to_regclass('"leftfold_log".log');

LOCK TABLE "leftfold_log".log IN SHARE ROW EXCLUSIVE MODE;

-- Listens to the channel "leftfold_log", on which each batch of appends is announced with the position of its last event.
-- The session keeps a shared lock until it ends. An append tries to take that lock: if it can, nobody else listens, and it
-- sends no notification, which is a large part of the cost of a small commit. Look for events that were appended before
-- this function returned. Any session can hold the lock, so this function waits only briefly for it. It returns false if
-- it could not get the lock: appends may then not know that this session listens.
DROP FUNCTION IF EXISTS "leftfold_log".listen();
CREATE FUNCTION "leftfold_log".listen() RETURNS boolean LANGUAGE plpgsql
SET search_path = pg_catalog, "leftfold_log", pg_temp
SET lock_timeout = '300ms' AS $$
BEGIN
    LISTEN "leftfold_log";
    PERFORM pg_advisory_lock_shared(hashtextextended('leftfold_log', 2));
    RETURN true;
EXCEPTION WHEN lock_not_available THEN
    LISTEN "leftfold_log";
    RETURN false;
END
$$;

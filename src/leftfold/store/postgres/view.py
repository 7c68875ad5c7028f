"""The view `events` of a log in PostgreSQL: that of an older leftfold becomes the one of today."""

import logging
from importlib.resources import files
from typing import Any

import psycopg

from leftfold.store.postgres.driver import Connection, run_script

SCHEMA = "leftfold_log"  # what stands for the log's name in the scripts

# One row if the log is there: whether its view is an older one, and whether the present role owns that.
SELECT_VIEW = """
    SELECT
        seen.oid IS NOT NULL AND NOT EXISTS (
            SELECT FROM pg_attribute WHERE attrelid = seen.oid AND attname = 'microseconds' AND NOT attisdropped
        ),
        coalesce(pg_get_userbyid(seen.relowner) = current_user, false)
    FROM pg_namespace AS log
    LEFT JOIN pg_class AS seen ON seen.relnamespace = log.oid AND seen.relname = 'events' AND seen.relkind = 'v'
    WHERE log.nspname = %s"""
# Other roles keep what they were granted on the view. Whoever reads a view that is about to go is not waited for long.
RENEW = """
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
            RETURN;  -- another process was faster
        END IF;
        DROP VIEW "leftfold_log".events;
        EXECUTE $script${view}$script$;
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
    END $outer$"""

log = logging.getLogger("leftfold.store")


def renew_view(connection: Connection, name: str, row: tuple[Any, ...]) -> None:
    """Give a log the view of today if it has an older one which the present role owns; `row` is of `SELECT_VIEW`.

    Nothing of leftfold reads the view, so where it cannot be renewed that is said once, and the log is opened.
    """
    is_older, is_owned = row
    if not is_older:
        return
    if not is_owned:
        return _say_older(name, "another role owns it")
    view = files("leftfold.store.postgres").joinpath("sql", "view.sql").read_text()
    try:
        run_script(connection, RENEW.replace("{view}", view).replace(SCHEMA, name))
    except psycopg.Error as error:
        if connection.closed:
            raise
        return _say_older(name, str(error).partition("\n")[0])
    log.info("log %r: its view events has the columns of today now", name)


def _say_older(name: str, reason: str) -> None:
    log.info(
        "log %r: its view events still has the columns of an older leftfold: %s. Run leftfold init as its owner",
        name,
        reason,
    )

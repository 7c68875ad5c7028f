"""The functions of a log in PostgreSQL, and how those of an older leftfold or of a renamed schema are replaced."""

import logging
import re
from hashlib import md5
from importlib.resources import files
from typing import NamedTuple

import psycopg

from leftfold.store.postgres.driver import Connection, problem_of, run, run_script
from leftfold.store.postgres.view import SCHEMA

LOG_ID = "LOG_ID"  # what stands for the log's id in the scripts
REVISION = "leftfold, revision 2 of the functions"  # as the last of the scripts says it
SCRIPTS = ("leases", "functions", "rights")
PLAIN_ID = re.compile("[0-9a-z]{1,40}")

# Whether the functions are those of today, and name the schema as it is called now; whether the present role may
# replace them in the name of the log's owner; and who that is.
SELECT_FUNCTIONS = """
    SELECT
        pg_catalog.obj_description(log.oid, 'pg_class') IS NOT DISTINCT FROM '{revision}',
        pg_catalog.to_regclass('{log}.{lock}') IS NOT NULL AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_proc
            WHERE pronamespace = log.relnamespace
                AND proname IN ('append', 'append_few', 'take_lease')
                AND NOT coalesce(
                    proconfig @> ARRAY['search_path=pg_catalog, ' || pg_catalog.quote_ident('{name}') || ', pg_temp'],
                    false
                )
        ),
        pg_catalog.pg_has_role(log.relowner, 'MEMBER'),
        pg_catalog.pg_get_userbyid(log.relowner),
        owner.rolsuper,
        owner.rolcanlogin,
        owner.rolname = current_user
    FROM pg_catalog.pg_class AS log
    JOIN pg_catalog.pg_roles AS owner ON owner.oid = log.relowner
    WHERE log.oid = pg_catalog.to_regclass('{log}.log')"""
# What is made belongs to the log's owner, whoever is at it. Of two who are, one waits for the other.
RENEW = """
    SET LOCAL lock_timeout = '1s';
    SELECT pg_catalog.set_config('role', pg_catalog.pg_get_userbyid(relowner), true)
    FROM pg_catalog.pg_class
    WHERE oid = pg_catalog.to_regclass('"leftfold_log".log');
    LOCK TABLE "leftfold_log".log IN SHARE ROW EXCLUSIVE MODE;
    """

log = logging.getLogger("leftfold.store")


class Functions(NamedTuple):
    """The functions of a log, and who owns it."""

    are_newest: bool
    fit_the_schema: bool
    may_be_renewed: bool
    owner: str
    owner_is_superuser: bool
    owner_may_log_in: bool
    is_owned: bool


def lock_of(log_id: str) -> str:
    """Return the name of the table that those who append lock; it has the log's id in it."""
    return f"append_lock_{log_id if PLAIN_ID.fullmatch(log_id) else md5(log_id.encode()).hexdigest()}"


def sameness(connection: Connection, name: str, log_id: str) -> str:
    """Return a condition that costs nothing, and fails where the schema of this name has another log in it.

    The server looks for the table when it parses the statement, and again when a schema was renamed since. A log of an
    older leftfold has no such table.
    """
    table = f'"{name}"."{lock_of(log_id)}"'
    [(is_there,)] = run(connection, f"SELECT pg_catalog.to_regclass('{table}') IS NOT NULL")
    return f"'{table}'::regclass IS NOT NULL" if is_there else "true"


def script(name: str, schema: str, log_id: str) -> str:
    """Read a script of these, for the log of this name and id."""
    text = files("leftfold.store.postgres").joinpath("sql", f"{name}.sql").read_text()
    return text.replace(f"append_lock_{LOG_ID}", lock_of(log_id)).replace(LOG_ID, log_id).replace(SCHEMA, schema)


def functions_of(connection: Connection, name: str, log_id: str) -> Functions:
    """Look at the functions of a log."""
    asked = SELECT_FUNCTIONS.format(revision=REVISION, log=f'"{name}"', name=name, lock=lock_of(log_id))
    [row] = run(connection, asked)
    return Functions(*row)


def renew_functions(connection: Connection, name: str, log_id: str) -> None:
    """Give a log the functions of today if the present role may do so for the log's owner; say so if it may not."""
    found = functions_of(connection, name, log_id)
    if found.owner_is_superuser and not found.is_owned:
        log.warning(
            "log %r: its functions act as their owner, the superuser %s. A role that is no superuser and may not log "
            "in should own the log; see docs/security.md",
            name,
            found.owner,
        )
    if found.are_newest and found.fit_the_schema:
        return
    if not found.may_be_renewed:
        return _say_older(name, f"the role {found.owner} owns it")
    text = "".join(script(each, name, log_id) for each in SCRIPTS)
    try:
        run_script(connection, RENEW.replace(SCHEMA, name) + text)
    except psycopg.Error as error:
        if connection.closed:
            raise
        return _say_older(name, problem_of(error))
    log.info("log %r has the functions of today now", name)


def _say_older(name: str, reason: str) -> None:
    log.warning(
        "log %r: its functions are still those of an older leftfold, or name the schema as it was called before: %s. "
        "Run leftfold init as its owner",
        name,
        reason,
    )

"""The schema of a log in PostgreSQL: how a new one is made, and how one of an older leftfold is brought up to date."""

import logging
import re
from collections.abc import Iterable
from contextlib import suppress
from hashlib import md5
from importlib.resources import files
from typing import Any, NamedTuple
from uuid import uuid4

import psycopg

from leftfold.store.postgres.driver import Connection, problem_of, run, run_script

FORMAT = 1
SCHEMA = "leftfold_log"  # stands for the name of the log in the scripts
LOG_ID = "LOG_ID"  # stands for the id of the log in the scripts
REVISION = "leftfold, revision 2 of the functions"  # `rights/functions.sql` comments the table with it

# The scripts in the order in which they run.
TABLES = ("schema", "log", "type", "event", "tag", "idempotency_key", "append_lock", "lease", "snapshot")
FUNCTIONS = (
    "refuse",
    "matching",
    "listen",
    "may_date_events",
    "check_dating",
    "append",
    "append_few",
    "take_lease",
    "beat_leases",
    "release_leases",
)
VIEW = ("functions/readable", "views/events")
RENEWED_FUNCTIONS = (
    "tables/append_lock",
    "tables/lease",
    *(f"functions/{name}" for name in FUNCTIONS),
    "rights/functions",
)
NEW_LOG = (
    *(f"tables/{name}" for name in TABLES),
    *(f"functions/{name}" for name in FUNCTIONS),
    *VIEW,
    "rights/functions",
)
# So that no name in a script means an object that another role has made.
SEARCH_PATH = "SET LOCAL search_path = pg_catalog, pg_temp;\n"
PLAIN_ID = re.compile("[0-9a-z]{1,40}")

# Whether the functions are of this revision; whether they name the schema by its present name; whether the present role
# may replace them in the name of the log's owner; and who the owner is.
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
# One row if the log exists: whether its view is of an older leftfold, and whether the present role owns the view.
SELECT_VIEW = """
    SELECT
        seen.oid IS NOT NULL AND NOT EXISTS (
            SELECT FROM pg_attribute WHERE attrelid = seen.oid AND attname = 'microseconds' AND NOT attisdropped
        ),
        coalesce(pg_get_userbyid(seen.relowner) = current_user, false)
    FROM pg_namespace AS log
    LEFT JOIN pg_class AS seen ON seen.relnamespace = log.oid AND seen.relname = 'events' AND seen.relkind = 'v'
    WHERE log.nspname = %s"""
# One row if the table of snapshots is missing, and the present role may make it in the name of the log's owner.
SELECT_MISSING_SNAPSHOT = """
    SELECT
    FROM pg_catalog.pg_class AS log
    WHERE log.oid = pg_catalog.to_regclass('{log}.log')
        AND pg_catalog.pg_has_role(log.relowner, 'MEMBER')
        AND pg_catalog.to_regclass('{log}.snapshot') IS NULL"""

log = logging.getLogger("leftfold.store")
snapshots_log = logging.getLogger("leftfold.snapshots")


def script(names: Iterable[str], schema: str, log_id: str = "", **nested: Iterable[str]) -> str:
    """Return the scripts of these names, for the log of this name and id. `nested` replaces `{placeholders}`."""
    folder = files("leftfold.store.postgres").joinpath("sql")
    text = SEARCH_PATH + "".join(folder.joinpath(f"{name}.sql").read_text() for name in names)
    for placeholder, other in nested.items():
        text = text.replace(f"{{{placeholder}}}", "".join(folder.joinpath(f"{name}.sql").read_text() for name in other))
    return text.replace(f"append_lock_{LOG_ID}", lock_of(log_id)).replace(LOG_ID, log_id).replace(SCHEMA, schema)


def lock_of(log_id: str) -> str:
    """Return the name of the table that an append locks. It contains the id of the log."""
    return f"append_lock_{log_id if PLAIN_ID.fullmatch(log_id) else md5(log_id.encode()).hexdigest()}"


def create_log(connection: Connection, name: str, log_id: str | None = None) -> None:
    """Make the schema of a log, unless another process has just made it.

    Of several processes that try at once, one makes the schema; the others wait for it at the name of the schema, which
    only a role that may create schemas can hold.
    """
    with suppress(psycopg.errors.DuplicateSchema, psycopg.errors.UniqueViolation):
        run_script(connection, script(NEW_LOG, name, log_id or uuid4().hex))


class Functions(NamedTuple):
    """The functions of a log, and who owns it."""

    are_newest: bool
    fit_the_schema: bool
    may_be_renewed: bool
    owner: str
    owner_is_superuser: bool
    owner_may_log_in: bool
    is_owned: bool


def functions_of(connection: Connection, name: str, log_id: str) -> Functions:
    """Look at the functions of a log."""
    sql = SELECT_FUNCTIONS.format(revision=REVISION, log=f'"{name}"', name=name, lock=lock_of(log_id))
    [row] = run(connection, sql)
    return Functions(*row)


def is_same_log(connection: Connection, name: str, log_id: str) -> str:
    """Return a condition that costs nothing, and that fails if the schema of this name holds another log.

    The server looks the table up when it parses the statement, and again after a schema was renamed. A log of an older
    leftfold has no such table.
    """
    table = f'"{name}"."{lock_of(log_id)}"'
    [(exists,)] = run(connection, f"SELECT pg_catalog.to_regclass('{table}') IS NOT NULL")
    return f"'{table}'::regclass IS NOT NULL" if exists else "true"


def renew_log(connection: Connection, name: str, log_id: str, view: tuple[Any, ...]) -> None:
    """Bring a log of an older leftfold up to date, as far as the present role may; log what it may not do.

    The log can be opened either way. `view` is the row that `SELECT_VIEW` gave.
    """
    _renew_view(connection, name, *view)
    _add_snapshot_table(connection, name)
    _renew_functions(connection, name, log_id)


def _renew_view(connection: Connection, name: str, is_older: bool, is_owned: bool) -> None:
    if not is_older:
        return
    problem: str | None = "another role owns it"
    if is_owned:
        problem = _run(connection, script(["renewal/view"], name, events=VIEW))
    if problem is None:
        log.info("log %r: its view events now has the current columns", name)
    else:
        log.info(
            "log %r: its view events still has the columns of an older leftfold: %s. Run leftfold init as its owner",
            name,
            problem,
        )


def _add_snapshot_table(connection: Connection, name: str) -> None:
    if not run(connection, SELECT_MISSING_SNAPSHOT.format(log=f'"{name}"')):
        return
    text = script(["renewal/snapshot", "rights/snapshot"], name, snapshot=["tables/snapshot"])
    problem = _run(connection, text)
    if problem is None:
        snapshots_log.info("log %r now has a table of snapshots", name)
    else:
        snapshots_log.info("log %r: could not make the table of snapshots: %s", name, problem)


def _renew_functions(connection: Connection, name: str, log_id: str) -> None:
    found = functions_of(connection, name, log_id)
    if found.owner_is_superuser and not found.is_owned:
        log.warning(
            "log %r: its functions run as their owner, the superuser %s. A role that is not a superuser and may not "
            "log in should own the log; see docs/security.md",
            name,
            found.owner,
        )
    if found.are_newest and found.fit_the_schema:
        return
    problem: str | None = f"the role {found.owner} owns it"
    if found.may_be_renewed:
        problem = _run(connection, script(["renewal/functions", *RENEWED_FUNCTIONS], name, log_id))
    if problem is None:
        log.info("log %r now has the current functions", name)
    else:
        log.warning(
            "log %r: its functions are still those of an older leftfold, or use a former name of the schema: %s. "
            "Run leftfold init as its owner",
            name,
            problem,
        )


def _run(connection: Connection, text: str) -> str | None:
    """Run a script that may fail; return the problem if it did."""
    try:
        run_script(connection, text)
    except psycopg.Error as error:
        if connection.closed:
            raise
        return problem_of(error)
    return None

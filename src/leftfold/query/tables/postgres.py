"""PostgreSQL as the models database, through psycopg 3: one database, one schema, any number of processes."""

import importlib
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, exc

from leftfold.errors import InvalidUrl, MissingExtra
from leftfold.query.tables.compiling import PostgresStatements
from leftfold.query.tables.database import Database, sqlstate_of
from leftfold.query.tables.own_tables import checkpoint
from leftfold.store.home import part_in_children
from leftfold.wording import unknown_option

CONNECTIONS, MORE_CONNECTIONS = 5, 5
SECONDS_FOR_A_CONNECTION = 30.0
SETTINGS = {"lock_timeout": "10s", "timezone": "UTC"}
CONNECTING = {
    "connect_timeout": "10",
    "application_name": "leftfold",
    "tcp_user_timeout": "10000",  # milliseconds without an answer until the connection counts as lost
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
}
LOCK = "pg_advisory_xact_lock"
LOCK_KEY = "hashtextextended('leftfold models in ' || current_schema(), 0)"
SCHEMA_LOCK = f"SELECT {LOCK}(hashtextextended('leftfold schemas', 0))"
READING = "LOCK TABLE {table} IN ACCESS SHARE MODE"
GUARD = "SAVEPOINT leftfold_reading; SET TRANSACTION READ ONLY"
NO_TABLE = "42P01"


class PostgresDatabase(Database):
    """Any number of readers and writers. Commits are synced, unlike those of SQLite's files: a server can fail alone.

    A transaction that creates, renames or drops tables holds an advisory lock, which transactions that write rows
    share. Queries read one snapshot, but the names of tables are not part of it. So they lock the table of checkpoints
    before their snapshot, and a renaming waits until no query holds that lock: no query finds a different table than
    it began with.
    """

    def _make_engine(self) -> sa.Engine:
        """Return an engine of few connections, which leave it to us to begin transactions."""
        url, schema, secrets = self.url
        try:
            importlib.import_module("psycopg")
        except ImportError as error:
            raise MissingExtra("psycopg", "postgres") from error
        from leftfold.store.postgres.driver import asked_options  # needs psycopg, so not at the top

        given = {name: str(value) for name, value in url.query.items() if isinstance(value, str)}
        _check_parameters(url.set(query={**secrets, **url.query}))
        arguments = {name: value for name, value in CONNECTING.items() if name not in given}
        asked = asked_options(given)
        engine = sa.create_engine(
            url.difference_update_query(["options", "client_encoding"]),
            connect_args={
                **arguments,
                **secrets,
                "options": _options(schema, asked),
                "client_encoding": "UTF8",
            },
            pool_size=CONNECTIONS,
            max_overflow=MORE_CONNECTIONS,
            pool_timeout=SECONDS_FOR_A_CONNECTION,
        )
        engine.dialect.statement_compiler = PostgresStatements
        event.listen(engine, "connect", _set_up)
        return engine

    def _prepare(self, connection: sa.Connection) -> None:
        """Create the schema that the URL names."""
        if not self.url.schema:
            return
        known = sa.text("SELECT 1 FROM pg_namespace WHERE nspname = :name")
        if connection.execute(known, {"name": self.url.schema}).first() is None:
            _run(connection, SCHEMA_LOCK)  # of two that create it at once one would fail, even with IF NOT EXISTS
            connection.execute(sa.schema.CreateSchema(self.url.schema, if_not_exists=True))

    def _begin_writing(self, connection: sa.Connection, *, shared: bool) -> None:
        """Begin; each statement sees what is committed by then, including what the lock waited for."""
        lock = f"{LOCK}_shared" if shared else LOCK
        _run(connection, f"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SELECT {lock}({LOCK_KEY})")

    def _begin_reading(self, connection: sa.Connection, *, scratch: bool) -> None:
        """Begin; take the snapshot while no transaction renames tables."""
        begin = f"BEGIN ISOLATION LEVEL REPEATABLE READ {'READ WRITE' if scratch else 'READ ONLY'}"
        guard = f"; {GUARD}" if scratch else ""
        locked = f"; {READING.format(table=checkpoint.name)}"
        try:
            _run(connection, f"{begin}{locked}{guard}")
        except exc.DBAPIError as error:
            if sqlstate_of(error) != NO_TABLE:
                raise
            _run(connection, f"ROLLBACK; {begin}{guard}")  # there are no tables yet, so none can be renamed

    def wait_for_queries(self, connection: sa.Connection) -> None:
        """Wait until no query runs, and let no other begin."""
        _run(connection, f"LOCK TABLE {checkpoint.name} IN ACCESS EXCLUSIVE MODE")

    @contextmanager
    def open_scratch(self, connection: sa.Connection) -> Generator[None, None, None]:
        """Leave the savepoint that only reads, and set it again afterwards; the transaction itself may write."""
        _run(connection, "RELEASE SAVEPOINT leftfold_reading")
        yield  # what fails here ends the transaction
        _run(connection, GUARD)

    def may_write(self, connection: sa.Connection, table: str) -> bool:
        """Ask the server for the user's grants."""
        asked = sa.text("SELECT has_table_privilege(:table, 'UPDATE')")
        return bool(connection.execute(asked, {"table": table}).scalar_one())


def _check_parameters(url: sa.URL) -> None:
    """Refuse what libpq would refuse, and suggest what may be meant."""
    from psycopg.pq import Conninfo

    known = sorted(option.keyword.decode() for option in Conninfo.get_defaults())
    for name in url.query:
        if name not in known:
            raise InvalidUrl(url.render_as_string(hide_password=False), unknown_option(name, [*known, "schema"]))


def _set_up(connection: Any, _: object) -> None:
    from leftfold.store.postgres.driver import check_encoding

    part_in_children(connection)
    check_encoding("the database of the read models", connection)
    connection.autocommit = True  # transactions begin where we say, in one round trip with their locks


def _run(connection: sa.Connection, statements: str) -> None:
    """Run statements without results in one round trip."""
    connection.exec_driver_sql(statements)


def _options(schema: str, given: str) -> str:
    """Return the session's settings; the URL may override them, except for the schema of the tables."""
    settings = [f"-c {name}={value}" for name, value in SETTINGS.items()]
    quoted = schema.replace('"', '""').replace("\\", "\\\\").replace(" ", "\\ ")
    kept = [f'-c search_path="{quoted}"'] if schema else []
    return " ".join([*settings, given, *kept]).strip()

"""psycopg, and what its errors mean for a log; imported nowhere else."""

import asyncio
import select
from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import count
from typing import Any, cast

from leftfold.errors import (
    MissingExtra,
    OutcomeUnknown,
    StoreBusy,
    StoreCorrupt,
    StoreFailed,
    StoreFull,
    StoreNotFound,
    StoreReadOnly,
    StoreUnavailable,
    StoreUnreachable,
)
from leftfold.store.postgres_arrays import Array, Integers, integers

try:
    import psycopg
    from psycopg.adapt import Transformer
    from psycopg.conninfo import make_conninfo
    from psycopg.pq import ConnStatus, ExecStatus, Format
    from psycopg.pq.abc import PGresult
except ModuleNotFoundError as error:
    raise MissingExtra(error.name or "psycopg", "postgres") from error

STATEMENT_SECONDS = 60
PREPARED = 200  # statements of a connection at most whose plans are kept
CONNECTING: dict[str, str | int] = {
    "connect_timeout": 5,
    "tcp_user_timeout": 10_000,  # milliseconds without an answer after which a peer is given up
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "fallback_application_name": "leftfold",
}
READING_SETTINGS = ("enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin")
ROWS_AT_ONCE = 500

NAMES: dict[str, type[StoreUnavailable]] = {
    "55P03": StoreBusy,
    "57014": StoreBusy,
    "53300": StoreBusy,
    "53100": StoreFull,
    "53200": StoreFull,
    "25006": StoreReadOnly,
    "42501": StoreReadOnly,
    "XX001": StoreCorrupt,
    "XX002": StoreCorrupt,
    "3F000": StoreNotFound,
    "3D000": StoreNotFound,
    "42P01": StoreNotFound,
    "42883": StoreNotFound,
}


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """One that knows which statements it has seen, and under which name those that are prepared; b"" is none yet."""

    prepares: bool

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.prepared: dict[tuple[bytes, tuple[int, ...]], bytes] = {}
        self.names = map(b"leftfold_%d".__mod__, count(1))


def connect(url: str, *, session: bool, reading: bool = False) -> Connection:
    """A connection in autocommit mode. With `session` it has settings of its own, which PgBouncer would not keep."""
    settings = {"statement_timeout": f"{STATEMENT_SECONDS}s"}
    if reading:
        settings |= dict.fromkeys(READING_SETTINGS, "off")
        settings |= {"default_transaction_read_only": "on"}
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    parameters = CONNECTING | {"options": options} if session else CONNECTING
    connection = Connection.connect(make_conninfo(url, **parameters), autocommit=True, prepare_threshold=None)
    connection.prepares = session
    return connection


def is_lost(connection: Connection) -> bool:
    """Whether an idle connection is not to be used again: what a server says unasked is mostly its farewell."""
    if connection.closed:
        return True
    ready = select.poll()
    ready.register(connection.fileno(), select.POLLIN)
    if not ready.poll(0):
        return False
    connection.close()
    return True


def run(connection: Connection, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """All rows of a statement, in binary form.

    Without the driver's cursors: to find a dumper for every parameter took them longer than the statement.
    """
    types, values = zip(*map(_encoded, parameters), strict=True) if parameters else ((), ())
    result = _executed(connection, _numbered(sql), types, values)
    if result.status != ExecStatus.TUPLES_OK:
        raise _error(connection, result)
    transformer = Transformer(connection)
    transformer.set_pgresult(result)
    return transformer.load_rows(0, result.ntuples, tuple)


def _executed(connection: Connection, sql: bytes, types: tuple[int, ...], values: tuple[Any, ...]) -> PGresult:
    """Prepared where it may be, when it comes for the second time; so what comes once takes one round trip."""
    formats = [Format.BINARY] * len(values)
    server, statement = connection.pgconn, (sql, types)
    if not connection.prepares:
        return server.exec_params(sql, values, types, formats, Format.BINARY)
    name = connection.prepared.get(statement)
    if name is None:
        if len(connection.prepared) < PREPARED:
            connection.prepared[statement] = b""
        return server.exec_params(sql, values, types, formats, Format.BINARY)
    if not name:
        name = next(connection.names)
        result = server.prepare(name, sql, types)
        if result.status != ExecStatus.COMMAND_OK:
            return result
        connection.prepared[statement] = name
    return server.exec_prepared(name, values, formats, Format.BINARY)


def _encoded(value: Any) -> tuple[int, bytes | None]:
    """The type of a parameter and its binary form."""
    match value:
        case None:
            return 0, None
        case bool():
            return 16, b"\1" if value else b"\0"
        case int():
            return 20, value.to_bytes(8, "big", signed=True)
        case str():
            return 25, value.encode()
        case list():
            listed = cast("list[int]", value)
            return Integers.OID, integers(listed)
        case _:
            array: Array = value
            return array.OID, array


@lru_cache(256)
def _numbered(sql: str) -> bytes:
    """With the placeholders that the server knows."""
    first, *others = sql.split("%s")
    return "".join((first, *(f"${number}{part}" for number, part in enumerate(others, 1)))).encode()


def _error(connection: Connection, result: PGresult) -> psycopg.Error:
    if connection.pgconn.status == ConnStatus.BAD:
        return psycopg.OperationalError(connection.pgconn.get_error_message())
    return psycopg.errors.error_from_result(result)


def rows_in_parts(
    connection: Connection, sql: str, parameters: Sequence[Any]
) -> Generator[list[tuple[Any, ...]], None, None]:
    """The rows of a statement, some at a time; what is not asked for is not kept."""
    server, transformer = connection.pgconn, Transformer(connection)
    types, values = zip(*map(_encoded, parameters), strict=True)
    server.send_query_params(_numbered(sql), values, types, [Format.BINARY] * len(values), Format.BINARY)
    server.set_chunked_rows_mode(ROWS_AT_ONCE)
    complete = False
    try:
        while result := _next_result(connection):
            if result.status not in (ExecStatus.TUPLES_CHUNK, ExecStatus.TUPLES_OK):
                raise _error(connection, result)
            transformer.set_pgresult(result)
            yield transformer.load_rows(0, result.ntuples, tuple)
        complete = True
    finally:
        if not complete:
            _abandon(connection)


def _next_result(connection: Connection) -> PGresult | None:
    """The next part of an answer, or None at its end; other threads go on while it is on its way."""
    server = connection.pgconn
    while server.is_busy():
        ready = select.poll()
        ready.register(server.socket, select.POLLIN)
        ready.poll()
        server.consume_input()
    return server.get_result()


def _abandon(connection: Connection) -> None:
    """Tell the server that the rest is not wanted, and pass over what comes all the same."""
    try:
        connection.cancel_safe()
        while _next_result(connection):
            pass
    except psycopg.Error:
        connection.close()


def run_script(connection: Connection, script: str) -> None:
    """Run statements in one transaction."""
    with connection.transaction():
        connection.execute(script.encode())


async def notifications(url: str, channel: str, listening: asyncio.Event) -> AsyncIterator[str]:
    """What is notified on a channel, once `listening` is set."""
    connection = await psycopg.AsyncConnection.connect(make_conninfo(url, **CONNECTING), autocommit=True)
    async with connection:
        await connection.execute(f'LISTEN "{channel}"'.encode())
        listening.set()
        async for notification in connection.notifies():
            yield notification.payload


@contextmanager
def named_errors(where: str) -> Generator[None, None, None]:
    """Turn the driver's errors into leftfold's."""
    try:
        yield
    except psycopg.Error as error:
        raise named(where, error) from error


@contextmanager
def committing(where: str, connection: Connection) -> Generator[None, None, None]:
    """The same for a statement that commits: where the connection breaks, nobody knows whether it did."""
    try:
        yield
    except psycopg.Error as error:
        if connection.broken or connection.closed:
            raise OutcomeUnknown(_problem(error)) from error
        raise named(where, error) from error


def named(where: str, error: psycopg.Error) -> StoreUnavailable:
    """The error of ours that says what a driver's error means, by its SQLSTATE."""
    state = error.sqlstate or ""
    if state in NAMES:
        return _made(NAMES[state], where, _problem(error))
    if state[:2] in ("", "08", "57", "28") and isinstance(error, psycopg.OperationalError):
        return StoreUnreachable(where, _problem(error))
    return StoreFailed(where, _problem(error))


def _made(kind: type[StoreUnavailable], where: str, problem: str) -> StoreUnavailable:
    return StoreNotFound(where) if kind is StoreNotFound else kind(where, problem)  # type: ignore[call-arg]


def _problem(error: psycopg.Error) -> str:
    return " ".join(str(error).split())

"""psycopg and libpq: connections, statements, and leftfold's errors for theirs."""

import os
import re
import select
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar, cast

from leftfold.errors import (
    InvalidUrl,
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
    UnsuitableDatabase,
)
from leftfold.passwords import misread_password, without_password_of
from leftfold.store.home import part_in_children
from leftfold.store.postgres.batch import Array, Integers, integers


def asked_options(given: Mapping[str, object]) -> str:
    """Return the user's `options`: from the URL, else from the service that it or PGSERVICE names, else PGOPTIONS."""
    if "options" in given:
        return str(given["options"])
    service = str(given.get("service") or os.environ.get("PGSERVICE", ""))
    found = _options_of(service) if service else None
    return os.environ.get("PGOPTIONS", "") if found is None else found


def _options_of(service: str) -> str | None:
    """Read them as libpq does: the first file with the service counts. libpq reports anything missing."""
    for file in _service_files():
        if file.is_file() and (found := _section(file.read_text("utf-8", "replace").splitlines(), service)) is not None:
            return found.get("options")
    return None


def _service_files() -> Iterable[Path]:
    own = os.environ.get("PGSERVICEFILE")
    yield Path(own) if own else Path.home() / ".pg_service.conf"
    if folder := os.environ.get("PGSYSCONFDIR"):
        yield Path(folder, "pg_service.conf")


def _section(lines: Iterable[str], service: str) -> dict[str, str] | None:
    found: dict[str, str] | None = None
    for line in map(str.strip, lines):
        if line.startswith("["):
            if found is not None:
                break
            found = {} if line == f"[{service}]" else None
        elif found is not None and not line.startswith("#") and "=" in line:
            name, _, value = line.partition("=")
            found.setdefault(name, value)
    return found


try:
    import psycopg
    from psycopg.abc import PQGen
    from psycopg.adapt import Transformer
    from psycopg.conninfo import conninfo_to_dict, make_conninfo
    from psycopg.generators import execute, fetch, send
    from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus, Format
    from psycopg.pq.abc import PGresult
except ModuleNotFoundError as error:
    raise MissingExtra(error.name or "psycopg", "postgres") from error

T = TypeVar("T")

STATEMENT_SECONDS = 60
ANSWER_SECONDS = STATEMENT_SECONDS + 15.0  # by then a living server has answered, at least with an error
MAX_PREPARED_STATEMENTS = 200  # in one connection
CONNECTING: dict[str, str | int] = {
    "connect_timeout": 5,
    "tcp_user_timeout": 10_000,  # milliseconds without an acknowledgement before the connection is lost
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "fallback_application_name": "leftfold",
}
READING_SETTINGS = ("enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin")
NEEDED = r"-c default_transaction_isolation=read\ committed"
ROWS_PER_PART = 32  # with 1 MiB each this is 32 MiB, twice; more rows are not faster
NEVER_SENT = "query_wait_timeout"  # from PgBouncer, if no server connection became free in time

NAMES: dict[str, type[StoreUnavailable]] = {
    "55P03": StoreBusy,
    "57014": StoreBusy,
    "25P04": StoreBusy,
    "53300": StoreBusy,
    "53100": StoreFull,
    "53200": StoreFull,
    "25006": StoreReadOnly,
    "XX001": StoreCorrupt,
    "XX002": StoreCorrupt,
    "3F000": StoreNotFound,
    "3D000": StoreNotFound,
    "42P01": StoreNotFound,
    "42883": StoreNotFound,
}

HINTS = {
    "25006": " (the server is a standby, or default_transaction_read_only is on for this role, database or server: "
    "connect to the primary, or ALTER ROLE … RESET default_transaction_read_only, and the same for the DATABASE)",
}
NO_ROLE = re.compile('role "[^"]*" does not exist')
MAKE_ROLE = (
    " (the URL names the role, or the user of the system stands for it where it names none: correct it, or have the "
    "owner of the server run CREATE ROLE … LOGIN, and grant it what `leftfold init --roles` makes)"
)


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that is closed when its server has not answered for `patience` seconds.

    The server enforces its own time limits only while it runs, and a paused machine still acknowledges packets.
    `prepared` has the name of each prepared statement, and b"" for a statement that was run only once.
    """

    patience: float | None = ANSWER_SECONDS
    prepares: bool

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.prepared: dict[tuple[bytes, tuple[int, ...]], bytes] = {}
        self.names = map(b"leftfold_%d".__mod__, count(1))

    def wait(self, gen: PQGen[T], *arguments: Any, **named: Any) -> T:
        """Wait for the server, within bounds."""
        if self.patience is None:
            return super().wait(gen, *arguments, **named)
        try:
            return super().wait(_with_patience(gen, self.patience), *arguments, **named)
        except (NoAnswer, NotSent):
            self.close()
            raise


class NoAnswer(psycopg.OperationalError):
    """The server does not answer."""


class UnreadAnswer(psycopg.DatabaseError):
    """The server ran the statement, but its answer cannot be read."""


class NotSent(psycopg.OperationalError):
    """The connection was lost before the statement was sent."""


def _with_patience(gen: PQGen[T], seconds: float) -> PQGen[T]:
    """Run the same generator with a time limit for silence; the driver resumes it now and then while it waits."""
    end = monotonic() + seconds
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if not ready and monotonic() > end:
                gen.throw(NoAnswer(f"the server has not answered for {seconds:g} s"))
            wanted = gen.send(ready)
    except StopIteration as done:
        found: T = done.value
        return found


def connect(url: str, *, session: bool, reading: bool = False, lock_timeout: str | None = None) -> Connection:
    """Open a connection in autocommit mode. With `session` it has settings of its own, which PgBouncer would drop.

    Settings in the URL, its service or PGOPTIONS override ours, except for those that the log needs.
    """
    settings = {
        "statement_timeout": f"{STATEMENT_SECONDS}s",
        "jit": "off",
    }  # to compile would take longer than any statement
    if lock_timeout is not None:
        settings |= {"lock_timeout": lock_timeout}
    if reading:
        settings |= dict.fromkeys(READING_SETTINGS, "off")
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    given = _understood(url)
    parameters = {name: value for name, value in CONNECTING.items() if name not in given}
    if session:
        parameters["options"] = f"{options} {asked_options(given)} {NEEDED}"
    connection = _connected(url, make_conninfo(url, **parameters, client_encoding="UTF8"))
    part_in_children(connection)
    try:
        check_encoding("the log's database", connection)
        if reading and session:  # as a startup option, target_session_attrs would take the server for a standby
            connection.execute("SET default_transaction_read_only = on")
    except BaseException:
        connection.close()
        raise
    connection.prepares = session
    return connection


def _understood(url: str) -> Mapping[str, Any]:
    """Return the parameters in a URL. `InvalidUrl` has no cause, because messages of libpq quote passwords."""
    problem = ""
    try:
        given = conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        given, problem = {}, f"libpq says: {problem_of(error)}"
    problem = problem or misread_password(url, str(given.get("host", "")), str(given.get("port", "")))
    if problem:
        raise InvalidUrl(url, problem)
    return given


def _connected(url: str, conninfo: str) -> Connection:
    try:
        return Connection.connect(conninfo, autocommit=True, prepare_threshold=None)
    except psycopg.OperationalError as error:
        problem = without_password_of(url, str(error))
        if problem == str(error):
            raise
    raise psycopg.OperationalError(problem)


def check_encoding(where: str, connection: psycopg.Connection[Any]) -> None:
    """Raise `UnsuitableDatabase` if a text could not be stored, or would change on its way."""
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise UnsuitableDatabase(where, f"its encoding is {encoding}, which cannot store every text")
    encoding = connection.info.parameter_status("client_encoding")
    if encoding != "UTF8":
        raise UnsuitableDatabase(where, f"the connection uses {encoding}, although UTF8 was requested")


def is_lost(connection: Connection) -> bool:
    """Return whether an idle connection is unusable. What a server sends on its own is mostly that it ends."""
    if connection.closed:
        return True
    ready = select.poll()
    ready.register(connection.fileno(), select.POLLIN)
    if not ready.poll(0):
        return False
    connection.close()
    return True


def run(connection: Connection, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Run a statement, and return all of its rows, transferred in binary form.

    This does without the cursors of the driver, which take longer to find a dumper for each parameter than the
    statement takes.
    """
    return rows_of(connection, connection.wait(executed(connection, sql, parameters)))


def rows_of(connection: Connection, result: PGresult) -> list[tuple[Any, ...]]:
    """Return all rows of a result, or raise the error of the server."""
    if result.status == ExecStatus.COMMAND_OK:
        return []
    if result.status != ExecStatus.TUPLES_OK:
        raise _error(connection, result)
    try:
        transformer = Transformer(connection)
        transformer.set_pgresult(result)
        return transformer.load_rows(0, result.ntuples, tuple)
    except Exception as error:
        raise UnreadAnswer(repr(error)) from error


def integer_of(connection: Connection, result: PGresult) -> int | None:
    """Return the single integer of a result, or None for null; raise the error of the server."""
    if result.status != ExecStatus.TUPLES_OK:
        raise _error(connection, result)
    value = result.get_value(0, 0) if result.ntuples else None
    return None if value is None else int.from_bytes(value, "big", signed=True)


def executed(connection: Connection, sql: str, parameters: Sequence[Any]) -> PQGen[PGresult]:
    """Send a statement and return its result; the generator yields what it waits for.

    A statement is prepared when it comes for the second time, so a statement that comes once takes one round trip.
    """
    types, values = zip(*map(_encoded, parameters), strict=True) if parameters else ((), ())
    formats = [Format.BINARY] * len(values)
    server, statement = connection.pgconn, (_numbered(sql), types)
    name = connection.prepared.get(statement) if connection.prepares else None
    if name is None:
        if connection.prepares and len(connection.prepared) < MAX_PREPARED_STATEMENTS:
            connection.prepared[statement] = b""
        server.send_query_params(statement[0], values, types, formats, Format.BINARY)
        return (yield from _answer(connection))
    if not name:
        name = connection.prepared[statement] = yield from _prepared(connection, *statement)
    server.send_query_prepared(name, values, formats, Format.BINARY)
    return (yield from _answer(connection))


def _prepared(connection: Connection, sql: bytes, types: tuple[int, ...]) -> PQGen[bytes]:
    """Prepare a statement on the server, and return its name. If that fails, the statement itself was not sent."""
    name = next(connection.names)
    connection.pgconn.send_prepare(name, sql, types)
    try:
        result = yield from _answer(connection)
    except psycopg.OperationalError as error:
        raise NotSent(str(error)) from error
    if result.status != ExecStatus.COMMAND_OK:
        refused = _error(connection, result)
        raise NotSent(str(refused)) if connection.closed else refused
    return name


def _answer(connection: Connection) -> PQGen[PGresult]:
    """Return the result of what was sent. The driver reads while it still sends; libpq alone may hang there."""
    results: list[PGresult] = yield from execute(connection.pgconn)
    return results[-1]


def _encoded(value: Any) -> tuple[int, bytes | None]:
    """Return the type and the binary form of a parameter."""
    match value:
        case Array():
            return value.OID, value
        case None:
            return 0, None
        case bool():
            return 16, b"\1" if value else b"\0"
        case int():
            return 20, value.to_bytes(8, "big", signed=True)
        case str():
            return 25, value.encode()
        case _:
            listed = cast("list[int]", value)
            return Integers.OID, integers(listed)


@lru_cache(256)
def _numbered(sql: str) -> bytes:
    """With the placeholders that the server knows."""
    first, *others = sql.split("%s")
    return "".join((first, *(f"${number}{part}" for number, part in enumerate(others, 1)))).encode()


def _error(connection: Connection, result: PGresult) -> psycopg.Error:
    if connection.pgconn.status == ConnStatus.BAD and not result.error_field(DiagnosticField.SQLSTATE):
        return psycopg.OperationalError(connection.pgconn.get_error_message())
    return psycopg.errors.error_from_result(result)


def rows_in_parts(
    connection: Connection, sql: str, parameters: Sequence[Any]
) -> Generator[list[tuple[Any, ...]], None, None]:
    """Yield the rows of a statement in parts. Parts that the caller does not take are discarded."""
    server, transformer = connection.pgconn, Transformer(connection)
    types, values = zip(*map(_encoded, parameters), strict=True)
    server.send_query_params(_numbered(sql), values, types, [Format.BINARY] * len(values), Format.BINARY)
    server.set_chunked_rows_mode(ROWS_PER_PART)
    complete = False
    try:
        connection.wait(send(server))  # a long statement is sent in pieces
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
    """Return the next part of an answer, or None at its end. Other threads can run meanwhile."""
    result: PGresult | None = connection.wait(fetch(connection.pgconn))
    return result


def _abandon(connection: Connection) -> None:
    """Cancel the rest of a statement, and discard what still arrives."""
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


@contextmanager
def named_errors(where: str) -> Generator[None, None, None]:
    """Turn the driver's errors into leftfold's."""
    try:
        yield
    except psycopg.Error as error:
        raise named(where, error) from error


@contextmanager
def committing(where: str, is_lost: Callable[[], bool]) -> Generator[None, None, None]:
    """Do the same for a statement that commits: if the connection or the answer is lost, the outcome is unknown.

    It is known if the server or the pooler reported before that it ended the statement.
    """
    try:
        yield
    except psycopg.Error as error:
        if isinstance(error, UnreadAnswer) or (is_lost() and not _ended_before_the_commit(error)):
            raise OutcomeUnknown(problem_of(error)) from error
        raise named(where, error) from error


def _ended_before_the_commit(error: psycopg.Error) -> bool:
    """Return whether the connection ended before the commit: before or inside the call, or in the pooler."""
    if isinstance(error, NotSent):
        return True
    return error.diag.context is not None or error.diag.message_primary == NEVER_SENT


def named(where: str, error: psycopg.Error) -> StoreUnavailable:
    """Return leftfold's error for an error of the driver, by its SQLSTATE."""
    state = error.sqlstate or ""
    if state == "42501":
        return _lacking_right(where, problem_of(error))
    if state in NAMES:
        return _made(NAMES[state], where, problem_of(error) + HINTS.get(state, ""))
    if error.diag.message_primary == NEVER_SENT:
        return StoreBusy(where, problem_of(error))
    if state[:2] in ("", "08", "57", "28") and isinstance(error, psycopg.OperationalError):
        problem = problem_of(error)
        return StoreUnreachable(where, problem + MAKE_ROLE if NO_ROLE.search(problem) else problem)
    return StoreFailed(where, problem_of(error))


def _lacking_right(where: str, problem: str) -> StoreReadOnly:
    if "may_date_events" in problem:
        return StoreReadOnly(
            where,
            problem,
            "grant that right, or let the server set the times: pass neither a clock nor times of events",
        )
    log = where.removeprefix("log ").strip("'")
    return StoreReadOnly(
        where,
        problem,
        "have the owner of the log (of the database, if there is no log yet) run `leftfold init --roles`, and GRANT "
        f'"{log}_writer" (appends) and "{log}_reader" (reads) TO the role of this program',
    )


def _made(kind: Callable[..., StoreUnavailable], where: str, problem: str) -> StoreUnavailable:
    return StoreNotFound(where) if kind is StoreNotFound else kind(where, problem)


def problem_of(error: psycopg.Error) -> str:
    """Return the message of the server, without the context, which quotes the arguments of the function."""
    parts = (error.diag.message_primary, error.diag.message_detail)
    return " ".join(" ".join(filter(None, parts) if any(parts) else [str(error)]).split())

"""Open a store by its URL."""

import os
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from leftfold.errors import InvalidUrl, NaiveDatetime, StoreNotFound
from leftfold.model.clock import Clock, to_microseconds
from leftfold.store.bounds import APPEND_BYTES_LIMIT
from leftfold.store.clock_guard import CLOCK_BOUND
from leftfold.store.contract import EventStore
from leftfold.store.memory import MemoryStore
from leftfold.store.private_files import Group
from leftfold.store.sqlite.file import is_log
from leftfold.store.sqlite.store import SQLiteStore
from leftfold.wording import shown, unknown_option

if TYPE_CHECKING:
    from leftfold.store.postgres.snapshots import PostgresSnapshots

GROUPS: dict[str, Group] = {"read": "read", "write": "write"}
COMMON_OPTIONS = ("accept_time", "busy_timeout", "clock_bound", "event_limit", "may_lose", "mode", "queue")
OPTIONS = (*COMMON_OPTIONS, "group")
POSTGRES_OPTIONS = (*COMMON_OPTIONS, "log", "readers", "through")
POSTGRES = ("postgresql", "postgres")
HOME_FOLDER = re.compile("~[^/]*/")
LOG_NAME = re.compile("[a-z_][a-z0-9_]{0,47}")


class Number(NamedTuple):
    """The bounds of a numeric option, both included, and whether its value must be whole."""

    least: float
    most: float
    whole: bool = True

    def __str__(self) -> str:
        return f"a {'whole ' if self.whole else ''}number from {self.least:,} to {self.most:,}"


NUMBERS = {
    "busy_timeout": Number(0.001, 86_400, whole=False),
    "clock_bound": Number(1, 31_536_000, whole=False),
    "event_limit": Number(1, APPEND_BYTES_LIMIT),
    "queue": Number(1, 1_000_000),
    "readers": Number(1, 1_000),
}
WHOLE = re.compile("[0-9]{1,20}")
DECIMAL = re.compile(r"[0-9]{1,20}(\.[0-9]{0,20})?|\.[0-9]{1,20}")


def open_store(url: str | os.PathLike[str], *, clock: Clock | None = None) -> EventStore:
    """Open the log at `url`, creating it when it is not there: `async with open_store("sqlite:///file.db") as store`.

    `memory:` lives as long as the store. SQLite options: `?mode=ro`, `?busy_timeout=` (seconds), `?event_limit=`
    (bytes), `?queue=` (appends under way), `?may_lose=recent-commits` (faster; a power failure may lose the latest
    commits, a crash of the process does not), `?clock_bound=` (seconds that the clock may jump ahead), `?accept_time=`
    (a time up to which its jump is accepted), `?group=` (what the group of a new file may do: `read` or `write`).

    `postgresql://user@host/database?log=name` is a log in a PostgreSQL schema of that name (needs
    `leftfold[postgres]`). Its own options are those of SQLite, `log`, `readers` (connections that read) and
    `through=pgbouncer`; all others are libpq's.
    """
    url = url_of(url)
    parts = split_url(url)
    if parts.scheme == "memory":
        if url != "memory:":
            raise InvalidUrl(url, "memory: takes neither a name nor options")
        return MemoryStore(clock)
    if parts.scheme in POSTGRES:
        return _open_postgres(url, clock)
    if parts.scheme != "sqlite":
        raise InvalidUrl(url, f"there is no backend {parts.scheme!r}" if parts.scheme else "it names no backend")
    path = path_in(url)
    if path == ":memory:":
        raise InvalidUrl(url, "a log in memory is memory: (sqlite:///./:memory: is a file of that name)")
    check_path(url, path)
    if parts.netloc or not path:
        raise InvalidUrl(url, "it does not name a file (three slashes for a relative path, four for an absolute one)")
    given = parse_qsl(parts.query, keep_blank_values=True)
    options = dict(given)
    _check(url, options, OPTIONS)
    _check_once(url, [name for name, _ in given])
    group = GROUPS.get(options.get("group", ""))
    if group is None and "group" in options:
        raise InvalidUrl(url, f"group={options['group']!r}; a group may 'read' or 'write'")
    check_former_name(url)
    return SQLiteStore(
        path,
        clock=clock,
        durable="may_lose" not in options,
        read_only=options.get("mode") == "ro",
        event_limit=_whole_number(url, options, "event_limit", 1_048_576),
        busy_timeout=_number(url, options, "busy_timeout", 10.0),
        queue=_whole_number(url, options, "queue", 4_096),
        clock_bound=_number(url, options, "clock_bound", CLOCK_BOUND),
        accept_time=_moment(url, options, "accept_time"),
        group=group,
    )


def split_url(url: str) -> SplitResult:
    """Split a URL into its parts. A `#` is an ordinary character, because no log has fragments."""
    return urlsplit(url.replace("#", "%23"))


def check_former_name(url: str) -> None:
    """Refuse to create a log if an earlier release kept it in a file named by the part before the `#`."""
    path, former = Path(path_in(url)), Path(path_in(url.partition("#")[0]))
    if "#" in url.partition("?")[0] and not path.exists() and is_log(former):
        raise StoreNotFound(
            f"file {path}",
            f"the file {path}; earlier releases ended the name of a file at '#', and {former} is a log",
            f"while no program has it open, rename {former} (and {former}-wal, if it exists) to {path}; if several "
            f"URLs shared the file, open it as {former}; or write %23 for the '#' to start a new log",
        )


def url_of(log: str | os.PathLike[str]) -> str:
    """Return the URL of a log. A path is the path of an SQLite file; anything else is refused."""
    if not _is_any(log, str, os.PathLike):
        raise InvalidUrl(shown(log), f"it is of type {type(log).__name__}, not a string")
    return log if isinstance(log, str) else f"sqlite:///{quote(os.fspath(log))}"


def _is_any(value: object, *kinds: type) -> bool:
    return isinstance(value, kinds)


def role_names(url: str, called: str | None = None) -> tuple[str, str]:
    """Return the names of the two roles of a log in PostgreSQL: the one that may append, and the one that may read.

    They begin with the name of the log, or with the name that is given as `called`.
    """
    if split_url(url).scheme not in POSTGRES:
        raise InvalidUrl(url, "only logs in PostgreSQL have roles")
    name = called or _log_in(url, _parts_of(url)[1])
    if not LOG_NAME.fullmatch(name):
        raise InvalidUrl(
            url,
            f"the name {name!r} is not valid for roles: use up to 48 lower-case letters, digits and underscores",
        )
    return f"{name}_writer", f"{name}_reader"


def make_roles(url: str, called: str | None = None) -> tuple[str, str]:
    """Make the two roles of a log in PostgreSQL, unless they exist, and return their names.

    Raises `RoleTaken` if one of them has rights on another log, or in another database of the server.
    """
    names = role_names(url, called)
    from leftfold.store.postgres.roles import create_roles

    server, options = _parts_of(url)
    create_roles(server, _log_in(url, options), *names)
    return names


def risky_owner(url: str) -> str | None:
    """Return what is risky about the owner of a PostgreSQL log, whose rights its functions use, or None."""
    from leftfold.store.postgres.roles import risk_of_owner

    server, options = _parts_of(url)
    return risk_of_owner(server, _log_in(url, options))


def postgres_log(url: str) -> tuple[str, str]:
    """Return the URL of the server of a PostgreSQL log, as libpq understands it, and the name of the log."""
    server, options = _parts_of(url)
    return server, _log_in(url, options)


def has_sessions(url: str) -> bool:
    """Return whether connections of a PostgreSQL log keep their session; PgBouncer in transaction mode prevents it."""
    return "through" not in _parts_of(url)[1]


def snapshot_table(url: str) -> "PostgresSnapshots | None":
    """Return the snapshots of a log in PostgreSQL; None for another log."""
    if split_url(url).scheme not in POSTGRES:
        return None
    from leftfold.store.postgres.snapshots import PostgresSnapshots

    server, options = _parts_of(url)
    session, read_only = "through" not in options, is_read_only(url)
    return PostgresSnapshots(server, _log_in(url, options), session=session, read_only=read_only)


def models_of_postgres(url: str) -> str | None:
    """Return the SQLAlchemy URL of the schema for the read models of a log in PostgreSQL, or None if there is none.

    Through PgBouncer in transaction mode there is none, because the connections of read models need settings of their
    own.
    """
    server, options = _parts_of(url)
    if "through" in options:
        return None
    schema = f"schema={_log_in(url, options)}_models"
    return f"{server}{'&' if split_url(server).query else '?'}{schema}"


def _open_postgres(url: str, clock: Clock | None) -> EventStore:
    from leftfold.store.postgres.store import PostgresStore

    server, options = _parts_of(url)
    _check(url, options, POSTGRES_OPTIONS)
    names = (each.partition("=")[0] for each in split_url(url).query.split("&"))
    _check_once(url, [name for name in names if name in POSTGRES_OPTIONS])
    if options.get("through", "pgbouncer") != "pgbouncer":
        raise InvalidUrl(url, f"through={options['through']!r}; the only supported value is 'pgbouncer'")
    return PostgresStore(
        server,
        _log_in(url, options),
        clock=clock,
        durable="may_lose" not in options,
        read_only=options.get("mode") == "ro",
        event_limit=_whole_number(url, options, "event_limit", 1_048_576),
        queue=_whole_number(url, options, "queue", 4_096),
        readers=_whole_number(url, options, "readers", 4),
        busy_timeout=_number(url, options, "busy_timeout", 10.0),
        session="through" not in options,
        clock_bound=_number(url, options, "clock_bound", CLOCK_BOUND),
        accept_time=_moment(url, options, "accept_time"),
    )


def _parts_of(url: str) -> tuple[str, dict[str, str]]:
    """Return the URL as libpq understands it, and the options of leftfold."""
    parts = split_url(url)
    given = [each.partition("=") for each in parts.query.split("&") if each]
    ours = {name: unquote(value) for name, _, value in given if name in POSTGRES_OPTIONS}
    libpq = "&".join("".join(each) for each in given if each[0] not in ours)  # libpq does not read + as a space
    server = f"{parts.scheme}://{parts.netloc}{parts.path}"  # urlunsplit would drop the slashes of an empty host
    return f"{server}?{libpq}" if libpq else server, ours


def _log_in(url: str, options: Mapping[str, str]) -> str:
    log = options.get("log", "leftfold")
    if not LOG_NAME.fullmatch(log):
        raise InvalidUrl(
            url,
            f"log={log!r} is not valid: the name of a log may have up to 48 lower-case letters, digits and underscores",
        )
    return log


def path_in(url: str) -> str:
    """Return the path in a store URL; `%20` and the like stand for characters that a URL cannot have."""
    return unquote(split_url(url).path.removeprefix("/"))


def check_path(url: str, path: str) -> None:
    """Refuse a path that cannot name a file, or that would name an unexpected one."""
    if path.endswith("/") or "\0" in path:
        raise InvalidUrl(url, "it does not name a file")
    if HOME_FOLDER.match(path):
        raise InvalidUrl(url, "~ is not expanded; write the full path, or use Path(...).expanduser()")


def is_read_only(url: str) -> bool:
    """Return whether the URL opens the log for reading only."""
    return ("mode", "ro") in parse_qsl(split_url(url).query)


def _check(url: str, options: Mapping[str, str], known: Sequence[str]) -> None:
    for name in options:
        if name not in known:
            raise InvalidUrl(url, unknown_option(name, known))
    if options.get("may_lose", "recent-commits") != "recent-commits":
        raise InvalidUrl(url, f"may_lose={options['may_lose']!r}; the only supported value is 'recent-commits'")
    if options.get("mode", "ro") != "ro":
        raise InvalidUrl(url, f"mode={options['mode']!r}; the only supported value is 'ro'")


def _check_once(url: str, names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise InvalidUrl(url, f"it has the option {name} twice")


def _number(url: str, options: Mapping[str, str], name: str, default: float) -> float:
    """Return the value of a numeric option, or raise `InvalidUrl` unless it is plain digits within the bounds."""
    given = options.get(name)
    if given is None:
        return default
    bounds = NUMBERS[name]
    plain = (WHOLE if bounds.whole else DECIMAL).fullmatch(given)
    value = float(given) if plain else -1.0
    if not bounds.least <= value <= bounds.most:
        raise InvalidUrl(url, f"{name}={given!r} is not {bounds}")
    return value


def _moment(url: str, options: Mapping[str, str], name: str) -> datetime | None:
    given = options.get(name)
    if given is None:
        return None
    try:
        moment = datetime.fromisoformat(given.replace(" ", "+"))  # a plus in a query means a space
        to_microseconds(moment)
    except (ValueError, NaiveDatetime):
        problem = f"{name}={given!r} is not a time with its offset from UTC, such as 2026-12-24T18:00:00Z"
        raise InvalidUrl(url, problem) from None
    return moment


def _whole_number(url: str, options: Mapping[str, str], name: str, default: int) -> int:
    return int(_number(url, options, name, default))

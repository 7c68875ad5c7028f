"""Open a store by its URL."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

from leftfold.clock import Clock
from leftfold.errors import InvalidUrl
from leftfold.store.contract import EventStore
from leftfold.store.memory import MemoryStore
from leftfold.store.sqlite import SQLiteStore

OPTIONS = ("busy_timeout", "event_limit", "may_lose", "mode", "queue")


def open_store(url: str, *, clock: Clock | None = None) -> EventStore:
    """Open the log at `url`, creating it when it is not there: `async with open_store("sqlite:///file.db") as store`.

    `memory:` lives as long as the store. SQLite options: `?mode=ro`, `?busy_timeout=` (seconds), `?event_limit=`
    (bytes), `?queue=` (appends under way), `?may_lose=recent-commits` (faster; a power failure may lose the latest
    commits, a crash of the process does not).
    """
    parts = urlsplit(url)
    if parts.scheme == "memory":
        if url != "memory:":
            raise InvalidUrl(url, "memory: takes no name and no options")
        return MemoryStore(clock)
    if parts.scheme != "sqlite":
        raise InvalidUrl(url, f"there is no backend {parts.scheme!r}")
    path = path_in(url)
    if parts.netloc or not path:
        raise InvalidUrl(url, "it names no file (three slashes for a relative path, four for an absolute one)")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    _check(url, options)
    return SQLiteStore(
        path,
        clock=clock,
        durable="may_lose" not in options,
        read_only=options.get("mode") == "ro",
        event_limit=int(_number(url, options, "event_limit", 1_048_576)),
        busy_timeout=_number(url, options, "busy_timeout", 10.0),
        queue=int(_number(url, options, "queue", 4_096)),
    )


def path_in(url: str) -> str:
    """The path that a store URL names; `%20` and the like stand for the characters that a URL cannot have."""
    return unquote(urlsplit(url).path.removeprefix("/"))


def _check(url: str, options: Mapping[str, str]) -> None:
    for name in options:
        if name not in OPTIONS:
            raise InvalidUrl(url, f"there is no option {name!r}; the options are {', '.join(OPTIONS)}")
    if options.get("may_lose", "recent-commits") != "recent-commits":
        raise InvalidUrl(url, f"may_lose={options['may_lose']!r}; the one thing it may lose is 'recent-commits'")
    if options.get("mode", "ro") != "ro":
        raise InvalidUrl(url, f"mode={options['mode']!r}; the one mode is 'ro'")


def _number(url: str, options: Mapping[str, str], name: str, default: float) -> float:
    try:
        value = float(options.get(name, default))
    except ValueError:
        value = 0.0
    if value <= 0:
        raise InvalidUrl(url, f"{name}={options.get(name)!r} is not a number above 0")
    return value

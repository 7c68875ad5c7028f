"""The arguments and options that several commands have, and how their texts are read."""

from datetime import datetime
from typing import Annotated, Any

import typer

EXAMPLE_TIME = "2026-01-31T09:30:00Z"
VERBS = ("retry", "skip", "cancel")


def option(name: str, help: str, metavar: str | None = None, **more: Any) -> Any:
    """Declare an option whose default is not shown, because leaving it out is the default."""
    return typer.Option(name, help=help, metavar=metavar, show_default=False, **more)


def argument(metavar: str, help: str, **more: Any) -> Any:
    """Declare an argument."""
    return typer.Argument(metavar=metavar, help=help, show_default=False, **more)


def what_moved(verb: str) -> str:
    """Return what to write instead of a former verb of a listing command."""
    return "Leave out show." if verb == "show" else f"It is a command now: leftfold {verb} URL NAME KEY"


def time(text: str) -> datetime:
    """Return a time in ISO 8601; a time without a zone is refused where it is used."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a time in ISO 8601, like {EXAMPLE_TIME}") from None


def moment(text: str) -> int | datetime:
    """Return a position or a time."""
    try:
        return int(text) if text.isdecimal() else datetime.fromisoformat(text)
    except ValueError:
        problem = f"{text!r} is neither a position, like 42, nor a time in ISO 8601, like {EXAMPLE_TIME}"
        raise typer.BadParameter(problem) from None


def tag(text: str) -> str:
    """Return a tag as the log has it."""
    name, colon, value = text.partition(":")
    if not (name and colon and value):
        raise typer.BadParameter(f"{text!r} is not a tag: name:value, like account:a-1")
    return text


def address(text: str) -> tuple[str, int]:
    """Return a port, optionally with a host before it; the default host is the loopback."""
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 65_535 or "/" in host:
        raise typer.BadParameter(f"{text!r} is neither a port, like 8080, nor a host and a port, like 0.0.0.0:8080")
    return host.strip("[]"), int(port)


def months(text: str) -> list[int]:
    """Return months by number: `1,2`, `1-12` or both."""
    try:
        spans = [[int(end) for end in part.split("-")] for part in text.split(",")]
        chosen = sorted({month for span in spans for month in range(span[0], span[-1] + 1) if len(span) < 3})
    except ValueError:
        chosen = []
    if not chosen or chosen[0] < 1 or chosen[-1] > 12:
        raise typer.BadParameter(f"{text!r} does not name months: 1,2 or 1-12")
    return chosen


LogUrl = Annotated[str, argument("URL", "The log: sqlite:///relative.db or sqlite:////absolute/path.db.")]
ModelName = Annotated[str, argument("MODEL", "A decision model or read model, by its class name.")]
ModelKey = Annotated[list[str] | None, argument("KEY", "The key: one value for each tag-typed field of the model.")]
APP = option("--app", "The app, like bank:bank. Modules in the working directory are found.", "MODULE:ATTR")
AppName = Annotated[str, APP]
OptionalAppName = Annotated[str | None, APP]
AsOf = Annotated[
    Any,
    option("--as-of", f"As of this position, or this time ({EXAMPLE_TIME}).", "POSITION|TIME", parser=moment),
]
ModelsUrl = Annotated[
    str | None,
    option("--models", "The database of the read models, if it is not the file beside the log.", "URL"),
]
Tracebacks = Annotated[bool, typer.Option("--traceback", help="Also show the traceback of each stored error.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object or value a line.")]

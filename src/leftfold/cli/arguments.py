"""The arguments and options that several commands take, and how their texts are read."""

from datetime import datetime
from typing import Annotated, Any

import typer

EXAMPLE_TIME = "2026-01-31T09:30:00Z"


def time(text: str) -> datetime:
    """Return a time in ISO 8601; a time without a zone is refused where it is used."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a time in ISO 8601, like {EXAMPLE_TIME}") from None


def moment(text: str) -> int | datetime:
    """Return a position or a time."""
    if text.isdecimal():
        return int(text)
    try:
        return datetime.fromisoformat(text)
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
    """Months by number: `1,2`, `1-12` or both."""
    try:
        spans = [[int(end) for end in part.split("-")] for part in text.split(",")]
        chosen = sorted({month for span in spans for month in range(span[0], span[-1] + 1) if len(span) < 3})
    except ValueError:
        chosen = []
    if not chosen or chosen[0] < 1 or chosen[-1] > 12:
        raise typer.BadParameter(f"{text!r} does not name months: 1,2 or 1-12")
    return chosen


LogUrl = Annotated[
    str,
    typer.Argument(
        metavar="URL", show_default=False, help="The log: sqlite:///relative.db or sqlite:////absolute/path.db."
    ),
]
ModelName = Annotated[
    str, typer.Argument(metavar="MODEL", show_default=False, help="A decision model or read model, by its class name.")
]
ModelKey = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY", show_default=False, help="The model's key: one value for each tag-typed field."),
]
AppName = Annotated[
    str,
    typer.Option(
        "--app",
        metavar="MODULE:ATTR",
        show_default=False,
        help="The app, like bank:bank; modules of the working directory are found.",
    ),
]
OptionalAppName = Annotated[
    str | None,
    typer.Option(
        "--app",
        metavar="MODULE:ATTR",
        show_default=False,
        help="The app, like bank:bank; modules of the working directory are found.",
    ),
]
AsOf = Annotated[
    Any,
    typer.Option(
        "--as-of",
        parser=moment,
        metavar="POSITION|TIME",
        show_default=False,
        help=f"A past moment instead of the present: a position, or a time like {EXAMPLE_TIME}.",
    ),
]
ModelsUrl = Annotated[
    str | None,
    typer.Option(
        "--models",
        metavar="URL",
        show_default=False,
        help="The read models' database, like postgresql://user@host/name; by default the file beside the log.",
    ),
]
Tracebacks = Annotated[
    bool, typer.Option("--traceback", help="With the traceback of each error that was kept where it happened.")
]
Json = Annotated[bool, typer.Option("--json", help="JSON for programs, one object or value a line.")]

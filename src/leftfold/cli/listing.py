"""Events as people read them: a headline, the data, and who said it."""

from collections.abc import Iterable
from datetime import datetime

from rich.text import Text

from leftfold.cli.plain import moment, shown
from leftfold.metadata import Metadata

INDENT = 2


def headline(position: int, time: datetime, type: str, version: int, tags: Iterable[str] = ()) -> Text:
    """Where, when and what."""
    line = Text.assemble((str(position), "bold cyan"), "  ", (moment(time), "dim"), "  ", (type, "bold"))
    if version != 1:
        line.append(f" v{version}", "dim")
    for tag in tags:
        line.append(f"  {tag}", "magenta")
    return line


def said(metadata: Metadata) -> Text:
    """Who, why, by which command and caused by what; empty when nothing was said."""
    parts = [
        metadata.actor and f"by {metadata.actor}",
        metadata.reason and f"because {metadata.reason}",
        _command(metadata),
        _cause(metadata),
        metadata.correlation and metadata.correlation != metadata.command and f"correlation {metadata.correlation}",
        metadata.traceparent and f"trace {metadata.traceparent}",
        *(f"{name}={shown(value)}" for name, value in metadata.extra.items()),
    ]
    return Text(" · ".join(part for part in parts if part), "dim")


def _command(metadata: Metadata) -> str:
    named = " ".join(part for part in (metadata.command_type, metadata.command) if part)
    return named and f"command {named}"


def _cause(metadata: Metadata) -> str:
    if metadata.cause is None:
        return ""
    return f"caused by {'position' if isinstance(metadata.cause, int) else 'command'} {metadata.cause}"

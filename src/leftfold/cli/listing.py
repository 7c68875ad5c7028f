"""Events as people read them: a headline, the data, and who said it."""

from collections.abc import Iterable
from datetime import datetime

from rich.text import Text

from leftfold.cli.consoles import Console
from leftfold.cli.plain import json_data, moment, shown, shown_data, visible
from leftfold.model.metadata import Metadata, decode_metadata
from leftfold.store import StoredEvent

INDENT = 2


def headline(position: int, time: datetime, type: str, version: int, tags: Iterable[str] = ()) -> Text:
    """Where, when and what."""
    line = Text.assemble((str(position), "bold cyan"), "  ", (moment(time), "dim"), "  ", (visible(type), "bold"))
    if version != 1:
        line.append(f" v{version}", "dim")
    for tag in tags:
        line.append(f"  {visible(tag)}", "magenta")
    return line


def shown_metadata(metadata: Metadata) -> Text:
    """Who, why, by which command and caused by what; empty when nothing was said."""
    other = metadata.correlation if metadata.correlation != metadata.command else None
    parts = [
        _part("by", metadata.actor),
        _part("because", metadata.reason),
        _part("command", metadata.command_type, metadata.command),
        _part("caused by position" if isinstance(metadata.cause, int) else "caused by command", metadata.cause),
        _part("correlation", other),
        _part("trace", metadata.traceparent),
        *(f"{visible(name)}={shown(value)}" for name, value in metadata.extra.items()),
    ]
    return Text(" · ".join(part for part in parts if part), "dim")


def show_event(out: Console, event: StoredEvent) -> None:
    """Print an event for people."""
    out.put(headline(event.position, event.time, event.type, event.version, event.tags))
    for line in (shown_data(event.data), shown_metadata(decode_metadata(event.metadata))):
        if line:
            out.put(line, INDENT)


def show_event_json(out: Console, event: StoredEvent) -> None:
    """Print an event for programs."""
    out.json(
        {
            "position": event.position,
            "time": moment(event.time),
            "type": event.type,
            "version": event.version,
            "tags": event.tags,
            **json_data("data", event.data),
            **json_data("metadata", event.metadata),
        }
    )


def _part(name: str, *values: str | int | None) -> str:
    given = [visible(str(value)) for value in values if value is not None]
    return " ".join((name, *given)) if given else ""

"""`leftfold events`: the events of a log, chosen by type, tag, position and time; how an event is shown."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing
from datetime import datetime
from typing import Annotated, Any

import msgspec
import typer
from rich.text import Text

from leftfold.cli import arguments
from leftfold.cli.arguments import Json, LogUrl, option
from leftfold.cli.opening import open_log
from leftfold.cli.outcome import Outcome, command
from leftfold.cli.output import Console, stderr, stdout
from leftfold.cli.plain import json_data, moment, shown, shown_data, visible
from leftfold.model.criteria import Criteria, criteria
from leftfold.model.metadata import Metadata, decode_metadata
from leftfold.model.registry import RESERVED
from leftfold.store import Batch, EventStore, StoredEvent, subscribe
from leftfold.store.time_travel import position_at, position_before

INDENT = 2


class Choice(msgspec.Struct):
    """Which events to list, and how."""

    criteria: Criteria
    after: int
    upto: int | None
    limit: int | None
    reverse: bool
    follow: bool
    hide_system: bool


@command
async def events(
    url: LogUrl,
    types: Annotated[list[str] | None, option("--type", "Only this type; may be repeated (or).", "TYPE")] = None,
    tags: Annotated[
        list[str] | None,
        option("--tag", "Only with this tag; may be repeated (and).", "NAME:VALUE", parser=arguments.tag),
    ] = None,
    after: Annotated[int, option("--after", "Only events after this position.", "POSITION", min=0)] = 0,
    upto: Annotated[int | None, option("--upto", "No event after this position.", "POSITION", min=0)] = None,
    since: Annotated[Any, option("--since", "No event before this time.", "TIME", parser=arguments.time)] = None,
    until: Annotated[Any, option("--until", "No event after this time.", "TIME", parser=arguments.time)] = None,
    limit: Annotated[int | None, option("--limit", "At most this many events.", "NUMBER", min=0)] = None,
    reverse: Annotated[bool, typer.Option("--reverse", help="Newest first.")] = False,
    hide_system: Annotated[
        bool, typer.Option("--hide-system", help="Leave out leftfold's own events, whose types begin with leftfold.")
    ] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with new events until Ctrl-C.")] = False,
    json: Json = False,
) -> Outcome:
    """List events: position, time, type, tags and data, and who caused them.

    Of several types an event has any, of several tags it has all. Long values are cut; --json prints them whole, and
    data that is not JSON in Base64.

    Examples:
      leftfold events sqlite:///bank.db --reverse --limit 10
      leftfold events sqlite:///bank.db --type account.opened --tag account:a-1
      leftfold events sqlite:///bank.db --since 2026-01-31T09:30Z --after 42
      leftfold events sqlite:///bank.db --follow --json | jq .data
    """
    if follow and (reverse or upto is not None or until is not None):
        raise typer.BadParameter("--follow has no end; use it without --reverse, --upto and --until")
    async with open_log(url) as log:
        after, upto = await _span(log, after, upto, since, until)
        choice = Choice(criteria(*types or (), tags=tags or ()), after, upto, limit, reverse, follow, hide_system)
        count = await _list(log, choice, show_event_json if json else show_event)
    if not count:
        stderr().put("no such event")
    return Outcome.FINE


async def _list(log: EventStore, choice: Choice, show: Callable[[Console, StoredEvent], None]) -> int:
    """Print the events as they come, and return their number."""
    out, count = stdout(), 0
    async with aclosing(_chosen(log, choice)) as found:
        async for events in found:
            for event in events:
                show(out, event)
            out.file.flush()
            count += len(events)
    return count


async def _span(
    log: EventStore, after: int, upto: int | None, since: datetime | None, until: datetime | None
) -> tuple[int, int | None]:
    """Return the positions to show, with times converted to positions."""
    if since is not None:
        after = max(after, await position_before(log, since))
    if until is not None:
        last = await position_at(log, until)
        upto = last if upto is None else min(upto, last)
    return after, upto


async def _chosen(log: EventStore, choice: Choice) -> AsyncGenerator[list[StoredEvent], None]:
    left = choice.limit
    if left == 0:
        return
    async for batch in _batches(log, choice):
        shown = [each for each in batch.events if not (choice.hide_system and each.type.startswith(RESERVED))]
        found = shown[:left]
        yield found
        if left is not None:
            left -= len(found)
            if left == 0:
                return


def _batches(log: EventStore, choice: Choice) -> AsyncIterator[Batch]:
    if choice.follow:
        return subscribe(log, choice.criteria, after=choice.after)
    limit = None if choice.hide_system else choice.limit
    return log.read(choice.criteria, after=choice.after, upto=choice.upto, limit=limit, reverse=choice.reverse)


# --- how an event is shown


def headline(position: int, time: datetime, type: str, version: int, tags: Iterable[str] = ()) -> Text:
    """Return the position, time, type and tags of an event as one line."""
    line = Text.assemble((str(position), "bold cyan"), "  ", (moment(time), "dim"), "  ", (visible(type), "bold"))
    if version != 1:
        line.append(f" v{version}", "dim")
    for tag in tags:
        line.append(f"  {visible(tag)}", "magenta")
    return line


def shown_metadata(metadata: Metadata) -> Text:
    """Return who caused an event, why, and with which command; empty if the metadata has nothing."""
    other = metadata.correlation if metadata.correlation != metadata.command else None
    parts = [
        _part("by", metadata.actor),
        _part("because", metadata.reason),
        _part("corrects position", metadata.corrects),
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

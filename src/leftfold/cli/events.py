"""`leftfold events`: the events of a log, chosen by type, tag, position and time."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from datetime import datetime
from typing import Annotated, Any

import msgspec
import typer

from leftfold.cli import arguments
from leftfold.cli.arguments import Json, LogUrl
from leftfold.cli.consoles import Console, stderr, stdout
from leftfold.cli.listing import show_event, show_event_json
from leftfold.cli.opening import open_log
from leftfold.cli.outcome import Outcome, command
from leftfold.model.criteria import Criteria, criteria
from leftfold.model.registry import RESERVED
from leftfold.store import Batch, EventStore, StoredEvent, subscribe
from leftfold.store.time_travel import position_at, position_before


class Choice(msgspec.Struct):
    """Which events are wanted, and how."""

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
    types: Annotated[
        list[str] | None, typer.Option("--type", metavar="TYPE", help="Only this type; again for one more (or).")
    ] = None,
    tags: Annotated[
        list[str] | None,
        typer.Option(
            "--tag", parser=arguments.tag, metavar="NAME:VALUE", help="Only with this tag; again: both (and)."
        ),
    ] = None,
    after: Annotated[int, typer.Option(min=0, metavar="POSITION", help="Only later positions.")] = 0,
    upto: Annotated[
        int | None, typer.Option(min=0, metavar="POSITION", show_default=False, help="Not beyond this position.")
    ] = None,
    since: Annotated[
        Any, typer.Option(parser=arguments.time, metavar="TIME", show_default=False, help="Not before this time.")
    ] = None,
    until: Annotated[
        Any, typer.Option(parser=arguments.time, metavar="TIME", show_default=False, help="Not after this time.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=0, metavar="NUMBER", show_default=False, help="At most so many.")
    ] = None,
    reverse: Annotated[bool, typer.Option("--reverse", help="Newest first.")] = False,
    hide_system: Annotated[
        bool, typer.Option("--hide-system", help="Without the events that leftfold itself appends, `leftfold.*`.")
    ] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with new events until Ctrl-C.")] = False,
    json: Json = False,
) -> Outcome:
    """List events: where, when, what, and who said it.

    Types are alternatives, tags must all be there. In the listing long values are cut; --json has everything: one
    object a line, and data that is not JSON in Base64.

    Examples:
      leftfold events sqlite:///bank.db --reverse --limit 10
      leftfold events sqlite:///bank.db --type account.opened --tag account:a-1
      leftfold events sqlite:///bank.db --since 2026-01-31T09:30Z --after 42
      leftfold events sqlite:///bank.db --follow --json | jq .data
    """
    if follow and (reverse or upto is not None or until is not None):
        raise typer.BadParameter("--follow has no end: it goes without --reverse, --upto and --until")
    async with open_log(url) as log:
        after, upto = await _span(log, after, upto, since, until)
        choice = Choice(criteria(*types or (), tags=tags or ()), after, upto, limit, reverse, follow, hide_system)
        count = await _list(log, choice, show_event_json if json else show_event)
    if not count:
        stderr().put("no such event")
    return Outcome.FINE


async def _list(log: EventStore, choice: Choice, show: Callable[[Console, StoredEvent], None]) -> int:
    """Show what is chosen as it comes, and return how many events that were."""
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

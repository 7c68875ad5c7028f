"""`leftfold reactors`: how far reactors have come, what they could not react to, retry and skip."""

from typing import Annotated, Any

import msgspec
import typer

from leftfold.cli.answers import show_traceback, table
from leftfold.cli.arguments import AppName, Json, LogUrl, Tracebacks
from leftfold.cli.consoles import stderr, stdout
from leftfold.cli.opening import load_app, open_app, open_app_for_writing
from leftfold.cli.outcome import Outcome, command
from leftfold.cli.plain import counted, moment
from leftfold.cli.projections import verb_from
from leftfold.errors import UnknownName
from leftfold.live import LiveApp
from leftfold.model.clock import SystemClock
from leftfold.model.metadata import recording
from leftfold.reaction.reactors import Outstanding, ReactorStatus

Verb = Annotated[
    str | None,
    typer.Argument(parser=verb_from, metavar="[show|retry|skip]", show_default=False, help="What to do, if anything."),
]
Name = Annotated[str | None, typer.Argument(metavar="REACTOR", show_default=False, help="The reactor, by its name.")]
Position = Annotated[
    int | None, typer.Argument(metavar="POSITION", show_default=False, help="Where the event lies in the log.")
]


@command
async def reactors(
    url: LogUrl,
    app: AppName,
    verb: Verb = None,
    name: Name = None,
    position: Position = None,
    reason: Annotated[str, typer.Option(metavar="TEXT", show_default=False, help="Why; kept in the log.")] = "",
    actor: Annotated[str, typer.Option(metavar="NAME", show_default=False, help="Who wants it; kept too.")] = "",
    traceback: Tracebacks = False,
    json: Json = False,
) -> Outcome:
    """List the reactors: how far each is, and how many events wait for another attempt or are parked.

    show lists these events with their errors; retry gives one to the reactor again, or all that are parked; skip
    leaves one without a reaction, for good.

    Examples:
      leftfold reactors --app bank:bank sqlite:///bank.db
      leftfold reactors --app bank:bank sqlite:///bank.db retry "welcome mail"
      leftfold reactors --app bank:bank sqlite:///bank.db skip "welcome mail" 17 --reason "address is gone" --actor ann
    """
    loaded = load_app(app)
    if verb is None:
        async with open_app(loaded, url) as live:
            _show(await live.reactors(), json=json)
        return Outcome.FINE
    if name is None:
        raise typer.BadParameter(f"{verb} needs a reactor")
    if verb == "show":
        async with open_app(loaded, url) as live:
            found = await _named(live, name)
        _show_outstanding(found, json=json)
        for each in found.parked if traceback and not json else ():
            stdout().put("")
            stdout().put(f"{found.name} at {each.position}")
            show_traceback(stdout(), each.traceback)
        return Outcome.FINE
    if verb == "skip" and (position is None or not reason):
        raise typer.BadParameter("skip needs a position, and --reason: the log records why an event was left out")
    async with open_app_for_writing(loaded, url) as live:
        with recording(actor=actor or None, reason=reason or None):
            await _act(live, verb, name, position, reason)
    return Outcome.FINE


async def _named(live: LiveApp, name: str) -> ReactorStatus:
    found = {status.name: status for status in await live.reactors()}
    if name not in found:
        raise UnknownName("reactor", name, sorted(found))
    return found[name]


async def _act(live: LiveApp, verb: str, name: str, position: int | None, reason: str) -> None:
    if verb == "skip" and position is not None:
        await live.skip(f"reactor {name}", position, reason=reason)
        stderr().put(f"{name}: the event at {position} is left without a reaction")
    else:
        before = 1 if position else len(await live.parked(f"reactor {name}"))
        left = await live.retry(f"reactor {name}", *(() if position is None else (position,)))
        stderr().put(f"{name}: {counted(before - len(left), 'event')} to be reacted to at once")


def _show(found: list[ReactorStatus], *, json: bool) -> None:
    if json:
        for status in found:
            stdout().json(_row(status))
    elif found:
        stdout().print(table([_shown_row(status) for status in found]))
    else:
        stderr().put("the app has no reactors")


def _row(status: ReactorStatus) -> dict[str, Any]:
    waited = 0.0 if status.behind is None else max((SystemClock().now() - status.behind).total_seconds(), 0.0)
    return {
        "name": status.name,
        "state": status.state,
        "position": status.position,
        "lag": status.lag,
        "lag_seconds": waited,
        "waiting": len(status.waiting),
        "parked": len(status.parked),
        "in_order": status.in_order,
    }


def _shown_row(status: ReactorStatus) -> dict[str, Any]:
    row = _row(status)
    shown = {name: row[name] for name in ("state", "position", "lag")}
    return {"reactor": status.name, **shown, "for": f"{row['lag_seconds']:,.0f} s"} | {
        name: row[name] for name in ("waiting", "parked")
    }


def _show_outstanding(status: ReactorStatus, *, json: bool) -> None:
    if json:
        for each in status.outstanding:
            stdout().json(msgspec.structs.asdict(each))
    elif status.outstanding:
        stdout().print(table([_outstanding_row(each) for each in status.outstanding]))
    else:
        stderr().put(f"{status.name} waits with no event")


def _outstanding_row(each: Outstanding) -> dict[str, Any]:
    return {
        "position": each.position,
        "state": each.state,
        "attempts": each.attempts,
        "due": moment(each.due) if each.due else None,
        "error": each.error,
    }

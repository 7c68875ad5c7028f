"""`leftfold commands`: what was submitted and is not done with; retry and cancel."""

from typing import Annotated, Any

import msgspec
import typer

from leftfold.cli.answers import show_traceback, table
from leftfold.cli.arguments import AppName, Json, LogUrl, Tracebacks
from leftfold.cli.consoles import stderr, stdout
from leftfold.cli.opening import load_app, open_app, open_app_for_writing
from leftfold.cli.outcome import Outcome, command
from leftfold.cli.plain import moment, shown_fields
from leftfold.command import OPEN_OR_FAILED, Daily, Submission, SubmissionState
from leftfold.model.clock import SystemClock
from leftfold.model.metadata import Metadata


@command
async def commands(
    url: LogUrl,
    app: AppName,
    state: Annotated[
        list[SubmissionState] | None,
        typer.Option("--state", show_default=False, help="Only commands in this state; again for one more (or)."),
    ] = None,
    retry: Annotated[
        str | None, typer.Option(metavar="ID", show_default=False, help="Try a failed or postponed one again at once.")
    ] = None,
    cancel: Annotated[
        str | None,
        typer.Option(metavar="ID", show_default=False, help="Cancel a command that has not been handled yet."),
    ] = None,
    reason: Annotated[
        str | None, typer.Option(metavar="TEXT", show_default=False, help="Why it is retried or cancelled.")
    ] = None,
    traceback: Tracebacks = False,
    json: Json = False,
) -> Outcome:
    """List submitted commands that are not done with, or retry or cancel one.

    Without --state: pending, scheduled and failed ones. To retry and to cancel are events of the log.

    Examples:
      leftfold commands --app bank:bank sqlite:///bank.db
      leftfold commands --app bank:bank sqlite:///bank.db --state failed --json
      leftfold commands --app bank:bank sqlite:///bank.db --retry 5f2c… --reason "line repaired"
    """
    if retry and cancel:
        raise typer.BadParameter("--retry and --cancel are two things")
    if retry or cancel:
        await _change(app, url, retry, cancel, Metadata(reason=reason))
        return Outcome.FINE
    async with open_app(load_app(app), url) as live:
        found = await live.commands(state or OPEN_OR_FAILED)
    _show(found, json=json)
    for each in found if traceback and not json else ():
        if each.traceback:
            stdout().put("")
            stdout().put(f"{each.command} (ticket {each.ticket})")
            show_traceback(stdout(), each.traceback)
    return Outcome.FINE


async def _change(app: str, url: str, retry: str | None, cancel: str | None, metadata: Metadata) -> None:
    async with open_app_for_writing(load_app(app), url) as live:
        ticket = live.ticket(retry or cancel or "")
        await (ticket.retry(metadata=metadata) if retry else ticket.cancel(metadata=metadata))
    stderr().put(f"{ticket.id}: {'to be handled at once' if retry else 'cancelled'}")


def _show(found: list[Submission], *, json: bool) -> None:
    if json:
        for each in found:
            shown = msgspec.structs.asdict(each) | {"data": each.data, "state": each.state_at(SystemClock().now())}
            stdout().json({name: value for name, value in shown.items() if name != "raw"})
    elif found:
        stdout().print(table([_row(each) for each in found]))
    else:
        stderr().put("no such command")


def _every(each: Submission) -> str | None:
    """How often a command recurs."""
    match each.recurrence and each.recurrence.every:
        case Daily(at=at, zone=zone):
            return f"day at {at.isoformat('minutes')} {zone}"
        case None:
            return None
        case period:
            return str(period)


def _row(each: Submission) -> dict[str, Any]:
    return {
        "ticket": each.ticket,
        "state": each.state_at(SystemClock().now()),
        "command": each.command,
        "data": shown_fields(each.data),
        "due": moment(each.due) if each.due else None,
        "every": _every(each),
        "attempts": each.attempts or None,
        "error": each.error or each.reason or None,
    }

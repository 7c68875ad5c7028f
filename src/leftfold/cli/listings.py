"""`leftfold projections`, `processes`, `reactors` and `commands`: how far each is, and one of them in detail."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Annotated, Any

import msgspec
import typer
from rich.text import Text

from leftfold.cli.arguments import AppName, Json, LogUrl, ModelKey, ModelsUrl, Tracebacks, argument
from leftfold.cli.events import INDENT, show_event, show_event_json
from leftfold.cli.kept import Kept
from leftfold.cli.names import key_from, named
from leftfold.cli.opening import load_app, open_log, reading
from leftfold.cli.outcome import Outcome, command
from leftfold.cli.output import Console, show_list, show_traceback, stderr, stdout
from leftfold.cli.plain import counted, duration, moment, shown_event, shown_fields, visible
from leftfold.command import OPEN_OR_FAILED, Daily, Submission, SubmissionState
from leftfold.model.clock import SystemClock
from leftfold.process import ProcessInstance, ProcessProgress
from leftfold.query import ParkedKey, ReadModelDefinition
from leftfold.query.event_keys import Key
from leftfold.reaction.reactors import Outstanding, ReactorStatus
from leftfold.store import EventStore

MAX_KEYS = 3


# --- read models and SQL projections


@command
async def projections(
    url: LogUrl,
    app: AppName,
    model: Annotated[
        str | None, argument("MODEL", "Only this read model, by its class name, or this SQL projection.")
    ] = None,
    key: Annotated[list[str] | None, argument("KEY", "The parked key to show: one value for each part of it.")] = None,
    models: ModelsUrl = None,
    traceback: Tracebacks = False,
    json: Json = False,
) -> Outcome:
    """List the read models and SQL projections: how far each is, and its parked keys, grouped by error.

    With a parked key, list the events that wait under it, beginning with the event that failed. An SQL projection is
    parked as a whole: its name alone lists them.

    Examples:
      leftfold projections --app bank:bank sqlite:///bank.db
      leftfold projections --app bank:bank sqlite:///bank.db Balance a-1 --traceback
    """
    kept = Kept.of(load_app(app), url, models)
    chosen = None if model is None else kept.named(model)
    values = key_from(chosen.fold, key) if chosen is not None and key else ()
    async with open_log(url) as log:
        parked = [each for each in await kept.parked(log) if chosen is None or each.table == chosen.table]
        if chosen is not None and (key or any(each.key == () for each in parked)):
            await _show_queue(kept, log, chosen, values, json=json)
            if traceback and not json:
                show_traceback(kept.traceback(chosen, values))
            elif traceback:
                stdout().json({"traceback": kept.traceback(chosen, values)})
            return Outcome.FINE
        rows = [row for row in await kept.rows(log, parked) if chosen is None or row["name"] == chosen.name]
    if json:
        stdout().json({"projections": rows, "parked": [msgspec.to_builtins(each, enc_hook=str) for each in parked]})
    else:
        show_list(rows, projection_row, none="the app has no read models and no SQL projections", json=False)
        _show_parked(stdout(), parked)
    return Outcome.FINE


def projection_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return how far a read model is, for people."""
    position = "not kept" if row["position"] is None else row["position"]
    behind = duration(row["lag_seconds"] if row["lag"] else 0)
    shown = {"projection": row["name"], "state": row["state"], "position": position, "lag": row["lag"]}
    return shown | {"for": behind, "parked": row["parked"]}


def _show_parked(out: Console, parked: Sequence[ParkedKey]) -> None:
    for (model, problem), keys in groupby(sorted(parked, key=_model_and_problem), key=_model_and_problem):
        found = list(keys)
        names = ", ".join(_key_and_position(each) for each in found[:MAX_KEYS])
        more = f" and {len(found) - MAX_KEYS:,} more" if len(found) > MAX_KEYS else ""
        out.put("")
        out.put(Text.assemble((f"{model}  ", "bold"), (visible(problem), "red")))
        waiting = counted(sum(each.queued for each in found), "event")
        out.put(f"{counted(len(found), 'key')} parked with {waiting}: {visible(names)}{more}", indent=INDENT)


def _model_and_problem(parked: ParkedKey) -> tuple[str, str]:
    return (parked.model, parked.problem)


def _key_and_position(parked: ParkedKey) -> str:
    return f"{' '.join(map(str, parked.key)) or 'the whole projection'} at {parked.position}"


async def _show_queue(kept: Kept, log: EventStore, definition: ReadModelDefinition, key: Key, *, json: bool) -> None:
    parked, events = await kept.queue(log, definition, key)
    out = stdout()
    if not json:
        title = f"{parked.model} {_key_and_position(parked)}  "
        out.put(Text.assemble((title, "bold"), (visible(parked.problem), "red")))
    for event in events:
        (show_event_json if json else show_event)(out, event)
    if parked.queued > len(events) and not json:
        out.put(f"and {parked.queued - len(events):,} more")


# --- processes


@command
async def processes(
    url: LogUrl,
    app: AppName,
    process: Annotated[str | None, argument("PROCESS", "Only this process, by its name in the log.")] = None,
    key: ModelKey = None,
    traceback: Tracebacks = False,
    json: Json = False,
) -> Outcome:
    """List the instances of processes, or show the history of one.

    Instances that have not acted and are not parked are not listed. Exit code 1 if no event concerns the instance.

    Examples:
      leftfold processes --app shop:orders sqlite:///shop.db
      leftfold processes --app shop:orders sqlite:///shop.db Fulfilment o-1
    """
    loaded = load_app(app)
    known = {each.name: each for each in loaded.processes.values()}
    chosen = None if process is None else named("process", process, known)
    if chosen is None or not key:
        async with reading(loaded, url) as live:
            found = await live.processes(chosen.owner if chosen else None)
        show_list(found, _process_row, none="no process instances yet", json=json, plain=_process_row)
        return Outcome.FINE
    async with reading(loaded, url) as live:
        instance = await live.process(chosen.owner, *key_from(chosen.fold, key))
    if not instance.history and instance.progress.parked is None:
        stderr().put(f"{' '.join((chosen.name, *key))} has no events")
        return Outcome.FOUND
    elif json:
        stdout().json({"state": instance.state, "progress": instance.progress, "history": instance.history})
    else:
        _show_history(stdout(), instance)
        if traceback:
            show_traceback(instance.progress.traceback)
    return Outcome.FINE


def _process_row(progress: ProcessProgress) -> dict[str, Any]:
    return {
        "instance": progress.instance,
        "standing": progress.standing,
        "answered": progress.reacted,
        "commands": len(progress.tickets),
        "parked": progress.parked,
        "error": progress.error,
    }


def _show_history(out: Console, instance: ProcessInstance) -> None:
    for step in instance.history:
        out.put(f"{step.position}  {type(step.event).__name__}  {shown_event(step.event)}")
        for ticket in step.tickets:
            out.put(f"command {ticket}", INDENT)
    progress = instance.progress
    out.put(progress.standing if progress.standing != "parked" else f"parked at {progress.parked}: {progress.error}")


# --- reactors


@command
async def reactors(
    url: LogUrl,
    app: AppName,
    name: Annotated[str | None, argument("REACTOR", "The reactor to show, by its name.")] = None,
    traceback: Tracebacks = False,
    json: Json = False,
) -> Outcome:
    """List the reactors: how far each is, and how many events wait for another attempt or are parked.

    With the name of a reactor, list these events with their errors.

    Examples:
      leftfold reactors --app bank:bank sqlite:///bank.db
      leftfold reactors --app bank:bank sqlite:///bank.db "welcome mail" --traceback
    """
    loaded = load_app(app)
    if name is not None:
        named("reactor", name, loaded.reactors)
    async with reading(loaded, url) as live:
        found = [status for status in await live.reactors() if name in (None, status.name)]
    if name is None:
        show_list(found, _reactor_row, none="the app has no reactors", json=json, plain=reactor_json)
        return Outcome.FINE
    [status] = found
    show_list(status.outstanding, _outstanding_row, none=f"{name} waits for no event", json=json)
    for each in status.parked if traceback and not json else ():
        show_traceback(each.traceback, f"{name} at {each.position}")
    return Outcome.FINE


def reactor_json(status: ReactorStatus) -> dict[str, Any]:
    """Return how far a reactor is, for programs."""
    behind = status.behind
    return {
        "name": status.name,
        "state": status.state,
        "position": status.position,
        "lag": status.lag,
        "lag_seconds": 0.0 if behind is None else max((SystemClock().now() - behind).total_seconds(), 0.0),
        "waiting": len(status.waiting),
        "parked": len(status.parked),
        "in_order": status.in_order,
    }


def _reactor_row(status: ReactorStatus) -> dict[str, Any]:
    row = reactor_json(status)
    row |= {"reactor": status.name, "for": duration(row["lag_seconds"])}
    return {name: row[name] for name in ("reactor", "state", "position", "lag", "for", "waiting", "parked")}


def _outstanding_row(each: Outstanding) -> dict[str, Any]:
    due = moment(each.due.replace(microsecond=0)) if each.due else None
    row = msgspec.structs.asdict(each) | {"due": due}
    return {name: row[name] for name in ("position", "state", "attempts", "due", "error")}


# --- submitted commands


@command
async def commands(
    url: LogUrl,
    app: AppName,
    ticket: Annotated[str | None, argument("TICKET", "Only the command with this ticket id, in any state.")] = None,
    state: Annotated[
        list[SubmissionState] | None,
        typer.Option("--state", show_default=False, help="Only commands in this state; may be repeated (or)."),
    ] = None,
    traceback: Tracebacks = False,
    json: Json = False,
) -> Outcome:
    """List submitted commands that are pending, scheduled or failed, or those in another --state.

    Examples:
      leftfold commands --app bank:bank sqlite:///bank.db
      leftfold commands --app bank:bank sqlite:///bank.db --state failed --traceback
      leftfold commands --app bank:bank sqlite:///bank.db 5f2c…
    """
    if ticket and state:
        raise typer.BadParameter("a ticket id and --state do not go together")
    async with reading(load_app(app), url) as live:
        if ticket:
            found = [await live.ticket(ticket).state()]
        else:
            found = await live.commands(state or OPEN_OR_FAILED)
    show_list(found, _command_row, none="no such command", json=json, plain=_submission)
    for each in found if traceback and not json else ():
        if each.traceback:
            show_traceback(each.traceback, f"{each.command} (ticket {each.ticket})")
    return Outcome.FINE


def _submission(each: Submission) -> dict[str, Any]:
    shown = msgspec.structs.asdict(each) | {"data": each.data, "state": each.state_at(SystemClock().now())}
    return {name: value for name, value in shown.items() if name != "raw"}


def _command_row(each: Submission) -> dict[str, Any]:
    return {
        "ticket": each.ticket,
        "state": each.state_at(SystemClock().now()),
        "command": each.command,
        "data": shown_fields(each.data),
        "due": moment(each.due.replace(microsecond=0)) if each.due else None,
        "every": _period(each),
        "attempts": each.attempts or None,
        "error": each.error or each.reason or None,
    }


def _period(each: Submission) -> str | None:
    """Return how often a command recurs."""
    match each.recurrence and each.recurrence.every:
        case Daily(at=at, zone=zone):
            return f"day at {at.isoformat('minutes')} {zone}"
        case None:
            return None
        case period:
            return str(period)

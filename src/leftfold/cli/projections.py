"""`leftfold projections`: how far the read models are, what they could not fold, and what is to be done about it."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Annotated, Any

import msgspec
import typer
from rich.text import Text

from leftfold.app import App
from leftfold.cli.answers import show_traceback, table
from leftfold.cli.arguments import AppName, Json, LogUrl, ModelsUrl, Tracebacks
from leftfold.cli.consoles import Console, stderr, stdout
from leftfold.cli.kept_models import (
    SHOWN,
    kept_parked,
    kept_positions,
    kept_queue,
    kept_traceback,
    models_place,
    read_model_named,
)
from leftfold.cli.listing import INDENT, show_event, show_event_json
from leftfold.cli.models import key_from
from leftfold.cli.opening import load_app, open_log
from leftfold.cli.outcome import Outcome, command
from leftfold.cli.plain import counted, visible
from leftfold.live import LiveApp
from leftfold.model.clock import SystemClock
from leftfold.model.metadata import recording
from leftfold.parked import Parked
from leftfold.query import ParkedKey, ReadModelDefinition, SqlProjection
from leftfold.query.folded_log import FoldedLog
from leftfold.query.parking import with_queue
from leftfold.query.progress import seconds_behind
from leftfold.store import EventStore
from leftfold.store.time_travel import event_at

VERBS = ("show", "retry", "skip")
SAMPLES = 3


def verb_from(text: str) -> str:
    """One of the verbs."""
    if text not in VERBS:
        raise typer.BadParameter(f"{text!r} is none of {', '.join(VERBS)}")
    return text


Verb = Annotated[
    str | None,
    typer.Argument(parser=verb_from, metavar="[show|retry|skip]", show_default=False, help="What to do, if anything."),
]
Model = Annotated[
    str | None,
    typer.Argument(metavar="MODEL", show_default=False, help="The read model by its class name, or the projection."),
]
Key = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY", show_default=False, help="The parked key: one value for each part of it."),
]


@command
async def projections(
    url: LogUrl,
    app: AppName,
    verb: Verb = None,
    model: Model = None,
    key: Key = None,
    reason: Annotated[str, typer.Option(metavar="TEXT", show_default=False, help="Why an event is skipped.")] = "",
    actor: Annotated[str, typer.Option(metavar="NAME", show_default=False, help="Who skips it.")] = "",
    models: ModelsUrl = None,
    traceback: Tracebacks = False,
    json: Json = False,
) -> Outcome:
    """List the read models and projections: how far each is, and its parked keys, grouped by error.

    show lists the events queued for a parked key, and with --traceback where the error was raised; retry folds them in
    order after a fix, for one key or for all of a model; skip leaves the failing event out of the row for good, and
    records that in the log. An SQL projection is held up as a whole: name it without a key.

    Examples:
      leftfold projections --app bank:bank sqlite:///bank.db
      leftfold projections --app bank:bank sqlite:///bank.db retry Balance
      leftfold projections --app bank:bank sqlite:///bank.db retry "daily totals"
      leftfold projections --app bank:bank sqlite:///bank.db skip Balance a-1 --reason "typing error" --actor ann
    """
    loaded = load_app(app)
    place = models_place(url, models)
    if verb is None:
        await _list(loaded, url, place, json=json)
        return Outcome.FINE
    if model is None:
        raise typer.BadParameter(f"{verb} needs a read model, or a projection")
    definition = read_model_named(loaded, model)
    values = key_from(definition.fold, key) if key else ()
    if verb == "skip" and not reason:
        raise typer.BadParameter("skip needs --reason: the log records why an event was left out")
    if verb == "show":
        await _show_key(loaded, url, place, definition, values, json=json)
        if traceback:
            show_traceback(stdout(), kept_traceback(place, definition, values), json=json)
        return Outcome.FINE
    async with open_log(url):
        pass  # it is not created
    async with loaded.open(url, models=place) as live:
        with recording(actor=actor or None):
            stuck = await _act(live, verb, definition, values, reason)
    return _tell(stuck, json=json)


async def _act(
    live: LiveApp, verb: str, definition: ReadModelDefinition, key: tuple[Any, ...], reason: str
) -> Sequence[Parked]:
    if verb == "retry":
        return await live.retry(f"projection {definition.name}", *key)
    return await live.skip(f"projection {definition.name}", *key, reason=reason)


# --- the list


async def _list(app: App, url: str, place: str | None, *, json: bool) -> None:
    rows, parked = await model_rows(app, url, place)
    if json:
        stdout().json({"projections": rows, "parked": [msgspec.to_builtins(each, enc_hook=str) for each in parked]})
    else:
        _show(stdout(), rows, parked)


async def model_rows(app: App, url: str, place: str | None) -> tuple[list[dict[str, Any]], Sequence[ParkedKey]]:
    """How far each read model and projection is kept, for programs, and every parked key."""
    async with open_log(url) as log:
        head = await log.head()
        kept = kept_positions(app, place, log.log_id)
        free = {each.table for each in app.projections.values()}
        parked = [with_queue(each, head) if each.table in free else each for each in kept_parked(app, place)]
        return [await _row(log, head, definition, kept, parked) for definition in app.kept], parked


async def _row(
    log: EventStore,
    head: int,
    definition: ReadModelDefinition,
    kept: Mapping[ReadModelDefinition, int],
    parked: Sequence[ParkedKey],
) -> dict[str, Any]:
    position = kept.get(definition)
    return {
        "name": definition.name,
        "position": position,
        "lag": max(head - (position or 0), 0),
        "lag_seconds": await seconds_behind(log, position or 0, SystemClock()),
        "parked": sum(each.table == definition.table for each in parked),
        "state": _state(definition, position, head, parked),
    }


def _state(definition: ReadModelDefinition, position: int | None, head: int, parked: Sequence[ParkedKey]) -> str:
    if position is None:
        return "not kept"
    if isinstance(definition, SqlProjection) and any(each.table == definition.table for each in parked):
        return "parked"
    return "current" if position >= head else "behind"


def _show(out: Console, rows: Sequence[Mapping[str, Any]], parked: Sequence[ParkedKey]) -> None:
    if not rows:
        out.put("the app has no read models and no projections")
        return
    out.print(table([shown_row(row) for row in rows]))
    for (model, problem), keys in groupby(sorted(parked, key=_by_problem), key=_by_problem):
        found = list(keys)
        names = ", ".join(_name(each) for each in found[:SAMPLES])
        more = f" and {len(found) - SAMPLES:,} more" if len(found) > SAMPLES else ""
        out.put("")
        out.put(Text.assemble((f"{model}  ", "bold"), (visible(problem), "red")))
        waiting = counted(sum(each.queued for each in found), "event")
        out.put(f"{counted(len(found), 'key')} parked with {waiting}: {visible(names)}{more}", indent=INDENT)


def shown_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value as text for people."""
    position = "not kept" if row["position"] is None else row["position"]
    behind = f"{row['lag_seconds']:,.0f} s" if row["lag"] else "0 s"
    return {
        "projection": row["name"],
        "state": row["state"],
        "position": position,
        "lag": row["lag"],
        "for": behind,
        "parked": row["parked"],
    }


def _by_problem(parked: ParkedKey) -> tuple[str, str]:
    return (parked.model, parked.problem)


def _name(parked: ParkedKey | Parked) -> str:
    return f"{' '.join(map(str, parked.key)) or 'the one row'} at {parked.position}"


# --- the verbs


async def _show_key(
    app: App, url: str, place: str | None, definition: ReadModelDefinition, key: tuple[Any, ...], *, json: bool
) -> None:
    async with open_log(url) as log:
        parked, positions = kept_queue(app, place, definition, key)
        if isinstance(definition, SqlProjection):
            events = await FoldedLog(log, app.registry).events(definition, parked.position - 1, limit=SHOWN)
            parked = with_queue(parked, await log.head())
        else:
            events = [await event_at(log, position) for position in positions]
    if json:
        for event in events:
            show_event_json(stdout(), event)
        return
    out = stdout()
    out.put(Text.assemble((f"{parked.model} {_name(parked)}  ", "bold"), (visible(parked.problem), "red")))
    for event in events:
        show_event(out, event)
    if parked.queued > len(events):
        out.put(f"and {parked.queued - len(events):,} more")


def _tell(stuck: Sequence[Parked], *, json: bool) -> Outcome:
    if json:
        stdout().json([msgspec.to_builtins(each, enc_hook=str) for each in stuck])
    elif not stuck:
        stdout().put("caught up")
    for each in () if json else stuck:
        stderr().put(f"{each.name} {_name(each)} is parked: {each.problem}")
    return Outcome.FOUND if stuck else Outcome.FINE

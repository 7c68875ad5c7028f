"""`leftfold state`, `explain` and `query`: what a model holds, how that came about, what a query answers."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.text import Text

from leftfold.app import App
from leftfold.audit import ABSENT, Change, ExplainedEvent
from leftfold.cli.arguments import AppName, AsOf, Json, LogUrl, ModelKey, ModelName, ModelsUrl, argument
from leftfold.cli.events import INDENT, headline, shown_metadata
from leftfold.cli.kept import Kept
from leftfold.cli.names import key_from, model_named, query_named
from leftfold.cli.opening import load_app, open_log, read_only, reading
from leftfold.cli.outcome import Outcome, command
from leftfold.cli.output import Console, progress, show_answer, stderr, stdout
from leftfold.cli.plain import counted, moment, shown, shown_event
from leftfold.live import LiveApp
from leftfold.model.clock import SystemClock
from leftfold.model.fold import Fold
from leftfold.model.message import MessageType
from leftfold.query import ReadModel, StatementPlan
from leftfold.store.time_travel import event_at, resolve

# --- state


@command
async def state(
    url: LogUrl, model: ModelName, app: AppName, key: ModelKey = None, as_of: AsOf = None, json: Json = False
) -> Outcome:
    """Show the state of a model, now or as of the past.

    It is folded from the log, up to the newest event or up to --as-of. Exit code 1 if no event concerns the key.

    Examples:
      leftfold state --app bank:bank sqlite:///bank.db Account a-1
      leftfold state --app bank:bank sqlite:///bank.db Account a-1 --as-of 42 --json
    """
    loaded = load_app(app)
    fold = model_named(loaded, model)
    async with reading(loaded, url) as live:
        position = await live.store.head() if as_of is None else await resolve(live.store, as_of, SystemClock())
        found, events = await _state(live, fold, key_from(fold, key or ()), position)
        time = f", {moment((await event_at(live.store, position)).time)}" if position else ""
    if not events:
        if json:
            stdout().json(None)
        stderr().put(f"{' '.join((model, *(key or ())))} has no events up to position {position}")
        return Outcome.FOUND
    show_answer(found, json=json)
    if not json:
        stderr().put(f"as of position {position}{time}")
    return Outcome.FINE


async def _state(live: LiveApp, fold: Fold, key: tuple[Any, ...], position: int) -> tuple[Any, bool]:
    """Return the state, and whether any event concerns it."""
    owner: Any = fold.owner
    if not issubclass(owner, ReadModel):
        criteria = live.criteria_of(owner, *key)
        any_event = any([batch.events async for batch in live.store.read(criteria, upto=position, limit=1)])
        return await live.state(owner, *key, as_of=position), any_event
    steps = await live.explain(owner, *key, as_of=position)
    return (steps[-1].after if steps else None), bool(steps)


# --- explain


@command
async def explain(
    url: LogUrl,
    model: ModelName,
    app: AppName,
    key: ModelKey = None,
    as_of: AsOf = None,
    field: Annotated[
        str | None, typer.Option(metavar="FIELD", help="Only the event that gave this field its value.")
    ] = None,
    json: Json = False,
) -> Outcome:
    """Explain a state: list each event that made it, and what the event changed.

    Each event is shown with its time, who caused it, why, and with which command. With --field only the event that
    gave the field its present value is shown. Exit code 1 if no event concerns the key.

    Examples:
      leftfold explain --app bank:bank sqlite:///bank.db Account a-1
      leftfold explain --app bank:bank sqlite:///bank.db Account a-1 --as-of 42
      leftfold explain --app bank:bank sqlite:///bank.db Account a-1 --field balance
      leftfold explain --app bank:bank sqlite:///bank.db Account a-1 --json
    """
    loaded = load_app(app)
    fold = model_named(loaded, model)
    async with reading(loaded, url) as live:
        steps = await live.explain(fold.owner, *key_from(fold, key or ()), as_of=as_of, field=field)
    name = " ".join((model, *(key or ())))
    if not steps:
        what = "has no events" if field is None else f"has no event that changed {field}"
        stderr().put(f"{name} {what}{'' if as_of is None else ' up to then'}")
        return Outcome.FOUND
    out = stdout()
    for step in steps:
        if json:
            out.json(_in_json(step))
        else:
            _show_step(out, step)
            out.put("")
    if not json:
        out.put(f"{name}: {counted(len(steps), 'event')}")
    return Outcome.FINE


def _show_step(out: Console, step: ExplainedEvent) -> None:
    type = MessageType(step.event.__class__)
    out.put(headline(step.position, step.time, type.wire, type.version))
    for line in (shown_event(step.event), shown_metadata(step.metadata)):
        if line:
            out.put(line, INDENT)
    if step.corrected_by:
        out.put(Text(f"corrected by position {', '.join(map(str, step.corrected_by))}", "yellow"), INDENT)
    changes = step.changes
    width = max((len(change.path) for change in changes), default=0)
    for change in changes:
        out.put(_changed(change, width), 2 * INDENT)
    if not changes:
        out.put(Text("no change", "dim"), 2 * INDENT)


def _changed(change: Change, width: int) -> Text:
    line = Text.assemble((f"{change.path:<{width}}  ", "bold"))
    if change.before is ABSENT:
        return line.append(f"+ {shown(change.after)}", "green")
    if change.after is ABSENT:
        return line.append(f"- {shown(change.before)}", "red")
    return line.append(shown(change.before), "red").append(" → ", "dim").append(shown(change.after), "green")


def _in_json(step: ExplainedEvent) -> object:
    type = MessageType(step.event.__class__)
    return {
        "position": step.position,
        "time": moment(step.time),
        "type": type.wire,
        "version": type.version,
        "event": step.event,
        "changes": step.changes,
        "before": step.before,
        "after": step.after,
        "metadata": step.metadata,
        **({"corrected_by": step.corrected_by} if step.corrected_by else {}),
    }


# --- query


@command
async def query(
    url: LogUrl,
    name: Annotated[str, argument("QUERY", "The query, by its class name.")],
    app: AppName,
    fields: Annotated[list[str] | None, argument("FIELD=VALUE", "The query's fields; a list as JSON.")] = None,
    as_of: AsOf = None,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="How long the read models may take to catch up.")
    ] = 60.0,
    models: ModelsUrl = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Show how the database finds the answer, not the answer.")
    ] = False,
    json: Json = False,
) -> Outcome:
    """Answer a query of the app.

    The answer includes every event that is in the log when the command starts. It comes from the read models beside
    the log if this app made them; otherwise they are folded in memory for this one answer. With --plan each
    statement is shown with the database's steps, and the indexes it uses.

    Examples:
      leftfold query --app bank:bank sqlite:///bank.db Richest limit=3
      leftfold query --app bank:bank sqlite:///bank.db Richest --as-of 42 --json
      leftfold query --app bank:bank sqlite:///bank.db Richest --plan
    """
    loaded = load_app(app)
    asked = query_named(loaded, name, _fields(fields or []))
    with progress("folding") as report:
        answer = await _answer(loaded, url, Kept.of(loaded, url, models), asked, as_of, timeout, report, plan)
    if plan and not json:
        for each in answer:
            _show_plan(stdout(), each)
    else:
        show_answer(answer, json=json)
    return Outcome.FINE


def _show_plan(out: Console, plan: StatementPlan) -> None:
    out.put(plan.statement)
    for step in plan.steps:
        out.put(step, INDENT)
    used = [f"uses the index {index}" for index in plan.indexes]
    out.put(
        "; ".join([*used, *(f"reads {table} from its beginning" for table in plan.scans)]) or "uses the key", INDENT
    )
    out.put("")


async def _answer(
    app: App,
    url: str,
    kept: Kept,
    asked: Any,
    as_of: int | datetime | None,
    timeout: float,
    report: Callable[[int, int], None],
    plan: bool,
) -> Any:
    async with open_log(url) as log:
        head = await log.head()
        models = kept.usable(log.log_id)
    opening = app.open(read_only(url), models=models, on_progress=lambda replay: report(replay.position, replay.upto))
    async with opening as live:
        ask = live.plan if plan else live.query
        return await ask(asked, after=head if as_of is None else None, as_of=as_of, wait_timeout=timeout)


def _fields(texts: Sequence[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    wrong = [text for text, (name, equals, _) in zip(texts, pairs, strict=True) if not (name and equals)]
    if wrong:
        raise typer.BadParameter(f"{wrong[0]!r} is not field=value, like limit=3")
    return {name: value for name, _, value in pairs}

"""`leftfold explain`: how a state came about, event by event."""

from collections.abc import Sequence

from rich.text import Text

from leftfold.audit import ABSENT, Change, ExplainedEvent
from leftfold.cli.arguments import AppName, AsOf, Json, LogUrl, ModelKey, ModelName
from leftfold.cli.consoles import Console, stderr, stdout
from leftfold.cli.listing import INDENT, headline, shown_metadata
from leftfold.cli.models import key_from, model_named
from leftfold.cli.opening import load_app, open_app
from leftfold.cli.outcome import Outcome, command
from leftfold.cli.plain import counted, moment, shown, shown_event
from leftfold.model.message import MessageType


@command
async def explain(
    url: LogUrl, model: ModelName, app: AppName, key: ModelKey = None, as_of: AsOf = None, json: Json = False
) -> Outcome:
    """Explain a state: each event that made it, and what it changed.

    With each event comes what it changed in the state, when, who caused it and why, by which command. Exit code 1 when
    no event concerns the key.

    Examples:
      leftfold explain --app bank:bank sqlite:///bank.db Account a-1
      leftfold explain --app bank:bank sqlite:///bank.db Account a-1 --as-of 42
      leftfold explain --app bank:bank sqlite:///bank.db Account a-1 --json
    """
    loaded = load_app(app)
    fold = model_named(loaded, model)
    out = stdout()
    async with open_app(loaded, url) as live:
        steps = await live.explain(fold.owner, *key_from(fold, key or ()), as_of=as_of)
    if not steps:
        stderr().put(f"{' '.join((model, *(key or ())))} has no events{'' if as_of is None else ' up to then'}")
        return Outcome.FOUND
    if json:
        for step in steps:
            out.json(_in_json(step))
    else:
        _show(out, steps, " ".join((model, *(key or ()))))
    return Outcome.FINE


def _show(out: Console, steps: Sequence[ExplainedEvent], whose: str) -> None:
    for step in steps:
        _show_step(out, step)
        out.put("")
    out.put(f"{whose}: {counted(len(steps), 'event')}")


def _show_step(out: Console, step: ExplainedEvent) -> None:
    type = MessageType(step.event.__class__)
    out.put(headline(step.position, step.time, type.wire, type.version))
    for line in (shown_event(step.event), shown_metadata(step.metadata)):
        if line:
            out.put(line, INDENT)
    changes = step.changes
    width = max((len(change.path) for change in changes), default=0)
    for change in changes:
        out.put(_changed(change, width), 2 * INDENT)
    if not changes:
        out.put(Text("changes nothing", "dim"), 2 * INDENT)


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
    }

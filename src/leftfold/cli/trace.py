"""`leftfold trace`: what one request led to, as a tree, as JSON, or as a picture."""

from typing import Annotated

import typer
from rich.text import Text

from leftfold.app import App
from leftfold.cli.arguments import AppName, Json, LogUrl, ModelsUrl, argument
from leftfold.cli.events import headline
from leftfold.cli.kept import Kept
from leftfold.cli.opening import load_app, open_log, read_only
from leftfold.cli.outcome import Outcome, command
from leftfold.cli.output import Console, progress, stdout
from leftfold.cli.plain import moment, shown, shown_event, visible
from leftfold.errors import UnknownTrace
from leftfold.model.clock import SystemClock
from leftfold.store.inspection import SearchProgress
from leftfold.trace import Trace, TracedCommand, TracedEvent, TracedReaction, TracedRow, Tracer
from leftfold.trace.pictures import dot, mermaid, reaction_text, waited_text

STYLES = {"rejected": "red", "failed": "red", "parked": "red", "cancelled": "yellow", "skipped": "yellow"}
DEEPER = 2


@command
async def trace(
    url: LogUrl,
    of: Annotated[
        str,
        argument("OF", "A position, or the id of a command, a ticket or a correlation; a number is first a position."),
    ],
    app: AppName,
    models: ModelsUrl = None,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print a Mermaid flowchart.")] = False,
    dot: Annotated[bool, typer.Option("--dot", help="Print a graph for Graphviz.")] = False,
    json: Json = False,
) -> Outcome:
    """Show what a request led to: commands, their events, reactions to these, and later commands.

    Also rejections, failed attempts, timers, the rows of read models that each event moved, and how long each step
    waited. OF may be anything that belongs to the request. The log is searched from the first command on. Rows are
    shown as they became if the read models beside the log keep their history.

    Examples:
      leftfold trace --app shop:orders sqlite:///orders.db 42
      leftfold trace --app shop:orders sqlite:///orders.db 42 --json
      leftfold trace --app shop:orders sqlite:///orders.db 42 --dot | dot -Tsvg -o trace.svg
    """
    if mermaid + dot + json > 1:
        raise typer.BadParameter("choose one of --json, --mermaid and --dot")
    loaded = load_app(app)
    with progress("searching") as report:
        try:
            found = await _found(loaded, url, int(of) if of.isdecimal() and len(of) < 20 else of, models, report)
        except UnknownTrace:
            if not of.isdecimal():
                raise
            found = await _found(loaded, url, of, models, report)  # a correlation may be a number, too
    out = stdout()
    if json:
        out.json(found)
    elif mermaid or dot:
        _print_picture(out, found, as_dot=dot)
    else:
        for each in found.commands:
            _show_command(out, each, 0)
    return Outcome.FINE


async def _found(loaded: App, url: str, of: int | str, models: str | None, report: SearchProgress) -> Trace:
    """Return the trace; with rows before and after each event if read models are kept that fit the app's code."""
    async with open_log(url) as log:
        place = Kept.of(loaded, url, models).usable(log.log_id)
        if place is None:
            tracer = Tracer(log, loaded.registry, None, loaded.kept, loaded.reactors, SystemClock())
            return await tracer.trace(of, 0.0, report)
    async with loaded.open(read_only(url), models=place) as live:
        return await live.trace(of, progress=report)


def _print_picture(out: Console, found: Trace, *, as_dot: bool) -> None:
    for line in (dot(found) if as_dot else mermaid(found)).splitlines():
        out.put(line)


def _show_command(out: Console, each: TracedCommand, indent: int) -> None:
    line = Text.assemble((visible(each.type or "events without a command"), "bold"), "  ", _state(each.state))
    if each.waited is not None:
        line.append(f" after {waited_text(each.waited)}", "dim")
    elif each.state == "scheduled" and each.due is not None:
        line.append(f" for {moment(each.due)}")
    out.put(line, indent)
    details = [f"{name} {visible(value)}" for name, value in (("by", each.actor), ("because", each.reason)) if value]
    if each.problem and each.state in ("rejected", "failed"):
        details.append(visible(each.problem) + (f" {shown(each.details)}" if each.details else ""))
    for text in (*details, *(_attempt(attempt.error, attempt.attempt) for attempt in each.attempts)):
        out.put(text, indent + 2 * DEEPER)
    for event in each.events:
        _show_event(out, event, indent + DEEPER)
    for following in each.commands:
        _show_command(out, following, indent + DEEPER)


def _show_event(out: Console, event: TracedEvent, indent: int) -> None:
    out.put(headline(event.position, event.time, event.type, event.version), indent)
    text = shown_event(event.event) if event.event is not None else "the app has no class that can read it"
    if text:
        out.put(text, indent + 2 * DEEPER)
    for row in event.rows:
        out.put(_row(row), indent + 2 * DEEPER)
    for reaction in event.reactions:
        _show_reaction(out, reaction, indent + DEEPER)
    for following in event.commands:
        _show_command(out, following, indent + DEEPER)


def _show_reaction(out: Console, reaction: TracedReaction, indent: int) -> None:
    line = Text.assemble((visible(reaction.by), "bold"), "  ", _state(reaction.state, reaction_text(reaction)))
    if reaction.waited is not None:
        line.append(f" after {waited_text(reaction.waited)}", "dim")
    out.put(line, indent)
    for attempt in reaction.attempts:
        out.put(_attempt(attempt.error, attempt.attempt), indent + 2 * DEEPER)
    for following in reaction.commands:
        _show_command(out, following, indent + DEEPER)


def _state(state: str, text: str = "") -> Text:
    return Text(visible(text or state), STYLES.get(state, ""))


def _attempt(error: str, number: int) -> str:
    return f"attempt {number} failed: {visible(error)}"


def _row(row: TracedRow) -> str:
    key = " ".join(shown(part) for part in row.key)
    name = f"row {row.model} {key}".rstrip()
    if row.before is None and row.after is None:
        return name
    if row.before is None:
        return f"{name}: new: {shown_event(row.after)}"
    return f"{name}: deleted" if row.after is None else f"{name}: {shown_event(row.after)}"

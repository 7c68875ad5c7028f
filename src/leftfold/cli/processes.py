"""`leftfold processes`: how far the instances of processes have come, the history of one, retry and cancel."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from leftfold.app import App
from leftfold.cli.answers import show_traceback, table
from leftfold.cli.arguments import AppName, Json, LogUrl, ModelKey, Tracebacks
from leftfold.cli.consoles import stderr, stdout
from leftfold.cli.models import key_from
from leftfold.cli.opening import load_app, open_app, open_app_for_writing
from leftfold.cli.outcome import Outcome, command
from leftfold.cli.plain import shown_event
from leftfold.errors import UnknownName
from leftfold.model.metadata import recording
from leftfold.process import ProcessDefinition, ProcessInstance, ProcessProgress

Name = Annotated[
    str | None, typer.Argument(metavar="PROCESS", show_default=False, help="A process, by its name in the log.")
]


@command
async def processes(
    url: LogUrl,
    app: AppName,
    process: Name = None,
    key: ModelKey = None,
    retry: Annotated[bool, typer.Option("--retry", help="Let the parked instance of this key go on.")] = False,
    skip: Annotated[
        bool, typer.Option("--skip", help="Let the parked instance of this key leave out the event it is parked at.")
    ] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="Let the instance of this key answer nothing more.")] = False,
    reason: Annotated[
        str | None, typer.Option(metavar="TEXT", show_default=False, help="Why; kept in the log.")
    ] = None,
    actor: Annotated[str | None, typer.Option(metavar="NAME", show_default=False, help="Who wants it.")] = None,
    traceback: Tracebacks = False,
    json: Json = False,
) -> Outcome:
    """List the instances of processes, show the history of one, let a parked one go on, or cancel one.

    Instances that have answered nothing are not listed. Exit code 1 when no event concerns the asked instance.

    Examples:
      leftfold processes --app shop:orders sqlite:///shop.db
      leftfold processes --app shop:orders sqlite:///shop.db Fulfilment o-1
      leftfold processes --app shop:orders sqlite:///shop.db Fulfilment o-1 --retry --reason "address corrected"
      leftfold processes --app shop:orders sqlite:///shop.db Fulfilment o-1 --skip --reason "a test order"
      leftfold processes --app shop:orders sqlite:///shop.db Fulfilment o-1 --cancel --reason "shipped by hand"
    """
    loaded = load_app(app)
    chosen = None if process is None else _named(loaded, process)
    if retry or skip or cancel:
        if chosen is None or not key or retry + skip + cancel > 1:
            raise typer.BadParameter("--retry, --skip or --cancel needs the process and the key of the instance")
        if (skip or cancel) and not reason:
            verb, done = ("--skip", "has left an event out") if skip else ("--cancel", "was cancelled")
            raise typer.BadParameter(f"{verb} needs --reason: the log records why an instance {done}")
        async with open_app_for_writing(loaded, url) as live:
            with recording(actor=actor, reason=reason):
                values = key_from(chosen.fold, key)
                if retry:
                    await live.retry(chosen.owner, *values)
                elif skip:
                    await live.skip(chosen.owner, *values, reason=reason or "")
                else:
                    await live.cancel(chosen.owner, *values, reason=reason or "")
        return Outcome.FINE
    async with open_app(loaded, url) as live:
        if chosen is not None and key:
            instance = await live.process(chosen.owner, *key_from(chosen.fold, key))
            if not instance.history and instance.progress.parked is None:
                stderr().put(f"{' '.join((chosen.name, *key))} has no events")
                return Outcome.FOUND
            _show_history(instance, json=json)
            if traceback and not json:
                show_traceback(stdout(), instance.progress.traceback)
        else:
            _show_list(await live.processes(chosen.owner if chosen else None), json=json)
    return Outcome.FINE


def _named(app: App, name: str) -> ProcessDefinition:
    known = {definition.name: definition for definition in app.processes.values()}
    if name not in known:
        raise UnknownName("process manager", name, sorted(known))
    return known[name]


def _show_list(found: list[ProcessProgress], *, json: bool) -> None:
    rows: list[Mapping[str, Any]] = [_row(progress) for progress in found]
    if json:
        for row in rows:
            stdout().json(row)
    elif rows:
        stdout().print(table(rows))
    else:
        stderr().put("no instance has answered anything")


def _row(progress: ProcessProgress) -> dict[str, Any]:
    return {
        "instance": progress.instance,
        "standing": progress.standing,
        "answered": progress.reacted,
        "commands": len(progress.tickets),
        "parked": progress.parked,
        "error": progress.error,
    }


def _show_history(instance: ProcessInstance, *, json: bool) -> None:
    out = stdout()
    if json:
        out.json({"state": instance.state, "progress": instance.progress, "history": instance.history})
        return
    for step in instance.history:
        out.put(f"{step.position}  {type(step.event).__name__}  {shown_event(step.event)}")
        for ticket in step.tickets:
            out.put(f"command {ticket}", 2)
    progress = instance.progress
    out.put(progress.standing if progress.standing != "parked" else f"parked at {progress.parked}: {progress.error}")

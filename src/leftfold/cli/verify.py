"""`leftfold verify`: whether a log, its file and the snapshots beside it are as they must be."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import msgspec
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from leftfold.app import App
from leftfold.audit import Finding, Verification, verify_log
from leftfold.cli.arguments import Json, LogUrl, OptionalAppName
from leftfold.cli.consoles import Console, stderr, stdout
from leftfold.cli.opening import load_app, open_app, open_log
from leftfold.cli.outcome import Outcome, command
from leftfold.errors import LeftfoldError
from leftfold.store import EventStore
from leftfold.store.inspection import Inspectable

SHOWN = 20


class Check(msgspec.Struct):
    """One thing that was checked: what can be said when it is fine, and what is not."""

    name: str
    fine: str
    problems: list[str]
    remark: str = ""


@command
async def verify(
    url: LogUrl,
    app: OptionalAppName = None,
    snapshots: Annotated[
        bool, typer.Option("--snapshots", help="Compute every snapshot again from the events; needs --app.")
    ] = False,
    json: Json = False,
) -> Outcome:
    """Check that a log is sound; exit code 1 when it is not.

    The file: SQLite's own integrity check, the schema, the tag index against the tags stored with the events.
    The events: positions without gaps, times that never decrease. With --app: that every event of a known type
    can be read.

    \b
    Examples:
      leftfold verify sqlite:///bank.db
      leftfold verify sqlite:///bank.db --app bank:bank --snapshots
    """
    if snapshots and not app:
        raise typer.BadParameter("--snapshots needs --app: snapshots are those of its decision models")
    loaded = load_app(app) if app else None
    async with open_log(url) as log:
        checks = [*await _file(log), await _events(log, loaded)]
    if loaded is not None and snapshots:
        checks.append(await _snapshots(loaded, url))
    found = any(check.problems for check in checks)
    if json:
        stdout().json({"sound": not found, "checks": checks})
    else:
        _show(stdout(), checks)
    return Outcome.FOUND if found else Outcome.FINE


async def _file(log: EventStore) -> list[Check]:
    if not isinstance(log, Inspectable):
        return []
    with _activity("checking the file"):
        return [Check("file", "the file is undamaged, its indexes fit the events", await log.self_check())]


async def _events(log: EventStore, app: App | None) -> Check:
    with _progress("reading the events") as progress:
        try:
            done = await verify_log(log, app.registry if app else None, progress)
        except LeftfoldError as error:
            return Check("events", "", [f"the events cannot be read to the end: {error.found}"])
    readable = ", every event can be read" if app else ""
    fine = f"{done.checked:,} events, positions without gaps, times in order{readable}"
    return Check("events", fine, [_told(finding) for finding in done.findings], _passed_over(done))


async def _snapshots(app: App, url: str) -> Check:
    with _activity("computing snapshots again"):
        async with open_app(app, url) as live:
            _, done = await live.verify(snapshots=True)
    problems = [_told(finding) for finding in done.findings]
    return Check("snapshots", f"{done.checked:,} snapshots, each as the events make it", problems)


def _told(finding: Finding) -> str:
    return f"position {finding.position}: {finding.problem}"


def _passed_over(done: Verification) -> str:
    if not done.unknown:
        return ""
    types = ", ".join(sorted(done.unknown))
    return f"{sum(done.unknown.values()):,} events of types that the app does not know: {types}"


def _show(out: Console, checks: list[Check]) -> None:
    for check in checks:
        if not check.problems:
            out.line(Text.assemble(("✓ ", "bold green"), check.fine))
        for problem in check.problems[:SHOWN]:
            out.line(Text.assemble(("✗ ", "bold red"), f"{check.name}: {problem}"))
        if len(check.problems) > SHOWN:
            out.line(f"  and {len(check.problems) - SHOWN:,} more")
        if check.remark:
            out.line(Text(f"  {check.remark}", "dim"))
    count = sum(len(check.problems) for check in checks)
    out.line(Text(f"{count:,} problems" if count > 1 else "1 problem", "bold red") if count else Text("sound", "bold"))


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr while it is a terminal."""
    console = stderr()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda position, head: bar.update(task, completed=position, total=head)


@contextmanager
def _activity(what: str) -> Iterator[None]:
    console = stderr()
    if not console.is_terminal:
        yield
        return
    with console.status(what):
        yield

"""`leftfold verify`: whether a log, its file and the snapshots beside it are sound."""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Annotated, Any

import msgspec
import typer
from rich.text import Text

from leftfold.app import App
from leftfold.audit import Verification, verify_log
from leftfold.cli.arguments import Json, LogUrl, OptionalAppName
from leftfold.cli.opening import load_app, open_app, open_log
from leftfold.cli.outcome import Outcome, command
from leftfold.cli.output import Console, activity, progress, stdout
from leftfold.cli.plain import counted
from leftfold.errors import LeftfoldError
from leftfold.store import EventStore
from leftfold.store.inspection import Inspectable

OnProgress = Callable[[int, int], None]
Verify = Callable[..., Coroutine[Any, Any, list[Verification]]]
SHOWN = 20


class Check(msgspec.Struct):
    """One check: what to say if it finds nothing, and the problems that it found."""

    name: str
    fine: str
    problems: list[str]
    remark: str = ""


@command
async def verify(
    url: LogUrl,
    app: OptionalAppName = None,
    snapshots: Annotated[
        bool, typer.Option("--snapshots", help="Also compute every snapshot again from the events; needs --app.")
    ] = False,
    json: Json = False,
) -> Outcome:
    """Check that a log is sound; exit code 1 if it is not.

    This checks what is stored (with SQLite its own integrity check, the schema, the tag index), that positions have no
    gaps, and that times never decrease. With --app it also checks that the app knows or ignores every type, that every
    event can be read, and that no event lacks a tag which its class gives today.

    Examples:
      leftfold verify sqlite:///bank.db
      leftfold verify sqlite:///bank.db --app bank:bank --snapshots
    """
    if snapshots and not app:
        raise typer.BadParameter("--snapshots needs --app, whose decision models have the snapshots")
    checks = await _checks(url, load_app(app) if app else None, snapshots=snapshots)
    found = any(check.problems for check in checks)
    if json:
        stdout().json({"sound": not found, "checks": [_in_json(check) for check in checks]})
    else:
        _show(stdout(), checks)
    return Outcome.FOUND if found else Outcome.FINE


async def _checks(url: str, app: App | None, *, snapshots: bool) -> list[Check]:
    if app is None:
        async with open_log(url) as log:
            return [*await _stored(log), *await _events(partial(_alone, log), "")]
    async with open_app(app, url) as live:
        readable = ", every event can be read"
        return [*await _stored(live.store), *await _events(partial(live.verify, snapshots=snapshots), readable)]


async def _alone(log: EventStore, progress: OnProgress) -> list[Verification]:
    return [await verify_log(log, progress=progress)]


async def _stored(log: EventStore) -> list[Check]:
    if not isinstance(log, Inspectable):
        return []
    with activity("checking what is stored"):
        return [Check("log", "what is stored is undamaged, its indexes fit the events", await log.self_check())]


async def _events(verify: Verify, readable: str) -> list[Check]:
    try:
        with progress("reading the events") as report:
            log, *others = await verify(progress=report)
    except LeftfoldError as error:
        return [Check("events", "", [f"they cannot be read to the end: {error.found}"])]
    fine = f"{counted(log.checked, 'event')}, positions without gaps, times in order{readable}"
    checks = [Check("events", fine, _problems(log), _passed_over(log))]
    for each in others:
        fine = f"{counted(each.checked, 'snapshot')} as computed from the events" if each.checked else "no snapshots"
        checks.append(Check("snapshots", fine, _problems(each)))
    return checks


def _problems(done: Verification) -> list[str]:
    return [f"position {finding.position}: {finding.problem}" for finding in done.findings]


def _passed_over(done: Verification) -> str:
    if not done.unknown:
        return ""
    types = ", ".join(sorted(done.unknown))
    return f"{counted(sum(done.unknown.values()), 'event')} of types that the app does not know: {types}"


def _in_json(check: Check) -> dict[str, Any]:
    said = check.remark if check.problems else ", ".join(filter(None, (check.fine, check.remark)))
    return {"name": check.name, "sound": not check.problems, "problems": check.problems, "said": said}


def _show(out: Console, checks: list[Check]) -> None:
    for check in checks:
        if not check.problems:
            out.put(Text.assemble(("✓ ", "bold green"), check.fine))
        for problem in check.problems[:SHOWN]:
            out.put(Text.assemble(("✗ ", "bold red"), f"{check.name}: {problem}"))
        if len(check.problems) > SHOWN:
            out.put(f"  and {len(check.problems) - SHOWN:,} more")
        if check.remark:
            out.put(Text(f"  {check.remark}", "dim"))
    count = sum(len(check.problems) for check in checks)
    out.put(Text(counted(count, "problem"), "bold red") if count else Text("sound", "bold"))

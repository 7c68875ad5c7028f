"""`leftfold torture`: whether a store keeps its promises while everything around it breaks."""

from collections.abc import Mapping
from pathlib import Path
from random import randrange
from typing import Annotated

import msgspec
import typer
from rich.text import Text

from leftfold.cli.arguments import Json
from leftfold.cli.outcome import Outcome, command
from leftfold.cli.output import Console, stderr, stdout
from leftfold.cli.plain import counted


@command
async def torture(
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL", show_default=False, help="An empty log of any backend; it is filled with nonsense."
        ),
    ],
    seconds: Annotated[float, typer.Option("--seconds", min=0.5, help="How long the clients are at work.")] = 60.0,
    clients: Annotated[int, typer.Option("--clients", min=1, help="How many, each a process with four callers.")] = 4,
    seed: Annotated[
        int | None,
        typer.Option("--seed", show_default=False, help="Which steps and faults; one by chance if left out."),
    ] = None,
    nemesis: Annotated[
        list[str] | None,
        typer.Option("--nemesis", metavar="NAME", show_default=False, help="A fault, or none; all that are available."),
    ] = None,
    own_server: Annotated[
        bool, typer.Option("--own-server", help="PostgreSQL: start a server for this run, and harm it.")
    ] = False,
    keep: Annotated[
        Path | None, typer.Option("--keep", metavar="FOLDER", show_default=False, help="Keep the recorded history.")
    ] = None,
    json: Json = False,
) -> Outcome:
    """Let clients work on a log while faults come and go, then check what they saw; exit code 1 when it is not right.

    Every call and its answer is recorded. Afterwards the history is checked against the log: nothing acknowledged is
    lost, conditions held, keys were stored once, readers and subscriptions saw what they should.

    Examples:
      leftfold torture memory: --seconds 10
      leftfold torture sqlite:///torture/log.db --seconds 60 --seed 7
      leftfold torture postgresql:///postgres?log=torture --own-server
    """
    from leftfold_torture import Plan
    from leftfold_torture import torture as run

    names = None if not nemesis else [name for name in nemesis if name != "none"]
    plan = Plan(url, seconds, clients, randrange(1_000_000) if seed is None else seed, names, own_server)
    err = stderr()
    err.put(f"seed {plan.seed}")
    report = await run(plan, folder=keep, tell=err.put)
    if json:
        stdout().json(msgspec.to_builtins(report))
    else:
        out = stdout()
        _counts(out, "operations", report.operations)
        _counts(out, "outcomes", report.outcomes)
        _counts(out, "faults", report.faults)
        for note in report.notes:
            out.put(note)
        for found in report.violations:
            out.put(Text.assemble(("✗ ", "bold red"), f"{found.rule}: {found.found}"))
        verdict = counted(len(report.violations), "violation") if report.violations else "every rule holds"
        out.put(
            Text(
                f"{counted(report.events, 'event')}, {counted(report.delivered, 'event')} delivered: {verdict}", "bold"
            )
        )
    return Outcome.FINE if report.sound else Outcome.FOUND


def _counts(out: Console, title: str, counts: Mapping[str, int]) -> None:
    if counts:
        out.put(Text(title, "bold"))
    for name, count in counts.items():
        out.put(f"{count:9,}  {name}", indent=2)

"""`leftfold status`: whether everything that follows the log goes on, from what is stored."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from leftfold.audit import TypeMismatch
from leftfold.cli.arguments import AppName, Json, LogUrl, ModelsUrl
from leftfold.cli.kept import Kept
from leftfold.cli.listings import projection_row, reactor_json
from leftfold.cli.opening import load_app, reading
from leftfold.cli.outcome import Outcome, command
from leftfold.cli.output import Console, stderr, stdout
from leftfold.cli.plain import counted, moment
from leftfold.command import CommandCounts
from leftfold.follow.lease_store import LeaseEntry

REACTOR_FIELDS = ("name", "position", "lag", "waiting", "parked")


class Found(msgspec.Struct):
    """What is shown; `trouble` has a sentence for each thing that needs attention."""

    app: str
    head: int
    read_models: Sequence[Mapping[str, Any]]
    commands: CommandCounts
    processes: Mapping[str, int]
    reactors: Sequence[Mapping[str, Any]]
    workers: Sequence[Mapping[str, Any]]
    trouble: Sequence[str]

    @property
    def parked(self) -> list[str]:
        """What `leftfold parked` lists."""
        instances = self.processes["parked"]
        return [
            *(f"{row['name']} has {counted(row['parked'], 'parked key')}" for row in self.read_models if row["parked"]),
            *([f"{counted(self.commands.failed, 'command')} failed"] if self.commands.failed else ()),
            *([f"{counted(instances, 'process instance')} parked"] if instances else ()),
            *(f"{row['name']} has {counted(row['parked'], 'parked event')}" for row in self.reactors if row["parked"]),
        ]


@command
async def status(url: LogUrl, app: AppName, models: ModelsUrl = None, json: Json = False) -> Outcome:
    """Show how far read models, commands, processes and reactors are, and what needs attention.

    It shows what running applications have stored; it folds and handles nothing. Exit code 1 if something is parked, a
    submitted command has failed for good, or the log holds events that the app does not know, or that lack a tag which
    their class gives today.

    Examples:
      leftfold status --app bank:bank sqlite:///bank.db
      leftfold status --app bank:bank sqlite:///bank.db --json | jq .read_models
    """
    loaded = load_app(app)
    kept = Kept.of(loaded, url, models)
    async with reading(loaded, url) as live:
        rows = await kept.rows(live.store, await kept.parked(live.store))
        now = await live.status()
        instances = sum(instance.standing == "parked" for instance in await live.processes())
        reactors = [{name: row[name] for name in REACTOR_FIELDS} for row in map(reactor_json, await live.reactors())]
        workers = [_worker(each) for each in await live.leases()]
    found = Found(loaded.name, now.head, rows, now.commands, {"parked": instances}, reactors, workers, ())
    found.trouble = [*found.parked, *map(_mismatch, now.mismatches)]
    if json:
        stdout().json(found)
    else:
        _show(stdout(), found)
    return Outcome.FOUND if found.trouble else Outcome.FINE


def _worker(entry: LeaseEntry) -> Mapping[str, Any]:
    return {"name": entry.name, "holder": entry.holder, "heard": moment(entry.heard) if entry.heard else None}


def _mismatch(mismatch: TypeMismatch) -> str:
    return f"{'not known to the app: ' if mismatch.kind == 'unknown' else ''}{mismatch.sentence}"


def _show(out: Console, found: Found) -> None:
    out.put(f"{found.app} at position {found.head}")
    if found.read_models:
        out.rows([projection_row(row) for row in found.read_models])
    counts = found.commands
    out.put(f"commands: {counts.pending:,} pending, {counts.scheduled:,} scheduled, {counts.failed:,} failed")
    for sentence in found.trouble:
        out.put(f"✗ {sentence}")
    if found.parked:
        stderr().put("`leftfold parked` lists what to retry, skip or cancel")

"""`leftfold status`: whether everything that follows the log goes on, from what is stored."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from leftfold.app import App
from leftfold.audit import TypeMismatch
from leftfold.cli.answers import table
from leftfold.cli.arguments import AppName, Json, LogUrl, ModelsUrl
from leftfold.cli.consoles import Console, stdout
from leftfold.cli.kept_models import models_place
from leftfold.cli.opening import load_app, open_app
from leftfold.cli.outcome import Outcome, command
from leftfold.cli.plain import counted, moment
from leftfold.cli.projections import model_rows, shown_row
from leftfold.command import CommandCounts
from leftfold.follow.lease_store import LeaseEntry
from leftfold.reaction.reactors import ReactorStatus


class Found(msgspec.Struct):
    """What is told; `trouble` is what waits for somebody, a sentence each."""

    app: str
    head: int
    read_models: Sequence[Mapping[str, Any]]
    commands: CommandCounts
    processes: Mapping[str, int]
    reactors: Sequence[Mapping[str, Any]]
    workers: Sequence[Mapping[str, Any]]
    trouble: Sequence[str]


@command
async def status(url: LogUrl, app: AppName, models: ModelsUrl = None, json: Json = False) -> Outcome:
    """Show how far read models, commands and processes are, and what waits for somebody.

    Nothing is folded, handled or opened for writing: it is what running applications have stored. Exit code 1 when a
    read model has parked keys, a submitted command has failed for good, an instance of a process is parked, an
    event of a reactor is, or the log holds events that the app does not know, or without the tags of today.

    Examples:
      leftfold status --app bank:bank sqlite:///bank.db
      leftfold status --app bank:bank sqlite:///bank.db --json | jq .read_models
    """
    found = await _find(load_app(app), url, models_place(url, models))
    if json:
        stdout().json(found)
    else:
        _show(stdout(), found)
    return Outcome.FOUND if found.trouble else Outcome.FINE


async def _find(app: App, url: str, place: str | None) -> Found:
    rows, _ = await model_rows(app, url, place)
    async with open_app(app, url) as live:
        head = await live.store.head()
        told = await live.status()
        commands = told.commands
        parked = sum(instance.standing == "parked" for instance in await live.processes())
        reactors = [_reactor(each) for each in await live.reactors()]
        workers = [_worker(each) for each in await live.leases()]
    trouble = [*_trouble(rows, commands, parked, reactors), *map(_not_as_the_app_has_it, told.mismatches)]
    return Found(app.name, head, rows, commands, {"parked": parked}, reactors, workers, trouble)


def _reactor(status: ReactorStatus) -> Mapping[str, Any]:
    return {
        "name": status.name,
        "position": status.position,
        "lag": status.lag,
        "waiting": len(status.waiting),
        "parked": len(status.parked),
    }


def _worker(entry: LeaseEntry) -> Mapping[str, Any]:
    return {"name": entry.name, "holder": entry.holder, "heard": moment(entry.heard) if entry.heard else None}


def _trouble(
    rows: Sequence[Mapping[str, Any]], commands: CommandCounts, parked: int, reactors: Sequence[Mapping[str, Any]]
) -> Sequence[str]:
    return [
        *(f"{row['name']} has {counted(row['parked'], 'parked key')}" for row in rows if row["parked"]),
        *([f"{counted(commands.failed, 'command')} failed"] if commands.failed else ()),
        *([f"{counted(parked, 'instance')} of processes parked"] if parked else ()),
        *(f"{each['name']} has {counted(each['parked'], 'parked event')}" for each in reactors if each["parked"]),
    ]


def _not_as_the_app_has_it(mismatch: TypeMismatch) -> str:
    return f"{'not known to the app: ' if mismatch.kind == 'unknown' else ''}{mismatch.sentence}"


def _show(out: Console, found: Found) -> None:
    out.put(f"{found.app} at position {found.head}")
    if found.read_models:
        out.print(table([shown_row(row) for row in found.read_models]))
    counts = found.commands
    out.put(f"commands: {counts.pending:,} pending, {counts.scheduled:,} scheduled, {counts.failed:,} failed")
    for sentence in found.trouble:
        out.put(f"✗ {sentence}")

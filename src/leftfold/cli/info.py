"""`leftfold info`: what a log holds, and how far the read models and projections of an app have come."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from rich.text import Text

from leftfold.cli.answers import table
from leftfold.cli.arguments import Json, LogUrl, ModelsUrl, OptionalAppName
from leftfold.cli.consoles import Console, stdout
from leftfold.cli.kept_models import kept_positions, models_place
from leftfold.cli.opening import load_app, open_log
from leftfold.cli.outcome import Outcome, command
from leftfold.cli.plain import counted, moment
from leftfold.query import ReadModelDefinition
from leftfold.store import EventStore
from leftfold.store.inspection import Statistics, StoreFile, statistics_of
from leftfold.store.time_travel import event_at

UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


class Facts(msgspec.Struct):
    """What `leftfold info` shows about a log."""

    log: str
    positions: int
    first: str | None
    last: str | None
    statistics: Statistics
    read_models: list[dict[str, Any]] | None = None
    projections: list[dict[str, Any]] | None = None
    unknown: list[str] | None = None


@command
async def info(url: LogUrl, app: OptionalAppName = None, models: ModelsUrl = None, json: Json = False) -> Outcome:
    """Show what a log holds: positions, times, events by type, its file.

    With --app also how far each read model and projection has come, and which stored types the app does not know.

    Examples:
      leftfold info sqlite:///bank.db
      leftfold info sqlite:///bank.db --app bank:bank
      leftfold info sqlite:///bank.db --json | jq .positions
    """
    loaded = load_app(app) if app else None
    async with open_log(url) as log:
        facts = await _facts(log)
    if loaded is not None:
        kept = kept_positions(loaded, models_place(url, models), facts.log)
        facts.read_models = _standings(loaded.read_models.values(), kept, facts)
        facts.projections = _standings(loaded.projections.values(), kept, facts)
        facts.unknown = [count.type for count in facts.statistics.types if not loaded.registry.of_wire(count.type)]
    if json:
        stdout().json(_in_json(facts))
    else:
        _show(stdout(), facts)
    return Outcome.FINE


async def _facts(log: EventStore) -> Facts:
    head = await log.head()
    ends = [moment((await event_at(log, position)).time) for position in ((1, head) if head else ())]
    first, last = ends or (None, None)
    return Facts(log.log_id, head, first, last, await statistics_of(log))


def _standings(
    definitions: Iterable[ReadModelDefinition], kept: Mapping[ReadModelDefinition, int], facts: Facts
) -> list[dict[str, Any]]:
    return [
        {
            "name": definition.name,
            "position": kept.get(definition),
            "lag": max(facts.positions - kept.get(definition, 0), 0),
        }
        for definition in definitions
    ]


def _show(out: Console, facts: Facts) -> None:
    for name, value in _lines(facts).items():
        out.put(Text.assemble((f"{name:<10}", "bold"), value))
    if facts.statistics.types:
        out.put("")
        out.print(table([_type_row(facts, index) for index in range(len(facts.statistics.types))]))
    for kind, rows in (("read model", facts.read_models), ("projection", facts.projections)):
        if rows:
            out.put("")
            out.print(table([_standing_row(kind, **row) for row in rows]))


def _lines(facts: Facts) -> Mapping[str, str]:
    statistics = facts.statistics
    lines: dict[str, str | None] = {
        "log": facts.log,
        "created": moment(statistics.created) if statistics.created else None,
        "events": f"{facts.positions:,}" + (f", positions 1 to {facts.positions}" if facts.positions else ""),
        "first": facts.first,
        "last": facts.last,
        "keys": None if statistics.keys is None else counted(statistics.keys, "idempotency key"),
        **_file_lines(statistics.file),
    }
    return {name: value for name, value in lines.items() if value is not None}


def _file_lines(file: StoreFile | None) -> dict[str, str | None]:
    if file is None:
        return {}
    pending = f", {_size(file.pending)} more in its write-ahead log" if file.pending else ""
    weaker = "not each commit is synced: a power failure may lose recent ones"
    return {
        "file": f"{file.path}, {_size(file.size)}{pending}",
        "format": str(file.format),
        "durable": "each commit is synced" if file.durable else weaker,
    }


def _type_row(facts: Facts, index: int) -> dict[str, Any]:
    count = facts.statistics.types[index]
    row: dict[str, Any] = {"type": count.type, "events": count.events, "first": count.first, "last": count.last}
    if facts.unknown is not None:
        row["app"] = "unknown" if count.type in facts.unknown else "known"
    return row


def _standing_row(kind: str, name: str, position: int | None, lag: int) -> dict[str, Any]:
    return {kind: name, "position": "not kept" if position is None else position, "lag": lag}


def _size(count: float) -> str:
    for unit in UNITS[:-1]:
        if count < 1024:
            return f"{count:,.0f} {unit}"
        count /= 1024
    return f"{count:,.0f} {UNITS[-1]}"


def _in_json(facts: Facts) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(facts, enc_hook=str)
    return {name: value for name, value in plain.items() if value is not None}

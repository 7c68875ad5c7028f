"""`leftfold info`: what a log holds, and how far the read models and SQL projections of an app are."""

from collections.abc import Mapping
from typing import Any

import msgspec
from rich.text import Text

from leftfold.cli.arguments import Json, LogUrl, ModelsUrl, OptionalAppName
from leftfold.cli.kept import Kept
from leftfold.cli.opening import load_app, open_log
from leftfold.cli.outcome import Outcome, command
from leftfold.cli.output import Console, activity, stdout
from leftfold.cli.plain import counted, moment
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

    With --app also how far each read model and SQL projection is, and which stored types the app does not know.

    Examples:
      leftfold info sqlite:///bank.db
      leftfold info sqlite:///bank.db --app bank:bank
      leftfold info sqlite:///bank.db --json | jq .positions
    """
    loaded = load_app(app) if app else None
    with activity("reading the log"):
        async with open_log(url) as log:
            facts = await _facts(log)
            rows = await Kept.of(loaded, url, models).rows(log) if loaded is not None else []
    if loaded is not None:
        rows = [{name: row[name] for name in ("name", "position", "lag")} for row in rows]
        projections = [row for row in rows if row["name"] in loaded.projections]
        facts.read_models = [row for row in rows if row not in projections]
        facts.projections = projections
        facts.unknown = [count.type for count in facts.statistics.types if not loaded.registry.of_wire(count.type)]
    if json:
        plain: dict[str, Any] = msgspec.to_builtins(facts, enc_hook=str)
        stdout().json({name: value for name, value in plain.items() if value is not None})
    else:
        _show(stdout(), facts)
    return Outcome.FINE


async def _facts(log: EventStore) -> Facts:
    head = await log.head()
    ends = [moment((await event_at(log, position)).time) for position in ((1, head) if head else ())]
    first, last = ends or (None, None)
    return Facts(log.log_id, head, first, last, await statistics_of(log))


def _show(out: Console, facts: Facts) -> None:
    for name, value in _lines(facts).items():
        if value is not None:
            out.put(Text.assemble((f"{name:<10}", "bold"), value))
    tables = [
        [_type_row(facts, index) for index in range(len(facts.statistics.types))],
        [_model_row("read model", **row) for row in facts.read_models or ()],
        [_model_row("projection", **row) for row in facts.projections or ()],
    ]
    for rows in filter(None, tables):
        out.put("")
        out.rows(rows)


def _lines(facts: Facts) -> Mapping[str, str | None]:
    statistics = facts.statistics
    return {
        "log": facts.log,
        "created": moment(statistics.created) if statistics.created else None,
        "events": f"{facts.positions:,}" + (f", positions 1 to {facts.positions}" if facts.positions else ""),
        "first": facts.first,
        "last": facts.last,
        "keys": None if statistics.keys is None else counted(statistics.keys, "idempotency key"),
        **_file_lines(statistics.file),
    }


def _file_lines(file: StoreFile | None) -> dict[str, str | None]:
    if file is None:
        return {}
    pending = f", and {_size(file.pending)} in its write-ahead log" if file.pending else ""
    return {
        "file": f"{file.path}, {_size(file.size)}{pending}",
        "format": str(file.format),
        "durable": "each commit is synced" if file.durable else "not synced: a power failure may lose recent commits",
    }


def _type_row(facts: Facts, index: int) -> dict[str, Any]:
    count = facts.statistics.types[index]
    row: dict[str, Any] = {"type": count.type, "events": count.events, "first": count.first, "last": count.last}
    if facts.unknown is not None:
        row["app"] = "unknown" if count.type in facts.unknown else "known"
    return row


def _model_row(kind: str, name: str, position: int | None, lag: int) -> dict[str, Any]:
    return {kind: name, "position": "not kept" if position is None else position, "lag": lag}


def _size(count: float) -> str:
    for unit in UNITS[:-1]:
        if count < 1024:
            return f"{count:,.0f} {unit}"
        count /= 1024
    return f"{count:,.0f} {UNITS[-1]}"

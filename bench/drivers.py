"""`python -m bench.drivers`: psycopg and asyncpg beside each other, on what the PostgreSQL store asks of a driver.

The append call with batches of 1, 50 and 1,000 events, and reading 10,000 rows, each taking turns on the same server.
asyncpg is no dependency: `pip install asyncpg` first.
"""

import asyncio
import importlib
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from statistics import median
from time import perf_counter, process_time
from typing import Any, NamedTuple

import psycopg

from bench.ours import METADATA
from bench.postgres import DATABASE, opened_server
from leftfold.store import NewEvent
from leftfold.store.admission import AppendRequest
from leftfold.store.postgres.append import ANSWERS, plain_call
from leftfold.store.postgres.batch import COLUMNS, AppendCall
from leftfold.store.postgres.driver import Connection, connect, run
from leftfold.store.postgres.store import PostgresStore
from leftfold_torture.postgres_server import PostgresServer

BATCHES = (1, 50, 1_000)
ROWS = 10_000
ROUNDS = 9
SECONDS = 0.5
LOG = "drivers"
ARRAYS = [
    "i",
    "i",
    "t",
    "B",
    "i",
    "i",
    "t",
    "i",
    "i",
    "i",
    "t",
    "B",
    "B",
    "I",
    "t",
    "i",
    "i",
    "I",
    "t",
    "t",
    "i",
    "i",
    "i",
    "I",
]
CASTS = {"i": "integer[]", "I": "bigint[]", "t": "text[]", "B": "bytea[]"}
SELECT = f'SELECT position, type, version, data FROM "{LOG}".event ORDER BY position LIMIT {ROWS}'


class Contestant(NamedTuple):
    """A driver: how it appends and how it reads."""

    name: str
    append: Callable[[AppendCall, list[list[Any]]], object]
    read: Callable[[], Sequence[Any]]


class Measured(NamedTuple):
    """Microseconds of one operation: by the clock, and of this process's CPU."""

    clock: float
    cpu: float


def main() -> None:
    try:
        asyncpg = importlib.import_module("asyncpg")
    except ModuleNotFoundError:
        sys.exit("asyncpg is not installed, so there is nothing to compare: pip install asyncpg")
    with ExitStack() as opened:
        server = opened.enter_context(opened_server())
        store = PostgresStore(server.url(DATABASE), LOG)
        runner = opened.enter_context(asyncio.Runner())
        opened.callback(lambda: runner.run(store.close()))
        for _ in range(ROWS // 1_000):
            runner.run(store.append(events(1_000)))
        contestants = [
            ours(opened, server),
            of_psycopg(opened, server),
            of_asyncpg(opened, server, runner, asyncpg),
        ]
        print(f"psycopg {psycopg.__version__} ({psycopg.pq.__impl__}), asyncpg {asyncpg.__version__}")
        for size in BATCHES:
            report(f"append {size:,}", {each.name: appending(each, size) for each in contestants})
        report(f"read {ROWS:,}", {each.name: lambda each=each: len(each.read()) for each in contestants})


def ours(opened: ExitStack, server: PostgresServer) -> Contestant:
    """psycopg's connection, as the store uses it: arrays made by leftfold, the statement prepared by name."""
    connection = opened.enter_context(connect(server.url(DATABASE), session=True))
    append = plain_call(ANSWERS, f'"{LOG}".append', COLUMNS)
    return Contestant(
        "psycopg, arrays of leftfold's",
        lambda call, _: run(connection, append, [True, None, *call.columns()]),
        lambda: run(connection, SELECT),
    )


def of_psycopg(opened: ExitStack, server: PostgresServer) -> Contestant:
    """psycopg's cursors, with lists as parameters."""
    connection: Connection = opened.enter_context(Connection.connect(server.url(DATABASE), autocommit=True))
    connection.prepare_threshold = 2
    append = statement("%b::" + kind for kind in kinds())
    return Contestant(
        "psycopg, cursors",
        lambda _, columns: connection.execute(append.encode(), [True, None, *columns], binary=True).fetchall(),
        lambda: connection.execute(SELECT.encode(), binary=True).fetchall(),
    )


def of_asyncpg(opened: ExitStack, server: PostgresServer, runner: asyncio.Runner, asyncpg: Any) -> Contestant:
    """asyncpg, with lists as parameters of a statement that it has prepared."""
    connection = runner.run(asyncpg.connect(host=str(server.directory), user="postgres", database=DATABASE))
    opened.callback(lambda: runner.run(connection.close()))
    append = runner.run(connection.prepare(statement(f"${n}::{kind}" for n, kind in enumerate(kinds(), 1))))
    select = runner.run(connection.prepare(SELECT))
    return Contestant(
        "asyncpg",
        lambda _, columns: runner.run(append.fetch(True, None, *columns)),
        lambda: runner.run(select.fetch()),
    )


def kinds() -> list[str]:
    return ["boolean", "bigint", *(CASTS[kind] for kind in ARRAYS)]


def statement(arguments: Any) -> str:
    return f'SELECT head FROM "{LOG}".append({", ".join(arguments)})'


def appending(contestant: Contestant, size: int) -> Callable[[], object]:
    """One call with so many requests of an event each, made anew as for every batch."""

    def once() -> object:
        requests = [AppendRequest([event], None, None) for event in events(size)]
        return contestant.append(*as_columns(requests))

    return once


def as_columns(requests: Sequence[AppendRequest]) -> tuple[AppendCall, list[list[Any]]]:
    """The call, and the same as lists, for drivers that make arrays themselves."""
    numbers, given = list(range(1, len(requests) + 1)), [request.events[0] for request in requests]
    empty: list[Any] = []
    lists = [
        *([1] * len(requests), empty, empty, empty, empty, empty, ["opened"], numbers, [1] * len(requests)),
        *([1] * len(requests), ["\n".join(event.tags) for event in given], [event.data for event in given]),
        *([event.metadata for event in given], empty, [event.tags[0] for event in given], numbers),
        *([empty] * 8),
    ]
    return AppendCall(requests), lists


def events(count: int) -> list[NewEvent]:
    return [
        NewEvent("opened", b'{"account":"account-12345","amount":1}', (f"n:{n}",), 1, METADATA) for n in range(count)
    ]


def report(title: str, works: dict[str, Callable[[], object]]) -> None:
    """Rounds in which they take turns; the medians, and the ratios within the rounds beside the first."""
    found: dict[str, list[Measured]] = {name: [] for name in works}
    for number in range(ROUNDS + 1):
        for name, work in works.items():
            found[name] += [measured(work)] if number else [measured(work)][:0]
    first, *_ = found.values()
    for name, rounds in found.items():
        ratio = median(one.clock / other.clock for one, other in zip(rounds, first, strict=True))
        clock, cpu = median(each.clock for each in rounds), median(each.cpu for each in rounds)
        print(f"{title:>13}  {name:<30} {clock:>9,.0f} us, {cpu:>8,.0f} us of CPU, {ratio:.2f} x the time")


def measured(work: Callable[[], object]) -> Measured:
    done, start, used = 0, perf_counter(), process_time()
    while perf_counter() - start < SECONDS:
        work()
        done += 1
    return Measured(1e6 * (perf_counter() - start) / done, 1e6 * (process_time() - used) / done)


if __name__ == "__main__":
    main()

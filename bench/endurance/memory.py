"""How much memory it takes to go through a long log: reading, following, projecting and copying, on each backend.

Each way is a process of its own, which says at its end what it had at most (VmHWM). All must stay under a bound.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from leftfold_torture.postgres_server import PostgresServer

WAYS = ("fill", "read", "subscribe", "project", "copy")
BOUND = 300  # MB, for each of them
BACKENDS = ("sqlite", "postgresql")


class Load(NamedTuple):
    """How many events the log has, over how many accounts, each of which is a row of the read model."""

    events: int
    accounts: int


class Place(NamedTuple):
    """The URLs of the log, of its read models, and of the log that it is copied to."""

    log: str
    models: str
    copy: str


class Passage(NamedTuple):
    """How one process went through the log."""

    backend: str
    way: str
    events: int
    seconds: float
    megabytes: float


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.endurance memory", description=__doc__)
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--accounts", type=int, default=500_000)
    parser.add_argument("--backend", choices=BACKENDS, action="append", help="may come twice; both if left out")
    parser.add_argument("--way", choices=WAYS[1:], action="append", help="may come several times; all if left out")
    given = parser.parse_args(argv)
    load, problems = Load(given.events, given.accounts), []
    print(f"{load.events:,} events of {load.accounts:,} accounts")
    print(f"{'':20}{'events':>12}{'seconds':>10}{'events/s':>12}{'peak MB':>10}", flush=True)
    for passage in run(load, given.backend or BACKENDS, given.way or WAYS):
        print(shown(passage), flush=True)
        problems += problems_of(passage, load)
    for problem in problems:
        print("WRONG:", problem)
    print(f"each stayed under {BOUND} MB" if not problems else "not as it must be")
    return 1 if problems else 0


def run(load: Load, backends: Sequence[str] = BACKENDS, ways: Sequence[str] = WAYS) -> Iterator[Passage]:
    """Fill a log on each backend and go through it in some ways."""
    for backend in backends:
        with _places(backend) as place:
            for way in dict.fromkeys(("fill", *ways)):
                other = place.models if way == "project" else place.copy
                yield Passage(backend, way, *_go(way, place.log, other, load))


def shown(passage: Passage) -> str:
    """A line of the table."""
    name = f"{passage.backend} {passage.way}"
    rate = passage.events / passage.seconds
    return f"{name:20}{passage.events:12,}{passage.seconds:10.1f}{rate:12,.0f}{passage.megabytes:10.0f}"


def problems_of(passage: Passage, load: Load) -> list[str]:
    """What must not be."""
    name = f"{passage.backend} {passage.way}"
    problems = []
    if passage.events != load.events:
        problems.append(f"{name} saw {passage.events:,} of {load.events:,} events")
    if passage.megabytes >= BOUND:
        problems.append(f"{name} had {passage.megabytes:.0f} MB, not under {BOUND}")
    return problems


@contextmanager
def _places(backend: str) -> Iterator[Place]:
    if backend == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder)
            yield Place(*(f"sqlite:///{path / name}" for name in ("log.db", "models.db", "copy.db")))
    else:
        with PostgresServer() as server:
            yield Place(server.url(log="long"), server.url(schema="models"), server.url(log="copy"))


def _go(way: str, log: str, other: str, load: Load) -> tuple[int, float, float]:
    command = [sys.executable, "-m", "bench.endurance._going_through", way, log, other, *map(str, load)]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    said = json.loads(ended.stdout)
    return said["events"], said["seconds"], said["megabytes"]

"""How long after a crash a new process has its first append acknowledged, in a log of a million events.

A process that writes without a pause is killed (kill -9), or with PostgreSQL the server is stopped at once, and started
again. Then a new process opens the log and appends. What was acknowledged before the crash must still be there.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

from leftfold_torture.postgres_server import PostgresServer

ACCOUNTS = 10_000
COLUMNS = ("down", "start", "open", "append", "in all")


class Load(NamedTuple):
    """How many events the log has, how often there is a crash, and after how many acknowledged appends."""

    events: int
    rounds: int
    appends: int


class Recovery(NamedTuple):
    """Seconds after one crash: until the server was up again, Python was, the log was open, the append acknowledged."""

    down: float
    start: float
    open: float
    append: float
    acknowledged: int
    position: int

    @property
    def total(self) -> float:
        """From the crash to the acknowledged append."""
        return self.down + self.start + self.open + self.append


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.endurance recovery", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5, help="crashes of each kind")
    parser.add_argument("--appends", type=int, default=5_000, help="acknowledged before each crash")
    given = parser.parse_args(argv)
    load, problems = Load(given.events, given.rounds, given.appends), []
    print(f"{load.events:,} events, {load.rounds} crashes of each kind after {load.appends:,} appends each")
    print("median milliseconds (longest)")
    print(f"{'':28}" + "".join(f"{column:>18}" for column in COLUMNS), flush=True)
    for crash, recoveries in run(load):
        print(f"{crash:28}" + shown(recoveries), flush=True)
        problems += problems_of(crash, recoveries)
    for problem in problems:
        print("WRONG:", problem)
    print("nothing acknowledged was lost" if not problems else "not as it must be")
    return 1 if problems else 0


def run(load: Load) -> Iterator[tuple[str, list[Recovery]]]:
    """Crash and recover: SQLite's process, PostgreSQL's client, its server."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'log.db'}"
        _fill(url, load)
        yield "SQLite, process killed", [_recovery(url, load) for _ in range(load.rounds)]
    with PostgresServer() as server:
        url = server.url(log="log")
        _fill(url, load)
        yield "PostgreSQL, client killed", [_recovery(url, load) for _ in range(load.rounds)]
        yield "PostgreSQL, server stopped", [_recovery(url, load, server) for _ in range(load.rounds)]


def shown(recoveries: list[Recovery]) -> str:
    """The figures of a line, below `COLUMNS`."""
    columns = zip(*((each.down, each.start, each.open, each.append, each.total) for each in recoveries), strict=True)
    return "".join(f"{1_000 * median(times):8,.0f} ({1_000 * max(times):,.0f})".rjust(18) for times in columns)


def problems_of(crash: str, recoveries: list[Recovery]) -> list[str]:
    """What must not be."""
    return [
        f"{crash}: position {each.acknowledged} was acknowledged, the next append came to {each.position}"
        for each in recoveries
        if each.position <= each.acknowledged
    ]


def _recovery(url: str, load: Load, server: PostgresServer | None = None) -> Recovery:
    """Crash once, and see how long it takes."""
    with _writer(url) as writer:
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline()) for _ in range(load.appends)]
        crashed = time.monotonic()
        if server is not None:
            server.stop("immediate")
        writer.kill()
        if server is not None:
            server.start()
        up = time.monotonic()
        ended = subprocess.run(_program("_first_append", url), stdout=subprocess.PIPE, text=True, check=True)
        acknowledged += [int(line) for line in writer.stdout.read().split("\n")[:-1]]
    said = json.loads(ended.stdout)
    begun, opened = said["begun"], said["opened"]
    times = (up - crashed, begun - up, opened - begun, said["acknowledged"] - opened)
    return Recovery(*times, max(acknowledged), said["position"])


@contextmanager
def _writer(url: str) -> Iterator[subprocess.Popen[str]]:
    """A writing process; what it says when its server goes away is not to be seen."""
    with subprocess.Popen(
        _program("_writing", url), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as writer:
        try:
            yield writer
        finally:
            writer.kill()


def _fill(url: str, load: Load) -> None:
    fill = ("fill", url, "", str(load.events), str(ACCOUNTS))
    subprocess.run(_program("_going_through", *fill), stdout=subprocess.DEVNULL, check=True)


def _program(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", f"bench.endurance.{name}", *arguments]

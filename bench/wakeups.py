"""How late another task of the event loop wakes while one caller commits on SQLite: on this disk, and on slow ones."""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import quantiles
from typing import NamedTuple

from bench.bank import Deposit, Open, bank
from bench.rounds import Effort
from leftfold_torture.disk import FaultyDisk

DISKS = {"this disk": 0, "5 ms more for each sync": 5, "50 ms more for each sync": 50}
PAUSE = 0.001  # seconds, for which the other task sleeps each time
TARGET = 3.0  # milliseconds at p99.9


class Wakeups(NamedTuple):
    """By how many milliseconds the other task woke too late, and how many commands the caller executed meanwhile."""

    disk: str
    commands: float  # each second
    p50: float
    p99: float
    p999: float
    longest: float
    wakeups: int


def measure(directory: Path, effort: Effort, progress: Callable[[str], None]) -> list[Wakeups]:
    """Run one caller in a process of its own for each disk, ten times as long as a round."""
    found: list[Wakeups] = []
    for number, (name, milliseconds) in enumerate(DISKS.items()):
        progress(f"wake-ups {number}/{len(DISKS)}")
        with tempfile.TemporaryDirectory(dir=directory) as fresh:
            disk = FaultyDisk(Path(fresh))
            disk.delay(milliseconds)
            command = [sys.executable, "-m", "bench.wakeups", str(Path(fresh) / "log.db"), str(10 * effort.seconds)]
            environment = {**os.environ, **disk.environment}
            run = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
        said = json.loads(run.stdout)
        late: Sequence[float] = said["late"]
        part = quantiles(late, n=1_000, method="inclusive")
        found.append(Wakeups(name, said["commands"], part[499], part[989], part[998], max(late), len(late)))
    return found


async def _watched(path: Path, seconds: float) -> None:
    """Execute commands one after the other, and print how late a task woke meanwhile."""
    loop = asyncio.get_running_loop()
    late: list[float] = []

    async def watch() -> None:
        while True:
            due = loop.time() + PAUSE
            await asyncio.sleep(PAUSE)
            late.append(1_000 * (loop.time() - due))

    async with bank.open(f"sqlite:///{path}", work=False) as live:
        await live.execute_many([Open(f"account-{number}", "somebody") for number in range(100)])
        watching = asyncio.create_task(watch())
        begun, commands = loop.time(), 0
        while loop.time() < begun + seconds:
            await live.execute(Deposit(f"account-{commands % 100}", 1))
            commands += 1
        taken = loop.time() - begun
        watching.cancel()
    print(json.dumps({"late": late, "commands": commands / taken}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("seconds", type=float)
    arguments = parser.parse_args()
    asyncio.run(_watched(arguments.path, arguments.seconds))

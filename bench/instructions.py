"""How many instructions a command takes, counted by valgrind: the same on a machine that is busy with other work.

`python -m bench.instructions NAME DIRECTORY` is what runs under valgrind. Its input and answers are those of
`bench.alone`. It is run twice, for a shorter and a longer time: the difference is what the commands themselves take.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench.work import Work  # and with it the clock, before it is slowed down

SLOWER = 50  # about as much as valgrind makes leftfold slower
SECONDS = (2.0, 10.0)  # of the short and of the long run
ENTITIES = 200
NAMES = ("new-1", "decide-1", "decide-128")
VALGRIND = ("valgrind", "--tool=cachegrind", "--cache-sim=no", "--fair-sched=yes", "--cachegrind-out-file=/dev/null")


class Counted(NamedTuple):
    """The instructions for one command of a figure."""

    name: str
    each: float


def measure(names: list[str], directory: Path, progress: Callable[[str], None]) -> Iterator[Counted]:
    """Count the instructions of each figure, in two processes at the same time."""
    if not shutil.which(VALGRIND[0]):
        raise SystemExit("--instructions needs the program valgrind, and it is not on PATH: install it")
    for name in names:
        progress(f"instructions of {name}")
        with ThreadPoolExecutor(len(SECONDS)) as both, tempfile.TemporaryDirectory(dir=directory) as fresh:
            short, long = both.map(partial(_run, name, Path(fresh)), SECONDS)
        yield Counted(name, (long[0] - short[0]) / (long[1] - short[1]))


def _run(name: str, directory: Path, seconds: float) -> tuple[int, float]:
    """Return the instructions of the whole process, and how many commands it has executed."""
    own = directory / str(seconds)
    own.mkdir()
    run = subprocess.run(
        [*VALGRIND, sys.executable, "-m", "bench.instructions", name, str(own)],
        cwd=Path(__file__).parents[1],
        env={**os.environ, "PYTHONHASHSEED": "0"},
        input=f"{SECONDS[0]}\n{seconds}\n",
        capture_output=True,
        text=True,
        check=False,
    )
    counted = re.search(r"I\s+refs:\s+([\d,]+)", run.stderr)
    if run.returncode or counted is None:
        raise SystemExit(f"valgrind could not count the instructions of {name}: {run.stderr[-2000:]}")
    return int(counted[1].replace(",", "")), sum(json.loads(line)["units"] for line in run.stdout.splitlines())


def _slow_clock(clock: Callable[[], float]) -> Callable[[], float]:
    """A clock by which commits take about as long as without valgrind, so that leftfold makes them in the same way."""
    return lambda: clock() / SLOWER


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("directory", type=Path)
    arguments = parser.parse_args()
    time.perf_counter = _slow_clock(time.perf_counter)

    from bench import deciding

    opened: Mapping[str, object] = {
        "new-1": partial(deciding.our_new_entities, callers=1),
        "decide-1": partial(deciding.our_held_entities, callers=1, entities=ENTITIES),
        "decide-128": partial(deciding.our_held_entities, callers=deciding.MANY, entities=ENTITIES),
    }
    with opened[arguments.name](arguments.directory) as work:
        for line in sys.stdin:
            done: Work = work(float(line))
            print(json.dumps({"units": done.units}), flush=True)


if __name__ == "__main__":
    main()

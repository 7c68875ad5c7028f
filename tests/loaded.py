"""Run the whole suite again and again while every core is busy: no test may depend on how quick the machine is.

    python -m tests.loaded --runs 10 --jobs 6 -- tests/store

What follows `--` goes to pytest. Says for each run what came of it, at the end how often which test failed.
"""

import argparse
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from xml.etree import ElementTree

BURNER = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    sum(range(100_000))"


@contextmanager
def busy_cores(burners: int) -> Iterator[None]:
    """Keep so many processes busy; they end with this one, however it ends."""
    burning = [subprocess.Popen([sys.executable, "-c", BURNER]) for _ in range(burners)]
    try:
        yield
    finally:
        for burner in burning:
            burner.kill()
            burner.wait()


def run(jobs: int, arguments: list[str], report: Path) -> Counter[str]:
    """Run the tests once; each one that did not pass, with how it ended, and the number of all."""
    command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", f"-n{jobs}", "--dist=loadfile", *arguments]
    ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if ended.returncode not in (0, 1):
        sys.exit(f"{ended.stdout}\npytest ended with {ended.returncode}")
    found: Counter[str] = Counter()
    for test in ElementTree.parse(report).iter("testcase"):
        outcome = next((child.tag for child in test if child.tag in ("failure", "error", "skipped")), "passed")
        found[outcome] += 1
        if outcome in ("failure", "error"):
            found[f"{outcome} of {test.get('classname')}::{test.get('name')}"] += 1
    if found["failure"] or found["error"]:
        print(ended.stdout)
    return found


def main() -> int:
    """Run, count, say."""
    cores = os.cpu_count() or 1
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=6, help="processes that test at the same time")
    parser.add_argument("--burners", type=int, default=cores, help="processes that only keep a core busy")
    parser.add_argument("arguments", nargs="*", help="for pytest")
    options = parser.parse_args()

    total: Counter[str] = Counter()
    for number in range(1, options.runs + 1):
        began = monotonic()
        with TemporaryDirectory() as folder, busy_cores(options.burners):
            found = run(options.jobs, options.arguments, Path(folder) / "report.xml")
        total += found
        counts = ", ".join(f"{found[outcome]} {outcome}" for outcome in ("passed", "skipped", "failure", "error"))
        print(f"run {number} of {options.runs}: {counts}, {monotonic() - began:.0f} s", flush=True)
    failed = {name: times for name, times in total.items() if " of " in name}
    print(f"{options.burners} burners on {cores} cores, {options.jobs} jobs: {sum(failed.values())} failures")
    print("".join(f"{times} x {name}\n" for name, times in sorted(failed.items())), end="")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""The gate: is leftfold slower than at another commit? Both take turns in one run, so that noise meets both alike.

Each commit is in a git worktree of its own in a temporary directory, removed at the end. The benchmark is today's, and
so are the installed packages; only `src/` differs. Each side is a process that stays open while the other one works.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from bench.figure import Figure, Summary
from bench.rounds import Effort, summary
from bench.work import Work

ROOT = Path(__file__).parents[1]
SIDES = ("before", "after")
USUAL = (
    *("decide-1", "decide-sync-1", "decide-128", "new-1", "first-1", "first-128", "long-128"),
    *("append-1000", "load-10000", "project-100000"),
)


class Sides(NamedTuple):
    """The folders with the source code of both sides, and what to call them."""

    before: Path
    after: Path
    names: tuple[str, str]


class Compared(NamedTuple):
    """A figure on both sides; the ratio is that of the medians of the rates."""

    figure: Figure
    before: Summary
    after: Summary
    least: float

    @property
    def ratio(self) -> float:
        return self.after.rate / self.before.rate

    @property
    def cpu_ratio(self) -> float:
        return self.after.cpu / self.before.cpu

    @property
    def passes(self) -> bool:
        return self.ratio >= self.least


class GitFailed(Exception):
    """Git refused; the text is what it said."""


@contextmanager
def opened_sides(commits: str, directory: Path) -> Generator[Sides]:
    """Both sides of `BEFORE..AFTER`; of `BEFORE` alone, the other one is the working tree as it is."""
    before, _, after = (commits or default_commit()).partition("..")
    with tempfile.TemporaryDirectory(dir=directory, prefix="leftfold-gate-") as fresh, ExitStack() as opened:
        first = opened.enter_context(_worktree(before, Path(fresh, "before")))
        second = opened.enter_context(_worktree(after, Path(fresh, "after"))) if after else ROOT
        names = (_name(before), _name(after) if after else "the working tree")
        yield Sides(first / "src", second / "src", names)


def default_commit() -> str:
    """Where the branch left main; on main itself, or with no main, the commit before the last."""
    head = _git("rev-parse", "HEAD")
    for main in ("origin/main", "main"):
        try:
            base = _git("merge-base", "HEAD", main)
        except GitFailed:
            continue
        if base != head:
            return base
    return "HEAD~1"


def measure(
    figures: Sequence[Figure],
    sides: Sides,
    effort: Effort,
    least: float,
    directory: Path,
    progress: Callable[[str], None],
) -> Iterator[Compared]:
    """Compare each figure. One that is too slow gets as many rounds again, and all of them count."""
    for figure in figures:
        with tempfile.TemporaryDirectory(dir=directory) as fresh, _processes(figure, sides, Path(fresh)) as works:
            for work in works:  # not counted: files get their length, caches fill
                work(effort.seconds)
            rounds: tuple[list[Work], list[Work]] = ([], [])
            for attempt in (1, 2):
                for number in range(effort.rounds):
                    progress(f"{figure.name} {len(rounds[0])}/{attempt * effort.rounds}")
                    _round(works, rounds, effort.seconds, first=number % 2)
                compared = Compared(figure, *map(summary, rounds), least)
                if compared.passes:
                    break
        yield compared


def _round(
    works: Sequence[Callable[[float], Work]], rounds: tuple[list[Work], list[Work]], seconds: float, first: int
) -> None:
    for side in (first, 1 - first):
        rounds[side].append(works[side](seconds))


@contextmanager
def _processes(figure: Figure, sides: Sides, directory: Path) -> Generator[list[Callable[[float], Work]]]:
    with ExitStack() as opened:
        yield [
            opened.enter_context(_process(figure, source, directory / side))
            for side, source in zip(SIDES, (sides.before, sides.after), strict=True)
        ]


@contextmanager
def _process(figure: Figure, source: Path, directory: Path) -> Generator[Callable[[float], Work]]:
    directory.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.alone", figure.name, str(directory), str(source)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(source), "PYTHONHASHSEED": "0"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for this process, which ends the other
    )
    given, answers = process.stdin, process.stdout
    assert given is not None
    assert answers is not None

    def work(seconds: float) -> Work:
        line = ""
        with suppress(BrokenPipeError):  # it has ended
            print(seconds, file=given, flush=True)
            line = answers.readline()
        if not line:
            raise SystemExit(f"the process that measures {figure.name} of {source} has ended; its error is above")
        return Work(**json.loads(line))

    try:
        yield work
        given.close()
        process.wait()
    finally:
        process.kill()
        process.wait()
        for pipe in (given, answers):
            with suppress(BrokenPipeError):
                pipe.close()


@contextmanager
def _worktree(commit: str, path: Path) -> Generator[Path]:
    _git("worktree", "add", "--detach", str(path), _git("rev-parse", "--verify", f"{commit}^{{commit}}"))
    try:
        yield path
    finally:
        _git("worktree", "remove", "--force", str(path))


def _name(commit: str) -> str:
    return _git("show", "--no-patch", "--format=%h %s", commit)


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, start_new_session=True, check=False)
    if done.returncode:
        raise GitFailed(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()

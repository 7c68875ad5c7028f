"""Where the time of leftfold's part of a figure goes: samples of what each of its threads is at."""

import sys
import tempfile
import threading
from collections import Counter, defaultdict
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep
from types import FrameType

from rich.table import Table

from bench.figure import LEFTFOLD, Figure

INTERVAL = 0.001
SWITCH = 0.0001  # seconds until a busy thread lets the sampler in; the interpreter's 5 ms would blur what it sees
SHOWN = 25
SECONDS = 5.0
HERE = {"callers.py", "profiling.py"}

Place = str


class Samples:
    """What was seen: for each thread, how often each line was the one at work, and each function somewhere below."""

    def __init__(self) -> None:
        self.taken = 0
        self.lines: defaultdict[str, Counter[Place]] = defaultdict(Counter)
        self.functions: defaultdict[str, Counter[Place]] = defaultdict(Counter)

    def take(self) -> None:
        """Look once at every thread but the sampler's own."""
        self.taken += 1
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        for ident, frame in sys._current_frames().items():
            if ident != threading.get_ident():
                self._note(names.get(ident, "?"), frame)

    def _note(self, thread: str, frame: FrameType) -> None:
        self.lines[thread][_place(frame, line=True)] += 1
        stack: set[Place] = set()
        below: FrameType | None = frame
        while below is not None:
            stack.add(_place(below, line=False))
            below = below.f_back
        self.functions[thread].update(stack)

    def tables(self, shown: int) -> Iterator[Table]:
        """For each thread its busiest lines, and the functions that the time was spent below."""
        for thread, lines in self.lines.items():
            yield self._table(f"{thread}: at this line", lines, shown)
            yield self._table(f"{thread}: in this function or below", self.functions[thread], shown)

    def _table(self, title: str, counted: Counter[Place], shown: int) -> Table:
        table = Table("share", "where", title=title, title_justify="left")
        for place, count in counted.most_common(shown):
            table.add_row(f"{100 * count / self.taken:.1f} %", place)
        return table


@contextmanager
def sampling() -> Generator[Samples]:
    """Take samples as long as the block runs."""
    samples, over, before = Samples(), threading.Event(), sys.getswitchinterval()

    def run() -> None:
        while not over.is_set():
            sleep(INTERVAL)
            samples.take()

    thread = threading.Thread(target=run, name="sampler")
    sys.setswitchinterval(SWITCH)
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()
        sys.setswitchinterval(before)


def profile(figure: Figure, directory: Path) -> Samples:
    """Run leftfold's part of a figure, once to warm up, then for some seconds under the sampler."""
    with tempfile.TemporaryDirectory(dir=directory) as fresh, figure.opened(Path(fresh)) as slices:
        slices[LEFTFOLD](1.0)
        with sampling() as samples:
            slices[LEFTFOLD](SECONDS)
    return samples


def _place(frame: FrameType, *, line: bool) -> Place:
    code = frame.f_code
    path = "/".join(Path(code.co_filename).parts[-2:])
    return f"{path}:{frame.f_lineno} {code.co_qualname}" if line else f"{path} {code.co_qualname}"

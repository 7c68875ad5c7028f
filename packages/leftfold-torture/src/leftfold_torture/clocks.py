"""Clocks that are put forward and back while a run goes on, for all processes at once."""

import mmap
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path

from leftfold.model.clock import SystemClock


class SteppedClock:
    """The machine's clock, off by what stands in a file: every process that maps the file sees a step at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.exists():
            path.write_bytes(bytes(8))
        with path.open("r+b") as file:
            self._offset = mmap.mmap(file.fileno(), 8)

    def __repr__(self) -> str:
        return f"<SteppedClock off by {self.offset}>"

    @property
    def offset(self) -> timedelta:
        """How far the clock is off."""
        return timedelta(microseconds=struct.unpack("=q", self._offset[:])[0])

    def step(self, offset: timedelta) -> None:
        """Put the clock forward or back."""
        struct.pack_into("=q", self._offset, 0, offset // timedelta(microseconds=1))

    def elapsed(self) -> float:
        """Return seconds of the clock that nobody sets: so a store can notice what happens to this one."""
        return SystemClock().elapsed()

    def now(self) -> datetime:
        """Return the moment that the clock shows."""
        return datetime.now(UTC) + self.offset

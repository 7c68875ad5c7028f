"""A disk that fails or is slow when it is told to: a small library that stands before fsync in other processes."""

import errno
import mmap
import shutil
import struct
import subprocess
from importlib.resources import as_file, files
from pathlib import Path
from typing import NamedTuple

CONTROL = struct.Struct("=iiiii")


class Syncs(NamedTuple):
    """How often fsync was called, failed and was delayed."""

    calls: int
    failed: int
    delayed: int


class FaultyDisk:
    """Compiled with gcc into a folder; `environment` is what the processes have to be started with."""

    def __init__(self, folder: Path) -> None:
        self._library = folder / "disk.so"
        self._file = folder / "disk"
        with as_file(files("leftfold_torture").joinpath("disk.c")) as source:
            command = ["gcc", "-shared", "-fPIC", "-O2", "-o", str(self._library), str(source), "-ldl"]
            subprocess.run(command, check=True, capture_output=True)
        self._file.write_bytes(bytes(CONTROL.size))
        self._file.chmod(0o666)  # the server of PostgreSQL runs as somebody else
        with self._file.open("r+b") as file:
            self._control = mmap.mmap(file.fileno(), CONTROL.size)

    def __repr__(self) -> str:
        return f"<FaultyDisk {self.syncs}>"

    @staticmethod
    def obstacle() -> str | None:
        """Why there can be none, if so."""
        return None if shutil.which("gcc") else "there is no gcc to compile the library that stands before fsync"

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs so that its disk is this one."""
        return {"LD_PRELOAD": str(self._library), "LEFTFOLD_DISK": str(self._file)}

    @property
    def syncs(self) -> Syncs:
        """What has happened so far."""
        return Syncs(*CONTROL.unpack(self._control[:])[2:])

    def fail(self, error: int = errno.EIO) -> None:
        """From now on, fail without syncing."""
        struct.pack_into("=i", self._control, 0, error)

    def delay(self, milliseconds: int) -> None:
        """From now on, take so much longer."""
        struct.pack_into("=i", self._control, 4, milliseconds)

    def recover(self) -> None:
        """Be sound again."""
        struct.pack_into("=ii", self._control, 0, 0, 0)

"""Faults, by their names: each says whether it is available, what it needs, and how it begins and ends."""

import asyncio
import errno
import os
import shutil
import signal
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import ClassVar

from leftfold.store.open import path_in
from leftfold_torture.appends import FAILING_DISK, LEAP_CLOCK
from leftfold_torture.arena import Arena, Place
from leftfold_torture.disk import FaultyDisk
from leftfold_torture.team import ClientProcess, Processes

IN_MEMORY = "a log in memory lives in one process, without a disk"
STEP_SECONDS = 1_700  # either way
LOCK_SECONDS = 60.0
NOT_OURS = "the server is not the run's own (--own-server starts one)"


class Nemesis:
    """One kind of fault. `needs` names the equipment that has to be in place before clients start."""

    name: ClassVar[str]
    needs: ClassVar[frozenset[str]] = frozenset()
    longest: ClassVar[float] = 1.5  # seconds

    def __init__(self, arena: Arena, random: Random) -> None:
        self.arena = arena
        self.random = random

    def __repr__(self) -> str:
        return f"<Nemesis {self.name}>"

    @classmethod
    def obstacle(cls, place: Place) -> str | None:
        """Why it is not available here, if it is not."""
        raise NotImplementedError

    async def start(self) -> str:
        """Begin the fault; what was done."""
        raise NotImplementedError

    async def stop(self) -> None:
        """End the fault."""


class OfClients(Nemesis):
    """A fault of some clients' processes."""

    _chosen: Sequence[ClientProcess] = ()

    @classmethod
    def obstacle(cls, place: Place) -> str | None:
        """Clients in memory are no processes."""
        return IN_MEMORY if place.backend == "memory" else None

    def choose(self) -> str:
        """Choose whom it meets; their names."""
        assert isinstance(self.arena.team, Processes), "the clients are processes"
        clients = self.arena.team.clients
        self._chosen = self.random.sample(clients, self.random.randint(1, max(1, len(clients) // 2)))
        return ", ".join(client.name for client in self._chosen)


class KillClients(OfClients):
    """Some client processes are killed with signal 9, and started again."""

    name = "kill-clients"

    async def start(self) -> str:
        """Kill them."""
        names = self.choose()
        for client in self._chosen:
            await client.kill()
        return names

    async def stop(self) -> None:
        """Start their successors."""
        for client in self._chosen:
            await client.start()


class PauseClients(OfClients):
    """Some client processes stand still (SIGSTOP), wherever they are, also while they hold a lock."""

    name = "pause-clients"

    async def start(self) -> str:
        """Stop them."""
        names = self.choose()
        for client in self._chosen:
            client.pause()
        return names

    async def stop(self) -> None:
        """Let them go on."""
        for client in self._chosen:
            client.resume()


class OfClock(Nemesis):
    """A fault of the clock that is passed to the store."""

    needs = frozenset({"clock"})

    @classmethod
    def obstacle(cls, place: Place) -> str | None:
        """There is always a clock."""
        return None

    def set(self, offset: timedelta) -> str:
        """Put the clock off by so much; how that is told."""
        assert self.arena.clock is not None, "the run has a clock"
        self.arena.clock.step(offset)
        return f"off by {offset.total_seconds():+.0f} s"


class StepClock(OfClock):
    """The clock jumps, no two times by more than an hour, which a store has to put up with."""

    name = "step-clock"

    async def start(self) -> str:
        """Jump."""
        return self.set(timedelta(seconds=self.random.uniform(-STEP_SECONDS, STEP_SECONDS)))


class LeapClock(OfClock):
    """The clock jumps by years, and is put right again: meanwhile nothing may be dated."""

    name = LEAP_CLOCK

    async def start(self) -> str:
        """Jump, mostly ahead. Fewer years may be those in which nobody wrote to an idle log."""
        years = self.random.choice([1, 1, -1]) * self.random.uniform(6, 50)
        return self.set(timedelta(days=365 * years))

    async def stop(self) -> None:
        """Put it right."""
        self.set(timedelta())


class OfFiles(Nemesis):
    """A fault of an SQLite log's files, under all clients; afterwards these are started again.

    It comes while nobody can write, and nothing that was acknowledged is lost by it. What is acknowledged afterwards
    has to be in the log too, or is not acknowledged.
    """

    @classmethod
    def obstacle(cls, place: Place) -> str | None:
        """There have to be files."""
        if place.backend == "sqlite":
            return None
        return IN_MEMORY if place.backend == "memory" else "it is made for the files of an SQLite log"

    @property
    def log(self) -> Path:
        """The log's file."""
        return self.arena.place.folder / Path(path_in(self.arena.url)).name

    async def stop(self) -> None:
        """Start all clients again: those that run have lost their log for good."""
        assert isinstance(self.arena.team, Processes), "the clients are processes"
        for client in self.arena.team.clients:
            await client.kill()
            await client.start()


class ReplacedFile(OfFiles):
    """The file is replaced by a copy of it."""

    name = "replaced-file"

    async def start(self) -> str:
        """Replace it."""
        await asyncio.to_thread(_replace, self.log)
        return ""


class DeletedSideFiles(OfFiles):
    """The files beside the log are deleted, after all that is in them was moved into the log."""

    name = "deleted-side-files"

    async def start(self) -> str:
        """Delete them."""
        return await asyncio.to_thread(
            _delete_side_files, self.log, self.random.choice([("-wal", "-shm"), ("-wal",), ("-shm",)])
        )


class FullDisk(Nemesis):
    """The disk that the log lies on is full to the last block, or nearly."""

    name = "full-disk"
    needs = frozenset({"mount"})

    @classmethod
    def obstacle(cls, place: Place) -> str | None:
        """It fills a small disk, which only root can mount, in a folder that has nothing else."""
        if place.backend != "sqlite":
            return IN_MEMORY if place.backend == "memory" else "it is made for the disk of an SQLite log"
        if os.geteuid() != 0 or not shutil.which("mount"):
            return "only root can mount the small disk that it fills"
        if place.folder.exists() and any(place.folder.iterdir()):
            return f"the small disk that it fills is mounted at the log's folder, and {place.folder} is not empty"
        return None

    @property
    def _filler(self) -> Path:
        assert self.arena.mount is not None, "the run has a small disk"
        return self.arena.mount / "filler"

    async def start(self) -> str:
        """Fill the disk."""
        spare = self.random.choice([0, 0, 4_096, 65_536])
        file = os.open(self._filler, os.O_WRONLY | os.O_CREAT)
        disk = os.fstatvfs(file)
        free = max(1, disk.f_bavail * disk.f_frsize - spare)
        try:
            os.posix_fallocate(file, 0, free)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
        finally:
            os.close(file)
        return f"{spare} bytes left"

    async def stop(self) -> None:
        """Make room."""
        self._filler.unlink(missing_ok=True)


class OfDisk(Nemesis):
    """A fault of fsync, in the clients' processes (SQLite) or in the server (PostgreSQL)."""

    needs = frozenset({"disk"})

    @classmethod
    def obstacle(cls, place: Place) -> str | None:
        """The library that stands before fsync has to be compiled, and preloaded where the log is written."""
        if place.backend == "memory":
            return IN_MEMORY
        if place.backend == "postgresql" and not place.own_server:
            return NOT_OURS
        return FaultyDisk.obstacle()

    @property
    def disk(self) -> FaultyDisk:
        """The disk of the run."""
        assert self.arena.disk is not None, "the run has a disk"
        return self.arena.disk

    async def stop(self) -> None:
        """Be sound again."""
        self.disk.recover()


class FailingDisk(OfDisk):
    """Every fsync fails with EIO. A PostgreSQL server then stops itself, and recovers: so it must."""

    name = FAILING_DISK
    longest = 0.7

    async def start(self) -> str:
        """Fail."""
        self.disk.fail()
        return "EIO"

    async def stop(self) -> None:
        """Be sound again; a server that gave up is started again."""
        await super().stop()
        if self.arena.server is not None:
            await self.arena.stop_server()
            await self.arena.start_server()


class SlowDisk(OfDisk):
    """Every fsync takes much longer."""

    name = "slow-disk"

    async def start(self) -> str:
        """Be slow."""
        milliseconds = self.random.choice([20, 100, 400])
        self.disk.delay(milliseconds)
        return f"{milliseconds} ms"


class OfServer(Nemesis):
    """A fault of a PostgreSQL server that is the run's own."""

    @classmethod
    def obstacle(cls, place: Place) -> str | None:
        """There has to be a server, and nobody else may use it."""
        if place.backend != "postgresql":
            return "there is no server"
        return None if place.own_server else NOT_OURS


class KillServer(OfServer):
    """The server stops at once, without finishing anything, and is started again: it recovers from its own log."""

    name = "kill-server"

    async def start(self) -> str:
        """Stop it."""
        await self.arena.stop_server()
        return "immediate"

    async def stop(self) -> None:
        """Start it again."""
        await self.arena.start_server()


class PauseServer(OfServer):
    """The server and all its processes stand still (SIGSTOP): connections hang."""

    name = "pause-server"
    _stopped: Sequence[int] = ()

    async def start(self) -> str:
        """Stop them."""
        assert self.arena.server is not None, "the run has a server"
        parent = self.arena.server.pid
        _signal([parent], signal.SIGSTOP)
        self._stopped = [parent, *_children_of(parent)]
        _signal(self._stopped, signal.SIGSTOP)
        return f"{len(self._stopped)} processes"

    async def stop(self) -> None:
        """Let them go on."""
        _signal(self._stopped, signal.SIGCONT)


class CutConnections(Nemesis):
    """Connections break in the middle of what they carry: a commit, its answer, a read, a notification."""

    name = "cut-connections"
    needs = frozenset({"proxy"})

    @classmethod
    def obstacle(cls, place: Place) -> str | None:
        """There has to be a connection."""
        return None if place.backend == "postgresql" else "there is no connection to cut"

    async def start(self) -> str:
        """Begin to cut."""
        assert self.arena.proxy is not None, "the run has a proxy"
        self.arena.proxy.cut()
        return ""

    async def stop(self) -> None:
        """Let everything pass."""
        assert self.arena.proxy is not None, "the run has a proxy"
        self.arena.proxy.heal()


def _replace(log: Path) -> None:
    """Put a copy in a log's place, with the write lock in hand; the files beside the old one go with it."""
    copy = log.with_name("replacing.db")
    with closing(_connected(log)) as holder, closing(_connected(log)) as reader, closing(_connected(copy)) as target:
        holder.execute("BEGIN IMMEDIATE")
        reader.backup(target)
        target.close()
        for ending in ("-wal", "-shm"):
            log.with_name(f"{log.name}{ending}").unlink(missing_ok=True)
        copy.replace(log)
        holder.execute("ROLLBACK")


def _delete_side_files(log: Path, endings: Sequence[str]) -> str:
    wal = log.with_name(f"{log.name}-wal")
    with closing(_connected(log)) as holder:
        while True:
            holder.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            holder.execute("BEGIN IMMEDIATE")
            if not wal.exists() or not wal.stat().st_size:
                break
            holder.execute("ROLLBACK")  # somebody was quicker
        for ending in endings:
            log.with_name(f"{log.name}{ending}").unlink(missing_ok=True)
        holder.execute("ROLLBACK")
    return " and ".join(endings)


def _connected(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(file, isolation_level=None, timeout=LOCK_SECONDS)


def _children_of(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def _signal(processes: Sequence[int], number: signal.Signals) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, number)

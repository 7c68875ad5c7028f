"""Faults that others bring about: hostile clients, and programs beside them that write what they should not."""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from typing import Any, ClassVar

from msgspec.structs import replace

from leftfold.follow.process_identity import ProcessIdentity
from leftfold.follow.workers import beside
from leftfold.store.open import postgres_log
from leftfold_torture.appends import HOSTILE_REQUESTS
from leftfold_torture.arena import Place
from leftfold_torture.holding import APP, LEASES
from leftfold_torture.nemesis import Nemesis

MOST = 2**63 - 1
GARBAGE_IN_POSTGRES = """
    INSERT INTO "{log}".lease (name, holder, beat, microseconds) VALUES (%s, %s, %s, %s)
    ON CONFLICT (name) DO UPDATE
    SET holder = excluded.holder, beat = excluded.beat, microseconds = excluded.microseconds"""
GARBAGE_IN_SQLITE = """
    INSERT OR REPLACE INTO lease (log, name, holder, beat, microseconds)
    SELECT log, ?, CAST(? AS TEXT), ?, ? FROM lease LIMIT 1"""
NOTIFY = "SELECT pg_notify('{log}', %s)::text"


class HostileRequests(Nemesis):
    """Clients send requests that no store may take, in the midst of their honest ones."""

    name = HOSTILE_REQUESTS

    @classmethod
    def obstacle(cls, place: Place) -> str | None:
        """Every store has clients."""
        return None

    async def start(self) -> str:
        """Begin to send them."""
        assert self.arena.team is not None, "the run has clients"
        await self.arena.team.attack()
        return "from every client"

    async def stop(self) -> None:
        """Send none any more."""
        assert self.arena.team is not None, "the run has clients"
        await self.arena.team.relent()


class Intruder(Nemesis):
    """Somebody who does something again and again, for as long as the fault lasts."""

    pause: ClassVar[float]  # seconds between two times
    _intruding: asyncio.Task[None] | None = None

    async def start(self) -> str:
        """Begin."""
        await self.intrude()
        self._intruding = asyncio.create_task(self._go_on())
        return ""

    async def stop(self) -> None:
        """Stop; what went wrong meanwhile is raised."""
        if self._intruding is not None:
            self._intruding.cancel()
            with suppress(asyncio.CancelledError):
                await self._intruding

    async def intrude(self) -> None:
        """Do it once."""
        raise NotImplementedError

    async def _go_on(self) -> None:
        while True:
            await asyncio.sleep(self.pause)
            await self.intrude()


class ForgedNotifications(Intruder):
    """Another session notifies on the log's channel, of positions that there are not and of what is no position."""

    name = "forged-notifications"
    pause = 0.01

    @classmethod
    def obstacle(cls, place: Place) -> str | None:
        """There has to be a channel."""
        return None if place.backend == "postgresql" else "there is no channel on which others could notify"

    async def intrude(self) -> None:
        """Notify some times."""
        await self.notify([self._forged() for _ in range(5)])

    async def notify(self, payloads: Sequence[str]) -> None:
        """Send the notifications."""
        await asyncio.to_thread(_in_postgres, self.arena.url, NOTIFY, [[each] for each in payloads])

    def _forged(self) -> str:
        random = self.random
        numbers = [str(random.randrange(10**6, 10**9)), str(MOST), "9" * random.choice([19, 400, 7_900])]
        others = [str(-random.randrange(1, 10**9)), "", "x", "1e9", "0.5", "٤٢", "1'; DROP TABLE event; --"]
        return random.choice([*numbers, *others])


class GarbageLeases(Intruder):
    """Somebody writes into the book of leases: holders that cannot be, counts and times at the end of their range."""

    name = "garbage-leases"
    pause = 0.05

    @classmethod
    def obstacle(cls, place: Place) -> str | None:
        """There has to be a book that others can write into."""
        return "a log in memory has no leases" if place.backend == "memory" else None

    async def intrude(self) -> None:
        """Overwrite a lease, or add one."""
        name = self.random.choice([*LEASES, "history", "", "no\nlease"])
        row = [name, self._holder(), self._number(), self._number()]
        await asyncio.to_thread(_write_lease, self.arena.place, self.arena.url, row)

    def _holder(self) -> str:
        """What stands for the holder: half of it names a process of this machine that cannot be."""
        random, present = self.random, ProcessIdentity.present(APP)
        pid = random.choice(["0", "2147483648", "9" * 30, "9" * 5_000, "-1", "٤٢"])
        impossible = str(present).replace(str(present.pid), pid, 1)
        others = [
            "",
            "garbage",
            "\ufeff@ \t\n",
            "bytes \udcff\udcfe",
            str(replace(present, pid=1)),
            str(replace(present, pid=0, host="elsewhere", started="9" * 40)),
            str(replace(present, pid=1, app="another app", types=10**30)),
            str(replace(present, host="h" * 5_000, boot="")),
        ]
        return random.choice([impossible, random.choice(others)])

    def _number(self) -> int:
        return self.random.choice([0, 1, -1, MOST, -MOST - 1])


def _write_lease(place: Place, url: str, row: Sequence[Any]) -> None:
    name, holder, *numbers = row
    written = holder.encode(errors="surrogateescape")
    if place.backend == "postgresql":
        _in_postgres(url, GARBAGE_IN_POSTGRES, [(name, written.decode(errors="replace"), *numbers)])
        return
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(beside(url, "leases"))) as connection, connection:
        connection.execute(GARBAGE_IN_SQLITE, (name, written, *numbers))


def _in_postgres(url: str, sql: str, rows: Sequence[Sequence[Any]]) -> None:
    """Run a statement for each row, in a session of its own."""
    from leftfold.store.postgres.driver import connect, run

    server, log = postgres_log(url)
    with closing(connect(server, session=True)) as connection:
        for row in rows:
            run(connection, sql.format(log=log), row)

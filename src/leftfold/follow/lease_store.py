"""Where leases are stored: the port, its implementation over four statements, and the types that apps declare."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import Any, Literal, Protocol

import msgspec

from leftfold.model.clock import from_microseconds

LARGEST_BEAT = 2**63 - 1


class LeaseEntry(msgspec.Struct, frozen=True):
    """A stored lease: its holder, how often the holder has renewed it (`beat`), and when it last did, by its own clock.

    `microseconds` is for people: no decision depends on it.
    """

    name: str
    holder: str
    beat: int
    microseconds: int = 0

    @property
    def heard(self) -> datetime | None:
        """When the holder last renewed the lease, for people; None if the stored value is not a time."""
        return from_microseconds(self.microseconds) if _is_number(self.microseconds) else None


def _is_number(value: object) -> bool:
    return isinstance(value, int)


class LeaseStore(Protocol):
    """Stores leases for all processes that share the work."""

    async def read(self) -> Mapping[str, LeaseEntry]:
        """Return every lease that is held, by name."""
        ...

    async def take(self, name: str, expected: LeaseEntry | None, holder: str) -> LeaseEntry | None:
        """Give a lease to a holder if it is still as expected, else return None: of several takers one gets it.

        A store that can fence the work in the same transaction does so.
        """
        ...

    async def renew(self, entries: Iterable[LeaseEntry]) -> list[LeaseEntry]:
        """Renew leases, and return those that their holder still holds."""
        ...

    async def release(self, entries: Iterable[LeaseEntry]) -> None:
        """Free the leases that their holder still holds."""
        ...


class ClosableLeaseStore(LeaseStore, Protocol):
    """A lease store that holds a file or a connection open."""

    async def close(self) -> None:
        """Close it."""
        ...


Statement = Literal["read", "take", "renew", "release"]
Parameters = Mapping[str, Any]


class SqlLeaseStore(ABC):
    """Stores leases in a table, which four statements read and write in one thread.

    Each backend runs a statement: once for each set of parameters. `take` gets the lease's name, the holder and beat
    that are expected there (None if it is free), and the new holder; `renew` and `release` get a name and its holder.
    All but `release` return rows of name, holder, beat and microseconds. Tables and SQL functions say `beat` where the
    code says renew: their names are part of the stored format.
    """

    def __init__(self, thread_name: str = "leftfold leases") -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=thread_name)

    async def close(self) -> None:
        """Finish what is under way, and close the file or the connection."""
        await asyncio.to_thread(self._thread.shutdown)
        self._disconnect()

    async def read(self) -> Mapping[str, LeaseEntry]:
        """Return every lease that is held."""
        return {entry.name: entry for entry in await self._run("read", [{}])}

    async def take(self, name: str, expected: LeaseEntry | None, holder: str) -> LeaseEntry | None:
        """Give a lease to a holder if it is still as expected."""
        former, beat = (expected.holder, expected.beat) if expected else (None, None)
        taken = await self._run("take", [{"name": name, "former": former, "beat": beat, "holder": holder}])
        return taken[0] if taken else None

    async def renew(self, entries: Iterable[LeaseEntry]) -> list[LeaseEntry]:
        """Renew leases."""
        return await self._run("renew", [{"name": each.name, "holder": each.holder} for each in entries])

    async def release(self, entries: Iterable[LeaseEntry]) -> None:
        """Free leases."""
        await self._run("release", [{"name": each.name, "holder": each.holder} for each in entries])

    async def _run(self, statement: Statement, sets: Sequence[Parameters]) -> list[LeaseEntry]:
        rows = partial(self._rows, statement, sets)
        return [LeaseEntry(*row) for row in await asyncio.get_running_loop().run_in_executor(self._thread, rows)]

    def _disconnect(self) -> None:  # noqa: B027 a store over another's connections opens none
        """Close what the store has opened."""

    @abstractmethod
    def _rows(self, statement: Statement, sets: Sequence[Parameters]) -> Iterable[Sequence[Any]]:
        """Run a statement in the thread, once for each set of parameters."""


DECLARED_TYPES = "types of "  # and the app's name; the entry's holder lists its event types, one a line


async def declare(leases: LeaseStore, app: str, types: Iterable[str]) -> None:
    """Store which event types an app knows, unless that is stored already."""
    name, known = DECLARED_TYPES + app, "\n".join(sorted(types))
    former = (await leases.read()).get(name)
    if former is None or former.holder != known:
        await leases.take(name, former, known)


async def types_of_others(leases: LeaseStore, app: str) -> dict[str, frozenset[str]]:
    """Return which event types other apps know, by the apps' names."""
    entries = (await leases.read()).values()
    found = [entry for entry in entries if is_declaration(entry) and entry.name != DECLARED_TYPES + app]
    return {entry.name.removeprefix(DECLARED_TYPES): frozenset(entry.holder.split("\n")) for entry in found}


def is_declaration(entry: LeaseEntry) -> bool:
    """Whether an entry is not a lease, but lists the event types that an app knows."""
    return entry.name.startswith(DECLARED_TYPES)

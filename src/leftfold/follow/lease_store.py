"""Where leases are stored: the port, one in memory, and the event types that each app declares there."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Protocol

import msgspec

from leftfold.model.clock import from_microseconds

LARGEST_BEAT = 2**63 - 1


class Entry(msgspec.Struct, frozen=True):
    """A lease as it is written: its holder, how often that was heard of, and when last, by its own clock.

    `microseconds` is for people: nothing is decided by it.
    """

    name: str
    holder: str
    beat: int
    microseconds: int = 0

    @property
    def heard(self) -> datetime | None:
        """When the holder was last heard of, for people; None where what is written is no time."""
        return from_microseconds(self.microseconds) if _is_number(self.microseconds) else None


def next_beat(beat: object) -> int:
    """Return what comes after a beat: every database can hold it, whatever was written there before."""
    return beat % LARGEST_BEAT + 1 if isinstance(beat, int) else 1


def _is_number(value: object) -> bool:
    return isinstance(value, int)


class LeaseStore(Protocol):
    """Where leases are written, for all processes that share the work."""

    async def read(self) -> Mapping[str, Entry]:
        """Every lease that is held, by its name."""
        ...

    async def take(self, name: str, expected: Entry | None, holder: str) -> Entry | None:
        """Give the lease to a holder if it stands as expected, else None: of several takers one gets it.

        Where the work itself can be fenced in the same transaction, it is.
        """
        ...

    async def beat(self, entries: Iterable[Entry]) -> list[Entry]:
        """Say that their holder lives; those that it still holds."""
        ...

    async def release(self, entries: Iterable[Entry]) -> None:
        """Free those that their holder still holds."""
        ...


class ClosableLeaseStore(LeaseStore, Protocol):
    """A book that holds a file or a connection open."""

    async def close(self) -> None:
        """Close it."""
        ...


class MemoryLeaseStore:
    """A book for as long as the object lives."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}

    def __repr__(self) -> str:
        return f"<MemoryLeaseStore of {len(self._entries)} leases>"

    async def read(self) -> Mapping[str, Entry]:
        """Every lease that is held."""
        return dict(self._entries)

    async def take(self, name: str, expected: Entry | None, holder: str) -> Entry | None:
        """Give the lease to a holder if it stands as expected."""
        present = self._entries.get(name)
        if _standing(present) != _standing(expected):
            return None
        self._entries[name] = Entry(name, holder, next_beat(present.beat) if present else 1)
        return self._entries[name]

    async def beat(self, entries: Iterable[Entry]) -> list[Entry]:
        """Say that their holder lives."""
        kept = [self._entries[each.name] for each in entries if self._is_of(each)]
        for each in kept:
            self._entries[each.name] = Entry(each.name, each.holder, next_beat(each.beat))
        return [self._entries[each.name] for each in kept]

    async def release(self, entries: Iterable[Entry]) -> None:
        """Free them."""
        for each in entries:
            if self._is_of(each):
                del self._entries[each.name]

    def _is_of(self, entry: Entry) -> bool:
        present = self._entries.get(entry.name)
        return present is not None and present.holder == entry.holder


def _standing(entry: Entry | None) -> tuple[str, int] | None:
    return None if entry is None else (entry.holder, entry.beat)


NAME = "types of "  # and the app's name: the entry's holder is the list of its types, one a line


async def declare(book: LeaseStore, app: str, types: Iterable[str]) -> None:
    """Write that this app knows these types, unless that is written already."""
    name, known = NAME + app, "\n".join(sorted(types))
    former = (await book.read()).get(name)
    if former is None or former.holder != known:
        await book.take(name, former, known)


async def types_of_others(book: LeaseStore, app: str) -> dict[str, frozenset[str]]:
    """What other apps know, by their names."""
    found = [entry for entry in (await book.read()).values() if is_declaration(entry) and entry.name != NAME + app]
    return {entry.name.removeprefix(NAME): frozenset(entry.holder.split("\n")) for entry in found}


def is_declaration(entry: Entry) -> bool:
    """Whether an entry is no lease, but says what an app knows."""
    return entry.name.startswith(NAME)

"""A lease as one process sees it: its terms, whether this process holds it, and the share of several leases."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import monotonic

import msgspec

from leftfold.errors import LeaseOfAnotherApp, LeftfoldError, StoreFailed
from leftfold.follow.lease_store import LeaseEntry
from leftfold.follow.process_identity import ProcessIdentity

LEASE_SECONDS = 5.0
TURNS_PER_LEASE = 5  # how often a holder renews within the time of a lease


class LeaseTerms(msgspec.Struct, frozen=True):
    """Who takes leases, and how many seconds a lease lasts that its holder does not renew.

    `now` tells seconds by a clock that never steps. `pause` passes the time between two turns.
    """

    me: str
    seconds: float = LEASE_SECONDS
    now: Callable[[], float] = monotonic
    pause: Callable[[float], Awaitable[object]] = asyncio.sleep

    @classmethod
    def present(cls, seconds: float = LEASE_SECONDS, app: str = "") -> "LeaseTerms":
        """Return the terms of this process, for an app of this name."""
        return cls(str(ProcessIdentity.present(app)), seconds)

    @property
    def turn(self) -> float:
        """Seconds between two turns of a holder."""
        return self.seconds / TURNS_PER_LEASE


log = logging.getLogger("leftfold.leases")


class Lease:
    """Decides when this process may take a lease. It only judges what the store says, and does nothing itself.

    A holder loses a lease that it has not renewed for the time of a lease, measured by this process's own clock, so
    two clocks are never compared. It loses the lease at once if its process has certainly ended, or if it runs the
    same app with code that takes fewer event types: it would pass over the types that it does not know. `trouble` says
    that the holder belongs to another app or does not name a process; then only silence frees the lease.
    """

    def __init__(self, name: str, terms: LeaseTerms, *, types: int = 0) -> None:
        self.name = name
        self.held: LeaseEntry | None = None
        self.trouble: LeftfoldError | None = None
        self._terms = terms
        self._me = ProcessIdentity.parse(terms.me)
        if self._me is not None and types:
            self._me = msgspec.structs.replace(self._me, types=types)
        self.me = terms.me if self._me is None else str(self._me)
        self._seen: tuple[str, int] | None = None
        self._since = 0.0

    def __repr__(self) -> str:
        return f"<Lease {self.name}, {'held here' if self.held else 'held by others'}>"

    def may_be_taken(self, entry: LeaseEntry | None) -> bool:
        """Whether the lease, as the store has it now, is free."""
        if entry is None:
            self._seen = self.trouble = None
            return True
        holder = ProcessIdentity.parse(entry.holder)
        self._look_for_trouble(entry, holder)
        now, seen = self._terms.now(), (entry.holder, entry.beat)
        if seen != self._seen:
            self._seen, self._since = seen, now
        return now - self._since >= self._terms.seconds or self._is_dead(holder) or self._knows_less(holder)

    def _is_dead(self, holder: ProcessIdentity | None) -> bool:
        return holder is not None and self._me is not None and holder.is_dead(self._me)

    def _knows_less(self, holder: ProcessIdentity | None) -> bool:
        if holder is None or self._me is None or holder.app != self._me.app:
            return False
        return 0 < holder.types < self._me.types

    def _look_for_trouble(self, entry: LeaseEntry, holder: ProcessIdentity | None) -> None:
        """Log once that another app holds the lease, so both use one name, or that the holder is not a process."""
        found: LeftfoldError | None = None
        if holder is None and self._me is not None:
            problem = f"{entry.holder!r:.80} is not a process; the lease is taken over after {self._terms.seconds:g} s"
            found = StoreFailed(f"the lease of {self.name}", problem)
        elif holder is not None and self._me is not None and holder.app and holder.app != self._me.app:
            found = LeaseOfAnotherApp(self.name, self._me.app, holder.app)
        if found is not None and str(found) != str(self.trouble):
            log.warning("%s", found)
        self.trouble = found


PRESENT = "present: "


class Share:
    """This process's share of some leases. Each process that wants a share has an entry of its own that says so.

    All participants decide by the content of the store alone, so their shares add up to the whole.
    """

    def __init__(self, names: Sequence[str], terms: LeaseTerms) -> None:
        self.names = names
        self.entry: LeaseEntry | None = None
        self.presence = f"{PRESENT}{names[0]}: {terms.me}"
        self._terms = terms
        self._others: dict[str, Lease] = {}

    def __repr__(self) -> str:
        return f"<Share of {len(self.names)} leases>"

    def size(self, entries: Mapping[str, LeaseEntry]) -> int:
        """How many of the leases this process should hold."""
        gone = {entry.name for entry in self.gone(entries)}
        present = {entry.holder for entry in self._present(entries) if entry.name not in gone}
        sharing = sorted({*present, self._terms.me})
        each, rest = divmod(len(self.names), len(sharing))
        return each + (sharing.index(self._terms.me) < rest)

    def gone(self, entries: Mapping[str, LeaseEntry]) -> list[LeaseEntry]:
        """Return the entries of participants that have ended or are silent."""
        others = [entry for entry in self._present(entries) if entry.holder != self._terms.me]
        return [entry for entry in others if self._watched(entry.name).may_be_taken(entry)]

    def _present(self, entries: Mapping[str, LeaseEntry]) -> list[LeaseEntry]:
        return [entry for name, entry in entries.items() if name.startswith(f"{PRESENT}{self.names[0]}: ")]

    def _watched(self, name: str) -> Lease:
        return self._others.setdefault(name, Lease(name, self._terms))


def is_presence(entry: LeaseEntry) -> bool:
    """Whether an entry is not a lease, but says that a process wants a share of some leases."""
    return entry.name.startswith(PRESENT)

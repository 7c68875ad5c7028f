"""Leases as workers hold them: every client wants them all, and of the processes that live one has each."""

import asyncio
from collections.abc import Mapping
from time import monotonic

from leftfold.follow.lease import LeaseTerms
from leftfold.follow.lease_holder import LeaseHolder
from leftfold.follow.lease_store import ClosableLeaseStore, LeaseEntry
from leftfold.follow.process_identity import ProcessIdentity
from leftfold.follow.workers import lease_store_of
from leftfold.model.clock import SystemClock
from leftfold.store.contract import EventStore
from leftfold_torture.clients import cancel

APP = "history"
LEASES = ("history-one", "history-two", "history-three")
LEASE_SECONDS = 1.0
LOOK_SECONDS = 0.1


class Holding:
    """The leases of one client: it takes what is free, and says that it lives."""

    def __init__(self, url: str, store: EventStore) -> None:
        self._lease_store = _lease_store_of(url, store)
        terms = LeaseTerms.present(LEASE_SECONDS, APP)
        self._holder_of_leases = LeaseHolder(self._lease_store, LEASES, terms, on_gained=_gained, on_lost=_lost)
        self._running: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Holding {', '.join(self._holder_of_leases.held)}>"

    def start(self) -> None:
        """Begin."""
        self._running = asyncio.create_task(self._holder_of_leases.run())

    async def end(self) -> None:
        """End, without freeing anything; what ended it before is raised."""
        if self._running is not None:
            if self._running.done():
                self._running.result()
            await cancel([self._running])
        await self._lease_store.close()


async def without_holder(url: str, store: EventStore, patience: float) -> list[str]:
    """The leases of which, for so many seconds, no client says that it holds them and lives."""
    leases = _lease_store_of(url, store)
    try:
        end, first = monotonic() + patience, await leases.read()
        while True:
            idle = _idle(first, await leases.read())
            if not idle or monotonic() > end:
                return idle
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        await leases.close()


def _idle(first: Mapping[str, LeaseEntry], entries: Mapping[str, LeaseEntry]) -> list[str]:
    return [name for name in LEASES if not _lives(first.get(name), entries.get(name))]


def _lives(first: LeaseEntry | None, entry: LeaseEntry | None) -> bool:
    """Whether the holder is a client and has renewed its lease."""
    holder = ProcessIdentity.parse(entry.holder) if entry else None
    return entry != first and holder is not None and holder.app == APP


def _lease_store_of(url: str, store: EventStore) -> ClosableLeaseStore:
    leases = lease_store_of(url, store.log_id, SystemClock())
    assert leases is not None, "the log is not in memory"
    return leases


async def _gained(name: str, former: LeaseEntry | None) -> None:
    pass


def _lost(name: str) -> None:
    pass

"""The holder of one process's leases in one store: it takes free leases and renews those that it holds."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from leftfold.errors import LeftfoldError, LogReplaced, StoreFailed
from leftfold.follow.lease import Lease, LeaseTerms, Share
from leftfold.follow.lease_store import LeaseEntry, LeaseStore
from leftfold.model.failure import IN_STATUS, in_words, loggable

OnGained = Callable[[str, LeaseEntry | None], Awaitable[None]]
OnLost = Callable[[str], None]

log = logging.getLogger("leftfold.leases")


class LeaseHolder:
    """Holds as many of the named leases as are free, and stops holding those that others have taken.

    Of `shared` leases it holds no more than its share among all participants, and frees the rest. It calls `on_gained`
    with each lease that it takes and the entry of the former holder (None if the lease was free), and `on_lost` with
    each lease that it loses. Holding a lease is never certain, so writes under a lease must be fenced. `trouble` is why
    the store cannot be read or written. `types` is the number of event types that this process's code takes under each
    lease: of two versions of an app, the one that takes more gets the lease. `check` raises if the log was replaced.
    """

    def __init__(
        self,
        store: LeaseStore,
        names: Iterable[str],
        terms: LeaseTerms,
        *,
        on_gained: OnGained | None = None,
        on_lost: OnLost = lambda name: None,
        shared: Iterable[Sequence[str]] = (),
        types: Mapping[str, int] | None = None,
        check: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self._check = check
        self.trouble: LeftfoldError | None = None
        self._store = store
        self._terms = terms
        self._leases = {name: Lease(name, terms, types=(types or {}).get(name, 0)) for name in names}
        self._shares = [Share(names, terms) for names in shared]
        self._on_gained = on_gained
        self._on_lost = on_lost

    def __repr__(self) -> str:
        return f"<LeaseHolder of {len(self._held())} of {len(self._leases)} leases>"

    @property
    def held(self) -> Sequence[str]:
        """The names of the leases that this process holds."""
        return [lease.name for lease in self._leases.values() if lease.held]

    async def run(self) -> None:
        """Take turns until cancelled. Trouble with the store does not end this."""
        while True:
            await self._terms.pause(self._terms.turn)
            await self.try_turn()

    async def try_turn(self) -> None:
        """Take a turn. If it fails, keep the error as `trouble` and log it once."""
        try:
            await self.turn()
        except LeftfoldError as trouble:
            self._note(trouble)
        except Exception as error:  # noqa: BLE001 a holder that stops is worse than a turn that failed
            failed = StoreFailed("the leases", in_words(error))
            failed.__cause__ = error
            self._note(failed)
        else:
            self._note(None)

    def _note(self, trouble: LeftfoldError | None) -> None:
        before, self.trouble = self.trouble, trouble
        if trouble is None and before is not None:
            log.info("leases can be taken again")
        elif trouble is not None and (before is None or in_words(before) != in_words(trouble)):
            log.error("could not take leases: %s", in_words(trouble), exc_info=loggable(trouble), extra=IN_STATUS)

    async def turn(self) -> None:
        """Renew the leases that this process holds, and take those that are free."""
        await self._check_log()
        await self._renew()
        if self._shares or len(self._held()) < len(self._leases):
            await self._take()

    async def _check_log(self) -> None:
        """Leave all work to other processes if the log was replaced since this process opened it."""
        if self._check is None:
            return
        try:
            await self._check()
        except LogReplaced:
            names = self.held
            await self.release()
            for name in names:
                self._on_lost(name)
            raise
        except LeftfoldError:
            pass  # the worker meets the same error

    async def take_all(self) -> bool:
        """Take every lease if all of them are free, else none. Returns whether this process holds them now."""
        entries = await self._store.read()
        free = [lease.may_be_taken(entries.get(name)) for name, lease in self._leases.items()]  # each has to look
        if not all(free):
            return False
        await self._take()
        if len(self._held()) < len(self._leases):
            await self.release()
            return False
        return True

    async def confirm(self, name: str) -> bool:
        """Whether the store still says that this process holds a lease."""
        await self._renew()
        return self._leases[name].held is not None

    def drop(self, name: str) -> None:
        """Stop holding a lease, because a write under it was refused: another process does the work."""
        lease = self._leases[name]
        if lease.held is not None:
            log.info("%s: another process has taken over the work", name)
            lease.held = None
            self._on_lost(name)

    def trouble_of(self, name: str) -> LeftfoldError | None:
        """Return what keeps this process from a lease, other than another process of the same app."""
        lease = self._leases[name]
        return None if lease.held else lease.trouble or self.trouble

    async def release(self) -> None:
        """Free everything that this process holds, so that others need not wait."""
        freed = [*self._held(), *self._present()]
        for lease in self._leases.values():
            lease.held = None
        for share in self._shares:
            share.entry = None
        if freed:
            await self._store.release(freed)

    def _held(self) -> list[LeaseEntry]:
        return [lease.held for lease in self._leases.values() if lease.held]

    def _present(self) -> list[LeaseEntry]:
        return [share.entry for share in self._shares if share.entry]

    async def _renew(self) -> None:
        held, present = self._held(), self._present()
        if not held and not present:
            return
        still = {entry.name: entry for entry in await self._store.renew([*held, *present])}
        for share in self._shares:
            share.entry = still.get(share.presence)
        for entry in held:
            if entry.name not in still:
                self.drop(entry.name)
            elif self._leases[entry.name].held is not None:
                self._leases[entry.name].held = still[entry.name]

    async def _take(self) -> None:
        for share in self._shares:
            share.entry = share.entry or await self._store.take(share.presence, None, self._terms.me)
        entries = await self._store.read()
        free = [each for each in self._leases.values() if not each.held and each.may_be_taken(entries.get(each.name))]
        for share in self._shares:
            free = await self._within(share, free, entries)
        for lease in free:
            former = entries.get(lease.name)
            await self._take_one(lease, former)
            if lease.held is not None:
                await self._begin(lease, former)

    async def _take_one(self, lease: Lease, former: LeaseEntry | None) -> None:
        """Take a lease, and finish that even if cancelled: a lease that is taken unnoticed would not be released."""
        taking = asyncio.ensure_future(self._store.take(lease.name, former, lease.me))
        try:
            lease.held = await asyncio.shield(taking)
        except asyncio.CancelledError:
            lease.held = await taking
            if former is not None:
                lease.held = None  # not freed, as in `_begin`
            raise

    async def _within(self, share: Share, free: Sequence[Lease], entries: Mapping[str, LeaseEntry]) -> list[Lease]:
        """Return the free leases that may be taken within a share, and free those that exceed it."""
        gone, size = share.gone(entries), share.size(entries)
        held = [name for name in share.names if self._leases[name].held]
        excess = [entry for name in held[size:] if (entry := self._leases[name].held)]
        for entry in excess:
            log.info("%s: another process does this work", entry.name)
            self._leases[entry.name].held = None
            self._on_lost(entry.name)
        if excess or gone:
            await self._store.release([*excess, *gone])
        others = [lease for lease in free if lease.name not in share.names]
        mine = [lease for lease in free if lease.name in share.names]
        return [*others, *mine[: max(size - len(held), 0)]]

    async def _begin(self, lease: Lease, former: LeaseEntry | None) -> None:
        if former is None:
            log.debug("%s: this process does the work now", lease.name)
        else:
            log.info("%s: this process does the work now; %s did it before", lease.name, former.holder)
        try:
            if self._on_gained is not None:
                await self._on_gained(lease.name, former)
        except BaseException as error:
            if former is not None or not isinstance(error, asyncio.CancelledError):
                lease.held = None  # not freed: the next holder has to know that it takes the lease over
            raise

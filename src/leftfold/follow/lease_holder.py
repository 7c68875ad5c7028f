"""The keeper of one process's leases in one book: it takes what is free, and says in time that it lives."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from leftfold.errors import LeftfoldError, LogReplaced, StoreFailed
from leftfold.follow.lease import Lease, Share, Terms
from leftfold.follow.lease_store import Entry, LeaseStore, is_declaration
from leftfold.model.failure import IN_STATUS, in_words, loggable

OnGained = Callable[[str, Entry | None], Awaitable[None]]
OnLost = Callable[[str], None]

log = logging.getLogger("leftfold.leases")


class LeaseHolder:
    """Holds as many of the named leases as are free, and lets those go that others have taken.

    Of those that are `shared` it holds no more than its share among all who take part, and frees the rest.
    `on_gained` and `on_lost` are told of each; of one that is gained with the entry of the holder that it was taken
    from, None when it was free. That a lease is held here is never certain: whoever works under one
    has to be fenced where it writes. `trouble` is what keeps the book from being read or written. `types` has the
    number of event types that this process's code takes under a lease: of two versions of an app, the one that takes
    more holds it.
    """

    def __init__(
        self,
        book: LeaseStore,
        names: Iterable[str],
        terms: Terms,
        *,
        on_gained: OnGained,
        on_lost: OnLost,
        shared: Iterable[Sequence[str]] = (),
        types: Mapping[str, int] | None = None,
        check: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self._check = check
        self.trouble: LeftfoldError | None = None
        self._book = book
        self._terms = terms
        self._leases = {name: Lease(name, terms, types=(types or {}).get(name, 0)) for name in names}
        self._shares = [Share(names, terms) for names in shared]
        self._on_gained = on_gained
        self._on_lost = on_lost

    def __repr__(self) -> str:
        return f"<LeaseHolder of {len(self._held())} of {len(self._leases)} leases>"

    @property
    def held(self) -> Sequence[str]:
        """The names of those that are held here."""
        return [lease.name for lease in self._leases.values() if lease.held]

    async def run(self) -> None:
        """Take turns until cancelled; trouble with the book is waited out."""
        while True:
            await self._terms.pause(self._terms.turn)
            await self.try_turn()

    async def try_turn(self) -> None:
        """Take a turn; trouble is kept as `trouble`, and logged once. A turn that fails ends nothing."""
        try:
            await self.turn()
        except LeftfoldError as trouble:
            self._get_into(trouble)
        except Exception as error:  # noqa: BLE001 work that nobody does any more is worse than a turn that failed
            failed = StoreFailed("the leases", in_words(error))
            failed.__cause__ = error
            self._get_into(failed)
        else:
            if self.trouble is not None:
                log.info("leases can be taken again")
            self.trouble = None

    def _get_into(self, trouble: LeftfoldError) -> None:
        before, self.trouble = self.trouble, trouble
        if before is None or in_words(before) != in_words(trouble):
            log.error("leases cannot be taken: %s", in_words(trouble), exc_info=loggable(trouble), extra=IN_STATUS)

    async def turn(self) -> None:
        """Say that the holder of what is held lives, and take what is free."""
        await self._check_log()
        await self._beat()
        if self._shares or len(self._held()) < len(self._leases):
            await self._take()

    async def _check_log(self) -> None:
        """Leave everything to others once the log that the work is done on is not the one any more that was opened."""
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
            pass  # whoever works on the log meets it too

    async def take_all(self) -> bool:
        """Take every lease if all of them are free, else none; whether they are held here now."""
        entries = await self._book.read()
        free = [lease.may_be_taken(entries.get(name)) for name, lease in self._leases.items()]  # each has to look
        if not all(free):
            return False
        await self._take()
        if len(self._held()) < len(self._leases):
            await self.release()
            return False
        return True

    async def confirm(self, name: str) -> bool:
        """Whether a lease is held here, by the book."""
        await self._beat()
        return self._leases[name].held is not None

    def drop(self, name: str) -> None:
        """Hold a lease no more: its work was refused, because another process does it."""
        lease = self._leases[name]
        if lease.held is not None:
            log.info("%s: another process does it now", name)
            lease.held = None
            self._on_lost(name)

    def trouble_of(self, name: str) -> LeftfoldError | None:
        """Return what keeps a lease from this process, other than that another process of the app has it."""
        lease = self._leases[name]
        return None if lease.held else lease.trouble or self.trouble

    async def entries(self) -> list[Entry]:
        """Every lease of the book that is held by any process, by name."""
        leases = [entry for entry in (await self._book.read()).values() if not is_declaration(entry)]
        return sorted(leases, key=lambda entry: entry.name)

    async def release(self) -> None:
        """Free all that is held, so that others need not wait."""
        held, present = self._held(), self._present()
        for entry in held:
            self._leases[entry.name].held = None
        for share in self._shares:
            share.entry = None
        if held or present:
            await self._book.release([*held, *present])

    def _held(self) -> list[Entry]:
        return [lease.held for lease in self._leases.values() if lease.held]

    def _present(self) -> list[Entry]:
        return [share.entry for share in self._shares if share.entry]

    async def _beat(self) -> None:
        held, present = self._held(), self._present()
        if not held and not present:
            return
        still = {entry.name: entry for entry in await self._book.beat([*held, *present])}
        for share in self._shares:
            share.entry = still.get(share.presence)
        for entry in held:
            if entry.name not in still:
                self.drop(entry.name)
            elif self._leases[entry.name].held is not None:
                self._leases[entry.name].held = still[entry.name]

    async def _take(self) -> None:
        for share in self._shares:
            share.entry = share.entry or await self._book.take(share.presence, None, self._terms.me)
        entries = await self._book.read()
        free = [each for each in self._leases.values() if not each.held and each.may_be_taken(entries.get(each.name))]
        for share in self._shares:
            free = await self._within(share, free, entries)
        for lease in free:
            former = entries.get(lease.name)
            lease.held = await self._book.take(lease.name, former, lease.me)
            if lease.held is not None:
                await self._tell(lease, former)

    async def _within(self, share: Share, free: Sequence[Lease], entries: Mapping[str, Entry]) -> list[Lease]:
        """What may be taken of what is free so that the share is not exceeded; what exceeds it already is freed."""
        gone, size = share.gone(entries), share.size(entries)
        held = [name for name in share.names if self._leases[name].held]
        excess = [entry for name in held[size:] if (entry := self._leases[name].held)]
        for entry in excess:
            log.info("%s: left to another process", entry.name)
            self._leases[entry.name].held = None
            self._on_lost(entry.name)
        if excess or gone:
            await self._book.release([*excess, *gone])
        others = [lease for lease in free if lease.name not in share.names]
        mine = [lease for lease in free if lease.name in share.names]
        return [*others, *mine[: max(size - len(held), 0)]]

    async def _tell(self, lease: Lease, former: Entry | None) -> None:
        if former is None:
            log.debug("%s: done here now", lease.name)
        else:
            log.info("%s: done here now, before by %s", lease.name, former.holder)
        try:
            await self._on_gained(lease.name, former)
        except BaseException:
            lease.held = None  # not freed: whoever takes it next has to know that it was taken from someone
            raise

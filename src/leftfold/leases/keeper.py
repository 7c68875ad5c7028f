"""The keeper of one process's leases in one book: it takes what is free, and says in time that it lives."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence

from leftfold.errors import LeftfoldError
from leftfold.leases.book import Entry, LeaseBook
from leftfold.leases.lease import Lease
from leftfold.leases.terms import Terms

OnGained = Callable[[str, Entry | None], Awaitable[None]]
OnLost = Callable[[str], None]

log = logging.getLogger("leftfold.leases")


class Keeper:
    """Holds as many of the named leases as are free, and lets those go that others have taken.

    `on_gained` and `on_lost` are told of each; of one that is gained with the entry of the holder that it was taken
    from, None when it was free. That a lease is held here is never certain: whoever works under one
    has to be fenced where it writes. `trouble` is what keeps the book from being read or written.
    """

    def __init__(
        self, book: LeaseBook, names: Iterable[str], terms: Terms, *, on_gained: OnGained, on_lost: OnLost
    ) -> None:
        self.trouble: LeftfoldError | None = None
        self._book = book
        self._terms = terms
        self._leases = {name: Lease(name, terms) for name in names}
        self._on_gained = on_gained
        self._on_lost = on_lost

    def __repr__(self) -> str:
        return f"<Keeper of {len(self._held())} of {len(self._leases)} leases>"

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
        """Take a turn; trouble is kept as `trouble`."""
        try:
            await self.turn()
            self.trouble = None
        except LeftfoldError as trouble:
            self.trouble = trouble

    async def turn(self) -> None:
        """Say that the holder of what is held lives, and take what is free."""
        await self._beat()
        if len(self._held()) < len(self._leases):
            await self._take()

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

    async def entries(self) -> list[Entry]:
        """Every lease of the book that is held by any process, by name."""
        return sorted((await self._book.read()).values(), key=lambda entry: entry.name)

    async def release(self) -> None:
        """Free all that is held, so that others need not wait."""
        held = self._held()
        for entry in held:
            self._leases[entry.name].held = None
        if held:
            await self._book.release(held)

    def _held(self) -> list[Entry]:
        return [lease.held for lease in self._leases.values() if lease.held]

    async def _beat(self) -> None:
        held = self._held()
        if not held:
            return
        still = {entry.name: entry for entry in await self._book.beat(held)}
        for entry in held:
            if entry.name not in still:
                self.drop(entry.name)
            elif self._leases[entry.name].held is not None:
                self._leases[entry.name].held = still[entry.name]

    async def _take(self) -> None:
        entries = await self._book.read()
        for name, lease in self._leases.items():
            if lease.held is None and lease.may_be_taken(entries.get(name)):
                former = entries.get(name)
                lease.held = await self._book.take(name, former, self._terms.me)
                if lease.held is not None:
                    await self._tell(lease, former)

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

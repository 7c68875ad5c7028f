"""A lease as one process sees it: held here, or whose it is, and since when nothing was heard of that holder."""

import logging

import msgspec

from leftfold.errors import LeaseOfAnotherApp, LeftfoldError, StoreFailed
from leftfold.leases.book import Entry
from leftfold.leases.holder import Holder
from leftfold.leases.terms import Terms

log = logging.getLogger("leftfold.leases")


class Lease:
    """Decides when a lease may be taken. Does nothing by itself: it is told what the book says.

    A holder that is seen at the same beat for the time of a lease, by this process's own clock, has lost it; so no two
    clocks are ever compared. One that has certainly ended has lost it at once. So has one of the same app whose code
    takes fewer event types than this one: it would pass over what it does not know. `trouble` says that the holder
    belongs to another app, or is none: then the lease is taken as that of a silent holder is.
    """

    def __init__(self, name: str, terms: Terms, *, types: int = 0) -> None:
        self.name = name
        self.held: Entry | None = None
        self.trouble: LeftfoldError | None = None
        self._terms = terms
        self._me = Holder.parse(terms.me)
        if self._me is not None and types:
            self._me = msgspec.structs.replace(self._me, types=types)
        self.me = terms.me if self._me is None else str(self._me)
        self._seen: tuple[str, int] | None = None
        self._since = 0.0

    def __repr__(self) -> str:
        return f"<Lease {self.name}, {'held here' if self.held else 'held by others'}>"

    def may_be_taken(self, entry: Entry | None) -> bool:
        """Whether the lease, as the book has it now, is free."""
        if entry is None:
            self._seen = self.trouble = None
            return True
        holder = Holder.parse(entry.holder)
        self._look_for_trouble(entry, holder)
        now, standing = self._terms.now(), (entry.holder, entry.beat)
        if standing != self._seen:
            self._seen, self._since = standing, now
        return now - self._since >= self._terms.seconds or self._is_dead(holder) or self._knows_less(holder)

    def _is_dead(self, holder: Holder | None) -> bool:
        return holder is not None and self._me is not None and holder.is_dead(self._me)

    def _knows_less(self, holder: Holder | None) -> bool:
        if holder is None or self._me is None or holder.app != self._me.app:
            return False
        return 0 < holder.types < self._me.types

    def _look_for_trouble(self, entry: Entry, holder: Holder | None) -> None:
        """Say once that another app does this work: its worker and this one have one name, and cannot both work.

        Or that what is written there names no process that leftfold could know.
        """
        found: LeftfoldError | None = None
        if holder is None and self._me is not None:
            problem = f"{entry.holder!r:.80} is no process; the lease is taken over after {self._terms.seconds:g} s"
            found = StoreFailed(f"the lease of {self.name}", problem)
        elif holder is not None and self._me is not None and holder.app and holder.app != self._me.app:
            found = LeaseOfAnotherApp(self.name, self._me.app, holder.app)
        if found is not None and str(found) != str(self.trouble):
            log.warning("%s", found)
        self.trouble = found

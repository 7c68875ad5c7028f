"""A lease as one process sees it: held here, or whose it is, and since when nothing was heard of that holder."""

from leftfold.leases.book import Entry
from leftfold.leases.holder import Holder
from leftfold.leases.terms import Terms


class Lease:
    """Decides when a lease may be taken. Does nothing by itself: it is told what the book says.

    A holder that is seen at the same beat for the time of a lease, by this process's own clock, has lost it; so no two
    clocks are ever compared. One that has certainly ended has lost it at once.
    """

    def __init__(self, name: str, terms: Terms) -> None:
        self.name = name
        self.held: Entry | None = None
        self._terms = terms
        self._me = Holder.parse(terms.me)
        self._seen: tuple[str, int] | None = None
        self._since = 0.0

    def __repr__(self) -> str:
        return f"<Lease {self.name}, {'held here' if self.held else 'held by others'}>"

    def may_be_taken(self, entry: Entry | None) -> bool:
        """Whether the lease, as the book has it now, is free."""
        if entry is None:
            self._seen = None
            return True
        now, standing = self._terms.now(), (entry.holder, entry.beat)
        if standing != self._seen:
            self._seen, self._since = standing, now
        return now - self._since >= self._terms.seconds or self._is_dead(entry.holder)

    def _is_dead(self, holder: str) -> bool:
        other = Holder.parse(holder)
        return other is not None and self._me is not None and other.is_dead(self._me)

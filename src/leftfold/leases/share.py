"""Shares: leases that several processes hold evenly, so that each does a part of the work."""

from collections.abc import Mapping, Sequence

from leftfold.leases.book import Entry
from leftfold.leases.lease import Lease
from leftfold.leases.terms import Terms

PRESENT = "present: "


class Share:
    """This process's part of some leases. Who wants one says so in the book, by an entry of its own, and lives by it.

    Decides by what the book says, and by nothing else; so do all who share, and so their parts add up to the whole.
    """

    def __init__(self, names: Sequence[str], terms: Terms) -> None:
        self.names = names
        self.entry: Entry | None = None
        self.presence = f"{PRESENT}{names[0]}: {terms.me}"
        self._terms = terms
        self._others: dict[str, Lease] = {}

    def __repr__(self) -> str:
        return f"<Share of {len(self.names)} leases>"

    def size(self, entries: Mapping[str, Entry]) -> int:
        """How many of the leases are to be held here."""
        gone = {entry.name for entry in self.gone(entries)}
        present = {entry.holder for entry in self._present(entries) if entry.name not in gone}
        sharing = sorted({*present, self._terms.me})
        each, rest = divmod(len(self.names), len(sharing))
        return each + (sharing.index(self._terms.me) < rest)

    def gone(self, entries: Mapping[str, Entry]) -> list[Entry]:
        """The entries of those who have ended, or of whom nothing is heard."""
        others = [entry for entry in self._present(entries) if entry.holder != self._terms.me]
        return [entry for entry in others if self._watched(entry.name).may_be_taken(entry)]

    def _present(self, entries: Mapping[str, Entry]) -> list[Entry]:
        return [entry for name, entry in entries.items() if name.startswith(f"{PRESENT}{self.names[0]}: ")]

    def _watched(self, name: str) -> Lease:
        return self._others.setdefault(name, Lease(name, self._terms))


def is_presence(entry: Entry) -> bool:
    """Whether an entry is no lease, but says that somebody wants a share of some."""
    return entry.name.startswith(PRESENT)

"""Which event types each app knows that works on a log; written in the book of leases, among those."""

from collections.abc import Iterable

from leftfold.leases.book import Entry, LeaseBook

NAME = "types of "  # and the app's name: the entry's holder is the list of its types, one a line


async def declare(book: LeaseBook, app: str, types: Iterable[str]) -> None:
    """Write that this app knows these types, unless that is written already."""
    name, known = NAME + app, "\n".join(sorted(types))
    former = (await book.read()).get(name)
    if former is None or former.holder != known:
        await book.take(name, former, known)


async def types_of_others(book: LeaseBook, app: str) -> dict[str, frozenset[str]]:
    """What other apps know, by their names."""
    found = [entry for entry in (await book.read()).values() if is_declaration(entry) and entry.name != NAME + app]
    return {entry.name.removeprefix(NAME): frozenset(entry.holder.split("\n")) for entry in found}


def is_declaration(entry: Entry) -> bool:
    """Whether an entry is no lease, but says what an app knows."""
    return entry.name.startswith(NAME)

"""The workers of a live app: what follows the log in the background, under a lease where other processes may too."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from leftfold.background import Background, Worker
from leftfold.clock import Clock
from leftfold.errors import LeftfoldError
from leftfold.leases import Entry, StoredBook, Terms, declare, is_declaration, types_of_others
from leftfold.leases.file_book import FileBook
from leftfold.registry import Registry
from leftfold.roles import Role
from leftfold.store import EventStore
from leftfold.store.open import is_read_only, lease_book, path_in, split_url
from leftfold.tenure import Tenures

Make = Callable[[EventStore], Worker]


class Workers:
    """Runs those whose roles this process has; the others step when `step` is called, and not by themselves.

    Of the processes on one log, one does the work of each lease. Add them before `start`.
    """

    def __init__(
        self, store: EventStore, registry: Registry, url: str, roles: Collection[Role], terms: Terms, clock: Clock
    ) -> None:
        self._store = store
        self._registry = registry
        self._read_only = is_read_only(url)
        self._roles = roles
        self._terms = terms
        self._book = book_of(url, store.log_id, clock)
        self._tenures: Tenures | None = None
        self._added: dict[str, tuple[Role, Make, str, int]] = {}
        self._backgrounds: dict[str, Background] = {}

    def __repr__(self) -> str:
        return f"<Workers {', '.join(self._added)}>"

    def __iter__(self) -> Iterator[Background]:
        return iter(self._backgrounds.values())

    def add(self, name: str, role: Role, make: Make, *, lease: str | None = None, types: int = 0) -> None:
        """Have a worker of this name, which `make` makes for the log as it may write it.

        Its name is its lease's too, unless that has another one. Of two versions of an app, the one whose worker takes
        more event types, `types`, has the lease.
        """
        if not self._read_only:
            self._added[name] = role, make, lease or name, types

    def start(self) -> None:
        """Begin."""
        own = {name for name, (role, *_) in self._added.items() if role in self._roles}
        leases = {lease: types for name, (_, _, lease, types) in self._added.items() if name in own}
        if self._book is not None and own:
            self._tenures = Tenures(leases, self._store, self._registry, self._book, self._terms)
            self._tenures.start()
        for name, (_, make, lease, _) in self._added.items():
            tenure = self._tenures.of(lease) if self._tenures and name in own else None
            background = Background(make(tenure.store if tenure else self._store), tenure)
            self._backgrounds[name] = background
            if name in own:
                background.start()

    async def tell_types(self, app: str) -> None:
        """Write for other apps on the log which types of events this one knows, if it does work here."""
        if self._book is not None and self._tenures is not None:
            with suppress(LeftfoldError):  # others then warn of types that they do not know
                await declare(self._book, app, self._registry.names)

    async def types_of_others(self, app: str) -> Mapping[str, frozenset[str]]:
        """The types of events that other apps know which work on the log, or did when they were last opened."""
        with suppress(LeftfoldError):
            return await types_of_others(self._book, app) if self._book is not None else {}
        return {}

    async def close(self) -> None:
        """Finish the steps under way, stop, and leave the work to others."""
        for background in self._backgrounds.values():
            await background.close()
        if self._tenures is not None:
            await self._tenures.close()
        if self._book is not None:
            await self._book.close()

    async def step(self) -> bool:
        """Let each do what it can do now; whether there was anything to do."""
        return any([await background.step() for background in self._backgrounds.values()])  # each of them

    async def leases(self) -> list[Entry]:
        """Which process does each worker's work, and when it was last heard of."""
        entries = (await self._book.read()).values() if self._book else ()
        return [entry for entry in entries if not is_declaration(entry)]


def book_of(url: str, log_id: str, clock: Clock) -> StoredBook | None:
    """Return where leases are written for all processes on the log; None for one that no other process sees."""
    if split_url(url).scheme == "sqlite":
        return FileBook(beside(url, "leases"), log_id, clock, like=Path(path_in(url)))
    return lease_book(url)


def beside(url: str, what: str) -> str:
    """Return the absolute path of a file that is kept beside a log: the working directory may change later."""
    return str(Path(path_in(url)).absolute().with_suffix(f".{what}.db"))

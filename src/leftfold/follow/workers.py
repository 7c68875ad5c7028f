"""The workers of a live app: what follows the log in the background, and which of it this process runs."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal, TypeVar, get_args

from leftfold.errors import LeftfoldError, UnknownReadModel, UnknownRole
from leftfold.follow.file_leases import FileLeaseStore
from leftfold.follow.follower import Background, Worker
from leftfold.follow.lease import Terms
from leftfold.follow.lease_store import ClosableLeaseStore, Entry, declare, is_declaration, types_of_others
from leftfold.follow.worker_lease import WorkerLeases
from leftfold.model.clock import Clock
from leftfold.model.registry import Registry
from leftfold.store import EventStore
from leftfold.store.open import POSTGRES, has_sessions, is_read_only, path_in, postgres_log, split_url

Role = Literal["commands", "processes", "reactors", "projections"]
ROLES: tuple[Role, ...] = get_args(Role)
T = TypeVar("T")


def roles_of(work: bool | Collection[Role]) -> frozenset[Role]:
    """The roles that are meant: all for True, none for False; `UnknownRole` for anything else than a role."""
    if isinstance(work, bool):
        return frozenset(ROLES if work else ())
    for role in (work,) if isinstance(work, str) else work:
        if isinstance(work, str) or role not in ROLES:
            raise UnknownRole(role, ROLES)
    return frozenset(work)


def chosen(only: Iterable[type | str], names: Mapping[T, Collection[object]]) -> list[T]:
    """Those that are meant by one of their names, in their order; `UnknownReadModel` for what none is called."""
    wanted = list(only)
    known = {name for called in names.values() for name in called}
    for each in wanted:
        if each not in known:
            listed = sorted(str(next(iter(called))) for called in names.values())
            raise UnknownReadModel(each if isinstance(each, str) else getattr(each, "__qualname__", repr(each)), listed)
    return [one for one, called in names.items() if any(each in called for each in wanted)]


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
        self._book = lease_store_of(url, store.log_id, clock)
        self._tenures: WorkerLeases | None = None
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
            self._tenures = WorkerLeases(leases, self._store, self._registry, self._book, self._terms)
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


def lease_store_of(url: str, log_id: str, clock: Clock) -> ClosableLeaseStore | None:
    """Return where leases are written for all processes on the log; None for one that no other process sees."""
    if split_url(url).scheme == "sqlite":
        return FileLeaseStore(beside(url, "leases"), log_id, clock, like=Path(path_in(url)))
    if split_url(url).scheme not in POSTGRES:
        return None
    from leftfold.follow.postgres_leases import PostgresLeaseStore

    server, log = postgres_log(url)
    return PostgresLeaseStore(server, log, session=has_sessions(url))


def beside(url: str, what: str) -> str:
    """Return the absolute path of a file that is kept beside a log: the working directory may change later."""
    return str(Path(path_in(url)).absolute().with_suffix(f".{what}.db"))

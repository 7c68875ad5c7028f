"""The workers of a live app: which followers of the log this process runs in the background."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, TypeVar, get_args

from leftfold.errors import InvalidOption, LeftfoldError, UnknownName
from leftfold.follow.file_leases import FileLeaseStore
from leftfold.follow.follower import Follower, Worker
from leftfold.follow.lease import LeaseTerms
from leftfold.follow.lease_store import ClosableLeaseStore, LeaseEntry, declare, is_declaration, types_of_others
from leftfold.follow.worker_lease import WorkerLeases
from leftfold.model.clock import Clock
from leftfold.model.registry import Registry
from leftfold.store import EventStore
from leftfold.store.open import POSTGRES, has_sessions, is_read_only, path_in, postgres_log, split_url
from leftfold.wording import listed

WorkerRole = Literal["commands", "processes", "reactors", "projections"]
ROLES: tuple[WorkerRole, ...] = get_args(WorkerRole)
T = TypeVar("T")


def roles_of(work: bool | Collection[WorkerRole]) -> frozenset[WorkerRole]:
    """Return the roles: all for True, none for False; `InvalidOption` for anything that is not a role."""
    if isinstance(work, bool):
        return frozenset(ROLES if work else ())
    for role in (work,) if isinstance(work, str) else work:
        if isinstance(work, str) or role not in ROLES:
            near = get_close_matches(str(role), ROLES, 1) or ROLES[:1]
            raise InvalidOption(
                "work", work, f"True, False, or a collection of {listed(ROLES)}", f'write work=("{near[0]}",), a tuple'
            )
    return frozenset(work)


def chosen(only: Iterable[type | str], names: Mapping[T, Collection[object]]) -> list[T]:
    """Return the things that `only` names, in their order; `UnknownName` for a name that none has."""
    wanted = list(only)
    known = {name for called in names.values() for name in called}
    for each in wanted:
        if each not in known:
            name = each if isinstance(each, str) else getattr(each, "__qualname__", repr(each))
            raise UnknownName("read model", name, sorted(str(next(iter(called))) for called in names.values()))
    return [one for one, called in names.items() if any(each in called for each in wanted)]


Make = Callable[[EventStore], Follower]


class Workers:
    """Runs the followers whose roles this process has; the others step only when `step` is called.

    Of the processes on one log, one does the work of each lease. Add followers before `start`.
    """

    def __init__(
        self,
        store: EventStore,
        registry: Registry,
        url: str,
        roles: Collection[WorkerRole],
        terms: LeaseTerms,
        clock: Clock,
    ) -> None:
        self._store = store
        self._registry = registry
        self._read_only = is_read_only(url)
        self._roles = roles
        self._terms = terms
        self._clock = clock
        self._lease_store = lease_store_of(url, store.log_id, clock)
        self._leases: WorkerLeases | None = None
        self._added: dict[str, tuple[WorkerRole, Make, str, int]] = {}
        self._workers: dict[str, Worker] = {}

    def __repr__(self) -> str:
        return f"<Workers {', '.join(self._added)}>"

    def __iter__(self) -> Iterator[Worker]:
        return iter(self._workers.values())

    def add(self, name: str, role: WorkerRole, make: Make, *, lease: str | None = None, types: int = 0) -> None:
        """Add a worker of this name, for the follower that `make` makes for the log as it may write it.

        The worker's name is also its lease's, unless `lease` is given. Of two versions of an app, the one whose worker
        takes more event types, `types`, gets the lease.
        """
        if not self._read_only:
            self._added[name] = role, make, lease or name, types

    def start(self) -> None:
        """Take the leases, and start the workers whose roles this process has."""
        own = {name for name, (role, *_) in self._added.items() if role in self._roles}
        leases = {lease: types for name, (_, _, lease, types) in self._added.items() if name in own}
        if self._lease_store is not None and own:
            self._leases = WorkerLeases(leases, self._store, self._registry, self._lease_store, self._terms)
            self._leases.start()
        for name, (_, make, lease_name, _) in self._added.items():
            lease = self._leases.of(lease_name) if self._leases and name in own else None
            store = lease.store if lease else self._store
            worker = self._workers[name] = Worker(make(store), store, self._clock, lease)
            if name in own:
                worker.start()

    async def tell_types(self, app: str) -> None:
        """Store for other apps on the log which event types this one knows, if this process works on the log."""
        if self._lease_store is not None and self._leases is not None:
            with suppress(LeftfoldError):  # others then warn of types that they do not know
                await declare(self._lease_store, app, self._registry.names)

    async def types_of_others(self, app: str) -> Mapping[str, frozenset[str]]:
        """Return the event types that the other apps know which work on the log, or did when they were last opened."""
        with suppress(LeftfoldError):
            return await types_of_others(self._lease_store, app) if self._lease_store is not None else {}
        return {}

    async def close(self) -> None:
        """Finish the steps under way, stop, and release the leases."""
        for worker in self._workers.values():
            await worker.close()
        if self._leases is not None:
            await self._leases.close()
        if self._lease_store is not None:
            await self._lease_store.close()

    async def step(self) -> bool:
        """Let each worker do what it can do now. Returns whether there was anything to do."""
        return any([await worker.step() for worker in self._workers.values()])  # each of them

    async def leases(self) -> list[LeaseEntry]:
        """Return which process does each worker's work, and when it last renewed its lease."""
        entries = (await self._lease_store.read()).values() if self._lease_store else ()
        return [entry for entry in entries if not is_declaration(entry)]


def lease_store_of(url: str, log_id: str, clock: Clock) -> ClosableLeaseStore | None:
    """Return the lease store for all processes on the log; None for a log that no other process can open."""
    if split_url(url).scheme == "sqlite":
        return FileLeaseStore(beside(url, "leases"), log_id, clock, like=Path(path_in(url)))
    if split_url(url).scheme not in POSTGRES:
        return None
    from leftfold.follow.postgres_leases import PostgresLeaseStore

    server, log = postgres_log(url)
    return PostgresLeaseStore(server, log, session=has_sessions(url))


def beside(url: str, what: str) -> str:
    """Return the absolute path of a file beside a log: the working directory may change later."""
    return str(Path(path_in(url)).absolute().with_suffix(f".{what}.db"))

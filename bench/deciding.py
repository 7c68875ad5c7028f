"""Load, decide, append: a command on a new entity, on one of many, and on one with a long history."""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count, repeat
from pathlib import Path
from random import Random
from uuid import UUID

from bench import durability
from bench.bank import Deposit, Open, bank
from bench.callers import threads
from bench.figure import PEER, Figure, Opened, OpenedAlone, Slice, Slices, Target, compared
from bench.floor import opened_floor, single_rows
from bench.ours import Ours, opened_ours
from bench.own_rows import opened_own_rows
from bench.peer import Bank, BankWithSnapshots, new_account, open_accounts, open_peer
from bench.work import Work

ENTITIES = 10_000
LONG = 1_000
MANY = 128
THREADS = 8

FLOOR = "sqlite3, a commit a row"
OWN_ROWS = "leftfold's rows in a bare loop, a commit each"
OWN_BATCHES = f"leftfold's rows in a bare loop, {MANY} a commit"
PEER_CACHED = "eventsourcing, cache on"
PEER_SNAPSHOTS = "eventsourcing, snapshots on"
PEER_ALONE = "eventsourcing, 1 thread"


def threads_for(callers: int) -> int:
    return THREADS if callers > 1 else 1


@contextmanager
def our_new_entities(directory: Path, callers: int) -> Generator[Slice]:
    commands = (Open(f"new-{number}", "ann") for number in count())
    with opened_ours(directory / "leftfold.db") as ours:
        durability.check(ours)
        yield lambda seconds: ours.work(callers, seconds, commands)


@contextmanager
def beside_new_entities(directory: Path, callers: int) -> Generator[Slices]:
    with ExitStack() as opened:
        peer = opened.enter_context(open_peer(directory / "peer.db"))
        durability.check(peer)
        yield {
            PEER: lambda seconds: threads(threads_for(callers), seconds, lambda: peer.open_account("ann")),
            **_floors(opened, directory, callers),
        }


@contextmanager
def our_held_entities(directory: Path, callers: int, entities: int = ENTITIES) -> Generator[Slice]:
    """Entities that this process has used before, so that leftfold holds their states."""
    accounts = _names(entities)
    choose = Random(1).choice
    commands = (Deposit(choose(accounts), 1) for _ in count())
    with opened_ours(directory / "leftfold.db") as ours:
        durability.check(ours)
        ours.open_accounts(accounts)
        yield lambda seconds: ours.work(callers, seconds, commands)


@contextmanager
def our_held_entities_sync(directory: Path, entities: int = ENTITIES) -> Generator[Slice]:
    """The same for a program without an event loop."""
    accounts = _names(entities)
    choose = Random(1).choice
    with bank.open_sync(f"sqlite:///{directory}/leftfold.db") as live:
        durability.check(live)
        live.execute_many([Open(account, "somebody") for account in accounts])
        yield lambda seconds: threads(1, seconds, lambda: live.execute(Deposit(choose(accounts), 1)))


@contextmanager
def our_untouched_entities(directory: Path, callers: int) -> Generator[Slice]:
    """The first command of a process on each entity: the state is read from the log."""
    accounts = _names(ENTITIES)
    path = directory / "leftfold.db"
    with opened_ours(path) as ours:
        durability.check(ours)
        ours.open_accounts(accounts)
    yield partial(_first_commands, path, accounts, callers)


def _names(entities: int) -> list[str]:
    return [f"account-{number}" for number in range(entities)]


def _first_commands(path: Path, accounts: list[str], callers: int, seconds: float) -> Work:
    order = Random(1).sample(accounts, len(accounts))
    with opened_ours(path) as ours:
        return ours.work(callers, seconds, (Deposit(account, 1) for account in order))


@contextmanager
def beside_held_entities(directory: Path, callers: int) -> Generator[Slices]:
    with ExitStack() as opened:
        peer = opened.enter_context(open_peer(directory / "peer.db"))
        cached = opened.enter_context(open_peer(directory / "peer-cached.db", cache=True))
        durability.check(peer, cached)
        yield {
            PEER: random_deposits(peer, threads_for(callers)),
            PEER_CACHED: random_deposits(cached, threads_for(callers)),
            **_floors(opened, directory, callers),
        }


def _floors(opened: ExitStack, directory: Path, callers: int) -> Slices:
    """Bare loops: of a row, and of leftfold's own rows, for many callers also as many in a commit as there are."""
    floor = opened.enter_context(opened_floor(directory / "floor.db"))
    own = opened.enter_context(opened_own_rows(directory / "own-rows.db", _names(ENTITIES)))
    durability.check(floor)
    floors = {FLOOR: single_rows(floor), OWN_ROWS: own.rows(1)}
    return floors if callers == 1 else {**floors, OWN_BATCHES: own.rows(callers)}


def random_deposits(peer: Bank, callers: int) -> Slice:
    accounts = open_accounts(peer, ENTITIES)
    choose = Random(1).choice
    return lambda seconds: threads(callers, seconds, lambda: peer.deposit(choose(accounts), 1))


@contextmanager
def our_long_history(directory: Path, callers: int) -> Generator[Slice]:
    with opened_ours(directory / "leftfold.db") as ours:
        durability.check(ours)
        yield long_history_of(ours, callers)


@contextmanager
def beside_long_history(directory: Path, callers: int) -> Generator[Slices]:
    with ExitStack() as opened:
        peer = opened.enter_context(open_peer(directory / "peer.db"))
        cached = opened.enter_context(open_peer(directory / "peer-cached.db", cache=True))
        snapshots = opened.enter_context(open_peer(directory / "peer-snapshots.db", BankWithSnapshots))
        durability.check(peer, cached, snapshots)
        many = threads_for(callers)
        slices: dict[str, Slice] = {
            PEER: their_long_history(peer, many),
            PEER_CACHED: their_long_history(cached, many),
            PEER_SNAPSHOTS: their_long_history(snapshots, many),
            **_floors(opened, directory, callers),
        }
        if many > 1:
            slices[PEER_ALONE] = their_long_history(peer, 1)
        yield slices


def long_history_of(ours: Ours, callers: int) -> Slice:
    """Each round has an entity of 1,000 events that the process has not used before: the first load is part of it."""
    names = (f"long-{number}" for number in count())

    def deposits(seconds: float) -> Work:
        account = next(names)
        ours.store_history(account, LONG)
        return ours.work(callers, seconds, repeat(Deposit(account, 1)))

    return deposits


def their_long_history(peer: Bank, callers: int) -> Slice:
    def deposits(seconds: float) -> Work:
        account = _saved(peer)
        return threads(callers, seconds, lambda: peer.deposit(account, 1))

    return deposits


def _saved(peer: Bank) -> UUID:
    account = new_account(LONG - 1)
    peer.save(account)
    return account.id


def _figure(
    name: str,
    title: str,
    ours: OpenedAlone,
    others: Opened,
    *targets: Target,
    most_cpu: float | None = None,
    most_instructions: float | None = None,
) -> Figure:
    return Figure(
        name,
        title,
        "commands/s",
        compared(ours, others),
        targets,
        ours=ours,
        most_cpu=most_cpu,
        most_instructions=most_instructions,
    )


FIGURES = (
    _figure(
        "new-1",
        "open a new entity with its first event, 1 caller",
        partial(our_new_entities, callers=1),
        partial(beside_new_entities, callers=1),
        Target(1.2, PEER),
    ),
    _figure(
        f"new-{MANY}",
        f"open a new entity with its first event, {MANY} callers",
        partial(our_new_entities, callers=MANY),
        partial(beside_new_entities, callers=MANY),
    ),
    _figure(
        "decide-1",
        "load, decide, append on 10,000 entities, 1 caller",
        partial(our_held_entities, callers=1),
        partial(beside_held_entities, callers=1),
        Target(2.2, PEER),
        Target(0.55, OWN_ROWS),
    ),
    _figure(
        "decide-sync-1",
        "load, decide, append on 10,000 entities, 1 caller, by `open_sync`",
        our_held_entities_sync,
        partial(beside_held_entities, callers=1),
        Target(1.5, PEER),
    ),
    _figure(
        f"decide-{MANY}",
        f"load, decide, append on 10,000 entities, {MANY} callers",
        partial(our_held_entities, callers=MANY),
        partial(beside_held_entities, callers=MANY),
        Target(15, PEER),
        most_cpu=45,
        most_instructions=130_000,
    ),
    _figure(
        "first-1",
        "the same, first command of the process on each entity, 1 caller",
        partial(our_untouched_entities, callers=1),
        partial(beside_held_entities, callers=1),
        Target(1, PEER),
    ),
    _figure(
        f"first-{MANY}",
        f"the same, first command of the process on each entity, {MANY} callers",
        partial(our_untouched_entities, callers=MANY),
        partial(beside_held_entities, callers=MANY),
        Target(4, PEER),
    ),
    _figure(
        "long-1",
        "load, decide, append on one entity of 1,000 events, 1 caller",
        partial(our_long_history, callers=1),
        partial(beside_long_history, callers=1),
        Target(100, PEER),
    ),
    _figure(
        f"long-{MANY}",
        f"load, decide, append on one entity of 1,000 events, {MANY} callers",
        partial(our_long_history, callers=MANY),
        partial(beside_long_history, callers=MANY),
        Target(20_000),
    ),
)

"""Load, decide, append: a command on a new entity, on one of many, and on one with a long history."""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count, repeat
from pathlib import Path
from random import Random
from uuid import UUID

from bench import durability
from bench.bank import Deposit, Open
from bench.callers import threads
from bench.figure import LEFTFOLD, PEER, Figure, Slice, Slices, Target
from bench.floor import opened_floor, single_rows
from bench.ours import Ours, opened_ours
from bench.peer import Bank, BankWithSnapshots, new_account, open_accounts, open_peer

ENTITIES = 10_000
LONG = 1_000
MANY = 128
THREADS = 8

FLOOR = "sqlite3, a commit a row"
PEER_CACHED = "eventsourcing, cache on"
PEER_SNAPSHOTS = "eventsourcing, snapshots on"
PEER_ALONE = "eventsourcing, 1 thread"


def threads_for(callers: int) -> int:
    return THREADS if callers > 1 else 1


@contextmanager
def new_entities(directory: Path, callers: int) -> Generator[Slices]:
    with ExitStack() as opened:
        ours = opened.enter_context(opened_ours(directory / "leftfold.db"))
        peer = opened.enter_context(open_peer(directory / "peer.db"))
        floor = opened.enter_context(opened_floor(directory / "floor.db"))
        durability.check(ours, floor, peer)
        commands = (Open(f"new-{number}", "ann") for number in count())
        yield {
            LEFTFOLD: lambda seconds: ours.rate(callers, seconds, commands),
            PEER: lambda seconds: threads(threads_for(callers), seconds, lambda: peer.open_account("ann")),
            FLOOR: single_rows(floor),
        }


@contextmanager
def held_entities(directory: Path, callers: int) -> Generator[Slices]:
    """Entities that this process has used before, so that leftfold holds their states."""
    accounts = [f"account-{number}" for number in range(ENTITIES)]
    choose = Random(1).choice
    with ExitStack() as opened:
        ours = opened.enter_context(opened_ours(directory / "leftfold.db"))
        ours.open_accounts(accounts)
        commands = (Deposit(choose(accounts), 1) for _ in count())
        others = _others(opened, directory, callers)
        yield {LEFTFOLD: lambda seconds: ours.rate(callers, seconds, commands), **others}


@contextmanager
def untouched_entities(directory: Path, callers: int) -> Generator[Slices]:
    """The first command of a process on each entity: the state is read from the log."""
    accounts = [f"account-{number}" for number in range(ENTITIES)]
    path = directory / "leftfold.db"
    with ExitStack() as opened:
        with opened_ours(path) as ours:
            ours.open_accounts(accounts)
        yield {LEFTFOLD: partial(_first_commands, path, accounts, callers), **_others(opened, directory, callers)}


def _first_commands(path: Path, accounts: list[str], callers: int, seconds: float) -> float:
    order = Random(1).sample(accounts, len(accounts))
    with opened_ours(path) as ours:
        return ours.rate(callers, seconds, (Deposit(account, 1) for account in order))


def _others(opened: ExitStack, directory: Path, callers: int) -> Slices:
    peer = opened.enter_context(open_peer(directory / "peer.db"))
    cached = opened.enter_context(open_peer(directory / "peer-cached.db", cache=True))
    floor = opened.enter_context(opened_floor(directory / "floor.db"))
    durability.check(floor, peer, cached)
    return {
        PEER: random_deposits(peer, threads_for(callers)),
        PEER_CACHED: random_deposits(cached, threads_for(callers)),
        FLOOR: single_rows(floor),
    }


def random_deposits(peer: Bank, callers: int) -> Slice:
    accounts = open_accounts(peer, ENTITIES)
    choose = Random(1).choice
    return lambda seconds: threads(callers, seconds, lambda: peer.deposit(choose(accounts), 1))


@contextmanager
def long_history(directory: Path, callers: int) -> Generator[Slices]:
    """Each round has an entity of 1,000 events that the process has not used before: the first load is part of it."""
    with ExitStack() as opened:
        ours = opened.enter_context(opened_ours(directory / "leftfold.db"))
        peer = opened.enter_context(open_peer(directory / "peer.db"))
        cached = opened.enter_context(open_peer(directory / "peer-cached.db", cache=True))
        snapshots = opened.enter_context(open_peer(directory / "peer-snapshots.db", BankWithSnapshots))
        floor = opened.enter_context(opened_floor(directory / "floor.db"))
        durability.check(ours, floor, peer, cached, snapshots)
        many = threads_for(callers)
        slices: dict[str, Slice] = {
            LEFTFOLD: our_long_history(ours, callers),
            PEER: their_long_history(peer, many),
            PEER_CACHED: their_long_history(cached, many),
            PEER_SNAPSHOTS: their_long_history(snapshots, many),
            FLOOR: single_rows(floor),
        }
        if many > 1:
            slices[PEER_ALONE] = their_long_history(peer, 1)
        yield slices


def our_long_history(ours: Ours, callers: int) -> Slice:
    names = (f"long-{number}" for number in count())

    def deposits(seconds: float) -> float:
        account = next(names)
        ours.store_history(account, LONG)
        return ours.rate(callers, seconds, repeat(Deposit(account, 1)))

    return deposits


def their_long_history(peer: Bank, callers: int) -> Slice:
    def deposits(seconds: float) -> float:
        account = _saved(peer)
        return threads(callers, seconds, lambda: peer.deposit(account, 1))

    return deposits


def _saved(peer: Bank) -> UUID:
    account = new_account(LONG - 1)
    peer.save(account)
    return account.id


FIGURES = (
    Figure(
        "new-1",
        "open a new entity with its first event, 1 caller",
        "commands/s",
        partial(new_entities, callers=1),
    ),
    Figure(
        f"new-{MANY}",
        f"open a new entity with its first event, {MANY} callers",
        "commands/s",
        partial(new_entities, callers=MANY),
    ),
    Figure(
        "decide-1",
        "load, decide, append on 10,000 entities, 1 caller",
        "commands/s",
        partial(held_entities, callers=1),
        (Target(0.6, FLOOR),),
    ),
    Figure(
        f"decide-{MANY}",
        f"load, decide, append on 10,000 entities, {MANY} callers",
        "commands/s",
        partial(held_entities, callers=MANY),
        (Target(15, PEER),),
    ),
    Figure(
        "first-1",
        "the same, first command of the process on each entity, 1 caller",
        "commands/s",
        partial(untouched_entities, callers=1),
    ),
    Figure(
        f"first-{MANY}",
        f"the same, first command of the process on each entity, {MANY} callers",
        "commands/s",
        partial(untouched_entities, callers=MANY),
    ),
    Figure(
        "long-1",
        "load, decide, append on one entity of 1,000 events, 1 caller",
        "commands/s",
        partial(long_history, callers=1),
        (Target(60, PEER),),
    ),
    Figure(
        f"long-{MANY}",
        f"load, decide, append on one entity of 1,000 events, {MANY} callers",
        "commands/s",
        partial(long_history, callers=MANY),
        (Target(60, PEER), Target(8_000)),
    ),
)

"""Load, decide, append on PostgreSQL: a command and its commit, for a new entity, for 10,000, and for a long one."""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from random import Random

from bench import durability
from bench.bank import Deposit, Open
from bench.callers import threads
from bench.deciding import ENTITIES, MANY, long_history_of, random_deposits, their_long_history, threads_for
from bench.figure import LEFTFOLD, PEER, Figure, Slices, Target
from bench.peer import Bank
from bench.peer_dcb import READ_AND_APPEND, opened_recorder, reads_and_appends
from bench.postgres import opened_server, ours_on, peers_on
from bench.postgres_floor import opened_floor, single_rows
from bench.work import Work

CALLERS = 64
FLOOR = "psycopg, a commit a row"
DCB = f"{PEER} DCB, {READ_AND_APPEND}"


@contextmanager
def new_entities(_: Path) -> Generator[Slices]:
    with ExitStack() as opened:
        server = opened.enter_context(opened_server())
        ours = opened.enter_context(ours_on(server))
        floor = opened.enter_context(opened_floor(server))
        durability.check(ours, floor)
        commands = (Open(f"new-{number}", "ann") for number in count())
        peers = peers_on(server, opened)
        yield {
            LEFTFOLD: lambda seconds: ours.work(1, seconds, commands),
            **{name: partial(_open_accounts, peer) for name, peer in peers.items()},
            FLOOR: single_rows(floor),
        }


def _open_accounts(peer: Bank, seconds: float) -> Work:
    return threads(1, seconds, lambda: peer.open_account("ann"))


@contextmanager
def held_entities(_: Path, callers: int) -> Generator[Slices]:
    """Entities that this process has used before, so that leftfold holds their states."""
    accounts = [f"account-{number}" for number in range(ENTITIES)]
    choose = Random(1).choice
    with ExitStack() as opened:
        server = opened.enter_context(opened_server())
        ours = opened.enter_context(ours_on(server))
        floor = opened.enter_context(opened_floor(server))
        recorder = opened.enter_context(opened_recorder(server, accounts))
        durability.check(ours, floor, recorder)
        ours.open_accounts(accounts)
        commands = (Deposit(choose(accounts), 1) for _ in count())
        peers = peers_on(server, opened)
        yield {
            LEFTFOLD: lambda seconds: ours.work(callers, seconds, commands),
            **{name: random_deposits(peer, threads_for(callers)) for name, peer in peers.items()},
            DCB: reads_and_appends(recorder, accounts, threads_for(callers)),
            FLOOR: single_rows(floor),
        }


@contextmanager
def long_history(_: Path) -> Generator[Slices]:
    """Each round has an entity of 1,000 events that the process has not used before: the first load is part of it."""
    with ExitStack() as opened:
        server = opened.enter_context(opened_server())
        ours = opened.enter_context(ours_on(server))
        durability.check(ours)
        peer = peers_on(server, opened)[PEER]
        yield {LEFTFOLD: long_history_of(ours, MANY), PEER: their_long_history(peer, threads_for(MANY))}


FIGURES = (
    Figure(
        "pg-new-1",
        "PostgreSQL: open a new entity with its first event, 1 caller",
        "commands/s",
        new_entities,
        (Target(2, PEER),),
    ),
    Figure(
        "pg-decide-1",
        "PostgreSQL: load, decide, append on 10,000 entities, 1 caller",
        "commands/s",
        partial(held_entities, callers=1),
        (Target(4, PEER),),
    ),
    Figure(
        f"pg-decide-{CALLERS}",
        f"PostgreSQL: load, decide, append on 10,000 entities, {CALLERS} callers",
        "commands/s",
        partial(held_entities, callers=CALLERS),
        (Target(20, DCB),),
    ),
    Figure(
        f"pg-long-{MANY}",
        f"PostgreSQL: load, decide, append on one entity of 1,000 events, {MANY} callers",
        "commands/s",
        long_history,
        (Target(5_000),),
    ),
)

"""Folding 100,000 events into a stored table of accounts, on SQLite and on PostgreSQL.

Figures of free-form projections belong here too, beside the same contestants.
"""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Self

from bench import durability, peer_follower, peer_postgres
from bench.bank import AccountId, Deposited, Opened
from bench.figure import LEFTFOLD, PEER, Figure, Slice, Slices, Target, compared
from bench.ours import history, opened_ours
from bench.peer import Bank, new_account, open_peer, sqlite_environment
from bench.peer_projection import follow, opened_projection
from bench.work import Stopwatch, Work
from leftfold import App, Query, ReadModel, ReadModels, replace
from leftfold_torture.postgres_server import PostgresServer

EVENTS = 100_000
PEER_EVENTS = 20_000  # more than it processes in one round
FOLLOWER = f"{PEER} follower"
DATABASE = "bench"
ACCOUNTS = 10_000

reading = App("bench reading")


@reading.read_model
class Balance(ReadModel):
    account: AccountId
    owner: str = ""
    amount: int = 0

    def evolve(self, event: Opened | Deposited) -> Self:
        match event:
            case Opened(owner=owner):
                return replace(self, owner=owner)
            case Deposited(amount=amount):
                return replace(self, amount=self.amount + amount)


class BalanceOf(Query[int]):
    account: str


@reading.answers
def balance_of(query: BalanceOf, models: ReadModels) -> int:
    found = models.get(Balance, query.account)
    return found.amount if found else 0


@contextmanager
def our_table(directory: Path) -> Generator[Slice]:
    """Accounts of ten events each, their events spread over the log; every round fills a new table."""
    fill_ours(directory / "leftfold.db")
    log, numbers = f"sqlite:///{directory}/leftfold.db?mode=ro", count()
    yield lambda _: _fold_all(log, f"sqlite:///{directory}/models-{next(numbers)}.db")


@contextmanager
def beside_stored_table(directory: Path) -> Generator[Slices]:
    with open_peer(directory / "peer.db") as peer:
        durability.check(peer)
        fill_peer(peer)
        numbers = count()
        yield {
            PEER: lambda seconds: process(peer, directory / f"view-{next(numbers)}.db", seconds),
            FOLLOWER: lambda seconds: peer_follower.follow(
                peer, sqlite_environment(directory / f"follower-{next(numbers)}.db"), seconds
            ),
        }


@contextmanager
def stored_table_on_postgres(_: Path) -> Generator[Slices]:
    """The same, with the logs and the tables in schemas of one PostgreSQL database."""
    with ExitStack() as opened:
        server = opened.enter_context(PostgresServer())
        server.create(DATABASE)
        settings = peer_postgres.environment(server, DATABASE)
        peer = opened.enter_context(Bank(settings))
        log = server.url(DATABASE, log="ours")
        fill_ours(log)
        fill_peer(peer, PEER_EVENTS)
        numbers = count()

        def follow_in_schema(seconds: float) -> Work:
            schema = f"follower_{next(numbers)}"
            server.execute(f"CREATE SCHEMA {schema}", DATABASE)
            return peer_follower.follow(peer, peer_postgres.environment(server, DATABASE, schema), seconds)

        yield {
            LEFTFOLD: lambda _: _fold_all(f"{log}&mode=ro", server.url(DATABASE, schema=f"models_{next(numbers)}")),
            PEER: lambda seconds: peer_postgres.run_projection(server, DATABASE, f"view_{next(numbers)}", seconds),
            FOLLOWER: follow_in_schema,
        }


def _fold_all(log: str, models: str) -> Work:
    """From opening the app to the answer that has seen every event."""
    watch = Stopwatch()
    with reading.open_sync(log, models=models) as live:
        balance = live.query(BalanceOf("account-0"), after=EVENTS, wait_timeout=600)
        assert balance == EVENTS // ACCOUNTS - 1
        return watch.work(EVENTS)


def process(peer: Bank, path: Path, seconds: float) -> Work:
    projection = opened_projection(path)
    durability.check(projection.view.datastore)
    try:
        return follow(projection, peer, seconds)
    finally:
        projection.view.datastore.close()


def fill_ours(where: Path | str) -> None:
    histories = [history(f"account-{number}", EVENTS // ACCOUNTS) for number in range(ACCOUNTS)]
    with opened_ours(where) as ours:
        for nth in zip(*histories, strict=True):
            for first in range(0, ACCOUNTS, 1000):
                ours.wait(ours.live.store.append(nth[first : first + 1000]))


def fill_peer(peer: Bank, events: int = EVENTS) -> None:
    accounts = [new_account(0) for _ in range(ACCOUNTS)]
    for nth in range(events // ACCOUNTS):
        if nth:
            for account in accounts:
                account.deposit(1)
        for first in range(0, ACCOUNTS, 1000):
            peer.save(*accounts[first : first + 1000])


FIGURES = (
    Figure(
        "project-100000",
        "fold 100,000 events into a stored table",
        "events/s",
        compared(our_table, beside_stored_table),
        (Target(40_000), Target(45, PEER)),
        note="Leftfold from opening the app to an answer that includes the last event. It syncs its tables at "
        "checkpoints: what a power failure takes is folded again. The peer syncs each event with its tracking. Its "
        "follower records its tracking alone.",
        ours=our_table,
    ),
    Figure(
        "pg-project-100000",
        "PostgreSQL: fold 100,000 events into a stored table",
        "events/s",
        stored_table_on_postgres,
        (Target(40_000), Target(30, PEER)),
        note="Logs and tables lie in one database. Every commit of each is synced; the peer, whose ProjectionRunner is "
        "measured, commits once an event.",
    ),
)

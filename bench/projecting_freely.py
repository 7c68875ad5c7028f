"""Handling 100,000 events with SQL of one's own, in the transaction that holds the checkpoint."""

from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from time import perf_counter

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from bench import durability
from bench.bank import Deposited, Opened
from bench.figure import LEFTFOLD, PEER, Figure, Slices
from bench.peer import open_peer
from bench.projecting import ACCOUNTS, EVENTS, BalanceOf, fill_ours, fill_peer, process
from leftfold import App, ReadModels

tables = sa.MetaData()
balances = sa.Table(
    "balances", tables, sa.Column("account", sa.String, primary_key=True), sa.Column("amount", sa.Integer)
)
row = insert(balances).values(account=sa.bindparam("account"), amount=sa.bindparam("more"))
add = row.on_conflict_do_update(index_elements=["account"], set_={"amount": balances.c.amount + row.excluded.amount})


def amount_of(event: Opened | Deposited) -> int:
    return event.amount if isinstance(event, Deposited) else 0


def one_by_one(event: Opened | Deposited, connection: sa.Connection) -> None:
    connection.execute(add, {"account": event.account, "more": amount_of(event)})


async def one_by_one_async(event: Opened | Deposited, connection: AsyncConnection) -> None:
    await connection.execute(add, {"account": event.account, "more": amount_of(event)})


def batch(events: Sequence[Opened | Deposited], connection: sa.Connection) -> None:
    changes: Counter[str] = Counter()
    for event in events:
        changes[event.account] += amount_of(event)
    connection.execute(add, [{"account": account, "more": more} for account, more in changes.items()])


def app_of(handler: object) -> App:
    app = App("bench projecting")
    app.projection("balances", tables=tables)(handler)  # type: ignore[type-var]
    app.answers(balance_of)
    return app


def balance_of(query: BalanceOf, models: ReadModels) -> int:
    statement = sa.select(balances.c.amount).where(balances.c.account == query.account)
    return int(models.execute(statement)[0][0])


@contextmanager
def own_tables(directory: Path) -> Generator[Slices]:
    """The log of `project-100000`; every round fills a new table."""
    with ExitStack() as opened:
        peer = opened.enter_context(open_peer(directory / "peer.db"))
        durability.check(peer)
        fill_ours(directory / "leftfold.db")
        fill_peer(peer)
        numbers = count()

        def projecting(handler: object) -> float:
            return _project_all(app_of(handler), directory / "leftfold.db", directory / f"models-{next(numbers)}.db")

        yield {
            LEFTFOLD: lambda _: projecting(one_by_one),
            f"{LEFTFOLD}, async": lambda _: projecting(one_by_one_async),
            f"{LEFTFOLD}, batches": lambda _: projecting(batch),
            PEER: lambda seconds: process(peer, directory / f"view-{next(numbers)}.db", seconds),
        }


def _project_all(app: App, log: Path, models: Path) -> float:
    """From opening the app to the answer that has seen every event."""
    start = perf_counter()
    with app.open_sync(f"sqlite:///{log}?mode=ro", models=f"sqlite:///{models}") as live:
        balance = live.query(BalanceOf("account-0"), after=EVENTS, timeout=600)
        assert balance == EVENTS // ACCOUNTS - 1
        return EVENTS / (perf_counter() - start)


FIGURES = (
    Figure(
        "project-freely-100000",
        "handle 100,000 events with one SQL statement each",
        "events/s",
        own_tables,
        note="Handlers of free-form projections: one upsert for each event; the same as `async def`; and one that "
        "takes a batch and adds up in Python first. The peer syncs each event with its tracking.",
    ),
)

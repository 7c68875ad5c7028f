"""Handling 100,000 events with SQL of one's own, in the transaction that holds the checkpoint."""

from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from bench import durability, peer_postgres
from bench.bank import Deposited, Opened
from bench.figure import LEFTFOLD, PEER, Figure, Slices
from bench.peer import Bank, open_peer
from bench.projecting import ACCOUNTS, DATABASE, EVENTS, PEER_EVENTS, BalanceOf, fill_ours, fill_peer, process
from bench.work import Stopwatch, Work
from leftfold import App, ReadModels
from leftfold_torture.postgres_server import PostgresServer

tables = sa.MetaData()
balances = sa.Table(
    "balances", tables, sa.Column("account", sa.String, primary_key=True), sa.Column("amount", sa.Integer)
)
DIALECTS = {"sqlite": sqlite, "postgresql": postgresql}


def adding(dialect: str) -> sa.Executable:
    """The statement that adds to a balance, which the two write alike and SQLAlchemy has apart."""
    row = DIALECTS[dialect].insert(balances).values(account=sa.bindparam("account"), amount=sa.bindparam("more"))
    changed = {"amount": balances.c.amount + row.excluded.amount}
    return row.on_conflict_do_update(index_elements=["account"], set_=changed)


ADD = {dialect: adding(dialect) for dialect in DIALECTS}


def amount_of(event: Opened | Deposited) -> int:
    return event.amount if isinstance(event, Deposited) else 0


def one_by_one(event: Opened | Deposited, connection: sa.Connection) -> None:
    connection.execute(ADD[connection.dialect.name], {"account": event.account, "more": amount_of(event)})


async def one_by_one_async(event: Opened | Deposited, connection: AsyncConnection) -> None:
    await connection.execute(ADD[connection.dialect.name], {"account": event.account, "more": amount_of(event)})


def batch(events: Sequence[Opened | Deposited], connection: sa.Connection) -> None:
    changes: Counter[str] = Counter()
    for event in events:
        changes[event.account] += amount_of(event)
    connection.execute(
        ADD[connection.dialect.name], [{"account": account, "more": more} for account, more in changes.items()]
    )


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

        def projecting(handler: object) -> Work:
            log, models = directory / "leftfold.db", directory / f"models-{next(numbers)}.db"
            return _project_all(app_of(handler), f"sqlite:///{log}?mode=ro", f"sqlite:///{models}")

        yield {
            LEFTFOLD: lambda _: projecting(one_by_one),
            f"{LEFTFOLD}, async": lambda _: projecting(one_by_one_async),
            f"{LEFTFOLD}, batches": lambda _: projecting(batch),
            PEER: lambda seconds: process(peer, directory / f"view-{next(numbers)}.db", seconds),
        }


@contextmanager
def own_tables_on_postgres(_: Path) -> Generator[Slices]:
    """The log of `pg-project-100000`; every round fills a table in a new schema."""
    with ExitStack() as opened:
        server = opened.enter_context(PostgresServer())
        server.create(DATABASE)
        peer = opened.enter_context(Bank(peer_postgres.environment(server, DATABASE)))
        log = server.url(DATABASE, log="ours")
        fill_ours(log)
        fill_peer(peer, PEER_EVENTS)
        numbers = count()

        def projecting(handler: object) -> Work:
            models = server.url(DATABASE, schema=f"models_{next(numbers)}")
            return _project_all(app_of(handler), f"{log}&mode=ro", models)

        yield {
            LEFTFOLD: lambda _: projecting(one_by_one),
            f"{LEFTFOLD}, batches": lambda _: projecting(batch),
            PEER: lambda seconds: peer_postgres.run_projection(server, DATABASE, f"view_{next(numbers)}", seconds),
        }


def _project_all(app: App, log: str, models: str) -> Work:
    """From opening the app to the answer that has seen every event."""
    watch = Stopwatch()
    with app.open_sync(log, models=models) as live:
        balance = live.query(BalanceOf("account-0"), after=EVENTS, wait_timeout=600)
        assert balance == EVENTS // ACCOUNTS - 1
        return watch.work(EVENTS)


FIGURES = (
    Figure(
        "project-freely-100000",
        "handle 100,000 events with one SQL statement each",
        "events/s",
        own_tables,
        note="Handlers of SQL projections: one upsert for each event; the same as `async def`; and a batch handler "
        "that sums in Python first. The peer syncs each event with its tracking.",
    ),
    Figure(
        "pg-project-freely-100000",
        "PostgreSQL: handle 100,000 events with one SQL statement each",
        "events/s",
        own_tables_on_postgres,
        note="Here each statement is a round trip to the server, but for a handler that takes a batch.",
    ),
)

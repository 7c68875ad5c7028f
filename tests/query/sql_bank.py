"""Free-form projections of the bank that the tests of the query side share, and how to run them."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from leftfold import EventContext
from leftfold.query import ReadSide, SqlProjection
from leftfold.store import EventStore
from tests.query.bank import IN_MEMORY, Deposited, Opened, Transferred, ask, own_urls, registry_of

metadata = sa.MetaData()
totals = sa.Table(
    "totals",
    metadata,
    sa.Column("account", sa.String, primary_key=True),
    sa.Column("amount", sa.Integer, nullable=False),
    sa.Index("totals_amount", "amount"),
)
ledger = sa.Table(
    "ledger",
    metadata,
    sa.Column("position", sa.Integer, primary_key=True),  # a second line for one event is refused by it
    sa.Column("account", sa.String, sa.ForeignKey("totals.account"), nullable=False),
    sa.Column("amount", sa.Integer, nullable=False),
)
Changes = dict[str, int]


def changes_of(event: Deposited | Transferred) -> Changes:
    if isinstance(event, Deposited):
        return {event.account: event.amount}
    if event.source == event.target:
        return {event.source: 0}
    return {event.source: -event.amount, event.target: event.amount}


def add(account: str, amount: int) -> sa.Executable:
    """Add to a total, which is there or not: SQLite takes what is written for PostgreSQL."""
    statement = insert(totals).values(account=account, amount=amount)
    more = totals.c.amount + statement.excluded.amount
    return statement.on_conflict_do_update(index_elements=["account"], set_={"amount": more})


def total(event: Deposited | Transferred, connection: sa.Connection, at: EventContext) -> None:
    if isinstance(event, Deposited) and event.amount == 13:
        raise ValueError("unlucky")
    for account, amount in changes_of(event).items():
        connection.execute(add(account, amount))
    first, amount = next(iter(changes_of(event).items()))
    connection.execute(sa.insert(ledger).values(position=at.position, account=first, amount=amount))


async def total_async(event: Deposited | Transferred, connection: AsyncConnection, at: EventContext) -> None:
    for account, amount in changes_of(event).items():
        await connection.execute(add(account, amount))
    first, amount = next(iter(changes_of(event).items()))
    await connection.execute(sa.insert(ledger).values(position=at.position, account=first, amount=amount))


def total_batch(
    events: Sequence[Deposited | Transferred], connection: sa.Connection, at: Sequence[EventContext]
) -> None:
    for event, recorded in zip(events, at, strict=True):
        total(event, connection, recorded)


def totals_of(handler: Callable[..., Any] = total, **options: Any) -> SqlProjection:
    """The projection, handled in one of these ways."""
    return SqlProjection(handler, "account totals", metadata, **options)


HANDLERS = (total, total_async, total_batch)


@asynccontextmanager
async def projecting(
    store: EventStore, *projections: SqlProjection, url: str = "", **options: Any
) -> AsyncIterator[ReadSide]:
    """A read side of these projections, started; in a database that nobody else has, if no URL is given."""
    read_side = ReadSide(
        store,
        options.pop("registry", registry_of()),
        projections,
        url or (own_urls[-1]() if own_urls else IN_MEMORY),
        **options,
    )
    await read_side.start()
    try:
        yield read_side
    finally:
        await read_side.close()


async def rows(read_side: ReadSide, table: sa.Table = totals, **options: Any) -> list[tuple[Any, ...]]:
    """The rows of a table, in order."""
    statement = sa.select(table).order_by(*table.primary_key.columns)
    return [tuple(row) for row in await ask(read_side, lambda models: models.execute(statement), **options)]


def expected_totals(events: Sequence[Any]) -> list[tuple[str, int]]:
    """What the totals must be after these events."""
    found: Changes = {}
    for event in events:
        if not isinstance(event, Opened):
            for account, amount in changes_of(event).items():
                found[account] = found.get(account, 0) + amount
    return sorted(found.items())


def expected_positions(events: Sequence[Any]) -> list[int]:
    """The positions that the ledger must have, each once."""
    return [position for position, event in enumerate(events, 1) if not isinstance(event, Opened)]

"""Accounts of which every event is counted, in its order: what is skipped, doubled or swapped shows in `mix`."""

from collections.abc import Sequence
from typing import Annotated, Self

import sqlalchemy as sa

from leftfold import App, Event, EventContext, Query, ReadModel, ReadModels, Tag, replace

AccountId = Annotated[str, Tag("account")]
PRIME = 2_147_483_647


class Moved(Event):
    account: AccountId
    amount: int


class Paused(Event):
    account: AccountId


class Closed(Event):
    account: AccountId


Change = Moved | Paused | Closed

ledger = App("ledger")


@ledger.read_model
class Tally(ReadModel):
    account: AccountId
    events: int = 0
    total: int = 0
    mix: int = 1

    def evolve(self, event: Change) -> Self | None:
        match event:
            case Moved(amount=amount):
                mix = (self.mix * 31 + amount) % PRIME
                return replace(self, events=self.events + 1, total=self.total + amount, mix=mix)
            case Paused():
                return None
            case Closed():
                return replace(self, events=self.events + 1)


@ledger.read_model(history=True)
class Steps(ReadModel):
    """One version of a row for each event."""

    account: AccountId
    events: int = 0

    def evolve(self, event: Change) -> Self:
        return replace(self, events=self.events + 1)


class Counted(Query[tuple[int, int]]):
    """How many accounts and how many events the tally knows of."""


@ledger.answers
def counted(query: Counted, models: ReadModels) -> tuple[int, int]:
    table = models.table(Tally)
    [(accounts, events)] = models.execute(sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(table.c.events), 0)))
    return accounts, events


class Stepped(Query[int]):
    """How many accounts have a row in `Steps`."""


@ledger.answers
def stepped(query: Stepped, models: ReadModels) -> int:
    return models.count(Steps)


tables = sa.MetaData()
entries = sa.Table(
    "entries",
    tables,
    sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("account", sa.String, nullable=False),
    sa.Column("kind", sa.String, nullable=False),
)


@ledger.projection("entries", tables=tables)
def enter(events: Sequence[Change], connection: sa.Connection, at: Sequence[EventContext]) -> None:
    """A row for each event, under its position: to enter one twice is an error."""
    rows = [
        {"position": recorded.position, "account": event.account, "kind": type(event).__name__}
        for event, recorded in zip(events, at, strict=True)
    ]
    connection.execute(sa.insert(entries), rows)


class Entered(Query[int]):
    """How many events were entered."""


@ledger.answers
def entered(query: Entered, models: ReadModels) -> int:
    [(count,)] = models.execute(sa.select(sa.func.count()).select_from(entries))
    return int(count)

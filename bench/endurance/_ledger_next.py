"""The next version of the ledger: what is taken counts double, a pause deletes nothing, and to close does."""

from typing import Self

import sqlalchemy as sa

from bench.endurance._ledger import PRIME, AccountId, Change, Closed, Moved, Paused
from leftfold import App, Query, ReadModel, ReadModels, replace

ledger = App("ledger")


@ledger.read_model(version=2)
class Tally(ReadModel):
    account: AccountId
    events: int = 0
    total: int = 0
    mix: int = 1

    def evolve(self, event: Change) -> Self | None:
        match event:
            case Moved(amount=amount):
                change = 2 * amount if amount < 0 else amount
                mix = (self.mix * 31 + amount) % PRIME
                return replace(self, events=self.events + 1, total=self.total + change, mix=mix)
            case Paused():
                return replace(self, events=self.events + 1)
            case Closed():
                return None


class Counted(Query[tuple[int, int]]):
    """How many accounts and how many events the tally knows of."""


@ledger.answers
def counted(query: Counted, models: ReadModels) -> tuple[int, int]:
    table = models.table(Tally)
    [(accounts, events)] = models.execute(sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(table.c.events), 0)))
    return accounts, events

"""Events of the ledger, by number, and its tables counted again without leftfold's folds."""

from collections.abc import Iterator

import msgspec

from bench.endurance._ledger import PRIME
from leftfold import EventStore, NewEvent

Row = tuple[int, int, int]  # events, total, mix
TOGETHER = 5_000


def change(number: int, accounts: int) -> NewEvent:
    """The event of this number: it spreads over the accounts; one in 97 pauses its account, one in 101 closes it."""
    account = f"a{number * 7_919 % accounts}"
    data: dict[str, object] = {"account": account}
    kind = "Paused" if number % 97 == 0 else "Closed" if number % 101 == 0 else "Moved"
    if kind == "Moved":
        data["amount"] = number * 13 % 1_000 - 200
    return NewEvent(kind, msgspec.json.encode(data), (f"account:{account}",))


def batches(first: int, last: int, accounts: int) -> Iterator[list[NewEvent]]:
    """The events with these numbers, in batches."""
    for begin in range(first, last, TOGETHER):
        yield [change(number, accounts) for number in range(begin, min(begin + TOGETHER, last))]


async def recount(store: EventStore, upto: int | None = None, *, version: int = 1) -> dict[str, Row]:
    """The rows that a tally of this version must have."""
    rows: dict[str, Row] = {}
    async for batch in store.read(upto=upto):
        for event in batch.events:
            data = msgspec.json.decode(event.data)
            account = data["account"]
            events, total, mix = rows.get(account, (0, 0, 1))
            if event.type == "Moved":
                amount = data["amount"]
                weight = 2 if version == 2 and amount < 0 else 1
                rows[account] = (events + 1, total + weight * amount, (mix * 31 + amount) % PRIME)
            elif event.type == ("Paused" if version == 1 else "Closed"):
                rows.pop(account, None)
            else:
                rows[account] = (events + 1, total, mix)
    return rows

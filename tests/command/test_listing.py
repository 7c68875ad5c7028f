"""Listing submitted commands: the same from a checkpoint as from the whole log."""

import random
from contextlib import suppress
from typing import Any

import pytest

from leftfold import Backoff, EventStore
from leftfold.command.submitted.events import InboxCheckpoint
from leftfold.command.submitted.listing import Listing
from leftfold.errors import LeftfoldError
from leftfold.store import MemoryStore
from leftfold.testing import FakeClock
from tests.accounts import Deposit, Withdraw, accounts_app
from tests.command.test_inbox import Call, Line


class Watched:
    """A store that counts the events it gives out."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self.given = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def read(self, *arguments: Any, **options: Any) -> Any:
        async for batch in self._store.read(*arguments, **options):
            self.given += len(batch.events)
            yield batch


@pytest.mark.parametrize("seed", range(8))
async def test_a_listing_is_the_same_with_checkpoints_as_without(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leftfold.command.submitted.follower.EVENTS_PER_CHECKPOINT", 7)
    monkeypatch.setattr("leftfold.command.submitted.follower.MAX_LISTED_TICKETS", 3)
    randomness, clock = random.Random(seed), FakeClock()
    store, line, app = MemoryStore(clock), Line(), accounts_app()
    app.handles(line.call)
    async with app.open(store, clock=clock, work=False, backoff=Backoff(1, 20, attempts=2)) as live:
        tickets: list[str] = []
        for _ in range(60):
            line.down = randomness.random() < 0.7
            command = randomness.choice([Deposit("a", 1), Withdraw("a", 2), Call()])
            due = clock.now().replace(microsecond=0) if randomness.random() < 0.5 else None
            at = None if due is None else due.replace(minute=randomness.randrange(60))
            tickets.append((await live.submit(command, at=at)).id)
            if randomness.random() < 0.3:
                ticket = live.ticket(randomness.choice(tickets))
                with suppress(LeftfoldError):
                    await (ticket.retry() if randomness.random() < 0.7 else ticket.cancel())
            clock.advance(seconds=randomness.randrange(30))
            if randomness.random() < 0.7:
                await live.run_until_quiet()

        listing = Listing(store, app.registry, clock)
        everything = [await live.ticket(ticket).state() for ticket in tickets]
        for states in (("pending", "scheduled", "failed"), ("failed",), ("pending",), ("scheduled",), ("handled",)):
            expected = [each for each in everything if each.state_at(clock.now()) in states]
            assert await listing.in_states(states) == expected
    types = [event.type async for batch in store.read() for event in batch.events]
    assert types.count("leftfold.command.checkpoint") > 3


async def test_what_is_going_on_is_read_from_the_newest_checkpoint_on() -> None:
    app, store = accounts_app(), MemoryStore()
    async with app.open(store, work=False) as live:
        for _ in range(50):
            await live.submit(Deposit("a", 1))
        await live.run_until_quiet()
        await store.append([app.registry.encode(InboxCheckpoint(await store.head(), []), b"{}")])
        await live.submit(Deposit("a", 2))
    watched: Any = Watched(store)

    found = await Listing(watched, app.registry, FakeClock()).in_states(["pending", "failed"])

    assert [each.data["amount"] for each in found] == [2]
    assert watched.given == 2
    assert len(await Listing(watched, app.registry, FakeClock()).in_states(["handled"])) == 50

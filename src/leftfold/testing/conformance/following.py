"""Promises to followers of the log: waiting for its growth, and subscriptions."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from leftfold.errors import StoreClosed
from leftfold.model.criteria import ALL, NOTHING, criteria
from leftfold.model.record import NewEvent
from leftfold.store.contract import Batch, EventStore
from leftfold.store.subscription import subscribe
from leftfold.testing.conformance.records import OpenStore, Promise, about, at_once, opened, outcomes_of, positions_of

PATIENCE = 60.0
"""Seconds after which something that should have happened will not happen any more, on a machine that is busy too."""


class Waiting(Promise):
    """`wait` returns as soon as the log has grown, or when its time is over."""

    async def test_wait_returns_at_once_when_the_log_has_grown_already(self, store: EventStore) -> None:
        await store.append([opened("a"), opened("b")])

        async with asyncio.timeout(PATIENCE):
            assert await store.wait(1) == 2

    async def test_wait_returns_when_the_log_grows(self, store: EventStore) -> None:
        waiting = [asyncio.create_task(store.wait(0, timeout=PATIENCE)) for _ in range(3)]
        await asyncio.sleep(0.01)

        await store.append([opened("a"), opened("b")])

        async with asyncio.timeout(PATIENCE / 2):
            assert await asyncio.gather(*waiting) == [2, 2, 2]

    async def test_wait_returns_the_head_as_it_is_when_the_time_is_over(self, store: EventStore) -> None:
        await store.append([opened("a")])

        assert await store.wait(1, timeout=0.01) == 1
        assert await store.wait(1, timeout=0) == 1
        assert await store.wait(7, timeout=0.01) == 1

    async def test_wait_goes_on_until_the_log_is_beyond_the_position(self, store: EventStore) -> None:
        waiting = asyncio.create_task(store.wait(2, timeout=PATIENCE))

        for _ in range(2):
            await store.append([opened("a")])
            await asyncio.sleep(0.02)
            assert not waiting.done()
        await store.append([opened("a")])

        async with asyncio.timeout(PATIENCE / 2):
            assert await waiting == 3

    async def test_a_head_that_wait_returned_can_be_read(self, store: EventStore) -> None:
        async def follow() -> None:
            after = 0
            while after < 100:
                head = await store.wait(after, timeout=PATIENCE)
                batches = [batch async for batch in store.read(after=after, upto=head)]
                assert batches[-1].through == head
                after = head

        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(follow(), *(store.append([opened("a")]) for _ in range(100)))

    async def test_a_cancelled_wait_harms_no_other(self, store: EventStore) -> None:
        cancelled, kept = (asyncio.create_task(store.wait(0, timeout=PATIENCE)) for _ in range(2))
        await asyncio.sleep(0.01)

        cancelled.cancel()
        await store.append([opened("a")])

        async with asyncio.timeout(PATIENCE / 2):
            assert await kept == 1
        with pytest.raises(asyncio.CancelledError):
            await cancelled

    async def test_closing_the_store_releases_those_who_wait(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            waiting = asyncio.create_task(store.wait(0))
            await asyncio.sleep(0.01)

        async with asyncio.timeout(PATIENCE):
            with pytest.raises(StoreClosed):
                await waiting

    async def test_wait_sees_the_appends_of_another_opening(self, open_store: OpenStore) -> None:
        async def follow_and_append(store: EventStore) -> int:
            await asyncio.sleep(0.05)
            await store.append([opened("a")])
            head = 0
            async with asyncio.timeout(PATIENCE):
                while head < 3:
                    head = await store.wait(head)
            return head

        assert await at_once(3, open_store, follow_and_append) == [3, 3, 3]


class Subscription(Promise):
    """`subscribe` catches up, then goes on live; its checkpoint never passes what was delivered."""

    async def test_a_subscription_catches_up_then_goes_on_live(self, store: EventStore) -> None:
        await store.append([opened("a"), opened("b")])
        batches = subscribe(store, about("a"))

        assert await delivered(batches, through=2) == [1]
        await store.append([opened("b"), opened("a")])

        assert await delivered(batches, through=4) == [4]

    async def test_a_subscription_starts_after_its_checkpoint(self, store: EventStore) -> None:
        await store.append([opened("a")] * 5)

        assert await delivered(subscribe(store, after=3), through=5) == [4, 5]

    async def test_the_checkpoint_moves_on_where_nothing_matched(self, store: EventStore) -> None:
        batches = subscribe(store, about("a"))

        await store.append([opened("b")] * 1_500)
        assert await delivered(batches, through=1_500) == []

        await store.append([opened("b")])
        assert await delivered(batches, through=1_501) == []

    async def test_criteria_that_mean_nothing_still_move_the_checkpoint(self, store: EventStore) -> None:
        await store.append([opened("a")] * 3)

        assert await delivered(subscribe(store, NOTHING), through=3) == []

    async def test_an_idle_subscription_waits_for_the_first_event(self, store: EventStore) -> None:
        waiting = asyncio.create_task(delivered(subscribe(store), through=1))
        await asyncio.sleep(0.02)

        await store.append([opened("a")])

        async with asyncio.timeout(PATIENCE):
            assert await waiting == [1]

    async def test_no_checkpoint_passes_an_event_that_was_not_delivered(self, store: EventStore) -> None:
        every = [ALL, about("3"), criteria("closed", "moved"), about("1") | criteria("closed")]
        types = ("opened", "moved", "closed")
        events = [NewEvent(types[n % 3], b"", (f"account:{n % 7}",)) for n in range(300)]
        following = [asyncio.create_task(followed(subscribe(store, meant), through=300)) for meant in every]

        await outcomes_of(store.append([event]) for event in events)

        assert await asyncio.gather(*following) == [await positions_of(store.read(meant)) for meant in every]

    async def test_a_subscription_resumed_at_any_checkpoint_misses_and_repeats_nothing(self, store: EventStore) -> None:
        found: list[int] = []
        checkpoint = 0

        while checkpoint < 60:
            await store.append([opened("a"), opened("b"), opened("a")])
            async with asyncio.timeout(PATIENCE):
                async for batch in subscribe(store, about("a"), after=checkpoint):
                    found += [event.position for event in batch.events]
                    checkpoint = batch.through
                    break

        assert found == [p for p in range(1, 61) if p % 3 != 2]

    async def test_a_slow_subscriber_gets_everything_in_order(self, store: EventStore) -> None:
        found: list[int] = []
        await store.append([opened("a")])

        async with asyncio.timeout(PATIENCE):
            async for batch in subscribe(store):
                found += [event.position for event in batch.events]
                if batch.through == 50:
                    break
                await outcomes_of(store.append([opened("a")]) for _ in range(7))
                await asyncio.sleep(0.001)

        assert found == list(range(1, 51))

    async def test_a_cancelled_subscription_leaves_the_store_usable(self, store: EventStore) -> None:
        following = asyncio.create_task(followed(subscribe(store), through=100))
        await store.append([opened("a")])
        await asyncio.sleep(0.01)

        following.cancel()
        with pytest.raises(asyncio.CancelledError):
            await following

        assert (await store.append([opened("a")])).first == 2

    async def test_closing_the_store_ends_its_subscriptions(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            following = asyncio.create_task(followed(subscribe(store), through=100))
            await store.append([opened("a")])
            await asyncio.sleep(0.01)

        async with asyncio.timeout(PATIENCE):
            with pytest.raises(StoreClosed):
                await following


async def delivered(batches: AsyncIterator[Batch], *, through: int) -> list[int]:
    """Return the positions that a subscription delivers until its checkpoint is at `through`, and not beyond it."""
    async with asyncio.timeout(PATIENCE):
        found = await followed(batches, through=through)
    return found


async def followed(batches: AsyncIterator[Batch], *, through: int) -> list[int]:
    """Follow a subscription; every checkpoint lies at or after the last event delivered, and never goes back."""
    found: list[int] = []
    checkpoint = 0
    async for batch in batches:
        positions = [event.position for event in batch.events]
        assert all(checkpoint < position <= batch.through <= through for position in positions)
        assert checkpoint <= batch.through
        found += positions
        checkpoint = batch.through
        if checkpoint == through:
            break
    return found

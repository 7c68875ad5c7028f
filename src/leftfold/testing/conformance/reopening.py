"""Promises about closing a log and opening it again."""

import asyncio
import contextlib

import pytest

from leftfold.errors import Conflict, KeyReused, StoreClosed
from leftfold.model.record import NewEvent
from leftfold.store.contract import Appended
from leftfold.testing.clock import START, FakeClock
from leftfold.testing.conformance.following import PATIENCE
from leftfold.testing.conformance.records import OpenStore, Promise, about, events_of, none_since, opened


class Durability(Promise):
    """What was acknowledged is there when the log is opened again, and the log goes on from there."""

    async def test_a_reopened_log_holds_what_was_appended(self, open_store: OpenStore) -> None:
        events = [NewEvent("noted", bytes([n]), (f"n:{n}", "all"), 1 + n, b"m") for n in range(100)]
        async with open_store() as store:
            await store.append(events)
            written = await events_of(store.read())

        async with open_store() as store:
            assert await events_of(store.read()) == written
            assert [NewEvent(e.type, e.data, e.tags, e.version, e.metadata) for e in written] == events

    async def test_a_reopened_log_is_the_same_log(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            first = store.log_id

        async with open_store() as store:
            assert store.log_id == first != ""

    async def test_positions_go_on_where_they_were(self, open_store: OpenStore) -> None:
        for n in range(3):
            async with open_store() as store:
                assert await store.head() == n
                assert await store.append([opened("a")]) == Appended(n + 1, n + 1)

    async def test_keys_are_known_after_reopening(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            await store.append([opened("a")], key="k")

        async with open_store() as store:
            assert await store.append([opened("a")], key="k") == Appended(1, 1, duplicate=True)
            with pytest.raises(KeyReused):
                await store.append([opened("b")], key="k")

    async def test_conditions_see_what_was_appended_before_reopening(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            await store.append([opened("a")])

        async with open_store() as store:
            with pytest.raises(Conflict):
                await store.append([opened("a")], condition=none_since(0, "a"))

    async def test_time_does_not_go_back_over_reopening(self, open_store: OpenStore) -> None:
        clock = FakeClock()
        async with open_store(clock=clock) as store:
            await store.append([opened("a")])

        clock.advance(days=-1)
        async with open_store(clock=clock) as store:
            await store.append([opened("a")])

            assert [event.time for event in await events_of(store.read())] == [START, START]

    async def test_closing_finishes_what_is_under_way(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            tasks = [asyncio.create_task(store.append([opened(str(n))] * 2)) for n in range(200)]
            await asyncio.sleep(0)

        async with asyncio.timeout(PATIENCE):
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)

        assert {type(outcome) for outcome in outcomes} <= {Appended, StoreClosed}
        async with open_store() as store:
            for n, outcome in enumerate(outcomes):
                found = await events_of(store.read(about(str(n))))
                assert len(found) == (2 if isinstance(outcome, Appended) else 0)

    async def test_a_closed_store_says_so(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            await store.append([opened("a")])

        for use in (store.append([opened("a")]), store.head(), store.wait(0), events_of(store.read())):
            with pytest.raises(StoreClosed):
                await use

    async def test_a_read_under_way_ends_by_name_when_the_store_is_closed(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            await store.append([opened("a")] * 5_000)
            reading = store.read()
            await anext(reading)

        with contextlib.suppress(StoreClosed):
            assert (await events_of(reading))[-1].position == 5_000

    async def test_closing_twice_is_fine(self, open_store: OpenStore) -> None:
        async with open_store() as store:
            await store.close()
            await store.close()

        with pytest.raises(StoreClosed):
            await store.lookup("k")

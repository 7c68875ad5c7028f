"""Promises under concurrency: group commit, cancellation, and the races that stores of this kind have lost."""

import asyncio
import threading
from itertools import count

from leftfold.errors import Conflict, EventTooLarge, KeyReused, LeftfoldError
from leftfold.model.criteria import ALL, Criteria, criteria
from leftfold.model.record import NewEvent
from leftfold.store.contract import AppendCondition, Appended, EventStore
from leftfold.testing.conformance.following import PATIENCE
from leftfold.testing.conformance.records import (
    OpenStore,
    Promise,
    about,
    at_once,
    events_of,
    none_since,
    opened,
    outcomes_of,
    positions_of,
)

ROUNDS = 200
RACERS = 16


class GroupCommit(Promise):
    """Concurrent appends share a commit; each has its own outcome."""

    async def test_a_conflict_leaves_its_neighbours_committed(self, store: EventStore) -> None:
        await store.append([opened("a")])

        appended, refused = await outcomes_of(
            store.append([opened(str(n))], condition=none_since(0, str(n) if n % 3 else "a")) for n in range(30)
        )

        assert (len(appended), {type(error) for error in refused}) == (20, {Conflict})
        assert sorted(one.first for one in appended) == list(range(2, 22))
        assert {e.tags[0] for e in await events_of(store.read(after=1))} == {f"account:{n}" for n in range(30) if n % 3}

    async def test_every_kind_of_refusal_leaves_its_neighbours_committed(self, store: EventStore) -> None:
        await store.append([opened("a")], key="used")

        appended, refused = await outcomes_of(
            [
                store.append([opened("b"), opened("b")]),
                store.append([NewEvent("large", b"x" * 1_048_577)]),
                store.append([opened("c")], key="used"),
                store.append([opened("d")], condition=none_since(0, "a")),
                store.append([opened("e"), opened("e")]),
            ]
        )

        assert {type(error) for error in refused} == {EventTooLarge, KeyReused, Conflict}
        assert (len(appended), await store.head()) == (2, 5)

    async def test_a_request_that_cannot_be_stored_fails_alone(self, store: EventStore) -> None:
        appended, _ = await outcomes_of(
            [
                store.append([opened("a")]),
                store.append([opened("b")], key="\ud800"),
                store.append([opened("c")], condition=AppendCondition(criteria(tags=["account:\ud800"]), -1)),
                store.append([opened("d")], condition=AppendCondition(about("b"), -(2**70))),
                store.append([opened("e")]),
            ]
        )

        kept = {event.tags for event in await events_of(store.read())}
        assert {("account:a",), ("account:e",)} <= kept
        assert len(kept) == len(appended)

    async def test_a_later_request_sees_those_before_it(self, store: EventStore) -> None:
        appended, refused = await outcomes_of(
            store.append([opened("a")], condition=none_since(0, "a")) for _ in range(50)
        )

        assert appended == [Appended(1, 1)]
        assert {error.positions for error in refused if isinstance(error, Conflict)} == {(1,)}
        assert len(refused) == 49

    async def test_appends_of_one_caller_keep_their_order(self, store: EventStore) -> None:
        async def caller(name: str) -> list[int]:
            return [(await store.append([opened(name)])).first for _ in range(10)]

        placed = await asyncio.gather(*(caller(str(n)) for n in range(20)))

        assert all(positions == sorted(positions) for positions in placed)

    async def test_two_thousand_callers_each_get_their_own_outcome(self, store: EventStore) -> None:
        async with asyncio.timeout(3 * PATIENCE):
            appended, refused = await outcomes_of(store.append([opened(str(n))]) for n in range(2_000))

        stored = {event.position: event.tags for event in await events_of(store.read())}
        assert refused == []
        assert [stored[one.first] for one in appended] == [(f"account:{n}",) for n in range(2_000)]


class Cancellation(Promise):
    """A cancelled caller never leaves half an append, and harms no other."""

    async def test_a_cancelled_append_is_there_in_full_or_not_at_all(self, store: EventStore) -> None:
        for turns in range(40):
            await cancel_after(turns, store, f"{turns}")

        for turns in range(40):
            assert len(await events_of(store.read(about(f"{turns}")))) in (0, 3)
        assert await positions_of(store.read()) == list(range(1, await store.head() + 1))

    async def test_a_retry_by_key_settles_a_cancelled_append(self, store: EventStore) -> None:
        for turns in range(40):
            await cancel_after(turns, store, f"{turns}")

            retried = await store.append([opened(f"{turns}")] * 3, key=f"{turns}")

            found = await positions_of(store.read(about(f"{turns}")))
            assert found == list(range(retried.first, retried.last + 1))
            assert len(found) == 3

    async def test_a_retry_at_the_moment_of_cancellation_is_stored_once(self, store: EventStore) -> None:
        for turns in range(40):
            await outcomes_of(
                [store.append([opened(f"{turns}")] * 3, key=f"{turns}"), retry_cancelled(turns, store, f"{turns}")]
            )

            assert len(await events_of(store.read(about(f"{turns}")))) == 3

    async def test_cancelled_callers_leave_their_neighbours_committed(self, store: EventStore) -> None:
        for turns in range(60):
            tasks = [asyncio.create_task(store.append([opened(f"{turns}-{n}")] * 2)) for n in range(30)]
            await let_run(turns)
            for task in tasks[::3]:
                task.cancel()

            async with asyncio.timeout(PATIENCE):
                outcomes = await asyncio.gather(*tasks, return_exceptions=True)

            kept = [n for n, outcome in enumerate(outcomes) if isinstance(outcome, Appended)]
            assert set(kept) >= {n for n in range(30) if n % 3}
            assert all([len(await events_of(store.read(about(f"{turns}-{n}")))) == 2 for n in kept[::5]])

    async def test_callers_that_wait_for_a_place_in_the_queue_can_be_cancelled(self, store: EventStore) -> None:
        tasks = [asyncio.create_task(store.append([opened("a")])) for _ in range(5_000)]
        await asyncio.sleep(0)
        for task in tasks[10:]:
            task.cancel()

        async with asyncio.timeout(3 * PATIENCE):
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            appended = await store.append([opened("b")])

        assert all(isinstance(outcome, Appended) for outcome in outcomes[:10])
        assert await positions_of(store.read(about("b"))) == [appended.first]
        assert await positions_of(store.read()) == list(range(1, appended.first + 1))

    async def test_a_cancelled_read_leaves_the_store_usable(self, store: EventStore) -> None:
        await store.append([opened("a")] * 2_500)

        for turns in range(40):
            reading = asyncio.create_task(events_of(store.read()))
            await let_run(turns)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

        assert (await store.append([opened("b")])).first == 2_501
        assert len(await events_of(store.read())) == 2_501


class Races(Promise):
    """What others got wrong: several winners, skipped events, conditions against a position taken too late."""

    async def test_of_sixteen_racers_with_one_condition_exactly_one_commits(self, store: EventStore) -> None:
        for round in range(ROUNDS):
            appended, refused = await outcomes_of(
                store.append([opened(f"{round}")], condition=none_since(0, f"{round}")) for _ in range(RACERS)
            )

            assert len(appended) == 1
            assert {type(error) for error in refused} == {Conflict}

        assert await store.head() == ROUNDS

    async def test_of_racers_on_several_openings_exactly_one_commits(self, open_store: OpenStore) -> None:
        line = threading.Barrier(4, timeout=3 * PATIENCE)

        async def race(store: EventStore) -> list[int]:
            won: list[int] = []
            for round in range(ROUNDS):
                line.wait()
                appended, _ = await outcomes_of(
                    store.append([opened(f"{round}")], condition=none_since(0, f"{round}")) for _ in range(RACERS // 4)
                )
                won += [round] * len(appended)
            return won

        won = await at_once(4, open_store, race)

        assert sorted(round for rounds in won for round in rounds) == list(range(ROUNDS))

    async def test_a_late_commit_is_never_skipped_by_a_tailing_reader(self, store: EventStore) -> None:
        writing = asyncio.gather(*(store.append([opened(str(n))] * (1 + n % 5)) for n in range(300)))

        await tail(store, 900)

        await writing

    async def test_a_late_commit_of_another_opening_is_never_skipped(self, open_store: OpenStore) -> None:
        async def write_and_tail(store: EventStore) -> None:
            writing = asyncio.gather(*(store.append([opened(str(n))] * (1 + n % 5)) for n in range(100)))
            await tail(store, 900)
            await writing

        await at_once(3, open_store, write_and_tail)

    async def test_what_is_below_the_head_never_changes(self, open_store: OpenStore) -> None:
        async def write_and_look(store: EventStore) -> None:
            writing = asyncio.gather(*(store.append([opened(str(n))]) for n in range(50)))
            while not writing.done():
                head = await store.head()
                assert await positions_of(store.read(upto=head)) == list(range(1, head + 1))
                await asyncio.sleep(0)
            await writing

        async with open_store() as store:
            await write_and_look(store)
        await at_once(3, open_store, write_and_look)

    async def test_a_condition_on_what_a_read_was_complete_through_is_sound(self, store: EventStore) -> None:
        counted, noise = criteria("counted", tags=["counter:a"]), [opened("noise")]

        await asyncio.gather(
            *(count_up(store, counted, 5) for _ in range(RACERS)), *(store.append(noise) for _ in range(100))
        )

        assert [int(event.data) for event in await events_of(store.read(counted))] == list(range(1, 81))

    async def test_a_condition_is_sound_across_openings(self, open_store: OpenStore) -> None:
        counted = criteria("counted", tags=["counter:a"])

        async def count_and_disturb(store: EventStore) -> None:
            await asyncio.gather(count_up(store, counted, 20), *(store.append([opened("noise")]) for _ in range(20)))

        await at_once(4, open_store, count_and_disturb)

        async with open_store() as store:
            assert [int(event.data) for event in await events_of(store.read(counted))] == list(range(1, 81))

    async def test_a_condition_on_all_events_serialises_everything(self, store: EventStore) -> None:
        await asyncio.gather(*(count_up(store, ALL, 5) for _ in range(8)))

        assert [int(event.data) for event in await events_of(store.read())] == list(range(1, 41))


async def let_run(turns: int) -> None:
    """Give other tasks a number of turns; every few of them also real time."""
    for turn in range(turns):
        await asyncio.sleep(0.0002 if turn % 4 == 3 else 0)


async def cancel_after(turns: int, store: EventStore, account: str) -> None:
    """Append three events with a key, and cancel the caller after some turns."""
    task = asyncio.create_task(store.append([opened(account)] * 3, key=account))
    await let_run(turns)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def retry_cancelled(turns: int, store: EventStore, account: str) -> Appended:
    """Append, cancel after some turns, and append again with the same key."""
    await cancel_after(turns, store, account)
    return await store.append([opened(account)] * 3, key=account)


async def tail(store: EventStore, end: int) -> None:
    """Read the log's new events again and again, up to `end`: each position comes once, in order."""
    after = 0
    async with asyncio.timeout(3 * PATIENCE):
        while after < end:
            async for batch in store.read(after=after):
                positions = [event.position for event in batch.events]
                assert positions == list(range(after + 1, batch.through + 1))
                after = batch.through
            await asyncio.sleep(0)


async def count_up(store: EventStore, counted: Criteria, times: int) -> None:
    """Append the next number, decided from what was read, as often as asked; on a conflict decide again."""
    remaining = times
    for _ in count():
        if not remaining:
            return
        batches = [batch async for batch in store.read(counted)]
        number = sum(len(batch.events) for batch in batches) + 1
        event = NewEvent("counted", str(number).encode(), ("counter:a",))
        try:
            await store.append([event], condition=AppendCondition(counted, batches[-1].through))
        except LeftfoldError:
            continue
        remaining -= 1

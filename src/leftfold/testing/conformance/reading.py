"""Promises of `read`: which events match, which part of the log, in which order, and how far it looked."""

import asyncio
from itertools import product
from typing import Any

import pytest_asyncio

from leftfold.model.criteria import ALL, EVERYTHING, NOTHING, Criteria, CriteriaItem, criteria
from leftfold.model.record import NewEvent
from leftfold.store.contract import Appended, EventStore
from leftfold.testing.conformance.records import (
    Promise,
    about,
    case,
    events_of,
    opened,
    outcomes_of,
    positions_of,
    through_of,
)

LEDGER = [
    NewEvent("opened", b"1", ("account:a",)),
    NewEvent("opened", b"2", ("account:b",)),
    NewEvent("moved", b"3", ("account:a", "account:b")),
    NewEvent("moved", b"4", ("account:c", "account:a")),
    NewEvent("closed", b"5", ("account:b",)),
    NewEvent("noted", b"6"),
]

MEANT: list[tuple[Criteria, list[int]]] = [
    (ALL, [1, 2, 3, 4, 5, 6]),
    (EVERYTHING, [1, 2, 3, 4, 5, 6]),
    (NOTHING, []),
    (criteria("opened"), [1, 2]),
    (criteria("opened", "closed"), [1, 2, 5]),
    (criteria("noted"), [6]),
    (about("a"), [1, 3, 4]),
    (criteria(tags=["account:a", "account:b"]), [3]),
    (criteria("moved", tags=["account:a"]), [3, 4]),
    (criteria("moved", "opened", tags=["account:b"]), [2, 3]),
    (criteria("noted", tags=["account:a"]), []),
    (about("b") | criteria("moved"), [2, 3, 4, 5]),
    (criteria("noted") | about("c"), [4, 6]),
    (criteria("opened", tags=["account:a"]) | criteria("closed", tags=["account:b"]), [1, 5]),
    (about("a") | about("b") | criteria("opened") | criteria("moved", tags=["account:a"]), [1, 2, 3, 4, 5]),
    (ALL | NOTHING | about("a"), [1, 2, 3, 4, 5, 6]),
    (criteria("open"), []),
    (criteria("Opened"), []),
    (criteria("opened "), []),
    (criteria("%"), []),
    (criteria(tags=["account:"]), []),
    (criteria(tags=["account"]), []),
    (criteria(tags=["account:%"]), []),
    (criteria(tags=["account:_"]), []),
    (criteria(tags=["ACCOUNT:A"]), []),
    (criteria(tags=["opened"]), []),
]


MEANT_BESIDE_OWN_EVENTS: list[tuple[Criteria, list[int]]] = [
    (ALL, [2, 4, 6]),
    (EVERYTHING, [1, 2, 3, 4, 5, 6]),
    (ALL | criteria("leftfold.b"), [2, 3, 4, 6]),
    (ALL | about("s"), [1, 2, 4, 6]),
    (criteria("leftfold.a", "opened"), [1, 2, 5]),
]

# after, upto, limit, reverse: before the first event, at it, within, at the last, behind it
BOUNDS = ((0, 1, 3, 6, 7), (None, 0, 1, 4, 6, 7), (None, 0, 1, 2, 9), (False, True))


class Reading(Promise):
    """A read delivers the matching events of a range, each once, in order, and says how far it looked."""

    @pytest_asyncio.fixture
    async def ledger(self, store: EventStore) -> EventStore:
        """Return a log that holds `LEDGER`."""
        await store.append(LEDGER)
        return store

    async def test_all_leaves_out_the_events_of_leftfold_itself(self, store: EventStore) -> None:
        own = [NewEvent("leftfold.a", b"", ("account:s",)), NewEvent("leftfold.b", b""), NewEvent("leftfold.a", b"")]
        users = [opened("a"), NewEvent("leftfoldless", b""), NewEvent("Leftfold.a", b"")]
        await store.append([event for pair in zip(own, users, strict=True) for event in pair])

        for meant, positions in MEANT_BESIDE_OWN_EVENTS:
            with case(meant):
                between = [each for each in positions if 2 < each <= 5]
                assert await positions_of(store.read(meant)) == positions
                assert await positions_of(store.read(meant, reverse=True)) == positions[::-1]
                assert await positions_of(store.read(meant, after=2, upto=5)) == between
                assert await positions_of(store.read(meant, limit=2)) == positions[:2]
                assert await through_of(store.read(meant)) == 6

    async def test_read_delivers_what_the_criteria_mean(self, ledger: EventStore) -> None:
        for meant, positions in MEANT:
            with case(meant):
                assert await positions_of(ledger.read(meant)) == positions
                assert await positions_of(ledger.read(meant, reverse=True)) == positions[::-1]

    async def test_data_only_delivers_the_same_events_and_their_data(self, ledger: EventStore) -> None:
        for meant, positions in MEANT:
            with case(meant):
                whole = await events_of(ledger.read(meant))

                lean = await events_of(ledger.read(meant, data_only=True))

                assert [event.position for event in lean] == positions
                assert [(e.type, e.version, e.data) for e in lean] == [(e.type, e.version, e.data) for e in whole]

    async def test_data_only_delivers_the_same_of_a_long_log(self, store: EventStore) -> None:
        odd = [
            b"",
            b"\n",
            b"{}\n{}",
            b"\0",
            b"\xff\xfe",
            "\u00fc\U0001f600".encode(),
            b"7",
            b'{"n":1}{"n":2}',
            b"x" * 9_000,
        ]
        plain = [NewEvent(f"type-{n % 3}", b'{"n":%d}' % n, (f"mod:{n % 7}",), 1 + n % 2) for n in range(1_000)]
        mixed = [NewEvent("odd", odd[n % len(odd)], ("mod:1",)) for n in range(300)]
        for events in (plain[:600], mixed, plain[600:]):
            await store.append(events)
        wanted = [ALL, criteria("type-1"), criteria(tags=["mod:1"]), criteria("type-0", "odd", tags=["mod:1"])]
        for meant, upto, limit, reverse in product(wanted, (None, 600), (None, 150), (False, True)):
            with case((meant, upto, limit, reverse)):
                asked: dict[str, Any] = {"upto": upto, "limit": limit, "reverse": reverse}
                whole = await events_of(store.read(meant, **asked))

                lean = await events_of(store.read(meant, **asked, data_only=True))

                assert [(e.position, e.type, e.version, e.data) for e in lean] == [
                    (e.position, e.type, e.version, e.data) for e in whole
                ]

    async def test_read_delivers_the_range_that_is_asked_for(self, ledger: EventStore) -> None:
        every = [ALL, about("a"), criteria("opened", "closed"), about("b") | criteria("noted")]
        for meant, after, upto, limit, reverse in product(every, *BOUNDS):
            found = await positions_of(ledger.read(meant, after=after, upto=upto, limit=limit, reverse=reverse))

            end = 6 if upto is None else upto
            wanted = [p for p, e in enumerate(LEDGER, 1) if after < p <= end and meant.matches(e.type, e.tags)]
            assert found == (wanted[::-1] if reverse else wanted)[:limit], (meant, after, upto, limit, reverse)

    async def test_an_event_that_two_items_match_is_delivered_once(self, store: EventStore) -> None:
        await store.append([NewEvent("opened", b"", ("account:a", "account:b")) for _ in range(50)])

        found = await positions_of(store.read(about("a") | about("b") | criteria("opened", tags=["account:a"])))

        assert found == list(range(1, 51))

    async def test_criteria_may_have_a_thousand_items(self, store: EventStore) -> None:
        await store.append([NewEvent(f"type-{n}", b"", (f"n:{n}",)) for n in range(1_100)])

        items = (
            CriteriaItem([f"type-{n}"], [f"n:{n}"]) if n % 2 else CriteriaItem(tags=[f"n:{n}"]) for n in range(1_000)
        )

        assert await positions_of(store.read(Criteria(*items))) == list(range(1, 1_001))

    async def test_an_item_may_have_a_thousand_types_and_a_hundred_tags(self, store: EventStore) -> None:
        tags = [f"n:{n}" for n in range(100)]
        await store.append([NewEvent("type-999", b"", tuple(tags)), NewEvent("type-1", b"", tuple(tags[1:]))])

        found = await positions_of(store.read(criteria(*(f"type-{n}" for n in range(1_000)), tags=tags)))

        assert found == [1]

    async def test_an_empty_log_yields_one_empty_batch(self, store: EventStore) -> None:
        batches = [batch async for batch in store.read()]

        assert [(list(batch.events), batch.through) for batch in batches] == [([], 0)]

    async def test_a_read_to_the_end_is_complete_through_the_head(self, ledger: EventStore) -> None:
        for meant in (ALL, NOTHING, about("a"), criteria("unheard of")):
            with case(meant):
                assert await through_of(ledger.read(meant)) == 6
                assert await through_of(ledger.read(meant, after=5)) == 6
                assert await through_of(ledger.read(meant, after=6)) == 6

    async def test_a_read_is_never_complete_beyond_the_head(self, ledger: EventStore) -> None:
        assert await through_of(ledger.read(upto=100)) == 6
        assert await through_of(ledger.read(about("a"), upto=100, limit=3)) <= 6

    async def test_a_read_with_an_upper_end_is_complete_through_it(self, ledger: EventStore) -> None:
        for meant in (ALL, NOTHING, about("a")):
            assert await through_of(ledger.read(meant, upto=4)) == 4

    async def test_reading_on_from_through_misses_and_repeats_nothing(self, store: EventStore) -> None:
        await store.append(LEDGER * 3)

        for meant, limit in product((ALL, about("a"), criteria("opened") | about("b")), (1, 2, 3, 7)):
            pages: list[int] = []
            after = 0
            while after < 18:
                batches = [batch async for batch in store.read(meant, after=after, limit=limit)]
                pages += [event.position for batch in batches for event in batch.events]
                after = batches[-1].through

            assert pages == await positions_of(store.read(meant)), (meant, limit)

    async def test_a_limit_of_zero_is_complete_through_nothing_new(self, ledger: EventStore) -> None:
        assert await through_of(ledger.read(after=2, limit=0)) == 2

    async def test_each_batch_of_a_long_read_can_be_read_on_from(self, store: EventStore) -> None:
        for _ in range(3):
            await store.append([opened(str(n % 2)) for n in range(1_111)])

        before = 0
        async for batch in store.read(about("1")):
            positions = [event.position for event in batch.events]
            assert positions == [p for p in range(before + 1, batch.through + 1) if (p - 1) % 1_111 % 2]
            before = batch.through

        assert before == 3_333

    async def test_a_long_read_backwards_is_in_order(self, store: EventStore) -> None:
        await store.append([opened("a")] * 3_333)

        assert await positions_of(store.read(reverse=True)) == list(range(3_333, 0, -1))

    async def test_events_appended_during_a_read_are_not_part_of_it(self, store: EventStore) -> None:
        await store.append([opened("a")] * 3_000)

        found: list[int] = []
        async for batch in store.read():
            found += [event.position for event in batch.events]
            await store.append([opened("a")])

        assert found == list(range(1, 3_001))

    async def test_reads_that_are_left_early_do_no_harm(self, store: EventStore) -> None:
        await store.append([opened("a")] * 3_000)

        for _ in range(50):
            async for _batch in store.read(about("a")):
                break

        assert await store.append([opened("a")]) == Appended(3_001, 3_001)
        assert len(await events_of(store.read())) == 3_001

    async def test_many_reads_at_once_do_not_mix(self, store: EventStore) -> None:
        await outcomes_of(store.append([opened(str(n % 7))]) for n in range(70))

        async def reads(account: str) -> set[tuple[str, ...]]:
            return {event.tags for event in await events_of(store.read(about(account)))}

        found = await asyncio.gather(*(reads(str(n)) for n in range(7)))

        assert found == [{(f"account:{n}",)} for n in range(7)]

    async def test_what_is_acknowledged_is_read_at_once(self, store: EventStore) -> None:
        for n in range(50):
            appended = await store.append([opened(str(n))])

            assert await positions_of(store.read(about(str(n)))) == [appended.first]
            assert await store.head() == appended.last

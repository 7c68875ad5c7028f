"""Promises of `append` on its own: atomic, at gapless positions, at a time that never goes back."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from leftfold.errors import (
    EmptyAppend,
    EventTooLarge,
    InvalidTag,
    InvalidType,
    LeftfoldError,
    NaiveDatetime,
    TimeRefused,
)
from leftfold.model.criteria import criteria
from leftfold.model.record import NewEvent
from leftfold.store.contract import Appended, EventStore
from leftfold.testing.clock import START, FakeClock
from leftfold.testing.conformance.records import (
    OpenStore,
    Promise,
    about,
    case,
    events_of,
    none_since,
    opened,
    outcomes_of,
    positions_of,
)

MEBIBYTE = 1_048_576

ODD_BYTES = [b"", b"\0", b"\xff\xfe\x00", bytes(range(256)), "größe €".encode(), b'{"a": 1}\n', b" \r\n\t"]
ODD_TEXTS = [
    "größe:Straße",
    "e\u0301:é",
    "日本:東京",
    "emoji:👩‍🚀",
    " a : b ",
    "a:b:c",
    "q:'\";--",
    "w:%_*?",
    "n:007",
    "n:7.0",
    "x" * 256,
]
BAD_TAGS = ["", "a:\0", "a:\n", "a:\x1f", "a:\x7f", "a:\x85", "a:\ud800", "x" * 513]
BAD_TYPES = ["", "a\0b", "a\tb", "\udfff", "x" * 257]


class Atomic(Promise):
    """All events of an append or none, byte for byte; what cannot be kept is refused by name."""

    async def test_append_returns_the_first_and_last_position(self, store: EventStore) -> None:
        appended = await store.append([opened("a"), opened("b"), opened("c")])

        assert appended == Appended(1, 3)

    async def test_what_is_appended_is_read_back_in_order(self, store: EventStore) -> None:
        first = NewEvent("opened", b'{"owner":"Ada"}', ("account:a", "bank:x"), 2, b'{"actor":"clerk"}')
        second = NewEvent("closed", b"{}")

        await store.append([first, second])

        stored = await events_of(store.read())
        assert [NewEvent(e.type, e.data, e.tags, e.version, e.metadata) for e in stored] == [first, second]

    async def test_data_and_metadata_come_back_byte_for_byte(self, store: EventStore) -> None:
        for content in ODD_BYTES:
            await store.append([NewEvent("noted", data=content, metadata=content)])

        stored = await events_of(store.read())
        assert [(event.data, event.metadata) for event in stored] == [(content, content) for content in ODD_BYTES]

    async def test_types_and_tags_of_any_script_come_back_as_they_were(self, store: EventStore) -> None:
        for text in ODD_TEXTS:
            await store.append([NewEvent(text, b"", (text,)), NewEvent("another", b"", ("another:1",))])

        for text in ODD_TEXTS:
            (stored,) = await events_of(store.read(criteria(text, tags=[text])))
            assert (stored.type, stored.tags) == (text, (text,))

    async def test_tags_come_back_in_the_order_in_which_they_went_in(self, store: EventStore) -> None:
        tags = tuple(f"item:{n * 37 % 100}" for n in range(100))

        await store.append([NewEvent("packed", b"", tags)])

        (stored,) = await events_of(store.read())
        assert stored.tags == tags

    async def test_a_tag_given_twice_counts_once(self, store: EventStore) -> None:
        await store.append([NewEvent("moved", b"", ("account:a", "account:b", "account:a"))])

        (stored,) = await events_of(store.read(about("a")))
        assert stored.tags == ("account:a", "account:b")

    async def test_ten_thousand_events_fit_in_one_append(self, store: EventStore) -> None:
        events = [NewEvent("counted", str(n).encode(), (f"n:{n}",)) for n in range(10_000)]

        appended = await store.append(events)

        assert appended == Appended(1, 10_000)
        assert [int(event.data) for event in await events_of(store.read())] == list(range(10_000))

    async def test_an_append_without_events_is_refused(self, store: EventStore) -> None:
        await store.append([opened("a")])

        with pytest.raises(EmptyAppend):
            await store.append([], key="k")

        assert (await store.head(), await store.lookup("k")) == (1, None)

    async def test_an_event_of_one_mebibyte_is_kept(self, store: EventStore) -> None:
        metadata = b"m" * 1_000

        await store.append([NewEvent("large", b"d" * (MEBIBYTE - 1_000), metadata=metadata)])

        (stored,) = await events_of(store.read())
        assert (len(stored.data), stored.metadata) == (MEBIBYTE - 1_000, metadata)

    async def test_an_event_one_byte_larger_is_refused(self, store: EventStore) -> None:
        for metadata in (b"", b"m" * 1_000):
            large = NewEvent("large", b"d" * (MEBIBYTE + 1 - len(metadata)), metadata=metadata)

            await refused(store, [opened("a"), large], EventTooLarge)

    async def test_a_tag_that_cannot_be_kept_is_refused(self, store: EventStore) -> None:
        for tag in BAD_TAGS:
            with case(tag):
                error = await refused(store, [opened("a"), NewEvent("noted", b"", ("account:a", tag))], InvalidTag)

                assert isinstance(error, InvalidTag)
                assert (error.index, error.tag) == (1, tag)

    async def test_a_type_that_cannot_be_kept_is_refused(self, store: EventStore) -> None:
        for type in BAD_TYPES:
            with case(type):
                await refused(store, [opened("a"), NewEvent(type, b"")], InvalidType)

    async def test_a_version_below_one_is_refused(self, store: EventStore) -> None:
        await refused(store, [opened("a"), NewEvent("noted", b"", version=0)], InvalidType)


class Positions(Promise):
    """Positions start at 1 and have no gaps; commit order is position order."""

    async def test_an_empty_log_has_the_head_zero(self, store: EventStore) -> None:
        assert await store.head() == 0

    async def test_each_append_takes_the_next_positions(self, store: EventStore) -> None:
        first = await store.append([opened("a"), opened("b")])
        second = await store.append([opened("c")])

        assert [first, second] == [Appended(1, 2), Appended(3, 3)]
        assert await store.head() == 3

    async def test_refused_appends_leave_no_gap(self, store: EventStore) -> None:
        await store.append([opened("a")])

        await outcomes_of([store.append([opened("a")], condition=none_since(0, "a")), store.append([])])
        appended = await store.append([opened("b")])

        assert appended == Appended(2, 2)
        assert await positions_of(store.read()) == [1, 2]

    async def test_appends_at_once_take_blocks_that_do_not_overlap(self, store: EventStore) -> None:
        sizes = [1 + n % 4 for n in range(100)]

        appended, _ = await outcomes_of(store.append([opened(str(n))] * size) for n, size in enumerate(sizes))

        taken = [position for block in appended for position in range(block.first, block.last + 1)]
        assert [block.last - block.first + 1 for block in appended] == sizes
        assert sorted(taken) == await positions_of(store.read()) == list(range(1, sum(sizes) + 1))

    async def test_the_events_of_an_append_lie_where_it_says(self, store: EventStore) -> None:
        appended, _ = await outcomes_of(store.append([opened(f"{n}")] * 3) for n in range(50))

        for n, block in enumerate(appended):
            assert await positions_of(store.read(about(f"{n}"))) == list(range(block.first, block.last + 1))


class Time(Promise):
    """Time is set at commit, in UTC microseconds, and never goes back; an import may give it."""

    async def test_the_store_sets_the_time_at_commit(self, open_store: OpenStore) -> None:
        moment = datetime(2026, 3, 1, 12, 30, 15, 123_457, tzinfo=UTC)

        async with open_store(clock=FakeClock(moment)) as store:
            await store.append([opened("a"), opened("b")])

            assert [event.time for event in await events_of(store.read())] == [moment, moment]

    async def test_time_stands_still_while_the_clock_is_behind(self, open_store: OpenStore) -> None:
        clock = FakeClock()

        async with open_store(clock=clock) as store:
            for step in (0, -3_600, 60, 3_600):
                clock.advance(seconds=step)
                await store.append([opened("a")])

            times = [event.time for event in await events_of(store.read())]
        assert times == [START, START, START, START + timedelta(seconds=60)]

    async def test_time_never_decreases_with_position_when_appends_race(self, open_store: OpenStore) -> None:
        clock = FakeClock()

        async with open_store(clock=clock) as store:
            for round in range(10):
                clock.advance(seconds=-1 if round % 3 else 5)
                await outcomes_of(store.append([opened("a")]) for _ in range(10))

            times = [event.microseconds for event in await events_of(store.read())]
        assert all(earlier <= later for earlier, later in pairwise(times))

    async def test_an_import_keeps_the_times_it_gives(self, open_store: OpenStore) -> None:
        times = [datetime(2013, 2, 8, hour, tzinfo=UTC) for hour in (9, 9, 17)]

        async with open_store(clock=FakeClock()) as store:
            await store.append([at(time) for time in times])
            await store.append([opened("a")])

            assert [event.time for event in await events_of(store.read())] == [*times, START]

    async def test_an_imported_time_of_another_zone_is_the_same_instant(self, open_store: OpenStore) -> None:
        instant = datetime.fromisoformat("2013-02-08T09:00:00-05:00")

        async with open_store(clock=FakeClock()) as store:
            await store.append([at(instant)])

            (stored,) = await events_of(store.read())
        assert (stored.time, stored.time.utcoffset()) == (instant, timedelta())

    async def test_an_imported_time_before_its_predecessor_is_refused(self, open_store: OpenStore) -> None:
        async with open_store(clock=FakeClock()) as store:
            await refused(store, [at(START), at(START - timedelta(microseconds=1))], TimeRefused)

    @pytest.mark.parametrize("back", [timedelta(days=30), timedelta(microseconds=1)])
    async def test_an_imported_time_before_a_predecessor_without_one_is_refused(
        self, open_store: OpenStore, back: timedelta
    ) -> None:
        events = [at(START - timedelta(days=60)), opened("a"), at(START - back), opened("b")]

        async with open_store(clock=FakeClock()) as store:
            error = await refused(store, events, TimeRefused)
            await store.append([*events[:2], at(START)])

            times = [event.time for event in await events_of(store.read())]
        assert isinstance(error, TimeRefused)
        assert (error.index, error.earliest, error.now) == (2, START, START)
        assert times == [START - timedelta(days=60), START, START]

    async def test_an_imported_time_before_the_newest_event_is_refused(self, open_store: OpenStore) -> None:
        async with open_store(clock=FakeClock()) as store:
            await store.append([opened("a")])

            error = await refused(store, [at(START - timedelta(seconds=1))], TimeRefused)

        assert isinstance(error, TimeRefused)
        assert (error.earliest, error.now) == (START, START)

    async def test_an_imported_time_in_the_future_is_refused(self, open_store: OpenStore) -> None:
        async with open_store(clock=FakeClock()) as store:
            await refused(store, [at(START + timedelta(microseconds=1))], TimeRefused)

    async def test_a_time_without_a_zone_is_refused(self, store: EventStore) -> None:
        await refused(store, [opened("a"), at(datetime(2013, 2, 8))], NaiveDatetime)  # noqa: DTZ001


def at(time: datetime) -> NewEvent:
    """Return an imported event."""
    return NewEvent("noted", b"", time=time)


async def refused(store: EventStore, events: Sequence[NewEvent], error: type[LeftfoldError]) -> LeftfoldError:
    """Append with a key and expect the error; check that it has its three parts and that nothing was written."""
    head = await store.head()
    with pytest.raises(error) as caught:
        await store.append(events, key="refused")
    assert all((caught.value.found, caught.value.expected, caught.value.remedy))
    assert (await store.head(), await store.lookup("refused")) == (head, None)
    assert len(await events_of(store.read())) == head
    return caught.value

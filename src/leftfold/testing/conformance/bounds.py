"""Bounds: what no log takes is refused by name before it meets other appends, the same on every backend."""

import random
from collections.abc import Mapping
from typing import Any

import pytest

from leftfold.errors import (
    AppendTooLarge,
    Conflict,
    CriteriaTooLarge,
    EventTooLarge,
    InvalidEvent,
    InvalidIdempotencyKey,
    InvalidPosition,
    InvalidTag,
    InvalidType,
    LeftfoldError,
)
from leftfold.model.criteria import Criteria, CriteriaItem, criteria
from leftfold.model.record import NewEvent
from leftfold.store.bounds import (
    APPEND_BYTES_LIMIT,
    APPEND_EVENTS_LIMIT,
    APPEND_TAGS_LIMIT,
    CRITERIA_ITEMS_LIMIT,
    EVENT_TAGS_LIMIT,
    ITEM_TAGS_LIMIT,
    KEY_LIMIT,
    TAG_LIMIT,
    TYPE_LIMIT,
    VERSION_LIMIT,
)
from leftfold.store.contract import AppendCondition, Appended, EventStore, IdempotencyKey
from leftfold.testing.conformance.records import Promise, case, events_of, opened, outcomes_of, positions_of

WIDEST = "\U0001f600"  # four bytes in UTF-8
RANDOM = random.Random(0)
MEBIBYTE = bytes(1_048_576)


def noise(bytes: int) -> str:
    """Text that cannot be compressed."""
    return "".join(chr(RANDOM.randrange(33, 127)) for _ in range(bytes))


def an_event(**parts: Any) -> NewEvent:
    """Return an event with one invalid part."""
    made: dict[str, Any] = {"type": "noted", "data": b"{}", "tags": ("account:a",), **parts}
    return NewEvent(**made)


BAD_KEYS: Mapping[str, Any] = {
    "one byte too long": noise(KEY_LIMIT + 1),
    "four kilobytes": noise(4_096),
    "too long in bytes": WIDEST * (KEY_LIMIT // 4) + "x",
    "empty": "",
    "a lone surrogate": "a\ud800",
    "a number": 5,
    "bytes": b"request",
    "a digest's": IdempotencyKey(noise(KEY_LIMIT + 1), b"digest"),
    "one of several": [IdempotencyKey("part", b"", 0, 1), IdempotencyKey(noise(KEY_LIMIT + 1), b"", 0, 1)],
    "twice": [IdempotencyKey("part", b"", 0, 1), IdempotencyKey("part", b"", 0, 1)],
    "of more events than there are": [IdempotencyKey("part", b"", 0, 2)],
    "leftfold's own": "leftfold.submit/nightly",
    "leftfold's own, with a digest": IdempotencyKey("leftfold.process/Fulfilment", b""),
    "leftfold's own among others": [
        IdempotencyKey("part", b"", 0, 1),
        IdempotencyKey("leftfold.reactor/mail", b"", 0, 1),
    ],
}
GOOD_KEYS = {
    "noise": noise(KEY_LIMIT),
    "wide": WIDEST * (KEY_LIMIT // 4),
    "begins with a mark": "\x01" + noise(KEY_LIMIT - 1),
    "NULs": "\0" * KEY_LIMIT,
    "lines": "line\nbreak",
}
BAD_APPENDS: Mapping[str, tuple[Any, type[LeftfoldError]]] = {
    "data that is text": ([an_event(data="{}")], InvalidEvent),
    "data that can change": ([an_event(data=bytearray(b"{}"))], InvalidEvent),
    "no data": ([an_event(data=None)], InvalidEvent),
    "metadata that is text": ([an_event(metadata="{}")], InvalidEvent),
    "tags that are one text": ([an_event(tags="account:a")], InvalidEvent),
    "a tag that is a number": ([an_event(tags=(1,))], InvalidTag),
    "a tag of two lines": ([an_event(tags=("account:a\naccount:b",))], InvalidTag),
    "a tag that is too long": ([an_event(tags=("x" * (TAG_LIMIT + 1),))], InvalidTag),
    "a type that is a number": ([an_event(type=3)], InvalidType),
    "a type that is too long": ([an_event(type="x" * (TYPE_LIMIT + 1))], InvalidType),
    "a version that is text": ([an_event(version="1")], InvalidEvent),
    "a version that is a fraction": ([an_event(version=1.5)], InvalidEvent),
    "a version that is a bool": ([an_event(version=True)], InvalidEvent),
    "a version that is too high": ([an_event(version=VERSION_LIMIT + 1)], InvalidType),
    "a time that is text": ([an_event(time="2026-01-01")], InvalidEvent),
    "no event": (["noted"], InvalidEvent),
    "too many tags": ([an_event(tags=tuple(map(str, range(EVENT_TAGS_LIMIT + 1))))], InvalidEvent),
    "one byte too much": ([an_event(data=MEBIBYTE, metadata=b"x")], EventTooLarge),
    "too many events": ([an_event()] * (APPEND_EVENTS_LIMIT + 1), AppendTooLarge),
    "too many bytes": (
        [an_event(data=MEBIBYTE, metadata=b"", tags=())] * (APPEND_BYTES_LIMIT // len(MEBIBYTE) + 1),
        AppendTooLarge,
    ),
    "too many tags in all": (
        [an_event(tags=tuple(map(str, range(EVENT_TAGS_LIMIT))))] * (APPEND_TAGS_LIMIT // EVENT_TAGS_LIMIT + 1),
        AppendTooLarge,
    ),
}
MANY_ITEMS = Criteria(*(CriteriaItem((), (str(n),)) for n in range(CRITERIA_ITEMS_LIMIT + 1)))
BAD_CRITERIA: Mapping[str, tuple[Criteria, type[LeftfoldError]]] = {
    "a tag with a NUL": (criteria(tags=["a\0"]), InvalidTag),
    "a tag with a lone surrogate": (criteria(tags=["\ud800"]), InvalidTag),
    "a tag of two lines": (criteria(tags=["account:0\naccount:1"]), InvalidTag),
    "an empty tag": (criteria(tags=[""]), InvalidTag),
    "a tag that is too long": (criteria(tags=["x" * (TAG_LIMIT + 1)]), InvalidTag),
    "one tag of many": (criteria(tags=["account:0", "account:1", "a\0"]), InvalidTag),
    "a type with a NUL": (criteria("opened\0"), InvalidType),
    "a type with a lone surrogate": (criteria("\ud800"), InvalidType),
    "a type of two lines": (criteria("opened\nclosed"), InvalidType),
    "an empty type": (criteria(""), InvalidType),
    "a type that is too long": (criteria("x" * (TYPE_LIMIT + 1)), InvalidType),
    "a later item": (criteria("opened") | criteria(tags=["\x85"]), InvalidTag),
    "too many tags": (criteria(tags=map(str, range(ITEM_TAGS_LIMIT + 1))), CriteriaTooLarge),
    "too many items": (MANY_ITEMS, CriteriaTooLarge),
}
BAD_POSITIONS: list[Any] = [-1, 2**63, "1", 1.0]


class Bounds(Promise):
    """What cannot be kept is refused by name, and alone: appends beside it are not touched."""

    async def test_a_key_that_cannot_be_kept_is_refused_and_its_neighbours_are_not(self, store: EventStore) -> None:
        for name, key in BAD_KEYS.items():
            with case(name):
                await alone_refused(store, InvalidIdempotencyKey, [opened("bad")], key=key)

    async def test_a_key_of_the_greatest_length_is_kept(self, store: EventStore) -> None:
        for position, (name, key) in enumerate(GOOD_KEYS.items(), 1):
            with case(name):
                first = await store.append([opened("a")], key=key)
                again = await store.append([opened("a")], key=key)

                assert (first, again) == (Appended(position, position), Appended(position, position, duplicate=True))
                assert await store.lookup(key) == Appended(position, position)

    async def test_an_append_that_cannot_be_kept_is_refused_and_its_neighbours_are_not(self, store: EventStore) -> None:
        for name, (events, error) in BAD_APPENDS.items():
            with case(name):
                await alone_refused(store, error, events)

    async def test_criteria_that_no_event_can_match_are_refused(self, store: EventStore) -> None:
        for name, (bad, error) in BAD_CRITERIA.items():
            with case(name):
                await alone_refused(store, error, [opened("bad")], condition=AppendCondition(bad, 0))
                with pytest.raises(error):
                    await events_of(store.read(bad))

    async def test_a_position_that_cannot_be_is_refused(self, store: EventStore) -> None:
        for position in BAD_POSITIONS:
            with case(position):
                condition = AppendCondition(criteria("closed"), position)
                await alone_refused(store, InvalidPosition, [opened("bad")], condition=condition)
                for bounds in ({"after": position}, {"upto": position}, {"limit": position}):
                    with pytest.raises(InvalidPosition) as caught:
                        await events_of(store.read(**bounds))
                    assert caught.value.name in bounds

    async def test_the_largest_names_and_criteria_are_kept_and_found(self, store: EventStore) -> None:
        type, version = WIDEST * TYPE_LIMIT, VERSION_LIMIT
        tags = tuple(WIDEST * (TAG_LIMIT - 8) + noise(8) for _ in range(ITEM_TAGS_LIMIT))
        many = tuple(f"n:{n}" for n in range(EVENT_TAGS_LIMIT))
        largest = criteria(type, tags=tags)

        await store.append([NewEvent(type, b"", tags, version), NewEvent("noted", b"", many)])
        _, refused = await outcomes_of([store.append([opened("a")], condition=AppendCondition(largest, 0))])

        assert await positions_of(store.read(largest)) == [1]
        assert await positions_of(store.read(criteria(tags=many[-1:]))) == [2]
        assert len(refused) == 1

    async def test_events_that_have_many_tags_at_once_are_found(self, store: EventStore) -> None:
        for number in (8, 32, 64):
            tags = [f"n:{n}" for n in range(number)]
            pair = [NewEvent("noted", b"", tuple(tags)), NewEvent("noted", b"", tuple(tags[1:]))]
            first = (await store.append(pair)).first

            assert await positions_of(store.read(criteria(tags=tags))) == [first]
            assert await positions_of(store.read(criteria("noted", tags=tags))) == [first]
            assert await positions_of(store.read(criteria("noted", tags=tags[1:]))) == [first, first + 1]

    @pytest.mark.parametrize("number", [20, 60, 250])
    async def test_events_are_found_by_any_of_very_many_items(self, store: EventStore, number: int) -> None:
        tags = [(f"n:{n}", f"twin:{n}", "all:1") for n in range(number)]
        await store.append([NewEvent("odd" if n % 2 else "even", b"", each) for n, each in enumerate(tags)])
        items = [CriteriaItem(["odd"], [f"n:{n}", "all:1"]) for n in range(number // 2)]
        items += [CriteriaItem((), [f"n:{n}"]) for n in range(0, number, 7)]
        items += [CriteriaItem(["odd", "unknown"], [f"n:{n}"]) for n in range(number // 2, number, 3)]
        items += [CriteriaItem((), [f"n:{n}", f"twin:{n}"]) for n in range(number // 4)]  # some events by two items
        items += [
            CriteriaItem((), [f"n:{n}", f"twin:{n + 1}"]) for n in range(number - 1)
        ]  # which no event has together
        items += [CriteriaItem((), [f"n:{number - 1}", *(f"m:{n}" for n in range(20))]), CriteriaItem(["unknown"])]
        wanted = Criteria(*items)
        found = [each.position for each in await events_of(store.read()) if wanted.matches(each.type, each.tags)]

        assert await positions_of(store.read(wanted)) == found
        for limit in (3, 6, 7):
            assert await positions_of(store.read(wanted, limit=limit)) == found[:limit]
            assert await positions_of(store.read(wanted, reverse=True, limit=limit)) == found[: -limit - 1 : -1]
        assert await positions_of(store.read(wanted, after=found[0], upto=found[-2])) == found[1:-1]
        with pytest.raises(Conflict) as caught:
            await store.append([opened("a")], condition=AppendCondition(wanted, 0))
        assert caught.value.matches[0].position in found

    async def test_the_bytes_of_tags_are_part_of_an_events_size(self, store: EventStore) -> None:
        tags = tuple(f"{n:04}{WIDEST * 300}" for n in range(900))
        await alone_refused(store, EventTooLarge, [an_event(tags=tags)])
        await store.append([an_event(tags=tags[:850])])

    async def test_lookup_of_what_is_no_key_is_refused(self, store: EventStore) -> None:
        no_keys: list[Any] = ["a\ud800", 5]
        for key in no_keys:
            with case(key), pytest.raises(InvalidIdempotencyKey):
                await store.lookup(key)

    async def test_tags_in_a_list_come_back_as_a_tuple(self, store: EventStore) -> None:
        await store.append([an_event(tags=["a:1", "b:1"])])

        (stored,) = await events_of(store.read())
        assert stored.tags == ("a:1", "b:1")


async def alone_refused(store: EventStore, error: type[LeftfoldError], events: Any, **options: Any) -> None:
    """Append among nineteen neighbours: it is refused, and each of them is kept."""
    head = await store.head()
    others = [store.append([opened(str(n))], key=f"neighbour {head + n}") for n in range(19)]
    appended, refused = await outcomes_of([*others[:10], store.append(events, **options), *others[10:]])

    assert len(refused) == 1
    assert isinstance(refused[0], error)
    assert all((refused[0].found, refused[0].expected, refused[0].remedy))
    assert len(appended) == 19
    assert await positions_of(store.read(after=head)) == list(range(head + 1, head + 20))

"""Requests that no store may take, as hostile or broken clients send them: each has to be refused by its name."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple

from leftfold.live import LiveApp
from leftfold.model.criteria import EVERYTHING, Criteria, CriteriaItem
from leftfold.model.record import NewEvent
from leftfold.store.bounds import (
    APPEND_EVENTS_LIMIT,
    CRITERIA_ITEMS_LIMIT,
    EVENT_LIMIT,
    EVENT_TAGS_LIMIT,
    ITEM_TAGS_LIMIT,
    KEY_LIMIT,
    POSITION_LIMIT,
    TAG_LIMIT,
    TYPE_LIMIT,
    VERSION_LIMIT,
)
from leftfold.store.contract import AppendCondition, EventStore, IdempotencyKey
from leftfold_torture.counting import Count, Counter

NUL, SURROGATE = "a\0", "a\ud800"
LATE = datetime(9_999, 12, 31, tzinfo=UTC)
EARLY = datetime(1_970, 1, 2, tzinfo=UTC)
RESERVED = "leftfold.process/c0"

TAG, TYPE, KEY, USAGE = "InvalidTag", "InvalidType", "InvalidIdempotencyKey", "UsageError"
POSITION, LARGE, EVENT = "InvalidPosition", "CriteriaTooLarge", "InvalidEvent"

Call = Callable[[EventStore, LiveApp], Awaitable[object]]


class Request(NamedTuple):
    """What to call, and the errors one of which has to be its answer."""

    call: Call
    errors: tuple[str, ...]


def _request(call: Call, errors: tuple[str, ...]) -> Request:
    return Request(call, errors)


def _event(**fields: Any) -> NewEvent:
    asked: dict[str, Any] = {"type": "opened", "data": b'{"id":"hostile"}', **fields}
    return NewEvent(**asked)


def _append(*errors: str, events: Any = None, **options: Any) -> Request:
    """An append that is hostile in nothing but what is given."""
    asked = [_event()] if events is None else events
    return _request(lambda store, _: store.append(asked, **options), errors)


def _condition(*errors: str, criteria: Any = EVERYTHING, after: Any = 0) -> Request:
    return _append(*errors, condition=AppendCondition(criteria, after))


def _read(*errors: str, criteria: Any = EVERYTHING, **options: Any) -> Request:
    async def read(store: EventStore, _: LiveApp) -> None:
        async for _batch in store.read(criteria, **options):
            pass

    return _request(read, errors)


def _wait(*errors: str, after: Any = 0, timeout: Any = 0) -> Request:
    return _request(lambda store, _: store.wait(after, timeout), errors)


def _lookup(key: Any) -> Request:
    return _request(lambda store, _: store.lookup(key), (KEY,))


def _execute(*errors: str, command: Any = None, key: Any = None) -> Request:
    asked = Count("hostile", "hostile") if command is None else command
    return _request(lambda _, live: live.execute(asked, key=key), errors)


def _state(*errors: str, key: Any) -> Request:
    return _request(lambda _, live: live.state(Counter, key), errors)


def _tagged(*tags: str) -> Criteria:
    return Criteria(CriteriaItem((), tags))


def _typed(*types: str) -> Criteria:
    return Criteria(CriteriaItem(types))


@cache
def hostile_requests() -> Mapping[str, Request]:
    """All of them, by what is wrong with each."""
    many_tags = tuple(f"t:{number}" for number in range(ITEM_TAGS_LIMIT + 1))
    many_items = Criteria(*(CriteriaItem((), (f"t:{number}",)) for number in range(CRITERIA_ITEMS_LIMIT + 1)))
    key = IdempotencyKey("hostile", b"digest")
    any_list: Any = [1]
    return {
        "a key that is too long": _append(KEY, key="k" * (KEY_LIMIT + 1)),
        "a key of 4,000 characters": _append(KEY, key="ß" * 4_000),
        "an empty key": _append(KEY, key=""),
        "a key with a surrogate": _append(KEY, key=SURROGATE),
        "a key that is a number": _append(KEY, key=7),
        "a repeated key": _append(KEY, key=[key, key]),
        "a key of leftfold's own": _append("ReservedKey", key=RESERVED),
        "a key for other events": _append(KEY, key=[IdempotencyKey("hostile", b"digest", 1, 1)]),
        "a tag with a NUL": _append(TAG, events=[_event(tags=(NUL,))]),
        "a tag with a surrogate": _append(TAG, events=[_event(tags=(SURROGATE,))]),
        "a tag that is too long": _append(TAG, events=[_event(tags=("t" * (TAG_LIMIT + 1),))]),
        "an empty tag": _append(TAG, events=[_event(tags=("",))]),
        "too many tags": _append(EVENT, events=[_event(tags=tuple(map(str, range(EVENT_TAGS_LIMIT + 1))))]),
        "tags that are a text": _append(EVENT, events=[_event(tags="text")]),
        "a type with a NUL": _append(TYPE, events=[_event(type=NUL)]),
        "a type with a surrogate": _append(TYPE, events=[_event(type=SURROGATE)]),
        "a type that is too long": _append(TYPE, events=[_event(type="t" * (TYPE_LIMIT + 1))]),
        "a version that is too high": _append(TYPE, events=[_event(version=VERSION_LIMIT + 1)]),
        "data that is text": _append(EVENT, events=[_event(data="text")]),
        "an event that is too large": _append("EventTooLarge", events=[_event(data=bytes(EVENT_LIMIT + 1))]),
        "too many events": _append("AppendTooLarge", events=[_event()] * (APPEND_EVENTS_LIMIT + 1)),
        "no event": _append("EmptyAppend", events=[]),
        "events that are a number": _append(USAGE, events=7),
        "a number in place of an event": _append(EVENT, events=any_list),
        "a time to come": _append("TimeRefused", "StoreReadOnly", events=[_event(time=LATE)]),
        "a time before the newest event": _append("TimeRefused", "StoreReadOnly", events=[_event(time=EARLY)] * 2),
        "a condition on a tag with a NUL": _condition(TAG, criteria=_tagged(NUL)),
        "a condition on a tag with a surrogate": _condition(TAG, criteria=_tagged(SURROGATE)),
        "a condition on a tag with a line break": _condition(TAG, criteria=_tagged("a\nb")),
        "a condition on an empty tag": _condition(TAG, criteria=_tagged("")),
        "a condition on a type with a NUL": _condition(TYPE, criteria=_typed(NUL)),
        "a condition on a type with a surrogate": _condition(TYPE, criteria=_typed(SURROGATE)),
        "a condition on too many tags": _condition(LARGE, criteria=_tagged(*many_tags)),
        "a condition of too many items": _condition(LARGE, criteria=many_items),
        "a condition after a negative position": _condition(POSITION, after=-1),
        "a condition after too high a position": _condition(POSITION, after=POSITION_LIMIT + 1),
        "a condition after a fraction": _condition(POSITION, after=0.5),
        "a condition without criteria": _condition(USAGE, criteria=None),
        "a condition that is a text": _append(USAGE, condition="text"),
        "a read of a tag with a surrogate": _read(TAG, criteria=_tagged(SURROGATE)),
        "a read of a type with a NUL": _read(TYPE, criteria=_typed(NUL)),
        "a read of too many tags": _read(LARGE, criteria=_tagged(*many_tags)),
        "a read after a negative position": _read(POSITION, after=-1),
        "a read up to too high a position": _read(POSITION, upto=POSITION_LIMIT + 1),
        "a read with a negative limit": _read(POSITION, limit=-1),
        "a read without criteria": _read(USAGE, criteria=None),
        "a wait after too high a position": _wait(POSITION, after=POSITION_LIMIT + 1),
        "a wait for no number of seconds": _wait(USAGE, timeout=float("nan")),
        "a look for a key with a surrogate": _lookup(SURROGATE),
        "a look for a key that is a number": _lookup(7),
        "a command with a key of leftfold's own": _execute("ReservedKey", key=RESERVED),
        "a command with a key that is too long": _execute(KEY, key="k" * 4_000),
        "a command on a counter with a surrogate": _execute("CannotEncode", TAG, command=Count(SURROGATE, "hostile")),
        "a command on a counter with a NUL": _execute(TAG, command=Count(NUL, "hostile")),
        "a command that is none": _execute("NotHandled", command=Counter("hostile")),
        "a state of a counter with a surrogate": _state(TAG, key=SURROGATE),
        "a state of a counter that is a number": _state("InvalidKey", key=7),
    }

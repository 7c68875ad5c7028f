"""The limits of a log: the same on every backend, checked before an append joins a batch, or a read begins."""

import re
from collections.abc import Collection, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import chain
from math import isnan
from operator import add
from typing import Any

from msgspec.structs import replace

from leftfold.errors import (
    AppendTooLarge,
    CriteriaTooLarge,
    EventTooLarge,
    InvalidEvent,
    InvalidIdempotencyKey,
    InvalidPosition,
    InvalidTag,
    InvalidType,
    ReservedKey,
    UsageError,
)
from leftfold.model.clock import to_microseconds
from leftfold.model.criteria import Criteria
from leftfold.model.record import NewEvent
from leftfold.store.contract import AppendCondition, IdempotencyKey, OwnKey

EVENT_LIMIT = 1_048_576  # bytes of data, metadata and tags, unless the log is opened with another limit
TAG_LIMIT = 512  # characters
TYPE_LIMIT = 256  # characters
VERSION_LIMIT = 2**31 - 1
POSITION_LIMIT = 2**63 - 1
KEY_LIMIT = 1_024  # bytes of UTF-8
OWN_KEY_LIMIT = 2_560  # the same for keys that leftfold makes: a prefix, and a name as long as a tag
OWN_KEYS = "leftfold."
EVENT_TAGS_LIMIT = 10_000
APPEND_EVENTS_LIMIT = 100_000
APPEND_TAGS_LIMIT = 1_000_000
APPEND_BYTES_LIMIT = 268_435_456  # of data, metadata and tags
ITEM_TAGS_LIMIT = 100
CRITERIA_ITEMS_LIMIT = 5_000
MAX_BYTES_PER_CHARACTER = 4
BULK_CHECK_EVENTS = 64  # from this many events in one append, they are first checked all at once

_PLAIN = (bytes, bytes, tuple, int)
_printable = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]+").fullmatch
_surrogate = re.compile(r"[\ud800-\udfff]").search


def checked_events(
    events: Sequence[NewEvent], event_limit: int, *, copied: bool = False
) -> tuple[Sequence[NewEvent], int]:
    """Return the events, each with each of its tags once, and their size in bytes; raise if they exceed a limit.

    `copied` omits the limits on counts, which a log of an older leftfold may exceed.
    """
    if len(events) == 1 and (size := _size_at_sight(events[0], event_limit)):
        return events, size
    if not copied and len(events) > APPEND_EVENTS_LIMIT:
        raise AppendTooLarge(f"{len(events):,} events", f"{APPEND_EVENTS_LIMIT:,}")
    size = _size_together(events, event_limit) if len(events) >= BULK_CHECK_EVENTS else 0
    if not size:
        size = 0
        unlike = False
        for index, event in enumerate(events):
            plain = _size_at_sight(event, event_limit)
            size += plain or _checked_size(index, event, event_limit, copied=copied)
            unlike = unlike or not (plain or (type(event.tags) is tuple and not _has_repetition(event.tags)))
        if unlike:
            events = [replace(event, tags=tuple(dict.fromkeys(event.tags))) for event in events]
    if not copied and (size > event_limit or len(events) >= BULK_CHECK_EVENTS):
        _check_together(events, size)
    return events, size


def check_criteria(criteria: Criteria) -> None:
    """Raise for criteria that no event can match, and for criteria that are too large.

    Each object is checked once, because criteria cannot change and are used again and again.
    """
    try:
        if criteria.is_checked:
            return
    except AttributeError:
        raise _no_criteria(criteria) from None
    if len(criteria.items) > CRITERIA_ITEMS_LIMIT:
        raise CriteriaTooLarge(f"{len(criteria.items):,} items", f"{CRITERIA_ITEMS_LIMIT:,}")
    for item in criteria.items:
        if item.types:
            _check_types(item.types)
        if len(item.tags) > ITEM_TAGS_LIMIT:
            raise CriteriaTooLarge(f"an item with {len(item.tags):,} tags", f"{ITEM_TAGS_LIMIT}")
        for tag in item.tags:
            if not _fine(tag, TAG_LIMIT):
                raise InvalidTag(None, tag, _problem(tag, TAG_LIMIT))
    criteria.is_checked = True


def check_position(name: str, value: Any) -> None:
    """Raise `InvalidPosition` unless the value is a whole number of at least 0 that every backend can store."""
    if not (isinstance(value, int) and value is not True and value is not False and 0 <= value <= POSITION_LIMIT):
        raise InvalidPosition(name, value)


def check_condition(condition: AppendCondition) -> None:
    """Raise for a condition that is not valid. Most conditions hold criteria that were checked before."""
    after, criteria = condition.after, condition.criteria
    if type(after) is not int or not 0 <= after <= POSITION_LIMIT:
        check_position("after", after)
    if type(criteria) is not Criteria or not criteria.is_checked:
        check_criteria(criteria)


def check_read(criteria: Criteria, after: int, upto: int | None, limit: int | None) -> None:
    """Raise for arguments of a read that are not valid, on every backend alike."""
    check_criteria(criteria)
    check_position("after", after)
    if upto is not None:
        check_position("upto", upto)
    if limit is not None:
        check_position("limit", limit)


def check_wait(after: Any, timeout: Any) -> None:
    """Raise for arguments of a wait that are not valid."""
    check_position("after", after)
    if not (timeout is None or (isinstance(timeout, int | float) and not isnan(timeout))):
        raise UsageError(f"timeout={timeout!r}", "a number of seconds", "pass a number, or None for no limit")


def check_keys(keys: Sequence[Any], events: int, *, copied: bool = False) -> None:
    """Raise `InvalidIdempotencyKey` unless all keys of an append of so many events can be stored."""
    for key in keys:
        if not isinstance(key, IdempotencyKey):
            raise InvalidIdempotencyKey(key, f"is of type {type(key).__name__}")
        check_key(key.value, copied=copied, own=type(key) is OwnKey)
        if type(key.digest) is not bytes:
            raise InvalidIdempotencyKey(key.value, f"has a digest of type {type(key.digest).__name__}")
        if key.events is not None or key.place != 0:
            _check_part(key, events, copied=copied)
    if len(keys) > 1 and len({key.value for key in keys}) < len(keys):
        values = [key.value for key in keys]
        raise InvalidIdempotencyKey(
            next(each for each in values if values.count(each) > 1), "is used twice in this append"
        )


def check_key(key: str, *, copied: bool = False, own: bool = False) -> None:
    """Raise `InvalidIdempotencyKey` unless the key can be stored, `ReservedKey` if a user's begins with `leftfold.`."""
    check_known_key(key)
    if copied:
        return
    if not own and key.startswith(OWN_KEYS):
        raise ReservedKey(key)
    if 4 * len(key) <= KEY_LIMIT and key:
        return
    size = len(key.encode())
    if not size:
        raise InvalidIdempotencyKey(key, "is empty")
    if size > (OWN_KEY_LIMIT if own and "\0" not in key else KEY_LIMIT):
        raise InvalidIdempotencyKey(key, f"has {size:,} bytes")


def _check_part(key: IdempotencyKey, events: int, *, copied: bool) -> None:
    """Raise unless the key stands for events of the append; in a copy they may begin before it."""
    place: Any = key.place
    count: Any = key.events
    if type(place) is not int or type(count) is not int:
        raise InvalidIdempotencyKey(key.value, f"has place={place!r} and events={count!r}")
    least = -POSITION_LIMIT if copied else 0
    if count < 1 or place < least or place + count > events:
        raise InvalidIdempotencyKey(key.value, f"stands for events that are not among the {events} of the append")


def check_known_key(key: str | IdempotencyKey) -> None:
    """Raise `InvalidIdempotencyKey` unless some version of leftfold may have stored the key."""
    value: Any = key.value if isinstance(key, IdempotencyKey) else key
    if not isinstance(value, str):
        raise InvalidIdempotencyKey(value, f"is of type {type(value).__name__}")
    if not value.isascii() and _surrogate(value):
        raise InvalidIdempotencyKey(value, "has a lone surrogate")


def has_no_times(events: Sequence[NewEvent]) -> bool:
    """Return whether no event gives a time, so that the store sets them all."""
    if len(events) == 1:
        return events[0].time is None
    return [event.time for event in events].count(None) == len(events)


def _size_together(events: Sequence[NewEvent], limit: int) -> int:
    """Return the bytes of all events, or 0 if they have to be checked one by one.

    Each check covers all events at once, in loops of the interpreter itself where there are such.
    """
    if set(map(type, events)) != {NewEvent}:
        return 0
    data, metadata = [event.data for event in events], [event.metadata for event in events]
    tags, versions = [event.tags for event in events], {event.version for event in events}
    if {*map(type, data), *map(type, metadata)} != {bytes} or set(map(type, tags)) != {tuple}:
        return 0
    names = list(chain.from_iterable(tags))
    types = {event.type for event in events}
    if set(map(type, versions)) != {int}:
        return 0
    try:
        size = sum(map(len, data)) + sum(map(len, metadata)) + _bytes_of(names)
    except TypeError:  # a tag is not a string
        return 0
    most = max(map(len, tags))
    plain = (
        (
            size <= limit
            or max(map(add, map(len, data), map(len, metadata))) + MAX_BYTES_PER_CHARACTER * TAG_LIMIT * most <= limit
        )
        and _fine_together(names, TAG_LIMIT)
        and _fine_together(types, TYPE_LIMIT)
        and min(versions) >= 1
        and max(versions) <= VERSION_LIMIT
        and most <= EVENT_TAGS_LIMIT
        and has_no_times(events)
        and (most < 2 or not any(map(_has_repetition, tags)))
    )
    return size if plain else 0


def _fine_together(texts: Collection[str], limit: int) -> bool:
    """Return whether one check finds all texts valid; False means that it is not known."""
    try:
        together = "".join(texts)
    except TypeError:
        return False
    return together.isprintable() and all(texts) and max(map(len, texts), default=0) <= limit


def _size_at_sight(event: NewEvent, limit: int) -> int:
    """Return the bytes of an event that is plainly valid, as most are, or 0 if it needs a closer check."""
    if type(event) is not NewEvent or event.time is not None:
        return 0
    data, metadata, tags, version = event.data, event.metadata, event.tags, event.version
    if (type(data), type(metadata), type(tags), type(version)) != _PLAIN:
        return 0
    try:
        of_tags = tags[0] + "" if len(tags) == 1 else "".join(tags)
        together = event.type + of_tags
    except TypeError:
        return 0
    size = len(data) + len(metadata) + (len(of_tags) if of_tags.isascii() else _bytes_of(tags))
    plain = (
        len(together) <= TYPE_LIMIT
        and together.isprintable()
        and event.type
        and (of_tags if len(tags) == 1 else all(tags) and not _has_repetition(tags))
        and 0 < version <= VERSION_LIMIT
        and size <= limit
    )
    return size if plain else 0


def _checked_size(index: int, event: NewEvent, limit: int, *, copied: bool) -> int:
    _check_parts(index, event)
    size = len(event.data) + len(event.metadata)
    if size > limit:
        raise EventTooLarge(index, event.type, size, limit)
    if not _fine(event.type, TYPE_LIMIT):
        raise InvalidType(index, event.type, _problem(event.type, TYPE_LIMIT))
    if not 1 <= event.version <= VERSION_LIMIT:
        raise InvalidType(index, event.type, f"has version {event.version}")
    if len(event.tags) > EVENT_TAGS_LIMIT and not copied:
        raise InvalidEvent(index, f"has {len(event.tags):,} tags")
    for tag in event.tags:
        if not _fine(tag, TAG_LIMIT):
            raise InvalidTag(index, tag, _problem(tag, TAG_LIMIT))
    size += _bytes_of(event.tags)
    if size > limit and not copied:
        raise EventTooLarge(index, event.type, size, limit)
    if event.time is not None:
        to_microseconds(event.time)
    return size


def _check_parts(index: int, event: Any) -> None:
    """Raise `InvalidEvent` for values that type checkers would refuse."""
    if not isinstance(event, NewEvent):
        raise InvalidEvent(index, f"is of type {type(event).__name__}")
    for name, kind in (("data", bytes), ("metadata", bytes), ("version", int), ("tags", Sequence)):
        value = getattr(event, name)
        if not isinstance(value, kind) or isinstance(value, bool) or (name == "tags" and isinstance(value, str)):
            raise InvalidEvent(index, f"has {name} of type {type(value).__name__}")
    time: Any = event.time
    if not (time is None or isinstance(time, datetime)):
        raise InvalidEvent(index, f"has a time of type {type(time).__name__}")


def _check_together(events: Sequence[NewEvent], size: int) -> None:
    """Raise `AppendTooLarge` if the events are too large together."""
    if size > APPEND_BYTES_LIMIT:
        raise AppendTooLarge(f"{size:,} bytes of data, metadata and tags", f"{APPEND_BYTES_LIMIT:,}")
    if len(events) * EVENT_TAGS_LIMIT > APPEND_TAGS_LIMIT:
        tags = sum(len(event.tags) for event in events)
        if tags > APPEND_TAGS_LIMIT:
            raise AppendTooLarge(f"{tags:,} tags", f"{APPEND_TAGS_LIMIT:,}")


@lru_cache(1024)
def _check_types(types: frozenset[str]) -> None:
    for type in types:
        if not _fine(type, TYPE_LIMIT):
            raise InvalidType(None, type, _problem(type, TYPE_LIMIT))


def _bytes_of(texts: Sequence[str]) -> int:
    together = "".join(texts)
    return len(together) if together.isascii() else len(together.encode("utf-8", "surrogatepass"))


def _no_criteria(found: object) -> UsageError:
    return UsageError(f"criteria={found!r}", "a Criteria", "call criteria(...)")


def _fine(text: Any, limit: int) -> bool:
    """Return whether a name may be stored. Most names are printable for Python, which is a fast check."""
    if not isinstance(text, str):
        return False
    return 0 < len(text) <= limit and (text.isprintable() or _printable(text) is not None)


def _problem(text: Any, limit: int) -> str:
    if not isinstance(text, str):
        return f"is a {type(text).__name__}"
    if not text:
        return "is empty"
    return f"has {len(text)} characters" if len(text) > limit else "has control characters"


def _has_repetition(tags: Sequence[str]) -> bool:
    return len(tags) > 1 and (tags[0] == tags[1] or (len(tags) > 2 and len(set(tags)) < len(tags)))

"""A batch of appends as binary arguments of the log's function `append`, and the answer as their results."""

import sys
from array import array
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from enum import IntEnum
from functools import lru_cache
from struct import Struct
from typing import Any, ClassVar

from leftfold.errors import Conflict, PartsAppended, StoreError, TimeRefused
from leftfold.model.clock import from_microseconds, to_microseconds
from leftfold.model.criteria import CriteriaItem
from leftfold.model.record import NewEvent, StoredEvent
from leftfold.store.admission import MAX_SHOWN_MATCHES, AppendRequest, recognised
from leftfold.store.bounds import has_no_times
from leftfold.store.contract import Appended, IdempotencyKey

_header = Struct(">5i").pack  # dimensions, nulls, element type, length, lower bound
_empty = Struct(">3i").pack
_length = Struct(">i").pack
_integer = Struct(">ii").pack
_bigint = Struct(">iq").pack
_null = _length(-1)
_LITTLE = sys.byteorder == "little"


class Array(bytes):
    """A PostgreSQL array in binary form."""

    ELEMENT: ClassVar[int]
    OID: ClassVar[int]


class Integers(Array):
    """An `integer[]`."""

    ELEMENT, OID = 23, 1007


class Bigints(Array):
    """A `bigint[]`."""

    ELEMENT, OID = 20, 1016


class Texts(Array):
    """A `text[]`."""

    ELEMENT, OID = 25, 1009


class Blobs(Array):
    """A `bytea[]`."""

    ELEMENT, OID = 17, 1001


def integers(values: Sequence[int]) -> Integers:
    """Return an `integer[]`."""
    if len(values) == 1:
        return Integers(ONE_INTEGER + _integer(4, values[0]))
    if not values:
        return NO_INTEGERS
    words = array("i", [4]) * (2 * len(values))
    words[1::2] = array("i", values)
    if _LITTLE:
        words.byteswap()
    return Integers(_head(Integers, len(values)) + words.tobytes())


def bigints(values: Sequence[int | None]) -> Bigints:
    """Return a `bigint[]`, which may contain nulls."""
    if len(values) == 1 and values[0] is not None:
        return Bigints(ONE_BIGINT + _bigint(8, values[0]))
    if not values:
        return NO_BIGINTS
    elements = [_null if value is None else _bigint(8, value) for value in values]
    return Bigints(_head(Bigints, len(values), nulls=None in values) + b"".join(elements))


def texts(values: Collection[str]) -> Texts:
    """Return a `text[]`; the texts must not contain NUL."""
    encoded = [value.encode() for value in values]
    if len(encoded) == 1:
        return Texts(ONE_TEXT + _length(len(encoded[0])) + encoded[0])
    return Texts(_joined(Texts, encoded)) if encoded else NO_TEXTS


def blobs(values: Sequence[bytes]) -> Blobs:
    """Return a `bytea[]`."""
    if len(values) == 1:
        return Blobs(ONE_BLOB + _length(len(values[0])) + values[0])
    return Blobs(_joined(Blobs, values)) if values else NO_BLOBS


def _joined(kind: type[Array], values: Sequence[bytes]) -> bytes:
    parts = [b""] * (2 * len(values))
    parts[0::2] = map(_length, map(len, values))
    parts[1::2] = values
    return _head(kind, len(values)) + b"".join(parts)


def _head(kind: type[Array], length: int, *, nulls: bool = False) -> bytes:
    return _header(1, nulls, kind.ELEMENT, length, 1)


NO_INTEGERS = Integers(_empty(0, 0, Integers.ELEMENT))
NO_BIGINTS = Bigints(_empty(0, 0, Bigints.ELEMENT))
NO_TEXTS = Texts(_empty(0, 0, Texts.ELEMENT))
NO_BLOBS = Blobs(_empty(0, 0, Blobs.ELEMENT))
ONE_INTEGER, ONE_BIGINT, ONE_TEXT, ONE_BLOB = (_head(kind, 1) for kind in (Integers, Bigints, Texts, Blobs))


ESCAPE = "\x01"
COLUMNS = 24  # in a call


def calls_of(requests: Sequence[AppendRequest]) -> Iterator[Sequence[AppendRequest]]:
    """Yield the requests in order, in calls. A key that comes twice needs two calls, and events with times one each."""
    call: list[AppendRequest] = []
    keys: set[str] = set()
    for request in requests:
        timed = not has_no_times(request.events)
        if call and (timed or (keys and any(key.value in keys for key in request.keys))):
            yield call
            call, keys = [], set()
        call.append(request)
        if request.keys:
            keys.update(key.value for key in request.keys)
        if timed:
            yield call
            call, keys = [], set()
    if call:
        yield call


class Code(IntEnum):
    """The answer of the function for one request."""

    APPENDED = 0
    KEY_KNOWN = 1
    MATCHED = 2
    CLASHED = 3
    UNTIMELY = 4


class AppendCall:
    """One call of the function for a batch of requests."""

    def __init__(self, requests: Sequence[AppendRequest]) -> None:
        self._requests = requests
        self._events = [event for request in requests for event in request.events]
        self._keys = Columns(5)
        self._asked: list[IdempotencyKey] = []
        self._item_requests: list[int] = []
        self._shown: list[tuple[CriteriaItem, int]] = []
        self._clashes = Columns(4)
        self._clashing: list[tuple[CriteriaItem, int, AppendRequest, int]] = []
        conditional = len(requests) > 1 and any(request.conditions for request in requests)
        earlier = EarlierEvents() if conditional else None
        for number, request in enumerate(requests, 1):
            if request.keys:
                self._add_keys(number, request)
            if request.conditions:
                self._add_conditions(number, request, earlier)
            if earlier is not None:
                earlier.add(number, request)

    def __repr__(self) -> str:
        return f"<AppendCall of {len(self._requests)} requests>"

    def columns(self) -> list[Array]:
        """Return the arguments of the function from `request_events` on, in their order."""
        key_request, key_text, key_digest, key_place, key_events = self._keys.all
        clash_later, clash_earlier, clash_place, clash_after = self._clashes.all
        return [
            integers([len(request.events) for request in self._requests]),
            integers(key_request),
            texts(key_text),
            blobs(key_digest),
            integers(key_place),
            integers(key_events),
            *self._event_columns(),
            integers(self._item_requests),
            bigints([after for _, after in self._shown]),
            texts([lines(item.types) for item, _ in self._shown]),
            texts([lines(item.tags) for item, _ in self._shown]),
            integers(clash_later),
            integers(clash_earlier),
            integers(clash_place),
            bigints(clash_after),
        ]

    def outcomes(self, answer: Sequence[Any]) -> list[Appended | StoreError]:
        """Return the result of each request."""
        codes, firsts, lasts, details, moment, newest, head = answer
        if codes is None:
            return list(self._all_appended(head))
        found: list[Appended | StoreError] = []
        for index, request in enumerate(self._requests):
            code, first, last = codes[index], firsts[index], lasts[index]
            match code:
                case Code.APPENDED:
                    found.append(Appended(first, last))
                case Code.KEY_KNOWN:
                    found.append(self._known(request, details[str(index + 1)]))
                case Code.MATCHED:
                    found.append(self._conflict_in_log(details[str(index + 1)]))
                case Code.CLASHED:
                    found.append(self._conflict_in_batch(last - 1, first))
                case _:
                    found.append(_untimely(request, moment, newest))
        return found

    def _all_appended(self, head: int) -> Iterator[Appended]:
        for request in self._requests:
            first, head = head + 1, head + len(request.events)
            yield Appended(first, head)

    def _add_keys(self, number: int, request: AppendRequest) -> None:
        for key in request.keys:
            events = len(request.events) if key.events is None else key.events
            self._keys.add(number, key_text(key.value), key.digest, key.place, events)
            self._asked.append(key)

    def _add_conditions(self, number: int, request: AppendRequest, earlier: "EarlierEvents | None") -> None:
        for condition in request.conditions:
            for item in condition.criteria.items:
                self._item_requests.append(number)
                self._shown.append((item, condition.after))
                for clashing, place in earlier.matching(item) if earlier is not None else ():
                    self._clashes.add(number, clashing, place, condition.after)
                    self._clashing.append((item, condition.after, self._requests[clashing - 1], place))

    def _event_columns(self) -> Iterator[Array]:
        """Yield the arrays of types, events and tags. Types, events and requests count from 1.

        An event has each of its tags only once.
        """
        events = self._events
        types = {type: number for number, type in enumerate(dict.fromkeys(event.type for event in events), 1)}
        yield texts(types)
        yield integers([number for number, request in enumerate(self._requests, 1) for _ in request.events])
        yield integers([types[event.type] for event in events])
        yield integers([event.version for event in events])
        yield texts(["\n".join(event.tags) for event in events])
        yield blobs([event.data for event in events])
        yield blobs([event.metadata for event in events])
        yield bigints(self._times())
        yield texts([tag for event in events for tag in event.tags])
        yield integers([number for number, event in enumerate(events, 1) for _ in event.tags])

    def _times(self) -> Sequence[int | None]:
        """Return the time of each event, or an empty list. If there are times, the call has one request."""
        if has_no_times(self._events):
            return []
        return [None if event.time is None else to_microseconds(event.time) for event in self._events]

    def _known(self, request: AppendRequest, uses: Sequence[tuple[int, int, int, str]]) -> Appended | StoreError:
        """Return the append of a key that was used before, or the error that names the keys of several."""
        keys: list[IdempotencyKey] = []
        appended = Appended(0, 0)
        try:
            for number, first, last, digest in uses:
                appended = Appended(first, last, duplicate=True)
                keys.append(self._asked[number - 1])
                recognised(keys[-1], (appended, bytes.fromhex(digest)))
        except StoreError as error:
            return error
        return PartsAppended([key.value for key in keys]) if request.in_parts else appended

    def _conflict_in_log(self, detail: dict[str, Any]) -> Conflict:
        number: int = detail["item"]
        item, after = self._shown[number - 1]
        matches = [_shown(position, type, tags) for position, type, tags in detail["matches"] or ()]
        return Conflict(item, after, matches)

    def _conflict_in_batch(self, clash: int, position: int) -> Conflict:
        item, after, request, place = self._clashing[clash]
        matches = [
            StoredEvent(position - place + at, 0, event.type, event.version, event.data, event.metadata, event.tags)
            for at, event in enumerate(request.events)
            if position - place + at > after and item.matches(event.type, event.tags)
        ]
        return Conflict(item, after, matches[:MAX_SHOWN_MATCHES])


class Columns:
    """Rows, stored column by column."""

    def __init__(self, width: int) -> None:
        self.all: list[list[Any]] = [[] for _ in range(width)]

    def add(self, *row: Any) -> None:
        """Add a row."""
        for column, value in zip(self.all, row, strict=True):
            column.append(value)


class EarlierEvents:
    """The events of the requests so far, to find those that an item of a later request matches.

    They are indexed by tag at once, and by type once that is asked for: most items have a tag.
    """

    def __init__(self) -> None:
        self._all: list[tuple[int, int, NewEvent]] = []  # the request, the place in it, and the event
        self._by_tag: defaultdict[str, list[tuple[int, int, NewEvent]]] = defaultdict(list)
        self._by_type: defaultdict[str, list[tuple[int, int, NewEvent]]] = defaultdict(list)
        self._typed = 0  # events that are indexed by type

    def add(self, number: int, request: AppendRequest) -> None:
        """Add the events of a request."""
        for place, event in enumerate(request.events):
            found = (number, place, event)
            self._all.append(found)
            for tag in event.tags:
                self._by_tag[tag].append(found)

    def matching(self, item: CriteriaItem) -> Iterable[tuple[int, int]]:
        """Return each request with events that match the item, and the place of the last of these events."""
        if item.tags and not self._by_tag.keys() >= item.tags:
            return ()
        last = {
            number: place for number, place, event in self._candidates(item) if item.matches(event.type, event.tags)
        }
        return last.items()

    def _candidates(self, item: CriteriaItem) -> Iterable[tuple[int, int, NewEvent]]:
        if item.tags:
            return min((self._by_tag[tag] for tag in item.tags), key=len)
        if not item.types:
            return self._all
        for found in self._all[self._typed :]:
            self._by_type[found[2].type].append(found)
        self._typed = len(self._all)
        return sorted(found for type in item.types for found in self._by_type.get(type, ()))


@lru_cache(4096)
def lines(names: frozenset[str]) -> str:
    """Return types or tags as the log's functions take them: one per line."""
    return "\n".join(sorted(names))


def _untimely(request: AppendRequest, moment: int, newest: int) -> TimeRefused:
    """Return the error for the first time that goes back, or lies ahead."""
    before = newest
    for index, event in enumerate(request.events):
        microseconds = max(moment, before) if event.time is None else to_microseconds(event.time)
        if event.time is not None and not before <= microseconds <= moment:
            return TimeRefused(index, event.time, from_microseconds(before), from_microseconds(moment))
        before = microseconds
    raise AssertionError("the log refused times that are in order")


def _shown(position: int, type: str, tags: str) -> StoredEvent:
    return StoredEvent(position, 0, type, 1, b"", b"", tuple(tags.split("\n")) if tags else ())


def key_text(key: str) -> str:
    """Return a key as PostgreSQL can store it: with a NUL or a lone surrogate, as its bytes in hex after a mark."""
    try:
        plain = "\0" not in key and not key.startswith(ESCAPE) and bool(key.encode())
    except UnicodeEncodeError:
        plain = False
    return key if plain or not key else ESCAPE + key.encode("utf-8", "surrogatepass").hex()


def key_in(text: str) -> str:
    """Return the key that `key_text` encoded."""
    return bytes.fromhex(text[1:]).decode("utf-8", "surrogatepass") if text.startswith(ESCAPE) else text

"""A batch of appends as the arguments of the log's `append` function, and its answer as their outcomes."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Any

from leftfold.clock import from_microseconds, to_microseconds
from leftfold.criteria import Item
from leftfold.errors import Conflict, PartsAppended, StoreError, TimeRefused
from leftfold.store.admission import SHOWN_MATCHES, AppendRequest, recognised
from leftfold.store.contract import Appended, Key, StoredEvent

ESCAPED = "\x01"


def calls_of(requests: Sequence[AppendRequest]) -> Iterator[Sequence[AppendRequest]]:
    """The requests in order, cut where one call cannot tell them apart: a key that comes twice, events with times."""
    call: list[AppendRequest] = []
    keys: set[str] = set()
    for request in requests:
        timed = any(event.time is not None for event in request.events)
        if call and (timed or any(key.value in keys for key in request.keys)):
            yield call
            call, keys = [], set()
        call.append(request)
        keys.update(key.value for key in request.keys)
        if timed:
            yield call
            call, keys = [], set()
    if call:
        yield call


class Code(IntEnum):
    """What the function says of a request."""

    APPENDED = 0
    KEY_KNOWN = 1
    MATCHED = 2
    CLASHED = 3
    UNTIMELY = 4


class AppendCall:
    """The columns of one call."""

    def __init__(self, requests: Sequence[AppendRequest]) -> None:
        self._requests = requests
        self._type_numbers: dict[str, int] = {}
        self._keys = Columns(5)
        self._asked: list[Key] = []
        self._events = Columns(8)
        self._tags = Columns(4)
        self._items = Columns(4)
        self._shown: list[tuple[Item, int]] = []
        self._clashes = Columns(4)
        self._clashing: list[tuple[Item, int, AppendRequest, int]] = []
        self._placed = Placed()
        for number, request in enumerate(requests, 1):
            self._add_keys(number, request)
            self._add_conditions(number, request)
            self._add_events(number, request)

    def __repr__(self) -> str:
        return f"<AppendCall of {len(self._requests)} requests>"

    def columns(self) -> list[list[Any]]:
        """The arguments of the function from `request_events` on, in their order."""
        timed = any(event.time is not None for event in self._requests[0].events)
        events = self._events.all
        return [
            [len(request.events) for request in self._requests],
            *self._keys.all,
            list(self._type_numbers),
            *events[:-1],
            events[-1] if timed else [],
            *self._tags.all,
            *self._items.all,
            *self._clashes.all,
        ]

    def outcomes(self, answer: Sequence[Any]) -> list[Appended | StoreError]:
        """What the answer says to each request."""
        codes, firsts, lasts, details, moment, newest = answer
        found: list[Appended | StoreError] = []
        for index, request in enumerate(self._requests):
            code, first, last = codes[index], firsts[index], lasts[index]
            match code:
                case Code.APPENDED:
                    found.append(Appended(first, last))
                case Code.KEY_KNOWN:
                    found.append(self._known(request, details[str(index + 1)]))
                case Code.MATCHED:
                    found.append(self._matched(details[str(index + 1)]))
                case Code.CLASHED:
                    found.append(self._clashed(last - 1, first))
                case _:
                    found.append(_untimely(request, moment, newest))
        return found

    def _add_keys(self, number: int, request: AppendRequest) -> None:
        for key in request.keys:
            events = len(request.events) if key.events is None else key.events
            self._keys.add(number, key_text(key.value), key.digest, key.place, events)
            self._asked.append(key)

    def _add_conditions(self, number: int, request: AppendRequest) -> None:
        for condition in request.conditions:
            for item in condition.criteria.items:
                self._items.add(number, condition.after, "\n".join(sorted(item.types)), "\n".join(sorted(item.tags)))
                self._shown.append((item, condition.after))
                for earlier, place in self._placed.matching(item):
                    self._clashes.add(number, earlier, place, condition.after)
                    self._clashing.append((item, condition.after, self._requests[earlier - 1], place))

    def _add_events(self, number: int, request: AppendRequest) -> None:
        for place, event in enumerate(request.events):
            type = self._type_numbers.setdefault(event.type, len(self._type_numbers) + 1)
            tags = tuple(dict.fromkeys(event.tags)) if len(event.tags) > 1 else event.tags
            time = to_microseconds(event.time) if event.time is not None else None
            self._events.add(number, place, type, event.version, "\n".join(tags), event.data, event.metadata, time)
            for tag in tags:
                self._tags.add(tag, number, place, type)
            self._placed.add(number, place, event.type, tags)

    def _known(self, request: AppendRequest, uses: Sequence[tuple[int, int, int, str]]) -> Appended | StoreError:
        """The append of a key that was used before, or which of several were."""
        keys: list[Key] = []
        appended = Appended(0, 0)
        try:
            for number, first, last, digest in uses:
                appended = Appended(first, last, duplicate=True)
                keys.append(self._asked[number - 1])
                recognised(keys[-1], (appended, bytes.fromhex(digest)))
        except StoreError as error:
            return error
        return PartsAppended([key.value for key in keys]) if request.in_parts else appended

    def _matched(self, detail: dict[str, Any]) -> Conflict:
        number: int = detail["item"]
        item, after = self._shown[number - 1]
        matches = [_shown(position, type, tags) for position, type, tags in detail["matches"] or ()]
        return Conflict(item, after, matches)

    def _clashed(self, clash: int, position: int) -> Conflict:
        item, after, request, place = self._clashing[clash]
        matches = [
            StoredEvent(position - place + at, 0, event.type, event.version, event.data, event.metadata, event.tags)
            for at, event in enumerate(request.events)
            if position - place + at > after and item.matches(event.type, event.tags)
        ]
        return Conflict(item, after, matches[:SHOWN_MATCHES])


class Columns:
    """Rows, kept column by column."""

    def __init__(self, width: int) -> None:
        self.all: list[list[Any]] = [[] for _ in range(width)]

    def add(self, *row: Any) -> None:
        """Add a row."""
        for column, value in zip(self.all, row, strict=True):
            column.append(value)


class Placed:
    """The events of the requests so far, found by tag and type."""

    def __init__(self) -> None:
        self._by_tag: defaultdict[str, list[tuple[int, int, str, tuple[str, ...]]]] = defaultdict(list)
        self._by_type: defaultdict[str, list[tuple[int, int, str, tuple[str, ...]]]] = defaultdict(list)
        self._all: list[tuple[int, int, str, tuple[str, ...]]] = []

    def add(self, request: int, place: int, type: str, tags: tuple[str, ...]) -> None:
        """Note an event."""
        event = (request, place, type, tags)
        self._all.append(event)
        self._by_type[type].append(event)
        for tag in tags:
            self._by_tag[tag].append(event)

    def matching(self, item: Item) -> list[tuple[int, int]]:
        """For each request that has events which the item means, its number and the place of the last such event."""
        if item.tags:
            candidates = min((self._by_tag.get(tag, []) for tag in item.tags), key=len)
        elif item.types:
            candidates = sorted(event for type in item.types for event in self._by_type.get(type, ()))
        else:
            candidates = self._all
        last = {request: place for request, place, type, tags in candidates if item.matches(type, tags)}
        return list(last.items())


def _untimely(request: AppendRequest, moment: int, newest: int) -> TimeRefused:
    """The first time that goes back, or lies ahead."""
    before = newest
    for index, event in enumerate(request.events):
        microseconds = before if event.time is None else to_microseconds(event.time)
        if event.time is not None and not before <= microseconds <= moment:
            return TimeRefused(index, event.time, from_microseconds(before), from_microseconds(moment))
        before = microseconds
    raise AssertionError("the log refused times that are in order")


def _shown(position: int, type: str, tags: str) -> StoredEvent:
    return StoredEvent(position, 0, type, 1, b"", b"", tuple(tags.split("\n")) if tags else ())


def key_text(key: str) -> str:
    """A key as PostgreSQL takes it: one with a NUL or a lone surrogate by its bytes, behind a mark of their own."""
    try:
        plain = "\0" not in key and not key.startswith(ESCAPED) and bool(key.encode())
    except UnicodeEncodeError:
        plain = False
    return key if plain or not key else ESCAPED + key.encode("utf-8", "surrogatepass").hex()


def key_in(text: str) -> str:
    """The key that `key_text` wrote."""
    return bytes.fromhex(text[1:]).decode("utf-8", "surrogatepass") if text.startswith(ESCAPED) else text

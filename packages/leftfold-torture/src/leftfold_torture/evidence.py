"""A recorded history, put together from its files, and what the checks look up in it."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from leftfold.model.record import NewEvent, StoredEvent
from leftfold_torture.record import (
    Answer,
    Append,
    Awaited,
    Call,
    Delivered,
    Ended,
    Harmed,
    Invoked,
    Items,
    Placed,
    Record,
    Returned,
    Unknown,
    content_of,
    criteria_of,
    digest_of,
    read_log,
    records_of,
)

NO_ANSWER = Unknown("no answer: the client was killed")


class Operation(NamedTuple):
    """A call with its answer; one that never returned has `NO_ANSWER`, at no time."""

    client: str
    number: int
    invoked: int
    call: Call
    answer: Answer
    returned: int | None

    def __str__(self) -> str:
        return f"{self.client}#{self.number}"


class Attempt(NamedTuple):
    """An operation that appends."""

    operation: Operation
    call: Append

    @property
    def answer(self) -> Answer:
        """What came of it."""
        return self.operation.answer

    def __str__(self) -> str:
        return str(self.operation)


class Payload:
    """Events that somebody asked to append, and all attempts to; the first event's data tells it from all others."""

    def __init__(self, events: tuple[NewEvent, ...]) -> None:
        self.events = events
        self.attempts: list[Attempt] = []

    def __repr__(self) -> str:
        return f"<Payload {self.events[0].data[:40]!r}>"

    @property
    def operations(self) -> list[Operation]:
        """The attempts as operations."""
        return [attempt.operation for attempt in self.attempts]


class History:
    """All operations, deliveries and faults, and the log as it was read at the end."""

    def __init__(self, records: Iterable[Record], log: Sequence[StoredEvent]) -> None:
        self.log = log
        self.operations: list[Operation] = []
        self.deliveries: defaultdict[tuple[str, int], list[Delivered]] = defaultdict(list)
        self.awaited: list[Awaited] = []
        self.faults: list[Harmed] = []
        self.ended: int | None = None  # microseconds since 1970
        self._sort(records)

    def __repr__(self) -> str:
        return f"<History of {len(self.operations)} operations on {len(self.log)} events>"

    def _sort(self, records: Iterable[Record]) -> None:
        invoked: dict[tuple[str, int], Invoked] = {}
        for record in records:
            match record:
                case Invoked():
                    invoked[record.client, record.number] = record
                case Returned():
                    begun = invoked.pop((record.client, record.number))
                    self._add(begun, record.answer, record.at)
                case Delivered():
                    self.deliveries[record.client, record.number].append(record)
                case Awaited():
                    self.awaited.append(record)
                case Harmed():
                    self.faults.append(record)
                case Ended():
                    self.ended = record.microseconds
        for begun in invoked.values():
            self._add(begun, NO_ANSWER, None)

    def _add(self, begun: Invoked, answer: Answer, returned: int | None) -> None:
        self.operations.append(Operation(begun.client, begun.number, begun.at, begun.call, answer, returned))

    @cached_property
    def attempts(self) -> list[Attempt]:
        """The operations that append something."""
        return [
            Attempt(each, each.call) for each in self.operations if isinstance(each.call, Append) and each.call.events
        ]

    @cached_property
    def payloads(self) -> dict[bytes, Payload]:
        """What was to be appended, by the data of its first event."""
        found: dict[bytes, Payload] = {}
        for attempt in self.attempts:
            events = attempt.call.events
            found.setdefault(events[0].data, Payload(events)).attempts.append(attempt)
        return found

    @cached_property
    def places(self) -> dict[bytes, list[int]]:
        """Where in the log, as indexes from 0, an event with this data lies: a sound log has each once."""
        found: defaultdict[bytes, list[int]] = defaultdict(list)
        for index, event in enumerate(self.log):
            found[event.data].append(index)
        return found

    def spans_of(self, fault: str) -> Iterator[tuple[int, int]]:
        """From when to when, at least, a fault lasted, each time."""
        began: int | None = None
        for harmed in self.faults:
            if harmed.fault == fault and harmed.began:
                began = harmed.at
            elif harmed.fault == fault and began is not None:
                yield began, harmed.at
                began = None

    def place_of(self, payload: Payload) -> int | None:
        """The first position at which the payload is stored."""
        places = self.places.get(payload.events[0].data)
        return self.log[places[0]].position if places else None

    def matching(self, items: Items, after: int, upto: int) -> list[int]:
        """The positions of the log's events that the items mean, with `after` < position <= `upto`."""
        found: set[int] = set()
        criteria = criteria_of(items)
        for item in criteria.items:
            for position in self._candidates(item.types, item.tags, after, upto):
                event = self.event_at[position]
                if item.matches(event.type, event.tags):
                    found.add(position)
        return sorted(found)

    def content(self, positions: Iterable[int]) -> str:
        """The digest of the log's events at these positions."""
        return content_of(self._digests.get(position, b"") for position in positions)

    @cached_property
    def event_at(self) -> dict[int, StoredEvent]:
        """The log's events by position."""
        return {event.position: event for event in self.log}

    @cached_property
    def head(self) -> int:
        """The log's newest position."""
        return max(self.event_at, default=0)

    @cached_property
    def acknowledged(self) -> "Acknowledged":
        """How far the log was known to go, at any time."""
        return Acknowledged(self.operations)

    @cached_property
    def _digests(self) -> dict[int, bytes]:
        return {event.position: digest_of(event) for event in self.log}

    @cached_property
    def _positions(self) -> list[int]:
        return sorted(self.event_at)

    @cached_property
    def _by_tag(self) -> dict[str, list[int]]:
        found: defaultdict[str, list[int]] = defaultdict(list)
        for position in self._positions:
            for tag in self.event_at[position].tags:
                found[tag].append(position)
        return found

    @cached_property
    def _by_type(self) -> dict[str, list[int]]:
        found: defaultdict[str, list[int]] = defaultdict(list)
        for position in self._positions:
            found[self.event_at[position].type].append(position)
        return found

    def _candidates(self, types: Iterable[str], tags: Iterable[str], after: int, upto: int) -> list[int]:
        lists = [self._by_tag.get(tag, []) for tag in tags]
        if lists:
            return _between(min(lists, key=len), after, upto)
        named = [_between(self._by_type.get(type, []), after, upto) for type in types]
        return [position for each in named for position in each] if named else _between(self._positions, after, upto)


class Acknowledged:
    """The newest position that had been acknowledged by a given time."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        answers = sorted(
            (each.returned, each.answer.last)
            for each in operations
            if each.returned is not None and isinstance(each.answer, Placed)
        )
        self._times = [at for at, _ in answers]
        self._heads: list[int] = []
        for _, last in answers:
            self._heads.append(max(last, self._heads[-1] if self._heads else 0))

    def __repr__(self) -> str:
        return f"<Acknowledged at {len(self._times)} times>"

    def before(self, at: int) -> int:
        """The newest position that was acknowledged before this moment."""
        index = bisect_left(self._times, at)
        return self._heads[index - 1] if index else 0


def history_in(folder: Path) -> History:
    """The history that a run has left in a folder."""
    records = (record for path in sorted(folder.glob("*.jsonl")) for record in records_of(path))
    return History(records, read_log(folder / "log.json"))


def _between(positions: list[int], after: int, upto: int) -> list[int]:
    return positions[bisect_right(positions, after) : bisect_right(positions, upto)]

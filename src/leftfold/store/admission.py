"""What may enter the log: checks of one append by itself, and of a batch against the log and each other."""

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from itertools import count, islice
from typing import Any, NamedTuple, Protocol

from leftfold.errors import (
    Conflict,
    EmptyAppend,
    InvalidIdempotencyKey,
    KeyReused,
    PartsAppended,
    StoreError,
    TimeRefused,
    UsageError,
)
from leftfold.model.clock import from_microseconds, to_microseconds
from leftfold.model.criteria import Criteria, CriteriaItem
from leftfold.model.record import CopiedEvent, NewEvent, StoredEvent
from leftfold.store.bounds import (
    EVENT_LIMIT,
    check_condition,
    check_keys,
    checked_events,
    has_no_times,
)
from leftfold.store.clock_guard import NO_LIMIT, clock_jumped
from leftfold.store.contract import AppendCondition, Appended, IdempotencyKey, digest_of
from leftfold.store.recent_tags import RecentTags

MAX_SHOWN_MATCHES = 3


class AppendRequest:
    """An append that waits for its commit."""

    __slots__ = ("conditions", "events", "in_parts", "keys", "size")

    def __init__(
        self,
        events: Sequence[NewEvent],
        condition: AppendCondition | Iterable[AppendCondition] | None,
        key: str | IdempotencyKey | Sequence[IdempotencyKey] | None,
    ) -> None:
        self.events: Sequence[NewEvent] = events if isinstance(events, list | tuple) else _listed(events)
        self.size = 0  # in bytes, once it has been checked
        self.conditions = (condition,) if type(condition) is AppendCondition else _all_of(condition)
        self.keys = () if key is None else _keys_of(key, self.events)
        self.in_parts = not (key is None or isinstance(key, str | IdempotencyKey))

    def check(self, event_limit: int = EVENT_LIMIT) -> None:
        """Raise if the append may not enter any log; then set `size`, and leave each tag only once in its event."""
        if not self.events:
            raise EmptyAppend
        copied = isinstance(self.events[0], CopiedEvent)
        self.events, self.size = checked_events(self.events, event_limit, copied=copied)
        for condition in self.conditions:
            check_condition(condition)
        if self.keys:
            check_keys(self.keys, len(self.events), copied=copied)

    def moved(self, item: CriteriaItem, after: int, to: int) -> "AppendRequest":
        """Return the same append, with an item of its conditions asked from position `to` instead of `after`."""
        moved = copy(self)
        moved.conditions = tuple(part for each in self.conditions for part in _moved(each, item, after, to))
        return moved


def _all_of(condition: AppendCondition | Iterable[AppendCondition] | None) -> tuple[AppendCondition, ...]:
    if condition is None:
        return ()
    given: Any = condition
    try:
        conditions: tuple[Any, ...] = tuple(given)
    except TypeError:
        conditions = (given,)
    for each in conditions:
        if not isinstance(each, AppendCondition):
            raise UsageError(
                f"condition={condition!r}",
                "an AppendCondition, or several of them",
                "pass AppendCondition(criteria, after)",
            )
    return conditions


def _listed(events: Any) -> Sequence[NewEvent]:
    try:
        return list(events)
    except TypeError:
        raise UsageError(f"events={events!r}", "a list of NewEvent", "pass a list, even for one event") from None


def _moved(condition: AppendCondition, item: CriteriaItem, after: int, to: int) -> Iterator[AppendCondition]:
    if condition.after != after or item not in condition.criteria.items:
        yield condition
        return
    others = [each for each in condition.criteria.items if each != item]
    if others:
        yield AppendCondition(Criteria(*others), after)
    yield AppendCondition(Criteria(item), to)


def _keys_of(
    key: str | IdempotencyKey | Sequence[IdempotencyKey], events: Sequence[NewEvent]
) -> tuple[IdempotencyKey, ...]:
    if isinstance(key, str):
        return (IdempotencyKey(key, _digest_of(events)),)
    if isinstance(key, IdempotencyKey):
        return (key,)
    if not isinstance(key, list | tuple):
        raise InvalidIdempotencyKey(key, f"is of type {type(key).__name__}")
    return tuple(key)


def _digest_of(events: Sequence[NewEvent]) -> bytes:
    try:
        return digest_of(events)
    except (AttributeError, TypeError):  # `check` will raise for them
        return b""


class CommittedLog(Protocol):
    """What an admission asks of the committed log, under the write lock."""

    def first_matches(self, item: CriteriaItem, after: int) -> Sequence[StoredEvent]:
        """Return the first few committed events after `after` that match the item."""
        ...

    def appended(self, key: str) -> tuple[Appended, bytes] | None:
        """Return what was appended with this key, and the digest of its payload."""
        ...


def recognised(key: str | IdempotencyKey, known: tuple[Appended, bytes] | None) -> Appended | None:
    """Return what was appended with a key, or raise `KeyReused` if that was another payload."""
    if known is None:
        return None
    appended, digest = known
    if isinstance(key, IdempotencyKey) and digest != key.digest:
        raise KeyReused(key.value, appended.first, appended.last, digest)
    return appended


def part_of(appended: Appended, key: IdempotencyKey) -> Appended:
    """Return the part of an append that a key stands for."""
    if key.events is None:
        return appended
    first = appended.first + key.place
    return Appended(first, first + key.events - 1)


class Placed(NamedTuple):
    """The events of one append, at the positions that they will have in the log."""

    first: int
    times: Sequence[int]  # microseconds since 1970
    events: Sequence[NewEvent]

    def stored(self) -> list[StoredEvent]:
        """Return the events as they will be read."""
        return [
            StoredEvent(position, time, event.type, event.version, event.data, event.metadata, event.tags)
            for position, time, event in zip(count(self.first), self.times, self.events, strict=False)
        ]


class Admission:
    """Decides a batch of appends in order; each one sees those that were accepted before it.

    The backend then writes `placed` and `keys` in one transaction. It keeps `recent` from one transaction to the next.
    """

    def __init__(
        self, log: CommittedLog, recent: RecentTags, *, head: int, newest: int, now: int, latest: int = NO_LIMIT
    ) -> None:
        self.placed: list[Placed] = []
        self.keys: list[tuple[IdempotencyKey, Appended]] = []
        self.head = head
        self._log = log
        self._recent = recent
        self._recent.begin(head)
        self._committed_head = head
        self._newest = newest
        self._now = now
        self._latest = latest  # plausible time
        self._by_key: dict[str, tuple[Appended, bytes]] = {}
        self._events: list[StoredEvent] = []
        self._made = 0  # how many of `placed` are in `_events`, which are made on demand

    @property
    def events(self) -> list[StoredEvent]:
        """Return all accepted events, as they will be stored."""
        for placed in self.placed[self._made :]:
            self._events += placed.stored()
        self._made = len(self.placed)
        return self._events

    def admit(self, request: AppendRequest) -> Appended | StoreError:
        """Return the result of one append; an error means that nothing of it is written."""
        try:
            known = self._known(request) if request.keys else None
            return known or self._accept(request)
        except StoreError as error:
            return error

    def _known(self, request: AppendRequest) -> Appended | None:
        known = [
            (key, found)
            for key in request.keys
            if (found := recognised(key, self._by_key.get(key.value) or self._log.appended(key.value)))
        ]
        if not known:
            return None
        if request.in_parts:
            raise PartsAppended([key.value for key, _ in known])
        [(_, found)] = known
        return Appended(found.first, found.last, duplicate=True)

    def _accept(self, request: AppendRequest) -> Appended:
        head = self.head
        for condition in request.conditions:
            if condition.after < head:
                self._check(condition)
        first = head + 1
        self._place(first, request.events)
        appended = Appended(first, self.head)
        for key in request.keys:
            part = part_of(appended, key)
            self.keys.append((key, part))
            self._by_key[key.value] = (part, key.digest)
        return appended

    def _check(self, condition: AppendCondition) -> None:
        for item in condition.criteria.items:
            if not self._recent.excludes(item, condition.after):
                matches = self._matches(item, condition.after)
                if matches:
                    raise Conflict(item, condition.after, matches)

    def _matches(self, item: CriteriaItem, after: int) -> Sequence[StoredEvent]:
        if after < self._committed_head:
            committed = self._log.first_matches(item, after)
            if committed:
                return committed
            after = self._committed_head
        if self._recent.excludes(item, after):
            return ()
        pending = (event for event in self.events if event.position > after and item.matches(event.type, event.tags))
        return list(islice(pending, MAX_SHOWN_MATCHES))

    def _place(self, first: int, events: Sequence[NewEvent]) -> None:
        times = self._times(events)
        newest = times[-1]
        if newest > self._latest:
            raise clock_jumped(newest, self._latest, self._now)
        self.placed.append(Placed(first, times, events))
        self.head += len(events)
        self._newest = newest
        self._recent.add(first, events)

    def _times(self, events: Sequence[NewEvent]) -> list[int]:
        if has_no_times(events):
            return [self._now if self._now > self._newest else self._newest] * len(events)
        times: list[int] = []
        for index, event in enumerate(events):
            times.append(self._time_of(index, event, times[-1] if times else self._newest))
        return times

    def _time_of(self, index: int, event: NewEvent, newest: int) -> int:
        if event.time is None:
            return max(self._now, newest)
        microseconds = to_microseconds(event.time)
        if not newest <= microseconds <= self._now:
            raise TimeRefused(index, event.time, from_microseconds(newest), from_microseconds(self._now))
        return microseconds

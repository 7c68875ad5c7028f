"""The memory store: the whole contract in plain lists, for tests and as a model for new backends."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from itertools import pairwise
from types import TracebackType
from typing import Self
from uuid import uuid4

from leftfold.errors import StoreClosed
from leftfold.model.clock import Clock, SystemClock, microseconds_of
from leftfold.model.criteria import EVERYTHING, SYSTEM, Criteria, CriteriaItem
from leftfold.model.record import NewEvent, StoredEvent
from leftfold.store.admission import MAX_SHOWN_MATCHES, Admission, AppendRequest, recognised
from leftfold.store.bounds import EVENT_LIMIT, check_known_key, check_read, check_wait
from leftfold.store.clock_guard import CLOCK_BOUND, ClockGuard
from leftfold.store.contract import AppendCondition, Appended, Batch, IdempotencyKey
from leftfold.store.head import Head
from leftfold.store.home import Home
from leftfold.store.inspection import StoredKey, TypeSample, type_samples_from
from leftfold.store.recent_tags import RecentTags

MAX_EVENTS_PER_BATCH = 1_000


class MemoryStore:
    """A log that lives as long as this object. It keeps all promises of the other stores except durability."""

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        event_limit: int = EVENT_LIMIT,
        clock_bound: float = CLOCK_BOUND,
        accept_time: datetime | None = None,
    ) -> None:
        self.log_id = uuid4().hex
        self._clock = clock or SystemClock()
        self._guard = ClockGuard(self._clock, clock_bound, accept_time)
        now = microseconds_of(self._clock)
        self._guard.begin(now, now)
        self._event_limit = event_limit
        self._events: list[StoredEvent] = []
        self._by_tag: defaultdict[str, list[int]] = defaultdict(list)
        self._by_type: defaultdict[str, list[int]] = defaultdict(list)
        self._keys: dict[str, tuple[Appended, bytes]] = {}
        self._head = Head()
        self._closed = False
        self._home = Home(moves=True)

    async def append(
        self,
        events: Sequence[NewEvent],
        *,
        condition: AppendCondition | Iterable[AppendCondition] | None = None,
        key: str | IdempotencyKey | Sequence[IdempotencyKey] | None = None,
    ) -> Appended:
        """Append all events or none; see `EventStore.append`."""
        self._check_open()
        request = AppendRequest(events, condition, key)
        request.check(self._event_limit)
        newest = self._events[-1].microseconds if self._events else 0
        now = microseconds_of(self._clock)
        latest = self._guard.latest(now)
        admission = Admission(self, RecentTags(), head=self._head.known, newest=newest, now=now, latest=latest)
        outcome = admission.admit(request)
        if not isinstance(outcome, Appended):
            raise outcome
        self._write(admission)
        return outcome

    async def read(
        self,
        criteria: Criteria = EVERYTHING,
        *,
        after: int = 0,
        upto: int | None = None,
        limit: int | None = None,
        reverse: bool = False,
        data_only: bool = False,
    ) -> AsyncIterator[Batch]:
        """Read matching events in batches; see `EventStore.read`."""
        self._check_open()
        check_read(criteria, after, upto, limit)
        end = self._head.known if upto is None else min(upto, self._head.known)
        found = self._positions(criteria, after, end)
        chosen = (found[::-1] if reverse else found)[:limit]
        step = MAX_EVENTS_PER_BATCH
        for start in range(0, len(chosen) - step, step):
            positions = chosen[start : start + step]
            yield Batch([self._events[position - 1] for position in positions], positions[-1])
        rest = chosen[(len(chosen) - 1) // step * step :] if chosen else []
        through = after if reverse else max(after, end)
        if len(chosen) < len(found):  # because of the limit
            through = rest[-1] if rest else (end if reverse else after)
        yield Batch([self._events[position - 1] for position in rest], through)

    async def head(self) -> int:
        """Return the position of the newest event."""
        self._check_open()
        return self._head.known

    async def wait(self, after: int, timeout: float | None = None) -> int:
        """Return the head once it is beyond `after`."""
        self._check_open()
        check_wait(after, timeout)
        return await self._head.beyond(after, timeout)

    async def lookup(self, key: str | IdempotencyKey) -> Appended | None:
        """Return the positions of the append with this idempotency key."""
        self._check_open()
        check_known_key(key)
        return recognised(key, self._keys.get(key if isinstance(key, str) else key.value))

    async def stored_keys(self) -> AsyncIterator[Sequence[StoredKey]]:
        """Yield every idempotency key; see `KeyedLog`."""
        self._check_open()
        yield [StoredKey(key, at.first, at.last, digest) for key, (at, digest) in self._keys.items()]

    async def type_samples(self, *, at_most: int) -> list[TypeSample]:
        """Return the oldest and the newest event of every type; see `Sampled`."""
        self._check_open()
        extents = [(type, min(len(at), at_most), at[0], at[-1]) for type, at in sorted(self._by_type.items())]
        return type_samples_from(extents, (self._events[at - 1] for each in extents for at in each[2:]))

    async def counts(self, types: Sequence[str], edges: Sequence[int]) -> list[int]:
        """Return how many events of these types are between neighbouring edges; see `Counted`."""
        self._check_open()
        at = [self._by_type.get(type, []) for type in dict.fromkeys(types)]
        return [sum(len(_between(each, after, upto)) for each in at) for after, upto in pairwise(edges)]

    async def mentions(self, text: bytes, *, after: int, upto: int) -> list[StoredEvent]:
        """Return the events whose metadata contains a text; see `Searchable`."""
        self._check_open()
        return [event for event in self._events[after:upto] if text in event.metadata]

    async def close(self) -> None:
        """Refuse every call from now on."""
        if not self._closed and not self._home.is_elsewhere:
            self._home.check()
            self._head.fail(StoreClosed())
        self._closed = True

    async def __aenter__(self) -> Self:
        if self._closed:  # a closed log can be opened again, like a file
            self._closed = False
            self._home = Home(moves=True)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<MemoryStore at {self._head.known}>"

    def first_matches(self, item: CriteriaItem, after: int) -> Sequence[StoredEvent]:
        """Return the first few events after `after` that match the item."""
        positions = self._positions(Criteria(item), after, self._head.known)[:MAX_SHOWN_MATCHES]
        return [self._events[position - 1] for position in positions]

    def appended(self, key: str) -> tuple[Appended, bytes] | None:
        """Return what was appended with this key, and its digest."""
        return self._keys.get(key)

    def _write(self, admission: Admission) -> None:
        for event in admission.events:
            self._events.append(event)
            self._by_type[event.type].append(event.position)
            for tag in event.tags:
                self._by_tag[tag].append(event.position)
        self._keys.update({key.value: (appended, key.digest) for key, appended in admission.keys})
        self._head.advance(admission.head)

    def _positions(self, criteria: Criteria, after: int, upto: int) -> list[int]:
        found = {position for item in criteria.items for position in self._matching(item, after, upto)}
        return sorted(found)

    def _matching(self, item: CriteriaItem, after: int, upto: int) -> Iterable[int]:
        candidates: Sequence[int]
        if item.tags:
            candidates = min((_between(self._by_tag.get(tag, []), after, upto) for tag in item.tags), key=len)
        elif item.types:
            return [p for type in item.types for p in _between(self._by_type.get(type, []), after, upto)]
        else:
            candidates = range(after + 1, upto + 1)
            if item.system:
                return candidates
            return [p for p in candidates if not self._events[p - 1].type.startswith(SYSTEM)]
        if len(item.tags) == 1:
            return [p for p in candidates if not item.types or self._events[p - 1].type in item.types]
        events = (self._events[position - 1] for position in candidates)
        return [event.position for event in events if item.matches(event.type, event.tags)]

    def _check_open(self) -> None:
        self._home.check()
        if self._closed:
            raise StoreClosed


def _between(positions: list[int], after: int, upto: int) -> list[int]:
    return positions[bisect_right(positions, after) : bisect_right(positions, upto)]

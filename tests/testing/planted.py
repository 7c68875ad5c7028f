"""Stores with one bug each, of the kinds that event stores have had: the history checker has to find them."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import timedelta
from random import Random
from typing import Any

from leftfold.errors import InvalidTag, LeftfoldError, StoreFailed
from leftfold.model.clock import Clock, SystemClock, to_microseconds
from leftfold.store import AppendCondition, Appended, Batch, IdempotencyKey, MemoryStore, NewEvent, StoredEvent
from leftfold.store.admission import Admission, AppendRequest, CommittedLog
from leftfold.store.recent_tags import RecentTags
from leftfold.store.sqlite.file import LogFile
from leftfold_torture import Nemesis, client_process
from leftfold_torture.neighbours import ForgedNotifications, HostileRequests
from leftfold_torture.nemesis import DeletedSideFiles, LeapClock, ReplacedFile

Conditions = AppendCondition | Iterable[AppendCondition] | None
Keys = str | IdempotencyKey | Sequence[IdempotencyKey] | None


class LateCommit(MemoryStore):
    """Gives positions before events can be seen: for a moment later events are there and earlier ones are not."""

    def __init__(self) -> None:
        super().__init__()
        self._hidden: set[int] = set()
        self._random = Random(1)

    def _write(self, admission: Admission) -> None:
        super()._write(admission)
        if self._random.random() < 0.2:
            late = {event.position for event in admission.events}
            self._hidden |= late
            asyncio.get_running_loop().call_later(0.02, self._hidden.difference_update, late)

    async def read(self, *args: Any, **options: Any) -> AsyncIterator[Batch]:
        async for batch in super().read(*args, **options):
            yield Batch([event for event in batch.events if event.position not in self._hidden], batch.through)


class NoConflictsInABatch(MemoryStore):
    """Checks what gathers for one commit against the log, but not one request against the others."""

    def __init__(self) -> None:
        super().__init__()
        self._gathering: list[tuple[AppendRequest, asyncio.Future[Appended]]] = []

    async def append(
        self, events: Sequence[NewEvent], *, condition: Conditions = None, key: str | IdempotencyKey | None = None
    ) -> Appended:
        request = AppendRequest(events, condition, key)
        request.check(self._event_limit)
        return await self._gathered(request)

    async def _gathered(self, request: AppendRequest) -> Appended:
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Appended] = loop.create_future()
        self._gathering.append((request, outcome))
        if len(self._gathering) == 1:
            loop.call_later(0.005, self._commit)
        return await outcome

    def _commit(self) -> None:
        gathered, self._gathering = self._gathering, []
        committed = self._head.known
        for request, outcome in gathered:
            newest = self._events[-1].microseconds if self._events else 0
            now = to_microseconds(self._clock.now())
            admission = Admission(self._seen(committed), RecentTags(), head=self._head.known, newest=newest, now=now)
            answer = admission.admit(request)
            if isinstance(answer, Appended):
                self._write(admission)
            if not outcome.done():
                outcome.set_result(answer) if isinstance(answer, Appended) else outcome.set_exception(answer)

    def _seen(self, head: int) -> CommittedLog:
        return Overlooking(self, head)


class FailsTheBatch(NoConflictsInABatch):
    """Finds only at the commit that an append cannot be taken, and then fails all that gathered with it."""

    async def append(self, events: Sequence[NewEvent], *, condition: Conditions = None, key: Keys = None) -> Appended:
        return await self._gathered(AppendRequest(events, condition, key))

    def _commit(self) -> None:
        for request, _ in self._gathering:
            try:
                request.check(self._event_limit)
            except LeftfoldError as error:
                gathered, self._gathering = self._gathering, []
                for other, outcome in gathered:
                    if not outcome.done():
                        outcome.set_exception(error if other is request else StoreFailed("the commit", str(error)))
                return
        super()._commit()

    def _seen(self, head: int) -> CommittedLog:
        return self


class Hostile(HostileRequests):
    """The same hostile requests, in a short run."""

    longest = 0.5


class TakesAnyTag(MemoryStore):
    """Looks at no tag."""

    async def append(self, events: Sequence[NewEvent], *, condition: Conditions = None, key: Keys = None) -> Appended:
        try:
            return await super().append(events, condition=condition, key=key)
        except InvalidTag:
            return Appended(1, 1)


class TrustsNotifications(MemoryStore):
    """Takes the position that a notification names for the newest one."""

    def __init__(self) -> None:
        super().__init__()
        self._said = 0

    def hear(self, said: str) -> None:
        if said.isascii() and said.isdecimal() and len(said) < 19:
            self._said = max(self._said, int(said))

    async def head(self) -> int:
        return max(self._said, await super().head())

    async def wait(self, after: int, timeout: float | None = None) -> int:
        if self._said <= after:
            return await super().wait(after, timeout)
        await asyncio.sleep(0.001)
        return self._said


class NotifiesInMemory(ForgedNotifications):
    """The same forged notifications, for a store in memory."""

    longest = 0.5
    store: TrustsNotifications

    @classmethod
    def obstacle(cls, place: object) -> None:
        return None

    async def notify(self, said: Sequence[str]) -> None:
        for each in said:
            self.store.hear(each)


class Overlooking:
    """The log as it was before the batch."""

    def __init__(self, store: MemoryStore, head: int) -> None:
        self._store = store
        self._head = head

    def first_matches(self, item: Any, after: int) -> Sequence[StoredEvent]:
        return [event for event in self._store.first_matches(item, after) if event.position <= self._head]

    def appended(self, key: str) -> tuple[Appended, bytes] | None:
        return self._store.appended(key)


class AcknowledgesEarly(MemoryStore):
    """Acknowledges what is not safe yet: a crash forgets the newest commits."""

    def crash(self) -> None:
        lost = self._events[max(0, len(self._events) - 5) :]
        for event in lost:
            self._events.remove(event)
            self._by_type[event.type].remove(event.position)
            for tag in event.tags:
                self._by_tag[tag].remove(event.position)
        self._head.known -= len(lost)


class Crash(Nemesis):
    """The store crashes."""

    name = "crash"
    longest = 0.4
    store: AcknowledgesEarly

    @classmethod
    def obstacle(cls, place: object) -> None:
        return None

    async def start(self) -> str:
        self.store.crash()
        return ""


class DropsWakeUps(MemoryStore):
    """Does not tell those who wait of every commit."""

    def _write(self, admission: Admission) -> None:
        if admission.head % 3 == 0:
            head, self._head.advance = self._head.advance, self._only_note  # type: ignore[method-assign]
            super()._write(admission)
            self._head.advance = head  # type: ignore[method-assign]
        else:
            super()._write(admission)

    def _only_note(self, position: int) -> None:
        self._head.known = position


class StoresRetriesTwice(MemoryStore):
    """Recognises a key only where the append's own condition fails, as some stores do."""

    async def append(
        self, events: Sequence[NewEvent], *, condition: Conditions = None, key: str | IdempotencyKey | None = None
    ) -> Appended:
        if condition is None:
            return await super().append(events)
        return await super().append(events, condition=condition, key=key)


class JitteryClock(SystemClock):
    """Goes back now and then."""

    def __init__(self) -> None:
        self._random = Random(1)

    def now(self) -> Any:
        return super().now() - timedelta(milliseconds=self._random.randrange(50))


class BelievesTheClock(MemoryStore):
    """Takes the clock's time as it is."""

    def __init__(self) -> None:
        super().__init__(JitteryClock())

    def _write(self, admission: Admission) -> None:
        now = to_microseconds(self._clock.now())
        for index, event in enumerate(admission.events):
            fields = {name: getattr(event, name) for name in event.__struct_fields__}
            admission.events[index] = StoredEvent(**{**fields, "microseconds": now})
        super()._write(admission)


def client_without_inode_check() -> None:
    """Run a client process whose store does not look whether its files are still in their place."""
    LogFile.check_in_place = lambda self, *, written=False: None  # type: ignore[method-assign]
    client_process.main()


class SideFilesDeleted(DeletedSideFiles):
    """The files beside the log are deleted, in a short run."""

    longest = 0.8


class FileReplaced(ReplacedFile):
    """The log's file is replaced, in a short run."""

    longest = 0.8


class BelievesLeaps(MemoryStore):
    """Takes the clock's time, however far it has jumped."""

    def __init__(self, clock: Clock | None) -> None:
        super().__init__(clock)
        self._guard.latest = lambda now: 2**62  # type: ignore[method-assign]


class Leap(LeapClock):
    """The same leaps, in a short run, and ahead."""

    longest = 0.5

    async def start(self) -> str:
        return self.set(timedelta(days=20_000))


class LosesTags(MemoryStore):
    """Now and then keeps an event without its tags."""

    def _write(self, admission: Admission) -> None:
        for index, event in enumerate(admission.events):
            if event.position % 50 == 0:
                fields = {name: getattr(event, name) for name in event.__struct_fields__}
                admission.events[index] = StoredEvent(**{**fields, "tags": ()})
        super()._write(admission)


class AnswersRefusedWhatItStores(MemoryStore):
    """Says that the store was not available, when the append is in the log."""

    async def append(
        self, events: Sequence[NewEvent], *, condition: Conditions = None, key: str | IdempotencyKey | None = None
    ) -> Appended:
        from leftfold.errors import StoreUnreachable

        appended = await super().append(events, condition=condition, key=key)
        if appended.last % 40 == 0 and key is None:
            raise StoreUnreachable("the log", "the connection was lost")
        return appended

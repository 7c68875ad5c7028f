"""Process workers: they follow the log, and submit what a process manager answers."""

import asyncio
import logging
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

from msgspec.structs import replace

from leftfold.errors import CannotDecode, Conflict, EvolveFailed
from leftfold.follow.taken_types import TakenTypes, in_numbers, names_taken
from leftfold.model.criteria import EVERYTHING, Criteria, criteria
from leftfold.model.failure import in_words, loggable, traceback_of
from leftfold.model.metadata import Metadata, decode_metadata, encode_metadata
from leftfold.model.record import NewEvent, StoredEvent
from leftfold.process.events import (
    INSTANCE,
    ProcessCancelled,
    ProcessCheckpoint,
    ProcessParked,
    ProcessReacted,
    ProcessRetried,
    ProcessSkipped,
)
from leftfold.process.instance import Progress
from leftfold.process.manager import Action, Cancel, Done, Key, Outbox, ProcessDefinition, Schedule
from leftfold.process.processes import Processes
from leftfold.store.contract import AppendCondition, OwnKey

TOGETHER = 500  # events that are answered with one commit
HELD = 10_000  # instances in memory
POSITIONS_A_CHECKPOINT = 5_000
GATHERING = 0.002  # seconds: an append by others is often of no concern, so that they need no read each
GOING_ON = criteria(ProcessRetried, ProcessSkipped)
CANCELLED = criteria(ProcessCancelled)
[CANCELLATION] = CANCELLED.items

log = logging.getLogger("leftfold.processes")


class Held:
    """An instance in memory: true after the newest event that this worker has read."""

    __slots__ = ("error", "key", "progress", "state")

    def __init__(self, key: Key, state: Any, progress: Progress) -> None:
        self.key = key
        self.state = state
        self.progress = progress
        self.error: Exception | None = None  # why its past cannot be folded

    def __repr__(self) -> str:
        return f"<Held {self.state!r}>"


Stuck = tuple[ProcessParked, Exception]
Answer = tuple[Key, OwnKey, list[NewEvent], Stuck | None]


class ProcessWorker:
    """Answers events for one process. Any number of workers may follow one log: an event is answered once.

    The answer to an event is one append under a key made of instance and position, so a worker that starts over from
    the checkpoint, or races another one, does nothing twice; and on condition that nobody has cancelled the instance.
    """

    def __init__(self, definition: ProcessDefinition, processes: Processes, outbox: Outbox) -> None:
        self.definition = definition
        self._processes = processes
        self._store = processes.store
        self._registry = processes.registry
        self._outbox = outbox
        self._criteria = self._registry.stored(definition.fold.all_criteria()) | GOING_ON
        self._checkpoints = criteria(ProcessCheckpoint, tags=[f"leftfold.process:{definition.name}"])
        self._taken = TakenTypes(
            self._store, self._registry, self._checkpoints, [event.wire for event in definition.fold.events]
        )
        self._is_noted = False  # whether a checkpoint lists the types that are taken
        self._new: set[str] = set()  # the names of types that the code before did not take
        self._passed_over: Counter[str] = Counter()  # their events that an instance had passed
        self._held: OrderedDict[Key, Held] = OrderedDict()
        self._position: int | None = None
        self._saved = 0
        self._heard = 0  # of each cancellation up to here
        self._count = 0

    def __repr__(self) -> str:
        return f"<ProcessWorker {self.definition.name} at {self._position}, {self._count} answered>"

    @property
    def name(self) -> str:
        """What a status calls it."""
        return f"process {self.definition.name}"

    async def step(self) -> bool:
        """Answer what is new; whether there was anything."""
        if self._position is None:
            self._position = self._saved = await self._start()
        await self._hear_of_cancelled()
        events: list[StoredEvent] = []
        through = self._position
        async for batch in self._store.read(self._criteria, after=self._position, limit=TOGETHER):
            events += batch.events
            through = batch.through
        try:
            await self._answer(events)
        except BaseException:
            self._held.clear()  # they are ahead of what is written
            raise
        self._position = through
        is_news = self._warn_of_passed_over() or bool(events)
        if through - self._saved >= POSITIONS_A_CHECKPOINT or (is_news and not self._is_noted):
            await self._save(through)
        return bool(events)

    async def until_there_is_work(self) -> None:
        """Return when the log has grown."""
        await self._store.wait(self._position or 0)
        await asyncio.sleep(GATHERING)

    # --- where to begin

    async def _start(self) -> int:
        found = await self._checkpoint()
        if found is not None:
            await self._compare_types(found)
            return found
        if not self.definition.from_now:
            return 0
        await self._save(await self._store.head(), OwnKey(f"leftfold.process/{self.definition.name}", b""))
        return await self._checkpoint() or 0

    async def _checkpoint(self) -> int | None:
        async for batch in self._store.read(self._checkpoints, limit=1, reverse=True):
            for event in self._registry.decode_all(batch.events):
                return int(event.position)
        return None

    async def _save(self, position: int, key: OwnKey | None = None) -> None:
        checkpoint = ProcessCheckpoint(self.definition.name, position, self._taken.names)
        await self._store.append([self._registry.encode(checkpoint, b"{}")], key=key)
        self._saved = position
        self._is_noted = True

    async def _compare_types(self, position: int) -> None:
        """Count the events before the checkpoint that the code which wrote it did not take."""
        noted = await self._taken.noted()
        self._is_noted = noted == self._taken.names
        new = self._taken.new(noted)
        self._new = set(names_taken(self._registry, new))
        self._passed_over = Counter(await self._taken.passed_over(new, position))

    def _warn_of_passed_over(self) -> bool:
        """Log one warning for all events that were found to be passed over since the last; whether there were any."""
        if not self._passed_over:
            return False
        log.warning(
            "process %s takes event types that the code before it did not take. Events that it had passed are part of"
            " the states, but are not answered: %s",
            self.definition.name,
            in_numbers(self._passed_over),
        )
        self._passed_over.clear()
        return True

    async def _hear_of_cancelled(self) -> None:
        """Drop what is held of instances that were cancelled: they are read anew if an event concerns them."""
        cancelled: set[str] = set()
        async for batch in self._store.read(CANCELLED, after=self._heard):
            cancelled.update(tag for event in batch.events for tag in event.tags)
            self._heard = batch.through
        if cancelled:
            for key in list(self._held):
                if not cancelled.isdisjoint(map(INSTANCE, self.definition.names(key))):
                    del self._held[key]

    # --- answering

    async def _answer(self, events: Sequence[StoredEvent]) -> None:
        """Answer events in their order; the appends share commits."""
        answers: list[Answer] = []
        for stored in events:
            event = self._decoded(stored)
            if isinstance(event, ProcessRetried | ProcessSkipped):
                await self._append(answers)
                answers = await self._go_on(event, stored.position)
                continue
            for key in self.definition.keys_of_stored(event, stored.tags):
                answers += self._react(await self._instance(key, stored.position), stored, event)
        await self._append(answers)

    async def _append(self, answers: Sequence[Answer]) -> None:
        """Append the answers of each instance in their order: a later one must not be there without an earlier one."""
        by_instance: defaultdict[Key, list[Answer]] = defaultdict(list)
        for answer in answers:
            by_instance[answer[0]].append(answer)
        tasks = [asyncio.create_task(self._append_of_one(each)) for each in by_instance.values()]
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
        if answers:
            self._outbox.submitted.set()

    async def _append_of_one(self, answers: Sequence[Answer]) -> None:
        for instance, key, records, stuck in answers:
            not_cancelled = AppendCondition(self._cancellation_of(instance), self._heard)
            try:
                appended = await self._store.append(records, condition=not_cancelled, key=key)
            except Conflict as conflict:
                if conflict.item not in not_cancelled.criteria.items:
                    raise
                self._held.pop(instance, None)
                return
            self._count += not appended.duplicate
            if stuck is not None and not appended.duplicate:
                await self._log_parked(*stuck)
            if appended.duplicate:  # another worker's answer counts, and it may be another one
                self._held.pop(instance, None)

    async def _log_parked(self, parked: ProcessParked, error: Exception) -> None:
        """Log an error for an instance that is parked; only a line when it was retried and failed as before."""
        what = "%s is parked at position %d: %s"
        if await self._processes.is_parked_as_before(parked):
            log.info(f"{what}, as before", parked.instance, parked.position, parked.error)
        else:
            log.error(what, parked.instance, parked.position, parked.error, exc_info=loggable(error))

    def _cancellation_of(self, instance: Key) -> Criteria:
        return self.definition.about(CANCELLATION.types, instance)

    def _react(self, held: Held, stored: StoredEvent, event: Any) -> list[Answer]:
        """Fold the event and answer it, unless that was done before; what goes wrong parks the instance."""
        progress, position = held.progress, stored.position
        if progress.ended or (progress.parked is not None and position >= progress.parked):
            return []
        if position in progress.skipped:
            return []
        said = _said(stored, self.definition.name)
        try:
            problem = event if isinstance(event, CannotDecode) else held.error
            if problem is not None:
                raise problem
            held.state = self.definition.fold.step(held.state, event, position)
            if position <= progress.reacted:
                if stored.type in self._new:
                    self._passed_over[stored.type] += 1
                return []
            actions = self.definition.react(held.state, event)
            if not actions:
                return []
            answer, records = self._answered(progress, actions, stored, said)
            records.append(self._registry.encode(answer, encode_metadata(said)))
            held.progress = progress.evolve(answer)
        except Exception as error:  # noqa: BLE001 whatever the process manager raises
            parked = ProcessParked(progress.instance, position, in_words(error))
            held.progress = progress.evolve(parked)
            stored_error = self._registry.encode(replace(parked, traceback=traceback_of(error)), encode_metadata(said))
            key = OwnKey(f"leftfold.process.parked/{progress.instance}/{position}/{progress.retries}", b"")
            return [(held.key, key, [stored_error], (parked, error))]
        return [(held.key, OwnKey(f"leftfold.process/{progress.instance}/{position}", b""), records, None)]

    def _answered(
        self, progress: Progress, actions: Sequence[Action], stored: StoredEvent, said: Metadata
    ) -> tuple[ProcessReacted, list[NewEvent]]:
        """The events that stand for the actions, and what is said of them."""
        records: list[NewEvent] = []
        tickets: list[str] = []
        names: dict[str, str] = {}
        done = False
        for number, action in enumerate(actions):
            match action:
                case Done():
                    done = True
                case Cancel(name=name):
                    ticket = names.get(name) or progress.names.get(name)
                    records += [self._outbox.cancellation(ticket, said)] if ticket else []
                case _:
                    schedule = action if isinstance(action, Schedule) else Schedule(action)
                    tickets.append(_ticket(progress.instance, stored.position, number))
                    due = schedule.at
                    if schedule.delay is not None:
                        due = self._outbox.due_after(schedule.delay, stored.time)
                    records.append(self._outbox.record(schedule.command, tickets[-1], due, said))
                    if schedule.name is not None:
                        names[schedule.name] = tickets[-1]
        return ProcessReacted(progress.instance, stored.position, tickets, names, done), records

    # --- instances

    async def _instance(self, key: Key, position: int) -> Held:
        """The instance as it is before the event at `position`."""
        held = self._held.get(key)
        if held is None:
            held = self._held[key] = await self._load(key, position)
            if len(self._held) > HELD:
                self._held.popitem(last=False)
        else:
            self._held.move_to_end(key)
        return held

    async def _load(self, key: Key, position: int) -> Held:
        """The same from the log; what could not be folded lies at or behind the place where it was parked."""
        progress, _ = await self._processes.progress(self.definition, key)
        held = Held(key, self.definition.fold.start(key), progress)
        if progress.ended:
            return held  # its state is of no concern any more
        before = position if progress.parked is None else min(position, progress.parked)
        for stored in await self._own(key, 0, before - 1):
            if stored.position in progress.skipped:
                continue
            try:
                held.state = self.definition.fold.step(held.state, self._registry.decode(stored), stored.position)
            except (CannotDecode, EvolveFailed) as error:
                held.error = error
                break
        return held

    async def _own(self, key: Key, after: int, upto: int) -> list[StoredEvent]:
        read = self._store.read(self._registry.stored(self.definition.fold.criteria(key)), after=after, upto=upto)
        return [stored async for batch in read for stored in batch.events]

    async def _go_on(self, retried: ProcessRetried | ProcessSkipped, upto: int) -> list[Answer]:
        """Answer what a parked instance has not answered, from where it was parked."""
        if not self.definition.has(retried.instance):
            return []
        parked = self._store.read(EVERYTHING, after=retried.position - 1, upto=retried.position)
        [stored] = [stored async for batch in parked for stored in batch.events]
        keys = self.definition.keys_of_stored(self._decoded(stored), stored.tags)
        [key] = [key for key in keys if retried.instance in self.definition.names(key)]
        held = self._held[key] = await self._load(key, retried.position)
        answers: list[Answer] = []
        for stored in await self._own(key, retried.position - 1, upto):
            answers += self._react(held, stored, self._decoded(stored))
        return answers

    def _decoded(self, stored: StoredEvent) -> Any:
        """The event, or the error in its place that parks the instances which it concerns."""
        try:
            return self._registry.decode(stored)
        except CannotDecode as error:
            return error


def _said(stored: StoredEvent, process: str) -> Metadata:
    """A command that answers an event belongs to what the event belongs to, and is caused by it."""
    before = decode_metadata(stored.metadata)
    return Metadata(correlation=before.correlation, cause=stored.position, extra={"process": process})


def _ticket(instance: str, position: int, number: int) -> str:
    """The ticket of a command that an instance submits: no user's key gives the same one."""
    return blake2b(f"{instance}/{position}/{number}".encode(), digest_size=16, person=b"leftfold.process").hexdigest()

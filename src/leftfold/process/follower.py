"""The follower of a process: it submits the commands with which a process manager answers events."""

import asyncio
import logging
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any

from msgspec.structs import replace

from leftfold.errors import CannotDecode, Conflict, EvolveFailed, UsageError
from leftfold.follow.follower import Pauses
from leftfold.follow.taken_types import TakenTypes, names_taken, warn_of_passed_over
from leftfold.model.criteria import Criteria, criteria
from leftfold.model.failure import in_words, loggable, traceback_of
from leftfold.model.metadata import Metadata, decode_metadata
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
from leftfold.process.manager import Action, CancelScheduled, EndProcess, Key, Outbox, ProcessDefinition, Schedule
from leftfold.process.processes import Processes, ProcessProgress
from leftfold.store.contract import AppendCondition, Batch, OwnKey

MAX_EVENTS_PER_COMMIT = 500
MAX_HELD_INSTANCES = 10_000  # in memory
POSITIONS_PER_CHECKPOINT = 5_000
UNPARKED = criteria(ProcessRetried, ProcessSkipped)
CANCELLED = criteria(ProcessCancelled)
[CANCELLATION] = CANCELLED.items

log = logging.getLogger("leftfold.processes")


class HeldInstance:
    """An instance in memory: true after the newest event that this follower has read."""

    __slots__ = ("error", "key", "progress", "state")

    def __init__(self, key: Key, state: Any, progress: ProcessProgress) -> None:
        self.key = key
        self.state = state
        self.progress = progress
        self.error: Exception | None = None  # why its past cannot be folded

    def __repr__(self) -> str:
        return f"<HeldInstance {self.state!r}>"


Stuck = tuple[ProcessParked, Exception]
Answer = tuple[Key, OwnKey, list[NewEvent], Stuck | None]


class ProcessFollower:
    """Answers events for one process. Any number of these may follow one log: an event is answered once.

    The answer to an event is one append under a key made of instance and position, so a follower that starts over from
    the checkpoint, or races another one, does nothing twice. Its condition is that nobody has cancelled the instance.
    """

    def __init__(self, definition: ProcessDefinition, processes: Processes, outbox: Outbox) -> None:
        self._journal = processes.journal
        registry = self._journal.registry
        self.definition = definition
        self.name = f"process {definition.name}"
        self.criteria = registry.stored(definition.fold.all_criteria()) | UNPARKED
        self.limit = MAX_EVENTS_PER_COMMIT
        self.pauses = Pauses()
        self._processes = processes
        self._outbox = outbox
        self._checkpoints = criteria(ProcessCheckpoint, tags=[f"leftfold.process:{definition.name}"])
        wires = [event.wire for event in definition.fold.events]
        self._taken = TakenTypes(self._journal, self._checkpoints, wires)
        self._new: set[str] = set()  # the names of types that the code before did not take
        self._passed_over: Counter[str] = Counter()  # their events that an instance had passed
        self._held: OrderedDict[Key, HeldInstance] = OrderedDict()
        self._position: int | None = None
        self._saved = 0
        self._cancelled_through = 0  # cancellations are known up to here
        self._count = 0
        self._ignored = 0  # events of instances that had ended

    def __repr__(self) -> str:
        return f"<ProcessFollower {self.definition.name}, {self.progress}>"

    @property
    def progress(self) -> str:
        """How many events were answered, and how many were left out because their instances had ended."""
        return f"{self._count} answered" + (f", {self._ignored} after the end ignored" if self._ignored else "")

    def due(self) -> datetime | None:
        """Nothing is ever due: timers are commands."""
        return None

    async def start(self) -> int:
        """Begin at the checkpoint, or where this follower was when it failed."""
        self._held.clear()  # they may be ahead of the log
        if self._position is None:
            self._position = self._saved = await self._first_position()
        return self._position

    async def handle(self, batch: Batch) -> int:
        """Answer the events of a batch."""
        await self._drop_cancelled()
        await self._answer(batch.events)
        self._position = batch.through
        is_news = self._warn_of_passed_over() or bool(batch.events)
        if batch.through - self._saved >= POSITIONS_PER_CHECKPOINT or (is_news and not self._taken.are_noted):
            await self._save(batch.through)
        return batch.through

    # --- where to begin

    async def _first_position(self) -> int:
        found = await self._checkpoint()
        if found is not None:
            new = await self._taken.compare()
            self._new = set(names_taken(self._journal.registry, new))
            self._passed_over = Counter(await self._taken.passed_over(new, found))
            return found
        if not self.definition.from_now:
            return 0
        head = await self._journal.store.head()
        await self._save(head, OwnKey(f"leftfold.process/{self.definition.name}", b""))
        return await self._checkpoint() or 0

    async def _checkpoint(self) -> int | None:
        return next((event.position for event in await self._journal.newest(self._checkpoints)), None)

    async def _save(self, position: int, key: OwnKey | None = None) -> None:
        checkpoint = ProcessCheckpoint(self.definition.name, position, self._taken.names)
        await self._journal.store.append(self._journal.encode([checkpoint]), key=key)
        self._saved = position
        self._taken.are_noted = True

    def _warn_of_passed_over(self) -> bool:
        """Log one warning for all events that were passed over and not yet reported; whether there were any."""
        if not self._passed_over:
            return False
        warn_of_passed_over(log, self.name, self._passed_over, "are part of the states, but are not answered")
        self._passed_over.clear()
        return True

    async def _drop_cancelled(self) -> None:
        """Drop instances that were cancelled from memory: they are read again if an event concerns them."""
        cancelled: set[str] = set()
        async for batch in self._journal.store.read(CANCELLED, after=self._cancelled_through):
            cancelled.update(tag for event in batch.events for tag in event.tags)
            self._cancelled_through = batch.through
        if cancelled:
            for key in list(self._held):
                if not cancelled.isdisjoint(map(INSTANCE, self.definition.names(key))):
                    del self._held[key]

    # --- answering

    async def _answer(self, events: Sequence[StoredEvent]) -> None:
        """Answer events in their order; the appends share commits."""
        answers: list[Answer] = []
        for stored in events:
            event = self._journal.decoded(stored)
            if isinstance(event, ProcessRetried | ProcessSkipped):
                await self._append(answers)
                answers = await self._answer_unparked(event, stored.position)
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
            not_cancelled = AppendCondition(self._cancellation_of(instance), self._cancelled_through)
            try:
                appended = await self._journal.store.append(records, condition=not_cancelled, key=key)
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
        """Log an error for an instance that is parked; only a line if it was retried and failed as before."""
        what = "%s is parked at position %d: %s"
        if await self._processes.is_parked_as_before(parked):
            log.info(f"{what}, as before", parked.instance, parked.position, parked.error)
        else:
            log.error(what, parked.instance, parked.position, parked.error, exc_info=loggable(error))

    def _cancellation_of(self, instance: Key) -> Criteria:
        return self.definition.about(CANCELLATION.types, instance)

    def _react(self, held: HeldInstance, stored: StoredEvent, event: Any) -> list[Answer]:
        """Fold the event and answer it, unless that was done before; an error parks the instance."""
        progress, position = held.progress, stored.position
        if self._is_left_out(progress, stored):
            return []
        is_late = progress.done and position > progress.reacted
        metadata = _metadata(stored, self.definition.name)
        try:
            problem = event if isinstance(event, CannotDecode) else held.error
            if problem is not None:
                raise problem
            if is_late and self.definition.after_end == "park":
                raise _after_end(progress, stored)
            held.state = self.definition.fold.step(held.state, event, stored)
            if position <= progress.reacted:
                if stored.type in self._new:
                    self._passed_over[stored.type] += 1
                return []
            actions = self.definition.react(held.state, event)
            if not actions:
                return []
            answer, records = self._answered(progress, actions, stored, metadata)
            records += self._journal.encode([answer], metadata)
            held.progress = progress.evolve(answer)
            if is_late:
                log.info("%s has ended, and answers %s at position %d", progress.instance, stored.type, position)
        except Exception as error:  # noqa: BLE001 whatever the process manager raises
            parked = ProcessParked(progress.instance, position, in_words(error))
            held.progress = progress.evolve(parked)
            records = self._journal.encode([replace(parked, traceback=traceback_of(error))], metadata)
            key = OwnKey(f"leftfold.process.parked/{progress.instance}/{position}/{progress.retries}", b"")
            return [(held.key, key, records, (parked, error))]
        return [(held.key, OwnKey(f"leftfold.process/{progress.instance}/{position}", b""), records, None)]

    def _is_left_out(self, progress: ProcessProgress, stored: StoredEvent) -> bool:
        """Whether an event is neither folded nor answered: its instance is held up, cancelled, or has ended."""
        is_held_up = progress.parked is not None and stored.position >= progress.parked
        if progress.cancelled or is_held_up or stored.position in progress.skipped:
            return True
        if not progress.done or self.definition.after_end != "ignore":
            return False
        if stored.position > progress.reacted:
            self._ignore(progress, stored)
        return True

    def _ignore(self, progress: ProcessProgress, stored: StoredEvent) -> None:
        """Note an event that came after the end of its instance: the first one is logged, all are counted."""
        if not self._ignored:
            what = "%s has ended, and ignores %s at position %d; others are counted (after_end= says what is done)"
            log.info(what, progress.instance, stored.type, stored.position)
        self._ignored += 1

    def _answered(
        self, progress: ProcessProgress, actions: Sequence[Action], stored: StoredEvent, metadata: Metadata
    ) -> tuple[ProcessReacted, list[NewEvent]]:
        """Return what the instance did, and the records of its actions."""
        records: list[NewEvent] = []
        tickets: list[str] = []
        names: dict[str, str] = {}
        done = False
        for number, action in enumerate(actions):
            match action:
                case EndProcess():
                    done = True
                case CancelScheduled(name=name):
                    ticket = names.get(name) or progress.names.get(name)
                    records += self._journal.encode([self._outbox.cancellation(ticket)], metadata) if ticket else []
                case _:
                    schedule = action if isinstance(action, Schedule) else Schedule(action)
                    tickets.append(_ticket(progress.instance, stored.position, number))
                    due = schedule.at
                    if schedule.delay is not None:
                        due = self._outbox.due_after(schedule.delay, stored.time)
                    records.append(self._outbox.record(schedule.command, tickets[-1], due, metadata))
                    if schedule.name is not None:
                        names[schedule.name] = tickets[-1]
        return ProcessReacted(progress.instance, stored.position, tickets, names, done), records

    # --- instances

    async def _instance(self, key: Key, position: int) -> HeldInstance:
        """Return the instance as it is before the event at `position`."""
        held = self._held.get(key)
        if held is None:
            held = self._held[key] = await self._load(key, position)
            if len(self._held) > MAX_HELD_INSTANCES:
                self._held.popitem(last=False)
        else:
            self._held.move_to_end(key)
        return held

    async def _load(self, key: Key, position: int) -> HeldInstance:
        """Return the instance from the log; an event that could not be folded is at or after its parked position."""
        progress, _ = await self._processes.progress(self.definition, key)
        held = HeldInstance(key, self.definition.fold.start(key), progress)
        if progress.ended and (progress.cancelled or self.definition.after_end == "ignore"):
            return held  # its state does not matter any more
        before = position if progress.parked is None else min(position, progress.parked)
        for stored in await self._own(key, 0, before - 1):
            if stored.position in progress.skipped:
                continue
            try:
                event = self._journal.registry.decode(stored)
                held.state = self.definition.fold.step(held.state, event, stored)
            except (CannotDecode, EvolveFailed) as error:
                held.error = error
                break
        return held

    async def _own(self, key: Key, after: int, upto: int) -> list[StoredEvent]:
        own = self._journal.registry.stored(self.definition.fold.criteria(key))
        return await self._journal.stored(own, after=after, upto=upto)

    async def _answer_unparked(self, unparked: ProcessRetried | ProcessSkipped, upto: int) -> list[Answer]:
        """Answer what a parked instance has not answered, from where it was parked."""
        if not self.definition.has(unparked.instance):
            return []
        key = await self._processes.key_of(self.definition, unparked.instance, unparked.position)
        if key is None:  # nor can its state be found, whatever it has not answered
            return []
        held = self._held[key] = await self._load(key, unparked.position)
        answers: list[Answer] = []
        for stored in await self._own(key, unparked.position - 1, upto):
            answers += self._react(held, stored, self._journal.decoded(stored))
        return answers


def _after_end(progress: ProcessProgress, stored: StoredEvent) -> UsageError:
    return UsageError(
        f"{progress.instance} has ended, and {stored.type} at position {stored.position} concerns it",
        'no event after the end, as it has after_end="park"',
        'skip the event with a reason, or say after_end="reopen" and retry',
    )


def _metadata(stored: StoredEvent, process: str) -> Metadata:
    """Return the metadata of an answer: it has the correlation of the event, and the event is its cause."""
    before = decode_metadata(stored.metadata)
    return Metadata(correlation=before.correlation, cause=stored.position, extra={"process": process})


def _ticket(instance: str, position: int, number: int) -> str:
    """Return the ticket of a command that an instance submits: no user's key gives the same one."""
    return blake2b(f"{instance}/{position}/{number}".encode(), digest_size=16, person=b"leftfold.process").hexdigest()

"""The follower of a reactor: it passes each event to the reactor at least once."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from datetime import datetime
from inspect import isawaitable
from typing import Any

import msgspec

from leftfold.errors import Conflict
from leftfold.follow.backoff import Backoff
from leftfold.follow.follower import Pauses
from leftfold.follow.taken_types import TakenTypes, warn_of_passed_over
from leftfold.model.clock import Clock
from leftfold.model.criteria import criteria
from leftfold.model.failure import in_words, loggable, traceback_of
from leftfold.model.metadata import Metadata, decode_metadata, encode_metadata, recording
from leftfold.model.record import NewEvent, StoredEvent
from leftfold.reaction.events import (
    ReactorCheckpoint,
    ReactorParked,
    ReactorPostponed,
    ReactorReacted,
    ReactorRetried,
    ReactorSkipped,
    Waiting,
)
from leftfold.reaction.reactor import Delivery, ReactorDefinition
from leftfold.reaction.reactors import MAX_WAITING_EVENTS, ReactorProgress, Reactors, about, checkpoints_of
from leftfold.store.contract import AppendCondition, Batch

POSITIONS_PER_CHECKPOINT = 5_000
APPENDS_PER_CHECKPOINT = 100

log = logging.getLogger("leftfold.reactors")


class Attempt(msgspec.Struct, frozen=True):
    """One attempt to handle an event: how many failed before, and the error if this one failed too.

    `error` is what was `raised`, as text.
    """

    stored: StoredEvent
    before: int
    again: bool
    error: str | None
    raised: BaseException | None = None


class ReactorFollower:
    """Passes events to one reactor, as many at a time as it allows.

    One append records what became of them, on condition that nothing was recorded of the reactor meanwhile. So of two
    followers on one log only one advances; what the other one did is done twice, never left out.
    """

    def __init__(
        self,
        definition: ReactorDefinition,
        reactors: Reactors,
        *,
        clock: Clock,
        randomness: random.Random,
        backoff: Backoff,
        live: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self._live = live
        self._journal = reactors.journal
        self.definition = definition
        self.name = f"reactor {definition.name}"
        self.criteria = self._journal.registry.stored(criteria(*definition.owners))
        self.limit = definition.at_once
        self.pauses = Pauses()
        self._reactors = reactors
        self._clock = clock
        self._random = randomness
        self._backoff = definition.backoff or backoff
        wires = [event.wire for event in definition.events]
        checkpoints = checkpoints_of(definition)
        self._taken = TakenTypes(self._journal, checkpoints, wires, begins_with_checkpoint=True)
        self._progress = ReactorProgress()
        self._known = 0  # what was recorded of the reactor up to here is in the progress
        self._saved = 0
        self._appends = 0
        self._threads: ThreadPoolExecutor | None = None
        self._parked: dict[int, str] | None = None  # the errors of all that was ever parked; read when something is

    def __repr__(self) -> str:
        return f"<ReactorFollower {self.definition.name} at {self._progress.position}>"

    @property
    def progress(self) -> str:
        """How many events wait for another attempt."""
        return f"{len(self._progress.waiting)} waiting" if self._progress.waiting else ""

    def due(self) -> datetime | None:
        """When the next attempt is due."""
        return self._progress.next_due()

    def close(self) -> None:
        """Stop the threads in which plain functions ran."""
        if self._threads is not None:
            self._threads.shutdown(wait=False)

    async def start(self) -> int:
        """Read from the log how far the reactor has come."""
        await self._reactors.begin(self.definition)
        self._progress, self._known = await self._reactors.progress(self.definition)
        self._saved = self._progress.position
        new = await self._taken.compare()
        if passed_over := await self._taken.passed_over(new, self._progress.position):
            warn_of_passed_over(log, self.name, passed_over, "are not delivered")
            await self._save()
        return self._progress.position

    async def handle(self, batch: Batch) -> int:
        """Pass new events to the reactor, and those again that are due, once."""
        await self._read_on()
        progress = self._progress
        again = progress.due(self._clock.now(), max(1, self.definition.at_once // 2))
        fresh, through = self._fresh(batch, self.definition.at_once - len(again))
        if again or fresh:
            given = [(await self._journal.at(each.position), each) for each in again]
            given += [(stored, Waiting(stored.position)) for stored in fresh]
            due = {each.position for each in again}
            tasks = [self._attempt(stored, each.attempt, again=stored.position in due) for stored, each in given]
            await self._record(await asyncio.gather(*tasks), through)
        else:
            self._progress = msgspec.structs.replace(progress, position=through)
            if through - self._saved >= POSITIONS_PER_CHECKPOINT:
                await self._save()
        return self._progress.position

    # --- following the log

    async def _read_on(self) -> list[Any]:
        """Fold what others recorded of the reactor, and return it."""
        events, self._known = await self._journal.read(about(self.definition.name), after=self._known)
        for event in events:
            self._progress = self._progress.evolve(event)
        return events

    def _fresh(self, batch: Batch, room: int) -> tuple[Sequence[StoredEvent], int]:
        """Return the next events, and the position up to which they are all.

        There are none while too many events wait, or while one waits that must be handled first.
        """
        progress, in_order = self._progress, self.definition.in_order
        is_held_up = in_order and bool(progress.waiting or progress.position in progress.parked)
        if room < 1 or is_held_up or len(progress.waiting) >= MAX_WAITING_EVENTS:
            return (), progress.position
        events = [stored for stored in batch.events if stored.position > progress.position][:room]
        if events and (in_order or events[-1] is not batch.events[-1]):
            return events, events[-1].position  # in order: its position then tells whether that event is parked
        return events, max(batch.through, progress.position)

    # --- attempts

    async def _attempt(self, stored: StoredEvent, before: int, *, again: bool) -> Attempt:
        metadata = decode_metadata(stored.metadata)
        key = f"{self.definition.name}/{stored.position}"
        delivery = Delivery(key, stored.position, stored.time, metadata, before + 1)
        try:
            event = self._journal.registry.decode(stored)
            if not isinstance(event, self.definition.owners):
                raise TypeError(f"{stored.type} is not among the events that the reactor takes now")
            with recording(correlation=metadata.correlation, cause=stored.position, reactor=self.definition.name):
                await self._call(event, delivery)
        except Exception as error:  # noqa: BLE001 whatever the reactor raises
            return Attempt(stored, before, again, in_words(error), error)
        return Attempt(stored, before, again, None)

    async def _call(self, event: object, delivery: Delivery) -> None:
        live = self.definition.live_for(await self._live()) if self._live and self.definition.asks else None
        if self.definition.is_async:
            await self.definition.call(event, delivery, live)
            return
        self._threads = self._threads or ThreadPoolExecutor(self.definition.at_once, "leftfold reactor")
        context = copy_context()

        def call() -> Any:
            return context.run(self.definition.call, event, delivery, live)

        made = await asyncio.get_running_loop().run_in_executor(self._threads, call)
        if isawaitable(made):
            await made

    # --- recording what became of them

    async def _record(self, outcomes: Sequence[Attempt], through: int) -> None:
        """Record what became of a batch, unless another worker was first; a retry or skip meanwhile comes before it."""
        if self._parked is None and any(each.error is not None and self._is_last(each) for each in outcomes):
            self._parked = await self._reactors.parked_before(self.definition)
        while True:
            try:
                await self._append(self._recorded(outcomes, through))
            except Conflict:
                news = await self._read_on()
                if not news:
                    raise  # it is about something else
                if not all(isinstance(event, ReactorRetried | ReactorSkipped) for event in news):
                    return
                skipped = {event.position for event in news if isinstance(event, ReactorSkipped)}
                outcomes = [each for each in outcomes if each.stored.position not in skipped]
            else:
                return self._log_failures(outcomes)

    def _log_failures(self, outcomes: Sequence[Attempt]) -> None:
        """Log an error for each event that is parked, and a warning for one whose first attempt failed."""
        for each in outcomes:
            if each.error is None:
                continue
            if self._is_last(each):
                self._log_parked(each, each.error)
            elif each.before == 0:
                what = "%s could not handle the event at position %d and will try again: %s"
                log.warning(
                    what, self.definition.name, each.stored.position, each.error, exc_info=loggable(each.raised)
                )

    def _log_parked(self, outcome: Attempt, error: str) -> None:
        """Log an error; only a line if the event was retried and failed as before."""
        name, position = self.definition.name, outcome.stored.position
        what = "%s has parked the event at position %d: %s"
        parked = self._parked = self._parked or {}
        if parked.get(position) == error:
            log.info(f"{what}, as before", name, position, error)
        else:
            log.error(what, name, position, error, exc_info=loggable(outcome.raised))
        parked[position] = error

    def _is_last(self, outcome: Attempt) -> bool:
        return outcome.before + 1 >= self._backoff.attempts

    def _recorded(self, outcomes: Sequence[Attempt], through: int) -> list[tuple[Any, bytes]]:
        """Return the events that record attempts, with their metadata."""
        failed = [(self._failure(each), _metadata(each.stored)) for each in outcomes if each.error is not None]
        again = [each.stored.position for each in outcomes if each.again and each.error is None]
        return [*failed, (ReactorReacted(self.definition.name, through, again), b"{}")]

    def _failure(self, outcome: Attempt) -> ReactorPostponed | ReactorParked:
        attempt, problem, position = outcome.before + 1, outcome.error or "", outcome.stored.position
        if self._is_last(outcome):
            traceback = "" if outcome.raised is None else traceback_of(outcome.raised)
            return ReactorParked(self.definition.name, position, attempt, problem, traceback)
        due = self._clock.now() + self._backoff.pause(attempt, self._random)
        return ReactorPostponed(self.definition.name, position, attempt, problem, due)

    async def _save(self) -> None:
        with suppress(Conflict):  # what others recorded instead is read with the next batch
            await self._append([self._checkpoint()])

    async def _append(self, events: Iterable[tuple[Any, bytes]]) -> None:
        """Append events and fold them; `Conflict` if something was recorded of the reactor meanwhile."""
        events = list(events)
        is_due = not self._taken.are_noted or self._appends % APPENDS_PER_CHECKPOINT == APPENDS_PER_CHECKPOINT - 1
        if is_due and not any(isinstance(event, ReactorCheckpoint) for event, _ in events):
            events = [self._checkpoint(), *events]  # first: what is parked by this append is no part of it
        records: list[NewEvent] = [self._journal.registry.encode(event, metadata) for event, metadata in events]
        condition = AppendCondition(about(self.definition.name), self._known)
        self._known = (await self._journal.store.append(records, condition=condition)).last
        for event, _ in events:
            self._progress = self._progress.evolve(event)
        self._saved = self._progress.position
        self._taken.are_noted = True
        self._appends += 1

    def _checkpoint(self) -> tuple[ReactorCheckpoint, bytes]:
        waiting = list(self._progress.waiting.values())
        return ReactorCheckpoint(self.definition.name, self._progress.position, waiting, self._taken.names), b"{}"


def _metadata(stored: StoredEvent) -> bytes:
    """Return the metadata of a failed attempt: it has the event's correlation, and the event is its cause."""
    correlation = decode_metadata(stored.metadata).correlation
    return encode_metadata(Metadata(correlation=correlation, cause=stored.position))

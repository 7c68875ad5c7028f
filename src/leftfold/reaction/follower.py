"""Reactor workers: they follow the log, and give each event to a reactor at least once."""

import asyncio
import logging
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from inspect import isawaitable
from typing import Any

import msgspec

from leftfold.errors import Conflict
from leftfold.follow.backoff import Backoff
from leftfold.follow.taken_types import TakenTypes, in_numbers
from leftfold.model.clock import Clock
from leftfold.model.criteria import EVERYTHING, criteria
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
from leftfold.reaction.progress import ReactorProgress
from leftfold.reaction.reactor import Delivery, ReactorDefinition
from leftfold.reaction.reactors import WAITING, Reactors, about, checkpoints_of
from leftfold.store.contract import AppendCondition

POSITIONS_A_CHECKPOINT = 5_000
APPENDS_A_CHECKPOINT = 100
GATHERING = 0.002  # seconds: an append by others is often of no concern, so that they need no read each
LONGEST_WAIT = 1.0  # seconds: a step of the wall clock is noticed this late at most

log = logging.getLogger("leftfold.reactors")


class Outcome(msgspec.Struct, frozen=True):
    """What came of an attempt: the event, how many attempts had failed before, and the error if this one did too.

    `error` is what was `raised` as text.
    """

    stored: StoredEvent
    before: int
    again: bool
    error: str | None
    raised: BaseException | None = None


class ReactorWorker:
    """Gives events to one reactor, as many at a time as it says.

    What came of them is one append, on condition that nothing was said of the reactor meanwhile. So of two workers on
    one log only one gets on; what the other one did is done twice, never left out.
    """

    def __init__(
        self,
        definition: ReactorDefinition,
        reactors: Reactors,
        *,
        clock: Clock,
        randomness: random.Random,
        backoff: Backoff,
    ) -> None:
        self.definition = definition
        self._reactors = reactors
        self._store = reactors.store
        self._registry = reactors.registry
        self._clock = clock
        self._random = randomness
        self._backoff = definition.backoff or backoff
        self._wanted = self._registry.stored(criteria(*definition.owners))
        self._taken = TakenTypes(
            self._store,
            self._registry,
            checkpoints_of(definition),
            [event.wire for event in definition.events],
            begins_with_checkpoint=True,
        )
        self._is_noted = False  # whether a checkpoint lists the types that are taken
        self._progress: ReactorProgress | None = None
        self._known = 0  # what was said of the reactor up to here is in the progress
        self._saved = 0
        self._appends = 0
        self._threads: ThreadPoolExecutor | None = None
        self._parked: dict[int, str] | None = None  # the errors of all that was ever parked; read when something is

    def __repr__(self) -> str:
        return f"<ReactorWorker {self.definition.name} at {self._progress.position if self._progress else None}>"

    async def step(self) -> bool:
        """React to what is new and try again what is due, once; whether there was anything."""
        try:
            return await self._step()
        except BaseException:
            self._progress = None  # it may be ahead of the log, or behind
            raise

    async def until_there_is_work(self) -> None:
        """Return when the log has grown or an attempt is due."""
        due = None if self._progress is None else self._progress.next_due()
        timeout = None
        if due is not None:
            timeout = min(max((due - self._clock.now()).total_seconds(), 0.0), LONGEST_WAIT)
        if await self._store.wait(self._known, timeout) > self._known:
            await asyncio.sleep(GATHERING)

    def close(self) -> None:
        """Let the threads go that plain functions were run in."""
        if self._threads is not None:
            self._threads.shutdown(wait=False)

    async def _step(self) -> bool:
        progress = await self._news()
        again = progress.due(self._clock.now(), max(1, self.definition.at_once // 2))
        fresh, through = await self._fresh(progress, self.definition.at_once - len(again))
        if not again and not fresh:
            self._progress = msgspec.structs.replace(progress, position=through)
            return await self._save_now_and_then()
        given = [(await self._at(each.position), each) for each in again]
        given += [(stored, Waiting(stored.position)) for stored in fresh]
        due = {each.position for each in again}
        tasks = [self._attempt(stored, each.attempt, again=stored.position in due) for stored, each in given]
        await self._record(await asyncio.gather(*tasks), through)
        return True

    async def _save_now_and_then(self) -> bool:
        """Note how far nothing was of concern, if that is far."""
        assert self._progress is not None
        if self._progress.position - self._saved < POSITIONS_A_CHECKPOINT:
            return False
        with suppress(Conflict):  # what was said instead is read with the next step
            await self._append([self._checkpoint(self._progress)])
        return True

    # --- following the log

    async def _news(self) -> ReactorProgress:
        """How far the reactor has come, with all that others said of it."""
        if self._progress is None:
            await self._reactors.begin(self.definition)
            self._progress, self._known = await self._reactors.progress(self.definition)
            self._saved = self._progress.position
            await self._compare_types(self._progress)
        else:
            await self._read_on()
        return self._progress

    async def _compare_types(self, progress: ReactorProgress) -> None:
        """Warn of events before the reactor's position that the code before did not take."""
        noted = await self._taken.noted()
        self._is_noted = noted == self._taken.names
        new = self._taken.new(noted)
        passed_over = await self._taken.passed_over(new, progress.position)
        if not passed_over:
            return
        log.warning(
            "reactor %s takes event types that the code before it did not take. Events that it had passed are not"
            " delivered: %s",
            self.definition.name,
            in_numbers(passed_over),
        )
        with suppress(Conflict):  # what was said instead is read with the next step
            await self._append([self._checkpoint(progress)])

    async def _read_on(self) -> list[Any]:
        events, self._known = await self._reactors.about(self.definition, self._known)
        for event in events:
            self._progress = (self._progress or ReactorProgress()).evolve(event)
        return events

    async def _fresh(self, progress: ReactorProgress, room: int) -> tuple[list[StoredEvent], int]:
        """The next events, and how far reading went; none while too many wait, or one must not be overtaken."""
        if room < 1 or len(progress.waiting) >= WAITING or self._must_not_go_on(progress):
            return [], progress.position
        events: list[StoredEvent] = []
        through = progress.position
        async for batch in self._store.read(self._wanted, after=progress.position, limit=room):
            events += batch.events
            through = batch.through
        if events and self.definition.in_order:
            through = events[-1].position  # where it stands shows then whether it stands at a parked event
        return events, through

    def _must_not_go_on(self, progress: ReactorProgress) -> bool:
        return self.definition.in_order and bool(progress.waiting or progress.position in progress.parked)

    async def _at(self, position: int) -> StoredEvent:
        read = self._store.read(EVERYTHING, after=position - 1, upto=position)
        [stored] = [stored async for batch in read for stored in batch.events]
        return stored

    # --- reacting

    async def _attempt(self, stored: StoredEvent, before: int, *, again: bool) -> Outcome:
        said = decode_metadata(stored.metadata)
        key = f"{self.definition.name}/{stored.position}"
        delivery = Delivery(key, stored.position, stored.time, said, before + 1)
        try:
            event = self._registry.decode(stored)
            if not isinstance(event, self.definition.owners):
                raise TypeError(f"{stored.type} is not among the events that the reactor takes now")
            with recording(correlation=said.correlation, cause=stored.position, reactor=self.definition.name):
                await self._call(event, delivery)
        except Exception as error:  # noqa: BLE001 whatever the reactor raises
            return Outcome(stored, before, again, in_words(error), error)
        return Outcome(stored, before, again, None)

    async def _call(self, event: object, delivery: Delivery) -> None:
        if self.definition.is_async:
            await self.definition.call(event, delivery)
            return
        self._threads = self._threads or ThreadPoolExecutor(self.definition.at_once, "leftfold reactor")
        context = copy_context()

        def call() -> Any:
            return context.run(self.definition.call, event, delivery)

        made = await asyncio.get_running_loop().run_in_executor(self._threads, call)
        if isawaitable(made):
            await made

    # --- saying what came of it

    async def _record(self, outcomes: Sequence[Outcome], through: int) -> None:
        """Append what came of a batch, unless another worker was first; what someone wants meanwhile goes in before."""
        if self._parked is None and any(each.error is not None and self._is_last(each) for each in outcomes):
            self._parked = await self._reactors.parked_before(self.definition)
        while True:
            try:
                await self._append(self._said(outcomes, through))
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

    def _log_failures(self, outcomes: Sequence[Outcome]) -> None:
        """Log an error for each event that is parked, and a warning for one whose first attempt failed."""
        for each in outcomes:
            if each.error is None:
                continue
            if self._is_last(each):
                self._log_parked(each, each.error)
            elif each.before == 0:
                what = "%s failed at the event at position %d and is tried again: %s"
                log.warning(
                    what, self.definition.name, each.stored.position, each.error, exc_info=loggable(each.raised)
                )

    def _log_parked(self, outcome: Outcome, error: str) -> None:
        """Log an error; only a line when someone retried the event and it failed as before."""
        name, position = self.definition.name, outcome.stored.position
        what = "%s has parked the event at position %d: %s"
        parked = self._parked = self._parked or {}
        if parked.get(position) == error:
            log.info(f"{what}, as before", name, position, error)
        else:
            log.error(what, name, position, error, exc_info=loggable(outcome.raised))
        parked[position] = error

    def _is_last(self, outcome: Outcome) -> bool:
        return outcome.before + 1 >= self._backoff.attempts

    def _said(self, outcomes: Sequence[Outcome], through: int) -> list[tuple[Any, bytes]]:
        """What is to be said of attempts."""
        failed = [(self._failure(each), _metadata(each.stored)) for each in outcomes if each.error is not None]
        again = [each.stored.position for each in outcomes if each.again and each.error is None]
        return [*failed, (ReactorReacted(self.definition.name, through, again), b"{}")]

    def _failure(self, outcome: Outcome) -> ReactorPostponed | ReactorParked:
        attempt, problem, position = outcome.before + 1, outcome.error or "", outcome.stored.position
        if self._is_last(outcome):
            traceback = "" if outcome.raised is None else traceback_of(outcome.raised)
            return ReactorParked(self.definition.name, position, attempt, problem, traceback)
        due = self._clock.now() + self._backoff.pause(attempt, self._random)
        return ReactorPostponed(self.definition.name, position, attempt, problem, due)

    async def _append(self, said: Sequence[tuple[Any, bytes]]) -> None:
        """Append and fold; `Conflict` when something was said of the reactor meanwhile."""
        progress = self._progress or ReactorProgress()
        is_due = not self._is_noted or self._appends % APPENDS_A_CHECKPOINT == APPENDS_A_CHECKPOINT - 1
        if is_due and not any(isinstance(event, ReactorCheckpoint) for event, _ in said):
            said = [self._checkpoint(progress), *said]  # first: what is parked by this append is no part of it
        records: list[NewEvent] = [self._registry.encode(event, metadata) for event, metadata in said]
        condition = AppendCondition(about(self.definition.name), self._known)
        appended = await self._store.append(records, condition=condition)
        for event, _ in said:
            progress = progress.evolve(event)
        self._progress, self._known = progress, appended.last
        self._saved = progress.position
        self._is_noted = True
        self._appends += 1

    def _checkpoint(self, progress: ReactorProgress) -> tuple[ReactorCheckpoint, bytes]:
        waiting = list(progress.waiting.values())
        return ReactorCheckpoint(self.definition.name, progress.position, waiting, self._taken.names), b"{}"


def _metadata(stored: StoredEvent) -> bytes:
    """What is said of a failed attempt: it belongs to what the event belongs to."""
    correlation = decode_metadata(stored.metadata).correlation
    return encode_metadata(Metadata(correlation=correlation, cause=stored.position))

"""The follower that handles submitted commands when they are due."""

import asyncio
import logging
import random
from collections.abc import Iterable
from datetime import datetime
from hashlib import blake2b
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfoNotFoundError

from leftfold.command.executing import Executor
from leftfold.command.submitted.commands import TICKETS, Inbox, TicketRecord
from leftfold.command.submitted.completing import AlreadyCompleted
from leftfold.command.submitted.events import (
    CommandFailed,
    CommandPostponed,
    CommandRetried,
    CommandSubmitted,
    InboxCheckpoint,
)
from leftfold.command.submitted.schedule import NEVER, Schedule
from leftfold.command.submitted.submission import Submission
from leftfold.errors import LeaseLost, LeftfoldError, OutcomeUnknown, StoreClosed, StoreUnavailable
from leftfold.follow.backoff import Backoff
from leftfold.follow.follower import Pauses
from leftfold.follow.journal import Journal
from leftfold.model.clock import Clock, microseconds_of
from leftfold.model.criteria import criteria
from leftfold.model.failure import in_words, loggable, traceback_of
from leftfold.model.message import MessageType
from leftfold.model.record import StoredEvent
from leftfold.model.registry import Registry
from leftfold.store.clock_guard import ClockGuard, clock_jumped
from leftfold.store.contract import AppendCondition, Batch, EventStore

MAX_COMMANDS_PER_APPEND = 500
MAX_SCHEDULED_TICKETS = 20_000  # in memory
MAX_LISTED_TICKETS = 1_000  # open tickets that a checkpoint names
EVENTS_PER_CHECKPOINT = 10_000
SHORTEST_PAUSE, LONGEST_PAUSE = 0.005, 0.04  # seconds: few appends are commands, so not each of them needs a read
LONGEST_APP_NAME = 100  # characters of an app's name in the name of its lease
TROUBLE = (LeaseLost, OutcomeUnknown, StoreUnavailable)
CHECKPOINTS = criteria(InboxCheckpoint)
Order = tuple[TicketRecord, Any]

log = logging.getLogger("leftfold.commands")


def lease_name(app: str, commands: Iterable[MessageType]) -> str:
    """Return the lease under which an app handles these commands: `commands of sales 5f0c39d1`.

    Processes share a lease only if they handle the same commands in the same versions. So another app, or another
    version of this one, is never kept from the commands that it alone can handle.
    """
    handled = sorted(f"{each.wire} v{each.version}" for each in commands)
    digest = blake2b("\n".join((app, *handled)).encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    return f"commands of {quote(app, safe=' ', errors='surrogatepass')[:LONGEST_APP_NAME]} {digest}"


class CommandFollower:
    """Handles submitted commands, those on one entity in the order of their submission.

    Any number of these may follow one log: the outcome of a ticket is recorded once. They append to `store`, if one is
    given: the log as this worker may write it.
    """

    def __init__(
        self,
        inbox: Inbox,
        executor: Executor,
        commands: Registry,
        *,
        clock: Clock,
        randomness: random.Random,
        backoff: Backoff,
        capacity: int = MAX_SCHEDULED_TICKETS,
        store: EventStore | None = None,
    ) -> None:
        self.name = "commands"
        self.criteria = TICKETS
        self.limit = MAX_COMMANDS_PER_APPEND
        self.pauses = Pauses(SHORTEST_PAUSE, LONGEST_PAUSE, inbox.submitted)
        self._journal = Journal(store or inbox.journal.store, inbox.journal.registry)
        self._commands = commands
        self._executor = executor
        self._inbox = inbox
        self._clock = clock
        self._guard = ClockGuard(clock)
        now = microseconds_of(clock)
        self._guard.begin(now, now)
        self._random = randomness
        self._backoff = backoff
        self._capacity = capacity
        self._schedule = Schedule(capacity)
        self._fresh: dict[str, TicketRecord] = {}  # due, and only their submission is known
        self._unsaved = 0
        self._handled = 0
        self._left: set[tuple[str, int]] = set()  # the commands, by name and version, that this app cannot handle

    def __repr__(self) -> str:
        return f"<CommandFollower, {self.progress}>"

    @property
    def progress(self) -> str:
        """How many tickets are open, and how many commands were handled."""
        return f"{len(self._schedule)} open, {self._handled} handled"

    def due(self) -> datetime | None:
        """When the next command is due; `ClockJumped` while this process's clock is not plausible.

        With such a clock commands would seem to be due that are not.
        """
        now = microseconds_of(self._clock)
        if now > (latest := self._guard.latest(now)):
            raise clock_jumped(now, latest, now)
        return self._schedule.next()

    async def start(self) -> int:
        """Begin at the newest checkpoint of any worker."""
        self._forget()
        self.due()  # refuses an implausible clock before tickets are scheduled by it
        for event in await self._journal.newest(CHECKPOINTS):
            for ticket in event.open:
                record = await self._inbox.read(ticket)
                if not record.submission.completed:
                    self._put(record)
            return int(event.position)
        return 0

    async def handle(self, batch: Batch) -> int:
        """Note what is new, and handle what is due."""
        for stored in batch.events:
            self._note(stored)
        self._unsaved += len(batch.events)
        if len(batch.events) == self.limit and len(self._fresh) < self.limit:
            return batch.through  # what follows in the log may be the outcome of what was noted
        for record in self._fresh.values():
            record.state.position = batch.through
        if self._schedule.incomplete is not None and self._schedule.incomplete <= self._clock.now():
            return self._first_open()
        tickets = self._schedule.take(self._clock.now(), MAX_COMMANDS_PER_APPEND)
        if tickets:
            await self._handle(tickets)
        if self._unsaved >= EVENTS_PER_CHECKPOINT:
            await self._save(batch.through)
        return batch.through

    # --- what is open

    def _note(self, stored: StoredEvent) -> None:
        event = self._journal.registry.decode(stored)
        self._fresh.pop(event.ticket, None)
        match event:
            case CommandSubmitted(ticket=ticket):
                record = self._inbox.fresh(ticket, stored, event)
                if self._put(record):
                    self._fresh[ticket] = record
            case CommandRetried(ticket=ticket):
                self._schedule.put(ticket, stored.position, None)
            case CommandPostponed(ticket=ticket, due=due):
                self._schedule.put(ticket, stored.position, due)
            case _:
                self._schedule.discard(event.ticket)

    def _put(self, record: TicketRecord) -> bool:
        """Schedule a ticket; whether it is due. A command that this code cannot handle is left to code that can."""
        due = record.submission.due if self._can_handle(record.submission) else NEVER
        now = due is None or due <= self._clock.now()
        self._schedule.put(record.submission.ticket, record.position, None if now else due)
        return now

    def _can_handle(self, submission: Submission) -> bool:
        """Whether this app knows the command, in this version; logs each command once that it does not know."""
        known = self._commands.of_wire(submission.command)
        if known is not None and submission.command_version <= known.version:
            return True
        form = submission.command, submission.command_version
        if form not in self._left:
            self._left.add(form)
            log.warning(
                "command %r, version %d, waits for an app that handles it; this app knows %s",
                *form,
                "no such command" if known is None else f"versions up to {known.version}",
            )
        return False

    def _first_open(self) -> int:
        """Return the position before the first open ticket: the schedule has dropped tickets that are due now."""
        _, first = self._schedule.oldest(0)
        self._forget()
        return (first or 1) - 1

    def _forget(self) -> None:
        self._schedule = Schedule(self._capacity)
        self._fresh.clear()

    async def _save(self, through: int) -> None:
        tickets, end = self._schedule.oldest(MAX_LISTED_TICKETS)
        event = InboxCheckpoint(through if end is None else min(through, end - 1), tickets)
        await self._journal.store.append(self._journal.encode([event]))
        self._unsaved = 0

    # --- handling

    async def _handle(self, tickets: Iterable[str]) -> None:
        """Handle tickets with one append; if that fails, each by itself."""
        orders = [order for ticket in tickets if (order := await self._order(ticket))]
        try:
            await self._executor.complete_all((command, record.state, record.metadata) for record, command in orders)
        except (LeaseLost, StoreClosed):
            raise
        except Exception:  # noqa: BLE001 it is raised again for the ticket that causes it
            await self._handle_each(orders)
        else:
            self._handled += len(orders)
            for record, _ in orders:
                self._schedule.discard(record.submission.ticket)

    async def _order(self, ticket: str) -> Order | None:
        """Return a ticket with its command; None if the command is left to other code, or if it cannot be decoded."""
        record = self._fresh.pop(ticket, None) or await self._inbox.read(ticket)
        if not self._can_handle(record.submission):  # others postponed it, or a person retried it
            self._schedule.put(ticket, record.position, NEVER)
            return None
        try:
            submission = record.submission
            return record, self._inbox.command_of(submission.command, submission.command_version, submission.raw)
        except LeftfoldError as error:
            await self._postpone(record, error)
            return None

    async def _handle_each(self, orders: Iterable[Order]) -> None:
        """Handle tickets concurrently; those on one entity one after the other.

        A command whose entities are named by states alone may be on any: it waits for all before it, and all after it
        wait for it.
        """
        last: dict[Any, asyncio.Task[None]] = {}
        tasks: list[asyncio.Task[None]] = []
        on_any: set[asyncio.Task[None]] = set()
        for record, command in orders:
            concerns = self._executor.concerns(command)
            looks_up = self._executor.looks_up(command)
            before = on_any | (set(tasks) if looks_up else {last[each] for each in concerns if each in last})
            task = asyncio.create_task(self._after(before, record, command))
            last.update(dict.fromkeys(concerns, task))
            tasks.append(task)
            on_any = {task} if looks_up else on_any
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def _after(self, before: set["asyncio.Task[None]"], record: TicketRecord, command: Any) -> None:
        if before:
            await asyncio.wait(before)
        ticket = record.submission.ticket
        try:
            await self._executor.complete(command, record.state, record.metadata)
        except AlreadyCompleted:
            self._schedule.discard(ticket)
        except TROUBLE:
            raise
        except Exception as error:  # noqa: BLE001 whatever the handler raises
            await self._postpone(record, error)
        else:
            self._handled += 1
            self._schedule.discard(ticket)

    async def _postpone(self, record: TicketRecord, error: Exception) -> None:
        """Record that an attempt failed, unless something was recorded of the ticket meanwhile."""
        submission = record.submission
        attempt, problem = submission.attempts + 1, in_words(error)
        due = self._clock.now() + self._backoff.pause(attempt, self._random)
        events: list[Any] = [CommandPostponed(submission.ticket, attempt, problem, due)]
        as_before, is_last = submission.error == problem, attempt >= self._backoff.attempts
        if is_last:
            events = self._given_up(submission, attempt, problem, traceback_of(error))
            failed = criteria(CommandFailed, tags=[f"leftfold.ticket:{submission.ticket}"])
            as_before = [each.error for each in await self._journal.newest(failed)] == [problem]
        unchanged = AppendCondition(record.state.criteria, record.state.position)
        if not await self._journal.record(events, record.metadata, unchanged):
            return  # what was recorded instead comes with the next read
        self._schedule.discard(submission.ticket)
        if not as_before:
            level, what = (logging.ERROR, "failed") if is_last else (logging.WARNING, "failed and is tried again")
            words = (submission.command, submission.ticket, what, problem)
            log.log(level, "%s (ticket %s) %s: %s", *words, exc_info=loggable(error))

    def _given_up(self, submission: Submission, attempt: int, problem: str, traceback: str) -> list[Any]:
        """Return what is recorded after the last attempt; a recurring command's series continues."""
        try:
            following = submission.following(self._clock.now())
        except ZoneInfoNotFoundError:  # it continues once it is retried where its time zone is known
            following = None
        if following is None:
            return [CommandFailed(submission.ticket, attempt, problem, None, traceback)]
        return [CommandFailed(submission.ticket, attempt, problem, following.ticket, traceback), following]

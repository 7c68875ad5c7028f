"""Inbox workers: they follow the log and handle what is submitted when it is due."""

import asyncio
import logging
import random
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfoNotFoundError

from leftfold.command.executing import Executor
from leftfold.command.submitted.commands import TICKETS, Inbox, TicketRecord
from leftfold.command.submitted.completing import TicketSettled
from leftfold.command.submitted.events import (
    CommandFailed,
    CommandPostponed,
    CommandRetried,
    CommandSubmitted,
    InboxCheckpoint,
)
from leftfold.command.submitted.schedule import NEVER, Schedule
from leftfold.command.submitted.submission import Submission
from leftfold.errors import Conflict, LeaseLost, LeftfoldError, OutcomeUnknown, StoreClosed, StoreUnavailable
from leftfold.follow.backoff import Backoff
from leftfold.model.clock import Clock, to_microseconds
from leftfold.model.criteria import criteria
from leftfold.model.failure import in_words, loggable, traceback_of
from leftfold.model.message import MessageType
from leftfold.model.metadata import encode_metadata
from leftfold.model.record import NewEvent, StoredEvent
from leftfold.model.registry import Registry
from leftfold.store.clock_guard import ClockGuard, clock_jumped
from leftfold.store.contract import AppendCondition, EventStore

TOGETHER = 500  # commands that are handled at once
HELD = 20_000  # tickets in memory
LISTED = 1_000  # open tickets that a checkpoint names
EVENTS_A_CHECKPOINT = 10_000
GATHERING, LONGEST_GATHERING = 0.005, 0.04  # seconds: few appends are commands, so that they need no read each
LONGEST_WAIT = 1.0  # seconds: a step of the wall clock is noticed this late at most
LONGEST_APP_NAME = 100  # characters of an app's name in the name of its lease
TROUBLE = (LeaseLost, OutcomeUnknown, StoreUnavailable)
CHECKPOINTS = criteria(InboxCheckpoint)
Order = tuple[TicketRecord, Any]

log = logging.getLogger("leftfold.commands")


def lease_name(app: str, commands: Iterable[MessageType]) -> str:
    """Return the lease under which an app handles these commands: `commands of sales 5f0c39d1`.

    Processes share a lease only where they handle the same commands in the same versions. So another app, or another
    version of this one, is never kept from the commands that it alone can handle.
    """
    handled = sorted(f"{each.wire} v{each.version}" for each in commands)
    digest = blake2b("\n".join((app, *handled)).encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    return f"commands of {quote(app, safe=' ', errors='surrogatepass')[:LONGEST_APP_NAME]} {digest}"


class InboxWorker:
    """Handles submitted commands, those on one entity in the order of their submission.

    Any number of workers may follow one log: what is said of a ticket is said once. `step` does all that can be done
    now. What they append goes to `store`, when one is given: the log as this worker may write it.
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
        held: int = HELD,
        store: EventStore | None = None,
    ) -> None:
        self._store = store or inbox.store
        self._registry = inbox.registry
        self._commands = commands
        self._executor = executor
        self._inbox = inbox
        self._clock = clock
        self._guard = ClockGuard(clock)
        now = to_microseconds(clock.now())
        self._guard.begin(now, now)
        self._random = randomness
        self._backoff = backoff
        self._held = held
        self._schedule = Schedule(held)
        self._fresh: dict[str, TicketRecord] = {}  # due, with nothing but their submission to know of
        self._position: int | None = None
        self._unsaved = 0
        self._handled = 0
        self._gathering = GATHERING
        self._left: set[tuple[str, int]] = set()  # the commands, by name and version, that this app cannot handle

    def __repr__(self) -> str:
        return f"<InboxWorker at {self._position}, {len(self._schedule)} open, {self._handled} handled>"

    @property
    def name(self) -> str:
        """What a status calls it."""
        return "commands"

    async def step(self) -> bool:
        """Read what is new and handle what is due; whether there was anything to do.

        `ClockJumped` while this process's clock is not plausible: commands would be due that are not.
        """
        now = to_microseconds(self._clock.now())
        if now > (latest := self._guard.latest(now)):
            raise clock_jumped(now, latest, now)
        try:
            return await self._step()
        except BaseException:
            self._forget()  # what was taken from the schedule and not handled is in the log
            raise

    async def _step(self) -> bool:
        if self._position is None:
            await self._start()
        read = await self._collect()
        if self._schedule.incomplete is not None and self._schedule.incomplete <= self._clock.now():
            self._begin_anew()
            return True
        tickets = self._schedule.take(self._clock.now(), TOGETHER)
        if tickets:
            await self._handle(tickets)
        if self._unsaved >= EVENTS_A_CHECKPOINT:
            await self._save()
        found = read or bool(tickets)
        self._gathering = GATHERING if found else min(2 * self._gathering, LONGEST_GATHERING)
        return found

    async def until_there_is_work(self) -> None:
        """Return when the log has grown or a command is due."""
        due = self._schedule.next()
        timeout = None
        if due is not None:
            timeout = min(max((due - self._clock.now()).total_seconds(), 0.0), LONGEST_WAIT)
        time = asyncio.get_running_loop().time
        began = time()
        head = await self._store.wait(self._position or 0, timeout)
        if time() - began > LONGEST_GATHERING:
            self._gathering = GATHERING
        if head > (self._position or 0):
            await self._let_gather()

    async def _let_gather(self) -> None:
        """Wait a little for more, longer while a busy log has no commands; one of this process's ends it at once."""
        try:
            async with asyncio.timeout(self._gathering):
                await self._inbox.submitted.wait()
        except TimeoutError:
            pass
        self._inbox.submitted.clear()

    # --- following the log

    async def _start(self) -> None:
        """Go on from the newest checkpoint of any worker."""
        position = 0
        async for batch in self._store.read(CHECKPOINTS, limit=1, reverse=True):
            for event in self._registry.decode_all(batch.events):
                position = event.position
                for ticket in event.open:
                    record = await self._inbox.read(ticket)
                    if not record.submission.settled:
                        self._put(record)
        self._position = position

    async def _collect(self) -> bool:
        """Read up to the head, or until enough is there to be handled."""
        read = False
        while len(self._fresh) < TOGETHER:
            count = 0
            async for batch in self._store.read(TICKETS, after=self._position or 0, limit=TOGETHER):
                for stored in batch.events:
                    self._note(stored)
                count += len(batch.events)
                self._position = batch.through
            self._unsaved += count
            read = read or count > 0
            if count < TOGETHER:
                break
        for record in self._fresh.values():
            record.state.position = self._position or 0
        return read

    def _note(self, stored: StoredEvent) -> None:
        event = self._registry.decode(stored)
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
        """Whether this app knows the command, in this version; said once for each command that it does not know."""
        known = self._commands.of_wire(submission.command)
        if known is not None and submission.command_version <= known.version:
            return True
        form = submission.command, submission.command_version
        if form not in self._left:
            self._left.add(form)
            log.warning(
                "command %r, version %d, waits for an app that handles it: this one knows %s",
                *form,
                "no such command" if known is None else f"versions up to {known.version}",
            )
        return False

    def _begin_anew(self) -> None:
        """Read again from the first open ticket on: the schedule has let some go that are due now."""
        _, first = self._schedule.oldest(0)
        self._forget()
        self._position = (first or 1) - 1

    def _forget(self) -> None:
        """Begin at the checkpoint again."""
        self._position = None
        self._schedule = Schedule(self._held)
        self._fresh.clear()

    async def _save(self) -> None:
        tickets, end = self._schedule.oldest(LISTED)
        position = self._position or 0
        event = InboxCheckpoint(position if end is None else min(position, end - 1), tickets)
        await self._store.append([self._registry.encode(event, b"{}")])
        self._unsaved = 0

    # --- handling

    async def _handle(self, tickets: Iterable[str]) -> None:
        """Handle tickets with one append; where that does not go through, each by itself."""
        orders = [order for ticket in tickets if (order := await self._order(ticket))]
        try:
            await self._executor.settle_all((command, record.state, record.metadata) for record, command in orders)
        except (LeaseLost, StoreClosed):
            raise
        except Exception:  # noqa: BLE001 whatever it was comes again for the one that it is about
            await self._handle_each(orders)
        else:
            self._handled += len(orders)
            for record, _ in orders:
                self._schedule.discard(record.submission.ticket)

    async def _order(self, ticket: str) -> Order | None:
        """A ticket with its command; None when the command is left to others, or cannot be read: a failed attempt."""
        record = self._fresh.pop(ticket, None) or await self._inbox.read(ticket)
        if not self._can_handle(record.submission):  # others postponed it, or somebody wants it tried again
            self._schedule.put(ticket, record.position, NEVER)
            return None
        try:
            return record, self._command(record)
        except LeftfoldError as error:
            await self._postpone(record, error)
            return None

    async def _handle_each(self, orders: Iterable[Order]) -> None:
        """Handle tickets concurrently; those on one entity one after the other."""
        last: dict[Any, asyncio.Task[None]] = {}
        tasks: list[asyncio.Task[None]] = []
        for record, command in orders:
            concerns = self._executor.concerns(command)
            before = {last[each] for each in concerns if each in last}
            task = asyncio.create_task(self._after(before, record, command))
            last.update(dict.fromkeys(concerns, task))
            tasks.append(task)
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def _after(self, before: set["asyncio.Task[None]"], record: TicketRecord, command: Any) -> None:
        if before:
            await asyncio.wait(before)
        ticket = record.submission.ticket
        try:
            await self._executor.settle(command, record.state, record.metadata)
        except TicketSettled:
            self._schedule.discard(ticket)
        except TROUBLE:
            raise
        except Exception as error:  # noqa: BLE001 whatever the handler raises
            await self._postpone(record, error)
        else:
            self._handled += 1
            self._schedule.discard(ticket)

    def _command(self, record: TicketRecord) -> Any:
        submission = record.submission
        data = self._commands.codec.encode(submission.data)
        return self._commands.decode_new(NewEvent(submission.command, data, version=submission.command_version))

    async def _postpone(self, record: TicketRecord, error: Exception) -> None:
        """Say that an attempt failed, unless someone said something of the ticket meanwhile."""
        submission = record.submission
        attempt, problem = submission.attempts + 1, in_words(error)
        due = self._clock.now() + self._backoff.pause(attempt, self._random)
        events: list[Any] = [CommandPostponed(submission.ticket, attempt, problem, due)]
        last = attempt >= self._backoff.attempts
        if last:
            events = self._given_up(submission, attempt, problem, traceback_of(error))
        as_before = await self._failed_so_before(submission.ticket, problem) if last else submission.error == problem
        stored = [self._registry.encode(event, encode_metadata(record.metadata)) for event in events]
        try:
            await self._store.append(stored, condition=AppendCondition(record.state.criteria, record.state.position))
        except Conflict:
            pass  # what was said comes with the next read
        else:
            self._schedule.discard(submission.ticket)
            if not as_before:
                level, what = (logging.ERROR, "failed") if last else (logging.WARNING, "failed and is tried again")
                words = (submission.command, submission.ticket, what, problem)
                log.log(level, "%s (ticket %s) %s: %s", *words, exc_info=loggable(error))

    async def _failed_so_before(self, ticket: str, problem: str) -> bool:
        """Say whether the command failed for good with the same error before someone retried it."""
        read = self._store.read(criteria(CommandFailed, tags=[f"leftfold.ticket:{ticket}"]), limit=1, reverse=True)
        return [event.error async for batch in read for event in self._registry.decode_all(batch.events)] == [problem]

    def _given_up(self, submission: Submission, attempt: int, problem: str, traceback: str) -> list[Any]:
        """What is said after the last attempt; one that recurs goes on with its next time."""
        try:
            following = submission.following(self._clock.now())
        except ZoneInfoNotFoundError:  # it goes on once it is retried where its time zone is known
            following = None
        if following is None:
            return [CommandFailed(submission.ticket, attempt, problem, None, traceback)]
        return [CommandFailed(submission.ticket, attempt, problem, following.ticket, traceback), following]

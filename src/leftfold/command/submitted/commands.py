"""The inbox: commands that are submitted now and handled later. It is the log itself, read by the tag of a ticket."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from uuid import UUID

import msgspec

from leftfold.command.executing import Executor
from leftfold.command.receipt import Receipt
from leftfold.command.states import State
from leftfold.command.submitted.events import (
    TICKET_EVENTS,
    CommandCancelled,
    CommandHandled,
    CommandRetried,
    CommandSubmitted,
)
from leftfold.command.submitted.schedule import Daily, Recurrence, recurrence
from leftfold.command.submitted.submission import Submission
from leftfold.errors import CannotDecode, Conflict, KeyReused, TicketClosed, UnknownTicket, UsageError
from leftfold.model.clock import Clock, to_microseconds
from leftfold.model.comparing import difference
from leftfold.model.criteria import EVERYTHING, criteria
from leftfold.model.fold import fold_of
from leftfold.model.message import MessageType
from leftfold.model.metadata import Metadata, decode_metadata, encode_metadata, present_metadata
from leftfold.model.record import NewEvent, StoredEvent
from leftfold.model.registry import Registry
from leftfold.store.contract import AppendCondition, EventStore, OwnKey

HANDLED = MessageType(CommandHandled).wire
TICKETS = criteria(*TICKET_EVENTS)

log = logging.getLogger("leftfold.commands")


class TicketRecord:
    """A ticket as it was read: its state, what was said of it, where it was submitted, where it was settled."""

    __slots__ = ("last", "metadata", "position", "state")

    def __init__(self, state: State, metadata: Metadata, position: int, last: int) -> None:
        self.state = state
        self.metadata = metadata
        self.position = position
        self.last = last

    def __repr__(self) -> str:
        return f"<TicketRecord {self.submission.ticket}, {self.submission.state}>"

    @property
    def submission(self) -> Submission:
        """The fold of the ticket's events."""
        found: Submission = self.state.value
        return found


class Inbox:
    """Submits commands, and reads and changes what becomes of them."""

    def __init__(
        self,
        store: EventStore,
        registry: Registry,
        commands: Registry,
        executor: Executor,
        *,
        clock: Clock,
        new_id: Callable[[], UUID],
    ) -> None:
        self.store = store
        self.registry = registry
        self._commands = commands
        self._executor = executor
        self._clock = clock
        self._new_id = new_id
        self._fold = fold_of(Submission)
        self.submitted = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Inbox of {self.store!r}>"

    async def submit(
        self,
        command: object,
        *,
        key: str | None,
        due: datetime | None,
        every: timedelta | Daily | None = None,
        metadata: Metadata | None,
    ) -> str:
        """Append the command as an event; the ticket's id."""
        said = present_metadata() if metadata is None else metadata.over(present_metadata())
        digest = self._executor.key(key, [command])
        ticket = self._new_id().hex if key is None else ticket_of(key)
        recurring = None if every is None else self._recurrence(key, every, due)
        record = self.record(command, ticket, due, said, recurring)
        payload = b"" if every is None else msgspec.json.encode(every)
        try:
            await self.store.append([record], key=digest and OwnKey(f"leftfold.submit/{key}", digest.digest + payload))
        except KeyReused as reused:
            if not await self._submitted_before(reused.first, command, every):
                raise
        self.submitted.set()
        return ticket

    async def _submitted_before(self, position: int, command: object, every: timedelta | Daily | None) -> bool:
        """Whether the command at a position, as today's class reads it, is this one, with the same recurrence."""
        [batch] = [batch async for batch in self.store.read(EVERYTHING, after=position - 1, upto=position)]
        event = next(iter(self.registry.decode_all(batch.events)), None)
        if not isinstance(event, CommandSubmitted):
            return False
        data = self._commands.codec.encode(event.data)
        try:
            before = self._commands.decode_new(NewEvent(event.command, data, version=event.command_version))
        except CannotDecode:
            return False
        recurring = None if event.recurrence is None else event.recurrence.every
        return recurring == every and difference(command, before) is None

    def record(
        self,
        command: object,
        ticket: str,
        due: datetime | None,
        said: Metadata,
        recurring: Recurrence | None = None,
    ) -> NewEvent:
        """The event of a submitted command; one that recurs begins a series."""
        if due is not None:
            to_microseconds(due)  # refuses a naive one
        stamped = self._executor.stamped(command, said, ticket)
        encoded = self._commands.encode(command, b"")
        data = self._commands.codec.fields(encoded.data)
        event = CommandSubmitted(ticket, encoded.type, encoded.version, data, due)
        if recurring is not None:
            event = msgspec.structs.replace(event, due=recurring.first, series=ticket, recurrence=recurring)
        return self.registry.encode(event, encode_metadata(stamped))

    def _recurrence(self, key: str | None, every: timedelta | Daily, due: datetime | None) -> Recurrence:
        if key is None:
            raise UsageError(
                f"every={every!r} was given without a key",
                "a key, so that a program that submits it at each start submits it once",
                'give it a name: key="nightly"',
            )
        return recurrence(every, due, self._clock.now())

    def cancellation(self, ticket: str, said: Metadata) -> NewEvent:
        """The event that cancels a command unless it is settled."""
        return self.registry.encode(CommandCancelled(ticket), encode_metadata(said))

    def due(self, at: datetime | None, delay: timedelta | None) -> datetime | None:
        """When a command is due that is to be handled at a time or after a delay."""
        if at is not None and delay is not None:
            raise UsageError(f"both at={at!r} and delay={delay!r} were given", "one of them", "leave one out")
        return self._clock.now() + delay if delay is not None else at

    def due_after(self, delay: timedelta, time: datetime) -> datetime:
        """When a command is due that is to be handled some time after an event of this time.

        An event whose time lies ahead was dated by a wrong clock: then it is some time from now on.
        """
        return min(time, self._clock.now()) + delay

    async def read(self, ticket: str) -> TicketRecord:
        """What has become of a ticket; `UnknownTicket` when there is none of this id."""
        state = State(self._fold, (ticket,), self.registry)
        found: list[StoredEvent] = []
        async for batch in self.store.read(state.criteria):
            found += batch.events
            state.advance(state.value, batch.through, 0)
        if not found:
            raise UnknownTicket(ticket)
        state.advance(self._fold.fold(state.value, self.registry.decode_all(found), found), state.position, 0)
        first = found[0]
        last = max((event.position for event in found if event.type == HANDLED), default=found[-1].position)
        return TicketRecord(state, _said_of(ticket, first), first.position, last)

    def fresh(self, ticket: str, stored: StoredEvent, event: CommandSubmitted) -> TicketRecord:
        """The same of a ticket of which nothing but its submission is known."""
        state = State(self._fold, (ticket,), self.registry)
        state.advance(state.value.evolve(event), stored.position, 0)
        return TicketRecord(state, _said_of(ticket, stored), stored.position, stored.position)

    async def receipt(self, record: TicketRecord) -> Receipt:
        """The receipt of a handled command: its events are read back from the log."""
        submission, last = record.submission, record.last
        if not submission.events:
            return Receipt(last, (), submission.ticket)
        read = self.store.read(EVERYTHING, after=last - 1 - submission.events, upto=last - 1)
        events = [event async for batch in read for event in self.registry.decode_all(batch.events)]
        return Receipt(last - 1, tuple(events), submission.ticket)

    async def retry(self, ticket: str, metadata: Metadata | None) -> None:
        """Try a failed or postponed command again, at once."""
        while True:
            found = await self.read(ticket)
            if not _may_be_retried(found.submission):
                raise TicketClosed(ticket, "retry", found.submission.standing(self._clock.now()))
            if await self._say([CommandRetried(ticket)], [found], metadata):
                log.info("%s (ticket %s) is retried", found.submission.command, ticket)
                break
        self.submitted.set()

    async def cancel(self, ticket: str, metadata: Metadata | None) -> None:
        """Never handle a command that has not been handled yet; nor those that would follow if it recurs."""
        while True:
            found = await self._to_cancel(ticket)
            if await self._say([CommandCancelled(each.submission.ticket) for each in found], found, metadata):
                for each in found:
                    log.info("%s (ticket %s) is cancelled", each.submission.command, each.submission.ticket)
                return

    async def open_of(self, tickets: Iterable[str]) -> Sequence[str]:
        """Those of the tickets whose commands may still be handled."""
        return [each for each in tickets if _may_be_cancelled((await self.read(each)).submission)]

    async def _to_cancel(self, ticket: str) -> list[TicketRecord]:
        """The ticket, and the newest of its series, if they may be cancelled; `TicketClosed` if none may."""
        found = [await self.read(ticket)]
        series = found[0].submission.series
        newest = ticket if series is None else await self._newest_of(series)
        if newest != ticket:
            found.append(await self.read(newest))
        chosen = [each for each in found if _may_be_cancelled(each.submission)]
        if series is not None and newest != await self._newest_of(series):
            return await self._to_cancel(ticket)  # it was settled in between, and goes on
        if not chosen:
            raise TicketClosed(ticket, "cancel", found[-1].submission.standing(self._clock.now()))
        return chosen

    async def _newest_of(self, series: str) -> str:
        submitted = criteria(CommandSubmitted, tags=[f"leftfold.recurring:{series}"])
        async for batch in self.store.read(submitted, limit=1, reverse=True):
            for event in self.registry.decode_all(batch.events):
                return str(event.ticket)
        raise UnknownTicket(series)

    async def _say(
        self,
        events: Sequence[CommandRetried | CommandCancelled],
        tickets: Sequence[TicketRecord],
        metadata: Metadata | None,
    ) -> bool:
        """Append what someone wants, unless something was said of the tickets since they were read."""
        said = present_metadata() if metadata is None else metadata.over(present_metadata())
        records = [self.registry.encode(event, encode_metadata(said)) for event in events]
        conditions = [AppendCondition(each.state.criteria, each.state.position) for each in tickets]
        try:
            await self.store.append(records, condition=conditions)
        except Conflict:
            return False
        return True


def ticket_of(key: str) -> str:
    """The ticket id that a key stands for."""
    return blake2b(key.encode(), digest_size=16).hexdigest()


def _said_of(ticket: str, submitted: StoredEvent) -> Metadata:
    """What is said of a command: that of a series is submitted by the one before it, and is a command of its own."""
    said = decode_metadata(submitted.metadata)
    return said if said.command == ticket else msgspec.structs.replace(said, command=ticket)


def _may_be_retried(submission: Submission) -> bool:
    return submission.state == "failed" or (submission.state == "open" and submission.attempts > 0)


def _may_be_cancelled(submission: Submission) -> bool:
    return submission.state in ("open", "failed")

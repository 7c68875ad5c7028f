"""Submitted commands: submitting them, and reading and changing their outcome. The log itself is the queue."""

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
from leftfold.errors import AlreadyEnded, CannotDecode, KeyReused, UnknownTicket, UsageError
from leftfold.follow.journal import Journal, requested
from leftfold.model.clock import Clock, to_microseconds
from leftfold.model.codec import JsonCodec
from leftfold.model.comparing import difference
from leftfold.model.criteria import EVERYTHING, criteria
from leftfold.model.fold import fold_of
from leftfold.model.message import MessageType
from leftfold.model.metadata import Metadata, decode_metadata, encode_metadata
from leftfold.model.record import NewEvent, StoredEvent
from leftfold.model.registry import Registry
from leftfold.store.contract import AppendCondition, EventStore, OwnKey

HANDLED = MessageType(CommandHandled).wire
TICKETS = criteria(*TICKET_EVENTS)

log = logging.getLogger("leftfold.commands")


class TicketRecord:
    """A ticket as it was read: its state, the command's metadata, and where it was submitted and completed."""

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
        self.journal = Journal(store, registry)
        self._commands = commands
        self._executor = executor
        self._clock = clock
        self._new_id = new_id
        self._fold = fold_of(Submission)
        self.submitted = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Inbox of {self.journal.store!r}>"

    async def submit(
        self,
        command: object,
        *,
        key: str | None,
        due: datetime | None,
        every: timedelta | Daily | None = None,
        metadata: Metadata | None,
    ) -> str:
        """Append the command as an event, and return the ticket's id."""
        digest = self._executor.key(key, [command])
        ticket = self._new_id().hex if key is None else ticket_of(key)
        recurring = None if every is None else self._recurrence(key, every, due)
        record = self.record(command, ticket, due, requested(metadata), recurring)
        payload = b"" if every is None else msgspec.json.encode(every)
        own_key = digest and OwnKey(f"leftfold.submit/{key}", digest.digest + payload)
        try:
            await self.journal.store.append([record], key=own_key)
        except KeyReused as reused:
            if not await self._submitted_before(reused.first, command, every):
                raise
        self.submitted.set()
        return ticket

    async def _submitted_before(self, position: int, command: object, every: timedelta | Daily | None) -> bool:
        """Whether the command at a position, as today's class reads it, is this one, with the same recurrence."""
        event = self.journal.registry.decode(await self.journal.at(position))
        if not isinstance(event, CommandSubmitted):
            return False
        try:
            before = self.command_of(event.command, event.command_version, event.data)
        except CannotDecode:
            return False
        recurring = None if event.recurrence is None else event.recurrence.every
        return recurring == every and difference(command, before) is None

    def command_of(self, wire: str, version: int, data: msgspec.Raw) -> object:
        """Decode a submitted command; `CannotDecode` if today's class cannot hold it."""
        codec = self._commands.codec
        encoded = bytes(data) if type(codec) is JsonCodec else codec.encode(msgspec.json.decode(data))
        return self._commands.decode_new(NewEvent(wire, encoded, version=version))

    def record(
        self,
        command: object,
        ticket: str,
        due: datetime | None,
        metadata: Metadata,
        recurring: Recurrence | None = None,
    ) -> NewEvent:
        """Return the event of a submitted command; one that recurs begins a series."""
        if due is not None:
            to_microseconds(due)  # refuses a naive one
        stamped = self._executor.metadata_of(command, metadata, ticket)
        encoded, codec = self._commands.encode(command, b""), self._commands.codec
        # the event carries JSON: other codecs than ours may write anything
        data = encoded.data if type(codec) is JsonCodec else msgspec.json.encode(codec.fields(encoded.data))
        event = CommandSubmitted(ticket, encoded.type, encoded.version, msgspec.Raw(data), due)
        if recurring is not None:
            event = msgspec.structs.replace(event, due=recurring.first, series=ticket, recurrence=recurring)
        return self.journal.registry.encode(event, encode_metadata(stamped))

    def _recurrence(self, key: str | None, every: timedelta | Daily, due: datetime | None) -> Recurrence:
        if key is None:
            raise UsageError(
                f"every={every!r} was given without a key",
                "a key: a program that submits the command at each start must not submit it twice",
                'add one, as in key="nightly"',
            )
        return recurrence(every, due, self._clock.now())

    def cancellation(self, ticket: str) -> CommandCancelled:
        """Return the event that cancels a command unless it is completed."""
        return CommandCancelled(ticket)

    def due(self, at: datetime | None, delay: timedelta | None) -> datetime | None:
        """When a command is due that is to be handled at a time or after a delay."""
        if at is not None and delay is not None:
            raise UsageError(f"both at={at!r} and delay={delay!r} were given", "only one of them", "leave one out")
        return self._clock.now() + delay if delay is not None else at

    def due_after(self, delay: timedelta, time: datetime) -> datetime:
        """When a command is due that is to be handled some time after an event of this time.

        If the event's time is in the future, a wrong clock dated it: then the delay counts from now.
        """
        return min(time, self._clock.now()) + delay

    async def read(self, ticket: str) -> TicketRecord:
        """Return a ticket as it is now; `UnknownTicket` if there is none of this id."""
        state = State(self._fold, (ticket,), self.journal.registry)
        found: list[StoredEvent] = []
        async for batch in self.journal.store.read(state.criteria):
            found += batch.events
            state.advance(state.value, batch.through, 0)
        if not found:
            raise UnknownTicket(ticket)
        value, _ = self._fold.fold(state.value, found, self.journal.registry)
        state.advance(value, state.position, 0)
        first = found[0]
        last = max((event.position for event in found if event.type == HANDLED), default=found[-1].position)
        return TicketRecord(state, _metadata_of(ticket, first), first.position, last)

    def fresh(self, ticket: str, stored: StoredEvent, event: CommandSubmitted) -> TicketRecord:
        """Return a ticket of which only the submission is known."""
        state = State(self._fold, (ticket,), self.journal.registry)
        state.advance(state.value.evolve(event), stored.position, 0)
        return TicketRecord(state, _metadata_of(ticket, stored), stored.position, stored.position)

    async def receipt(self, record: TicketRecord) -> Receipt:
        """Return the receipt of a handled command, with its events read from the log."""
        submission, last = record.submission, record.last
        if not submission.events:
            return Receipt(last, (), submission.ticket)
        stored = await self.journal.stored(EVERYTHING, after=last - 1 - submission.events, upto=last - 1)
        return Receipt(last - 1, tuple(self.journal.registry.decode_all(stored)), submission.ticket)

    async def retry(self, ticket: str, metadata: Metadata | None) -> None:
        """Try a failed or postponed command again, at once."""
        while True:
            found = await self.read(ticket)
            if not _may_be_retried(found.submission):
                raise AlreadyEnded("retry", f"the command {ticket!r}", found.submission.state_at(self._clock.now()))
            if await self.journal.record([CommandRetried(ticket)], requested(metadata), _unchanged(found)):
                log.info("%s (ticket %s) is retried", found.submission.command, ticket)
                break
        self.submitted.set()

    async def cancel(self, ticket: str, metadata: Metadata | None) -> None:
        """Cancel a command that has not been handled yet, and those that would follow if it recurs."""
        while True:
            found = await self._to_cancel(ticket)
            cancelled = [self.cancellation(each.submission.ticket) for each in found]
            if await self.journal.record(cancelled, requested(metadata), *map(_unchanged, found)):
                for each in found:
                    log.info("%s (ticket %s) is cancelled", each.submission.command, each.submission.ticket)
                return

    async def open_of(self, tickets: Iterable[str]) -> Sequence[str]:
        """Return the tickets whose commands may still be handled."""
        return [each for each in tickets if _may_be_cancelled((await self.read(each)).submission)]

    async def _to_cancel(self, ticket: str) -> list[TicketRecord]:
        """Return the ticket, and the newest of its series, if they may be cancelled; `AlreadyEnded` if none may."""
        found = [await self.read(ticket)]
        series = found[0].submission.series
        newest = ticket if series is None else await self._newest_of(series)
        if newest != ticket:
            found.append(await self.read(newest))
        chosen = [each for each in found if _may_be_cancelled(each.submission)]
        if series is not None and newest != await self._newest_of(series):
            return await self._to_cancel(ticket)  # it was completed in between, and the series has gone on
        if not chosen:
            raise AlreadyEnded("cancel", f"the command {ticket!r}", found[-1].submission.state_at(self._clock.now()))
        return chosen

    async def _newest_of(self, series: str) -> str:
        submitted = criteria(CommandSubmitted, tags=[f"leftfold.recurring:{series}"])
        for event in await self.journal.newest(submitted):
            return str(event.ticket)
        raise UnknownTicket(series)


def ticket_of(key: str) -> str:
    """Return the ticket id that a key stands for."""
    return blake2b(key.encode(), digest_size=16).hexdigest()


def _metadata_of(ticket: str, submitted: StoredEvent) -> Metadata:
    """Return the metadata of a command. In a series the command before submits it, but it is a command of its own."""
    metadata = decode_metadata(submitted.metadata)
    return metadata if metadata.command == ticket else msgspec.structs.replace(metadata, command=ticket)


def _unchanged(record: TicketRecord) -> AppendCondition:
    return AppendCondition(record.state.criteria, record.state.position)


def _may_be_retried(submission: Submission) -> bool:
    return submission.state == "failed" or (submission.state == "open" and submission.attempts > 0)


def _may_be_cancelled(submission: Submission) -> bool:
    return submission.state in ("open", "failed")

"""Putting a trace together from its records: who caused what, and what became of it."""

import math
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from leftfold.command.submitted.events import TICKET_EVENTS, CommandFailed, CommandPostponed, CommandSubmitted
from leftfold.command.submitted.submission import Submission
from leftfold.errors import CannotDecode, LeftfoldError
from leftfold.follow.journal import Journal
from leftfold.model.criteria import SYSTEM, Criteria, criteria
from leftfold.model.message import MessageType
from leftfold.model.metadata import Metadata, decode_metadata
from leftfold.model.record import StoredEvent
from leftfold.process.events import (
    ProcessCancelled,
    ProcessParked,
    ProcessReacted,
    ProcessRetried,
    ProcessSkipped,
)
from leftfold.query import ReadModelDefinition, ReadSide
from leftfold.query.event_keys import key_reader
from leftfold.reaction import ReactorDefinition
from leftfold.reaction.events import (
    ReactorCheckpoint,
    ReactorParked,
    ReactorPostponed,
    ReactorReacted,
    ReactorRetried,
    ReactorSkipped,
)
from leftfold.reaction.reactors import about, checkpoints_of
from leftfold.trace.nodes import ReactionState, TracedAttempt, TracedCommand, TracedEvent, TracedReaction, TracedRow

TICKETS_PER_READ = 50
MOST_NESTED = 50  # commands that caused each other, one below the other

Records = list[tuple[StoredEvent, Any]]
Draft = tuple[str, StoredEvent, list[StoredEvent]]
"""A command of a trace: its id, the first record that tells of it, and its events."""


class Tree:
    """One trace while it is put together from its records."""

    def __init__(self, journal: Journal, records: Sequence[StoredEvent], now: datetime) -> None:
        self._journal = journal
        self._now = now
        self._drafts: dict[str, Draft] = {}
        self._events: dict[int, StoredEvent] = {}
        self._reactions: dict[int, dict[str, Records]] = defaultdict(lambda: defaultdict(list))  # to an event, by whom
        self._answered: dict[str, tuple[str, int]] = {}  # ticket → the process's instance and the event's position
        self._depth: dict[str, int] = {}
        self._made_commands: dict[str, TracedCommand] = {}
        self._made_events: dict[int, TracedEvent] = {}
        self._of_event: dict[int, list[str]] = defaultdict(list)
        self._of_command: dict[str, list[str]] = defaultdict(list)
        self._tickets: dict[str, Records] = defaultdict(list)
        self._by_reactors: dict[int, list[TracedReaction]] = defaultdict(list)
        self._rows: dict[int, tuple[TracedRow, ...]] = {}
        for record in records:
            self._sort(record)

    def __repr__(self) -> str:
        return f"<Tree of {len(self._drafts)} commands and {len(self._events)} events>"

    def _sort(self, record: StoredEvent) -> None:
        """Put a record where it belongs: to a command, or to the reaction of a process."""
        if not record.type.startswith(SYSTEM):
            self._events[record.position] = record
            id = _command_of(record)
            self._drafts.setdefault(id, (id, record, []))[2].append(record)
            return
        event = self._journal.decoded(record)
        match event:
            case CommandSubmitted(ticket=ticket):
                self._drafts.setdefault(ticket, (ticket, record, []))
            case ProcessReacted(instance=instance, position=position, tickets=tickets):
                self._reactions[position][instance].append((record, event))
                self._answered.update((ticket, (instance, position)) for ticket in tickets)
            case ProcessParked(instance=instance, position=position):
                self._reactions[position][instance].append((record, event))
            case _:
                pass

    async def read_rest(
        self,
        reactors: Mapping[str, ReactorDefinition],
        models: Iterable[ReadModelDefinition],
        read_side: ReadSide | None,
        timeout: float,
    ) -> None:
        """Read what the log and the read models say about the records. A model may take `timeout` seconds."""
        await self._read_tickets()
        await self._read_unparked()
        await self._read_reactors(reactors)
        await self._read_rows(models, read_side, timeout)

    def commands(self) -> tuple[TracedCommand, ...]:
        """Return the commands that nothing in the trace caused, with all that came of them.

        Nodes are made from the newest to the oldest, because a cause is always older. So a long chain needs no deep
        stack; every `MOST_NESTED` levels it goes on as another root, which names its cause.
        """
        roots = [id for id in self._drafts if not self._has_place(id)]
        made: list[tuple[int, bool, str]] = [(first.position, False, id) for id, first, _ in self._drafts.values()]
        made += [(at, True, "") for at in self._events]
        for at, is_event, id in sorted(made, reverse=True):
            if is_event:
                self._made_events[at] = self._event(self._events[at])
            else:
                self._made_commands[id] = self._command(id)
        return tuple(self._made_commands[id] for id in roots)

    def _has_place(self, id: str) -> bool:
        """Put a command under the event or command that caused it, if that is in the trace, older, and not too deep."""
        _, first, _ = self._drafts[id]
        cause = decode_metadata(first.metadata).cause
        parent, place = None, None
        if isinstance(cause, int) and cause in self._events and cause < first.position:
            parent, place = _command_of(self._events[cause]), self._of_event[cause]
        elif isinstance(cause, str) and cause in self._drafts and self._drafts[cause][1].position < first.position:
            parent, place = cause, self._of_command[cause]
        depth = self._depth.get(parent or "", 0) + 1
        if place is None or depth > MOST_NESTED:
            self._depth[id] = 0
            return False
        self._depth[id] = depth
        place.append(id)
        return True

    # --- what else the log says about the records

    async def _read_tickets(self) -> None:
        """Read what became of the submitted commands."""
        tickets = [id for id, (_, first, _) in self._drafts.items() if first.type.startswith(SYSTEM)]
        for start in range(0, len(tickets), TICKETS_PER_READ):
            of_each = [
                criteria(*TICKET_EVENTS, tags=[f"leftfold.ticket:{ticket}"])
                for ticket in tickets[start : start + TICKETS_PER_READ]
            ]
            together = Criteria(*(item for each in of_each for item in each.items))
            for record in await self._journal.stored(together):
                event = self._journal.decoded(record)
                if not isinstance(event, CannotDecode):
                    self._tickets[event.ticket].append((record, event))

    async def _read_unparked(self) -> None:
        """Read what people did about instances that were parked: their requests have correlations of their own."""
        reactions = [(at, *each) for at, by_instance in self._reactions.items() for each in by_instance.items()]
        for position, instance, recorded in reactions:
            if any(isinstance(event, ProcessReacted) for _, event in recorded):
                continue
            done = criteria(ProcessRetried, ProcessSkipped, ProcessCancelled, tags=[f"leftfold.process:{instance}"])
            for record in await self._journal.stored(done, after=recorded[-1][0].position):
                event = self._journal.decoded(record)
                if isinstance(event, ProcessCancelled) or getattr(event, "position", None) == position:
                    recorded.append((record, event))

    async def _read_reactors(self, reactors: Mapping[str, ReactorDefinition]) -> None:
        for name, reactor in reactors.items():
            wires = {event.wire for event in reactor.events}
            begun = await self._beginning_of(reactor)
            taken = {at: each for at, each in self._events.items() if each.type in wires and at > begun}
            if taken:
                for at, reaction in (await self._reactions_of(name, taken)).items():
                    self._by_reactors[at].append(reaction)

    async def _beginning_of(self, reactor: ReactorDefinition) -> float:
        """Return the position after which a reactor receives events; infinity if it has not begun yet."""
        if reactor.start == "from_start":
            return 0
        for record in await self._journal.stored(checkpoints_of(reactor), limit=1):
            event = self._journal.decoded(record)
            return event.position if isinstance(event, ReactorCheckpoint) else 0
        return math.inf

    async def _reactions_of(self, name: str, taken: Mapping[int, StoredEvent]) -> dict[int, TracedReaction]:
        """Return what a reactor did about these events. What it recorded is read until each of them is settled."""
        found = {at: TracedReaction(f"reactor {name}", "pending") for at in taken}
        settled = 0
        async for record, event in self._recorded(about(name), after=min(taken)):
            for at in _concerned(event, found):
                found[at] = _reacted(found[at], event, record, taken[at])
                settled += found[at].state in ("handled", "skipped")
            if settled >= len(taken):
                break
        return found

    async def _recorded(self, wanted: Criteria, after: int) -> AsyncIterator[tuple[StoredEvent, Any]]:
        async for batch in self._journal.store.read(wanted, after=after):
            for record in batch.events:
                yield record, self._journal.decoded(record)

    async def _read_rows(
        self, models: Iterable[ReadModelDefinition], read_side: ReadSide | None, timeout: float
    ) -> None:
        """Find out which rows the events moved."""
        readers = [
            (model, {event.wire: key_reader(model.fold, event) for event in model.fold.events}) for model in models
        ]
        unread: set[str] = set()  # models without history, or too far behind
        for at, record in self._events.items():
            event = self._decoded(record)
            rows: list[TracedRow] = []
            for model, by_wire in readers:
                read = None if event is None else by_wire.get(MessageType(event.__class__).wire)
                keys = () if read is None else read(event)
                moved = None
                if (keys or model.fold.fanned_out) and model.name not in unread:
                    moved = await _moved(model, at, keys, read_side, timeout)
                    unread.update([model.name] if moved is None else ())
                rows += [TracedRow(model.name, key) for key in keys] if moved is None else moved
            self._rows[at] = tuple(rows)

    # --- nodes

    def _decoded(self, record: StoredEvent) -> Any:
        event = self._journal.decoded(record)
        return None if isinstance(event, CannotDecode) else event

    def _made(self, ids: Iterable[str]) -> tuple[TracedCommand, ...]:
        return tuple(self._made_commands[id] for id in ids)

    def _command(self, id: str) -> TracedCommand:
        _, first, stored = self._drafts[id]
        said = decode_metadata(first.metadata)
        events = tuple(self._made_events[each.position] for each in stored)
        following = self._made(self._of_command[id])
        if first.type.startswith(SYSTEM):
            return self._submitted(id, first, said, events, following)
        cause = self._events.get(said.cause) if isinstance(said.cause, int) else None
        return TracedCommand(
            said.command,
            said.command_type,
            "appended" if said.command is None else "executed",
            first.time,
            None if cause is None else _seconds(cause.time, first.time),
            said.cause,
            said.actor,
            said.reason,
            events=events,
            commands=following,
        )

    def _submitted(
        self,
        id: str,
        first: StoredEvent,
        said: Metadata,
        events: tuple[TracedEvent, ...],
        following: tuple[TracedCommand, ...],
    ) -> TracedCommand:
        submission = Submission(id)
        attempts: list[TracedAttempt] = []
        completed: datetime | None = None
        for record, event in self._tickets[id]:
            before, submission = submission, submission.evolve(event)
            if submission.completed and not before.completed:
                completed = record.time
            if isinstance(event, CommandPostponed | CommandFailed):
                due = event.due if isinstance(event, CommandPostponed) else None
                attempts.append(TracedAttempt(record.time, event.attempt, event.error, due))
        state: Any = submission.state_at(self._now)
        return TracedCommand(
            id,
            submission.command or said.command_type,
            state,
            first.time,
            None if completed is None else _seconds(first.time, completed),
            said.cause,
            said.actor,
            said.reason,
            due=submission.due,
            data=submission.data,
            problem=None if state == "handled" else submission.reason or submission.error,
            details=submission.details,
            attempts=tuple(attempts),
            events=events,
            commands=following,
        )

    def _event(self, record: StoredEvent) -> TracedEvent:
        at = record.position
        by_processes = [self._process_reaction(*each, record) for each in self._reactions.get(at, {}).items()]
        others = [id for id in self._of_event[at] if self._answered.get(id, ("", 0))[1] != at]
        return TracedEvent(
            at,
            record.type,
            record.version,
            record.time,
            record.tags,
            self._decoded(record),
            self._rows.get(at, ()),
            (*by_processes, *self._by_reactors[at]),
            self._made(others),
        )

    def _process_reaction(
        self, instance: str, recorded: Sequence[tuple[StoredEvent, Any]], cause: StoredEvent
    ) -> TracedReaction:
        record, event = recorded[-1]
        states: dict[type, ReactionState] = {
            ProcessReacted: "answered",
            ProcessParked: "parked",
            ProcessRetried: "waiting",
            ProcessSkipped: "skipped",
            ProcessCancelled: "cancelled",
        }
        errors = [each.error for _, each in recorded if isinstance(each, ProcessParked)]
        commands = [id for id in self._of_event[cause.position] if self._answered.get(id) == (instance, cause.position)]
        return TracedReaction(
            f"process {instance}",
            states[type(event)],
            record.time,
            _seconds(cause.time, record.time),
            errors[-1] if errors else None,
            commands=self._made(commands),
            done=isinstance(event, ProcessReacted) and event.done,
        )


async def _moved(
    model: ReadModelDefinition, at: int, keys: Sequence[tuple[Any, ...]], read_side: ReadSide | None, timeout: float
) -> list[TracedRow] | None:
    """Return the rows that an event moved, before and after; None without history, or if the model is not so far."""
    if read_side is None or not model.history:
        return None
    owner: Any = model.handle
    chosen = None if model.fold.fanned_out else keys
    try:
        changes = await read_side.changes(owner, at - 1, at, limit=None, timeout=timeout, keys=chosen)
    except LeftfoldError:
        return None
    return [TracedRow(model.name, each.key, each.before, each.after) for each in changes]


def _concerned(event: Any, found: Mapping[int, TracedReaction]) -> Sequence[int]:
    """Return the events that a reactor's record settles or concerns."""
    match event:
        case ReactorReacted(position=position, again=again):
            return [at for at, each in found.items() if at in again or (at <= position and each.state == "pending")]
        case ReactorPostponed() | ReactorParked() | ReactorRetried() | ReactorSkipped():
            return [event.position] if event.position in found else []
        case _:
            return []


def _reacted(before: TracedReaction, event: Any, record: StoredEvent, cause: StoredEvent) -> TracedReaction:
    state: ReactionState = "handled"
    attempts, error = before.attempts, before.error
    match event:
        case ReactorPostponed(attempt=attempt, error=error, due=due):
            state, attempts = "waiting", (*attempts, TracedAttempt(record.time, attempt, error, due))
        case ReactorParked(attempt=attempt, error=error):
            state, attempts = "parked", (*attempts, TracedAttempt(record.time, attempt, error))
        case ReactorRetried():
            state = "waiting"
        case ReactorSkipped():
            state = "skipped"
        case _:
            error = None
    waited = _seconds(cause.time, record.time)
    return TracedReaction(before.by, state, record.time, waited, error, attempts)


def _command_of(record: StoredEvent) -> str:
    """Return the id of the command that made an event, or a name for events that no command made."""
    return decode_metadata(record.metadata).command or f"@{record.position}"


def _seconds(begun: datetime, ended: datetime) -> float:
    return (ended - begun).total_seconds()

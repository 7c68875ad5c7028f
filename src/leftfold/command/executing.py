"""Executing commands: load, decide, append; on a conflict read the tail and decide again."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from copy import copy
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from leftfold.command.batching import CommandBatch, CommandQueue
from leftfold.command.decision import Decision, StagedStates, StateLocks, stamped
from leftfold.command.handler import CommandHandler
from leftfold.command.payload import digest_of, stood_for
from leftfold.command.receipt import BatchReceipt, Receipt
from leftfold.command.states import State, States
from leftfold.command.submitted.completing import Completing, TicketSettled
from leftfold.errors import (
    Conflict,
    InvalidAppend,
    KeyReused,
    NotHandled,
    PartsAppended,
    Rejected,
    TooManyConflicts,
    UsageError,
)
from leftfold.model.clock import Clock
from leftfold.model.criteria import EVERYTHING
from leftfold.model.metadata import Metadata, decode_metadata, present_metadata
from leftfold.model.record import StoredEvent
from leftfold.model.registry import Registry
from leftfold.store.bounds import check_key
from leftfold.store.contract import Appended, EventStore, IdempotencyKey

ENOUGH = 8  # in a row


class NewEntityPredictor:
    """A command that begins an entity finds nothing when its state is read: after a few such reads none is needed.

    It is then decided on the model's start at once. If the entity has a history all the same, the append's condition
    says so, the command is decided again on what is in the log, and reads come first again.
    """

    def __init__(self) -> None:
        self._in_a_row: Counter[CommandHandler] = Counter()

    def __repr__(self) -> str:
        return f"<NewEntityPredictor {dict(self._in_a_row)}>"

    def expected(self, handler: CommandHandler) -> bool:
        """Whether the handler's next command may be decided without a read."""
        return self._in_a_row[handler] >= ENOUGH

    def met(self, handler: CommandHandler, *, history: bool) -> None:
        """Note what a command found on an entity that was not held in memory."""
        self._in_a_row[handler] = 0 if history else self._in_a_row[handler] + 1


ATTEMPTS = 16
LONGEST_PAUSE = 0.05  # seconds

When = datetime | Callable[[Any], datetime]
"""When the events of a command happened: a time, or a function that gives the time of a command."""


class Executor:
    """The command side of a live app."""

    def __init__(
        self,
        store: EventStore,
        registry: Registry,
        handlers: Mapping[type, CommandHandler],
        states: States,
        *,
        clock: Clock,
        new_id: Callable[[], UUID],
        randomness: random.Random,
        attempts: int = ATTEMPTS,
    ) -> None:
        self._store = store
        self._registry = registry
        self._handlers = handlers
        self._states = states
        self._clock = clock
        self._new_id = new_id
        self._random = randomness
        self._attempts = attempts
        self._beginnings = NewEntityPredictor()
        self._chains = CommandQueue(self._carry_out, self._carry_out_together)

    def on(self, store: EventStore) -> "Executor":
        """The same, with the same states, for one who appends to the log through `store`."""
        other = copy(self)
        other._store = store
        return other

    async def execute(self, command: Any, *, key: str | None, metadata: Metadata | None, time: When | None) -> Receipt:
        """Decide one command and append its events."""
        return await self._chains.carry_out(self._decision(command, metadata, time), self.key(key, [command]))

    async def settle(self, command: Any, ticket: State, metadata: Metadata) -> Receipt:
        """Decide a submitted command and what is said of its ticket, and append both at once.

        Raises `TicketSettled` when the ticket is not open (any more).
        """
        handler = self._handler_of(command)
        states = [*self._states_of(handler, command), ticket]
        return await self._carry_out(Decision(Completing(handler), command, states, metadata, None), None)

    async def settle_all(self, tickets: Iterable[tuple[Any, State, Metadata]]) -> None:
        """The same for many at once, in their order, with one append; what is not open is passed over.

        Whatever goes wrong with one of them is raised, and then nothing was appended: settle them one by one.
        """
        decisions: list[Decision] = []
        for command, ticket, metadata in tickets:
            handler = self._handler_of(command)
            states = [*self._states_of(handler, command), ticket]
            decisions.append(Decision(Completing(handler), command, states, metadata, None))
        held = {id(state): state for decision in decisions for state in decision.states}
        async with StateLocks(held.values()):
            await self._load(list(held.values()))
            working = StagedStates(held.values())
            for decision in decisions:
                with suppress(TicketSettled):
                    decision.decide(self._registry, working, self._clock.now())
            records = [record for decision in decisions for record in decision.records]
            if records:
                appended = await self._store.append(records, condition=working.conditions())
                working.commit(appended.last)
                await self._states.have_changed(held.values())

    def key(self, key: str | None, commands: Sequence[Any]) -> IdempotencyKey | None:
        """A command's key stands for the command, not for what is decided: that may differ the second time."""
        if key is None:
            return None
        check_key(key)
        return IdempotencyKey(key, digest_of(self._registry, commands, self._wires(commands)))

    def _wires(self, commands: Sequence[Any]) -> list[str]:
        return [self._handler_of(command).command.wire for command in commands]

    async def _lookup(self, key: IdempotencyKey, commands: Sequence[Any]) -> Appended | None:
        """Where the commands of a key lie; `KeyReused` when it was used for others."""
        try:
            return await self._store.lookup(key)
        except KeyReused as reused:
            return self._recognised(reused, commands)

    def _recognised(self, reused: KeyReused, commands: Sequence[Any]) -> Appended:
        """Where a key was used for the same commands, by code that did not know all of their fields yet."""
        stored = reused.digest
        if stored is None or not stood_for(stored, commands, self._wires(commands), self._registry):
            raise reused
        return Appended(reused.first, reused.last, duplicate=True)

    def stamped(self, command: object, said: Metadata, identity: str) -> Metadata:
        """What is said of a command that is to have this id."""
        said = msgspec.structs.replace(said, command=identity)
        return stamped(said, self._handler_of(command), self._new_id)

    def concerns(self, command: object) -> list[tuple[Any, Any]]:
        """Which models' states a command is decided on: model and key of each."""
        return [(model.fold, model.key_in(command)) for model in self._handler_of(command).models]

    async def execute_many(
        self,
        commands: Sequence[Any],
        *,
        key: str | None,
        metadata: Metadata | None,
        time: When | None,
    ) -> BatchReceipt:
        """Decide commands one after the other, each on the outcome of those before, and append once."""
        decisions = [
            self._decision(command, _numbered(metadata, number), time) for number, command in enumerate(commands, 1)
        ]
        states = {id(state): state for decision in decisions for state in decision.states}
        async with StateLocks(states.values()):
            for attempt in range(1, self._attempts + 1):
                try:
                    return await self._try_many(decisions, list(states.values()), self.key(key, commands))
                except Conflict as conflict:
                    await self._recover(states.values(), conflict, f"a batch of {len(decisions)}", attempt)
        raise AssertionError("unreachable: the last attempt raises")

    # --- one command

    async def _carry_out(self, decision: Decision, key: IdempotencyKey | None) -> Receipt:
        async with StateLocks(decision.states):
            for attempt in range(1, self._attempts + 1):
                try:
                    return await self._try(decision, key)
                except Conflict as conflict:
                    await self._recover(decision.states, conflict, decision.handler.command.wire, attempt)
        raise AssertionError("unreachable: the last attempt raises")

    async def _try(self, decision: Decision, key: IdempotencyKey | None) -> Receipt:
        begun = self._begun(decision)
        if begun is not None:
            with suppress(Conflict):  # it has a history: to be read now
                return await self._append(decision, begun, key)
        working = await self._settle([decision], decision.states)
        if decision.records:
            return await self._append(decision, working, key)
        if key is not None and (known := await self._lookup(key, [decision.command])) is not None:
            return await self._duplicate(known)
        return _nothing_happened(decision)

    def _begun(self, decision: Decision) -> StagedStates | None:
        """Decide on the model's start, unread, where no history is expected; None where nothing came of it."""
        states = decision.states
        if len(states) != 1 or states[0].loaded or not self._beginnings.expected(decision.handler):
            return None
        working = StagedStates(states)
        try:
            decision.decide(self._registry, working, self._clock.now())
        except Exception:  # noqa: BLE001 the handler is asked again, about what is in the log
            return None
        return working if decision.records else None

    async def _append(self, decision: Decision, working: StagedStates, key: IdempotencyKey | None) -> Receipt:
        try:
            appended = await self._store.append(decision.records, condition=working.conditions(), key=key)
        except KeyReused as reused:
            appended = self._recognised(reused, [decision.command])
        if appended.duplicate:
            return await self._duplicate(appended)
        working.commit(appended.last)
        await self._states.have_changed(decision.states)
        return Receipt(appended.last, tuple(decision.events), str(decision.metadata.command))

    async def _duplicate(self, known: Appended) -> Receipt:
        """The receipt of the first time, read back from the log."""
        records = await self._between(known)
        command = decode_metadata(records[0].metadata).command
        return Receipt(known.last, tuple(self._registry.decode_all(records)), str(command), duplicate=True)

    async def _between(self, appended: Appended) -> list[StoredEvent]:
        read = self._store.read(EVERYTHING, after=appended.first - 1, upto=appended.last)
        return [event async for batch in read for event in batch.events]

    # --- commands that have gathered on the same states

    async def _carry_out_together(
        self, decisions: Sequence[Decision], keys: Sequence[IdempotencyKey | None]
    ) -> Sequence[Receipt | Exception]:
        """Each is decided on the outcome of those before it; what is wrong with one of them is its outcome alone."""
        states = list(decisions[0].states)
        gathering = CommandBatch(decisions, keys)
        try:
            async with StateLocks(states):
                for attempt in range(1, self._attempts + 1):
                    try:
                        return await self._try_together(gathering, states)
                    except (PartsAppended, KeyReused):
                        await self._answer_known(gathering)
                    except Conflict as conflict:
                        await self._recover(states, conflict, f"{len(decisions)} commands on one entity", attempt)
        except InvalidAppend:  # of one of them, or of all in one append
            return [await self._outcome(decision, key) for decision, key in zip(decisions, keys, strict=True)]
        raise AssertionError("unreachable: the last attempt raises")

    async def _try_together(self, gathering: CommandBatch, states: Sequence[State]) -> Sequence[Receipt | Exception]:
        fresh = await self._load(states)
        working = gathering.decide(self._registry, StagedStates(states), self._clock)
        while not gathering.records and not fresh and await self._refresh(states):
            working = gathering.decide(self._registry, StagedStates(states), self._clock)
        await self._answer_known(gathering, without_events=True)
        first = max(state.position for state in states) + 1
        if gathering.records:
            appended = await self._store.append(
                gathering.records, condition=working.conditions(), key=gathering.parts() or None
            )
            first = appended.first
            working.commit(appended.last)
            await self._states.have_changed(states)
        return gathering.outcomes(first)

    async def _answer_known(self, gathering: CommandBatch, *, without_events: bool = False) -> None:
        """Give those whose keys were used before the receipt of the first time."""
        for decision, key in gathering.keyed(without_events=without_events):
            try:
                known = await self._lookup(key, [decision.command])
                if known is not None:
                    gathering.settle(decision, await self._duplicate(known))
            except KeyReused as reused:
                gathering.settle(decision, reused)

    async def _outcome(self, decision: Decision, key: IdempotencyKey | None) -> Receipt | Exception:
        try:
            return await self._carry_out(decision, key)
        except Exception as error:  # noqa: BLE001 it is this command's alone
            return error

    # --- many commands

    async def _try_many(
        self, decisions: Sequence[Decision], states: Sequence[State], key: IdempotencyKey | None
    ) -> BatchReceipt:
        commands = [decision.command for decision in decisions]
        if key is not None and (known := await self._lookup(key, commands)) is not None:
            return BatchReceipt(known.last, (), duplicate=True)
        working = await self._settle(decisions, states)
        records = [record for decision in decisions for record in decision.records]
        if not records:
            position = max((state.position for state in states), default=0)
            return BatchReceipt(position, _outcomes(decisions, position + 1))
        try:
            appended = await self._store.append(records, condition=working.conditions(), key=key)
        except KeyReused as reused:
            appended = self._recognised(reused, commands)
        if appended.duplicate:
            return BatchReceipt(appended.last, (), duplicate=True)
        working.commit(appended.last)
        await self._states.have_changed(states)
        return BatchReceipt(appended.last, _outcomes(decisions, appended.first))

    # --- what both share

    def _decision(self, command: object, metadata: Metadata | None, time: When | None) -> Decision:
        handler = self._handler_of(command)
        self._registry.form(handler.command.owner).check(command)
        said = present_metadata() if metadata is None else metadata.over(present_metadata())
        states = self._states_of(handler, command)
        happened = None if time is None else _time_of(command, time)
        return Decision(handler, command, states, stamped(said, handler, self._new_id), happened)

    def _handler_of(self, command: object) -> CommandHandler:
        handler = self._handlers.get(type(command))
        if handler is None:
            raise NotHandled(type(command).__qualname__, sorted(known.__qualname__ for known in self._handlers))
        return handler

    def _states_of(self, handler: CommandHandler, command: object) -> list[State]:
        return [self._states.of(model.fold, model.key_in(command)) for model in handler.models]

    async def _settle(self, decisions: Sequence[Decision], states: Sequence[State]) -> StagedStates:
        """Decide, and when nothing is to be appended decide again until the states have nothing new."""
        fresh = await self._load(states, decisions[0].handler if len(decisions) == 1 else None)
        while True:
            working = StagedStates(states)
            for decision in decisions:
                decision.decide(self._registry, working, self._clock.now())
            if fresh or any(decision.records for decision in decisions) or not await self._refresh(states):
                return working
            fresh = len(states) == 1

    async def _load(self, states: Sequence[State], handler: CommandHandler | None = None) -> bool:
        """Read what has never been read; whether a decision on these states needs no second look.

        States that were read one after the other were all true at one moment only if a second look at each finds
        nothing new; an append's conditions see to that, a rejection has none.
        """
        cold = [state for state in states if not state.loaded]
        found = bool(cold) and await self._states.refresh_all(cold)
        if handler is not None and len(cold) == len(states) == 1:
            self._beginnings.met(handler, history=found)
        return len(states) == len(cold) <= 1

    async def _refresh(self, states: Iterable[State]) -> bool:
        return await self._states.refresh_all(states)

    async def _recover(self, states: Iterable[State], conflict: Conflict, command: str, attempt: int) -> None:
        """After a conflict: give up after the last attempt, else pause a little and read the tails."""
        if attempt == self._attempts:
            raise TooManyConflicts(command, attempt, conflict)
        if attempt > 1:
            await asyncio.sleep(self._random.uniform(0, min(LONGEST_PAUSE, 0.001 * 2**attempt)))
        await self._refresh(states)


def _numbered(metadata: Metadata | None, number: int) -> Metadata | None:
    """An id that is given for a batch is numbered: each command needs one of its own, as what is made of it does."""
    if metadata is None or metadata.command is None:
        return metadata
    return msgspec.structs.replace(metadata, command=f"{metadata.command}/{number}")


def _nothing_happened(decision: Decision) -> Receipt:
    if decision.rejected is not None:
        raise decision.rejected
    position = max((state.position for state in decision.states), default=0)
    return Receipt(position, (), str(decision.metadata.command))


def _outcomes(decisions: Iterable[Decision], first: int) -> tuple[Receipt | Rejected, ...]:
    outcomes: list[Receipt | Rejected] = []
    position = first - 1
    for decision in decisions:
        position += len(decision.events)
        receipt = Receipt(max(position, 0), tuple(decision.events), str(decision.metadata.command))
        outcomes.append(decision.rejected or receipt)
    return tuple(outcomes)


def _time_of(command: object, when: When) -> datetime:
    found: Any = when(command) if callable(when) else when
    if not isinstance(found, datetime):
        raise UsageError(
            f"time={when!r} says that {type(command).__qualname__} happened at {found!r}",
            "an aware datetime, or a function that gives the one of a command",
            "leave time out for the present",
        )
    return found

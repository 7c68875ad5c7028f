"""Executing commands: load states, decide, append; after a conflict read the new events and decide again."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from leftfold.command.batching import CommandBatch, CommandQueue, Decider, Decision, Execution, LookupDecision
from leftfold.command.handler import CommandHandler
from leftfold.command.parameters import ModelParameter
from leftfold.command.payload import digest_of, stood_for
from leftfold.command.receipt import BatchReceipt, Receipt
from leftfold.command.states import StagedState, StagedStates, State, States
from leftfold.command.submitted.completing import Completing
from leftfold.errors import (
    CannotDecode,
    Conflict,
    EvolveFailed,
    InvalidAppend,
    KeyReused,
    NotHandled,
    PartsAppended,
    TooManyConflicts,
    UsageError,
)
from leftfold.model.clock import Clock
from leftfold.model.criteria import EVERYTHING
from leftfold.model.ids import hex_ids
from leftfold.model.metadata import Metadata, decode_metadata, present_metadata
from leftfold.model.registry import Registry
from leftfold.store.bounds import check_key
from leftfold.store.contract import Appended, EventStore, IdempotencyKey

NEW_ENTITIES_IN_A_ROW = 8  # after which the next entity is expected to be new, too
ATTEMPTS = 16
LONGEST_PAUSE = 0.05  # seconds
PREDICTED = 0  # the attempt that decides without a read; a wrong prediction does not count as an attempt

When = datetime | Callable[[Any], datetime]
"""When the events of a command happened: a time, or a function that returns the time for a command."""


class Plan(NamedTuple):
    """What is found out once for each type of command: its handler, what checks a command, and what decides on it."""

    handler: CommandHandler
    check: Callable[[object], None]
    decision: Callable[..., Decision]
    single: ModelParameter | None  # of a handler that takes just one model


class NewEntityPredictor:
    """Predicts which commands start a new entity, so that its state need not be read.

    A handler whose last few commands found no history is expected to find none again. If the entity has a history all
    the same, the append's condition fails, the command is decided again on what is in the log, and the handler's next
    commands read first again.
    """

    def __init__(self) -> None:
        self._in_a_row: Counter[Decider] = Counter()

    def __repr__(self) -> str:
        return f"<NewEntityPredictor {dict(self._in_a_row)}>"

    def predicts_new(self, handler: Decider) -> bool:
        """Return whether to decide a command without reading its state."""
        return self._in_a_row[handler] >= NEW_ENTITIES_IN_A_ROW

    def observe(self, handler: Decider, *, history: bool) -> None:
        """Count what a command on one state that was not in memory has found."""
        self._in_a_row[handler] = 0 if history else self._in_a_row[handler] + 1


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
        self._new_id = hex_ids(new_id)
        self._random = randomness
        self._attempts = attempts
        self._predictor = NewEntityPredictor()
        self._plans: dict[type, Plan] = {}
        self._queue = CommandQueue(self._run)

    def on(self, store: EventStore) -> "Executor":
        """Return an executor that shares the states, and appends through `store`."""
        other = copy(self)
        other._store = store
        return other

    async def execute(self, command: Any, *, key: str | None, metadata: Metadata | None, time: When | None) -> Receipt:
        """Decide one command and append its events."""
        decision = self._decision(command, _over_present(metadata), time)
        state = decision.single
        if key is None and state is not None and state.turn.free and self._queue.is_free(state):
            return await self._execute_at_once(decision, state)
        execution = Execution([decision], None if key is None else self.key(key, [command]))
        await self._queue.run(execution)
        return await self._receipt_of(execution)

    async def _receipt_of(self, execution: Execution) -> Receipt:
        if execution.known is not None:
            return await self._first_receipt(execution.known)
        [outcome] = execution.outcomes()
        if isinstance(outcome, Receipt):
            return outcome
        raise outcome

    # --- the hot path: one command without a key, on one state that no other command uses

    async def _execute_at_once(self, decision: Decision, state: State) -> Receipt:
        """Do what `_run` does, in the case that is by far the most frequent, with a third of the steps.

        A command that waits for no other one needs no batch and no lock. If it has to be decided again, `_run` does so.
        """
        self._queue.begin(state)
        try:
            receipt, attempt = await self._decide_at_once(decision, state)
            if receipt is not None:
                return receipt
            execution = Execution([decision], None)
            await self._run([execution], attempt)
            return await self._receipt_of(execution)
        finally:
            self._queue.end(state)

    async def _decide_at_once(self, decision: Decision, state: State) -> tuple[Receipt | None, int]:
        """Decide and append, and return the receipt; or None, and the attempt to go on with."""
        state.turn.free = 0
        try:
            is_predicted = not state.loaded and self._predictor.predicts_new(decision.handler)
            is_fresh = not state.loaded and not is_predicted
            if is_fresh:
                self._predictor.observe(decision.handler, history=await self._states.refresh(state))
            staged = StagedState(state, self._clock)
            try:
                records = decision.decide(self._registry, staged, self._clock)
            except Exception:  # no condition has checked what this was decided on
                if is_predicted or (not is_fresh and await self._states.refresh(state)):
                    return None, 1
                raise
            if not records:
                if is_predicted or (not is_fresh and await self._states.refresh(state)):
                    return None, 1
                return _without_events(decision, state), 1
            try:
                appended = await self._store.append(records, condition=staged.condition)
            except Conflict as conflict:
                attempt = PREDICTED if is_predicted else 1
                await self._recover(CommandBatch([Execution([decision], None)]), conflict, attempt)
                return None, attempt + 1
            staged.commit(appended.last)
            if state.is_due:
                await self._states.note_changes([state])
            return Receipt(appended.last, tuple(decision.events), decision.id), 1
        finally:
            state.turn.leave()

    async def execute_many(
        self, commands: Sequence[Any], *, key: str | None, metadata: Metadata | None, time: When | None
    ) -> BatchReceipt:
        """Decide commands one after another, each on the outcome of those before, and append once."""
        metadata = _over_present(metadata)
        decisions = [
            self._decision(command, _numbered(metadata, number), time) for number, command in enumerate(commands, 1)
        ]
        execution = Execution(decisions, self.key(key, commands))
        await self._recognize([execution])
        if execution.is_open:
            await self._run([execution])
        if execution.known is not None:
            return BatchReceipt(execution.known.last, (), duplicate=True)
        return BatchReceipt(execution.last, execution.outcomes())

    async def complete(self, command: Any, ticket: State, metadata: Metadata) -> None:
        """Decide a submitted command, and append its events together with the outcome of its ticket.

        Raises `AlreadyCompleted` if the ticket is not open.
        """
        [outcome] = await self._complete([(command, ticket, metadata)])
        if not isinstance(outcome, Receipt):
            raise outcome

    async def complete_all(self, tickets: Iterable[tuple[Any, State, Metadata]]) -> None:
        """Complete many submitted commands in order with one append; tickets that are not open are left out.

        Commands on one state whose fold takes a context have an append each. If a command fails, its error is raised
        and nothing of its append is written: complete them one by one then.
        """
        await self._complete(tickets)

    async def _complete(self, tickets: Iterable[tuple[Any, State, Metadata]]) -> Sequence[Receipt | Exception]:
        decisions: list[Decision] = []
        for command, ticket, metadata in tickets:
            handler = self._handler_of(command)
            completing, identity = Completing(handler), str(metadata.command)
            states = self._states_of(handler, command)
            if handler.parameters.is_fixed:
                decisions.append(Decision(completing, command, [*states, ticket], metadata, identity, None))
            else:
                beside = (handler.parameters, [ticket])
                decisions.append(LookupDecision(completing, command, states, metadata, identity, None, *beside))
        outcomes: list[Receipt | Exception] = []
        for together in _decided_together(decisions):
            execution = Execution(together, None)
            await self._run([execution])
            outcomes += execution.outcomes()
        return outcomes

    # --- the loop

    async def _run(self, executions: Sequence[Execution], attempt: int | None = None) -> None:
        """Load states, decide, append; after a conflict read the new events and decide again."""
        batch = CommandBatch(executions)
        async with batch.locks:
            if attempt is None:
                handler = batch.single_handler
                is_predicted = (
                    handler is not None and not batch.states[0].loaded and self._predictor.predicts_new(handler)
                )
                attempt = PREDICTED if is_predicted else 1
            while True:
                try:
                    try:
                        return await self._attempt(batch, attempt)
                    except Conflict as conflict:
                        await self._recover(batch, conflict, attempt)
                        attempt += 1
                except (PartsAppended, KeyReused):
                    if not await self._recognize(batch.open):
                        raise
                    attempt = max(attempt, 1)
                except (InvalidAppend, CannotDecode, EvolveFailed) as error:
                    # one of them is invalid, or all are too large for one append; or one has found an unreadable state
                    if len(executions) == 1 or not (batch.found or isinstance(error, InvalidAppend)):
                        raise
                    break
        for execution in batch.open:
            await self._run_alone(execution)

    async def _attempt(self, batch: CommandBatch, attempt: int) -> None:
        staged = self._decide_unread(batch) if attempt == PREDICTED else None
        if staged is None:
            staged = await self._decide(batch)
        without_events = [each for each in batch.open if not each.records]
        if without_events:  # an append would not tell whether their keys were used before
            await self._recognize(without_events)
        records = batch.records
        if not records:
            batch.place(max((state.position for state in batch.states), default=0) + 1)
            return
        appended = await self._store.append(records, condition=staged.conditions(), key=batch.keys)
        batch.place(appended.first)
        staged.commit(appended.last)
        await self._states.note_changes(batch.states)

    def _decide_unread(self, batch: CommandBatch) -> StagedStates | None:
        """Decide on the model's start; without events the decision does not count, since no condition checks it."""
        staged = batch.decide(self._registry, self._clock)
        [execution] = batch.executions
        execution.reopen()
        return staged if execution.records else None

    async def _decide(self, batch: CommandBatch) -> StagedStates:
        """Decide; if nothing is to be appended, decide again until the states have nothing new.

        States that were read one after another were all true at one moment only if a second look at each finds nothing
        new. The conditions of an append check that; a rejection, and anything else that a handler raises, has none.
        """
        unread = [state for state in batch.states if not state.loaded]
        if unread:
            history = await self._states.refresh_all(unread)
            if batch.single_handler is not None:
                self._predictor.observe(batch.single_handler, history=history)
        staged = await self._decide_on_all(batch)
        if batch.records:
            return staged
        fresh = len(unread) == len(batch.states) <= 1
        while not (fresh or batch.records) and batch.open and await self._states.refresh_all(batch.states):
            staged = await self._decide_on_all(batch)
            fresh = len(batch.states) == 1
        return staged

    async def _decide_on_all(self, batch: CommandBatch) -> StagedStates:
        """Decide; load the states whose keys stood in others, and decide again until none is missing."""
        while (staged := batch.decide(self._registry, self._clock)).missing:
            await batch.add([self._states.of(*name) for name in staged.missing])
            await self._states.refresh_all(state for state in batch.states if not state.loaded)
        return staged

    async def _recover(self, batch: CommandBatch, conflict: Conflict, attempt: int) -> None:
        """Read the new events after a short pause; give up after the last attempt."""
        if attempt == self._attempts:
            raise TooManyConflicts(batch.name, attempt, conflict)
        if attempt > 1:
            await asyncio.sleep(self._random.uniform(0, min(LONGEST_PAUSE, 0.001 * 2**attempt)))
        if attempt != PREDICTED:
            await self._states.refresh_all(batch.states)

    async def _run_alone(self, execution: Execution) -> None:
        try:
            await self._run([execution])
        except Exception as error:  # noqa: BLE001 its caller gets it
            execution.close(error)

    # --- keys

    def key(self, key: str | None, commands: Sequence[Any]) -> IdempotencyKey | None:
        """Return a key for the commands themselves: what they decide may differ the second time."""
        if key is None:
            return None
        check_key(key)
        return IdempotencyKey(key, digest_of(self._registry, commands, self._wires(commands)))

    def _wires(self, commands: Sequence[Any]) -> list[str]:
        return [self._handler_of(command).command.wire for command in commands]

    async def _recognize(self, executions: Iterable[Execution]) -> bool:
        """Close the executions whose keys were used before; return whether there were any."""
        found = False
        for execution in executions:
            known = None if execution.key is None else await self._lookup(execution.key, execution.commands)
            if known is not None:
                execution.close(known)
                found = True
        return found

    async def _lookup(self, key: IdempotencyKey, commands: Sequence[Any]) -> Appended | KeyReused | None:
        """Look a key up; it may have been stored by code that did not have all of the commands' fields yet."""
        try:
            return await self._store.lookup(key)
        except KeyReused as reused:
            stored = reused.digest
            if stored is None or not stood_for(stored, commands, self._wires(commands), self._registry):
                return reused
            return Appended(reused.first, reused.last)

    async def _first_receipt(self, known: Appended) -> Receipt:
        """Return the receipt of the first call with a key, read back from the log."""
        read = self._store.read(EVERYTHING, after=known.first - 1, upto=known.last)
        records = [event async for batch in read for event in batch.events]
        command = decode_metadata(records[0].metadata).command
        return Receipt(known.last, tuple(self._registry.decode_all(records)), str(command), duplicate=True)

    # --- commands

    def metadata_of(self, command: object, metadata: Metadata, identity: str) -> Metadata:
        """Return the metadata of a command that gets this id."""
        return metadata.of_command(identity, self._handler_of(command).command.wire)

    def concerns(self, command: object) -> list[tuple[Any, Any]]:
        """Return model and key of each state that the command itself names."""
        named = self._handler_of(command).parameters.named_by(command)
        return [(parameter.fold, key) for parameter, keys in named for key in keys]

    def looks_up(self, command: object) -> bool:
        """Return whether a decision on the command depends on states that only other states name."""
        return self._handler_of(command).parameters.looks_up

    def _decision(self, command: object, metadata: Metadata, time: When | None) -> Decision:
        plan = self._plans.get(type(command)) or self._plan_of(command)
        plan.check(command)
        id = metadata.command or self._new_id()
        happened = None if time is None else _time_of(command, time)
        single, handler = plan.single, plan.handler
        if single is not None:  # most are like that
            states = [self._states.of(single.fold, single.key_in(command))]
        else:
            states = self._states_of(handler, command)
        return plan.decision(handler, command, states, metadata, id, happened)

    def _plan_of(self, command: object) -> Plan:
        handler = self._handler_of(command)
        owner = handler.command.owner
        parameters = handler.parameters
        decision = Decision if parameters.is_fixed else partial(LookupDecision, parameters=parameters)
        plan = self._plans[owner] = Plan(handler, self._registry.form(owner).check, decision, parameters.single)
        return plan

    def _handler_of(self, command: object) -> CommandHandler:
        handler = self._handlers.get(type(command))
        if handler is None:
            raise NotHandled(type(command).__qualname__, sorted(known.__qualname__ for known in self._handlers))
        return handler

    def _states_of(self, handler: CommandHandler, command: object) -> list[State]:
        parameters = handler.parameters
        if parameters.is_fixed:
            return [self._states.of(each.fold, each.key_in(command)) for each in parameters.all]
        states: list[State] = []
        for parameter, keys in parameters.named_by(command):
            parameter.check(keys)
            states += [self._states.of(parameter.fold, key) for key in keys]
        return states


def _over_present(metadata: Metadata | None) -> Metadata:
    """Complete metadata by that of the surrounding `recording` blocks."""
    return present_metadata() if metadata is None else metadata.over(present_metadata())


def _decided_together(decisions: Iterable[Decision]) -> Iterator[list[Decision]]:
    """Divide decisions into appends: one whose models take contexts needs the stored events of all before it.

    An event may concern a model that its own handler does not take.
    """
    together: list[Decision] = []
    for decision in decisions:
        if together and decision.handler.folds_contexts:
            yield together
            together = []
        together.append(decision)
    yield together


def _without_events(decision: Decision, state: State) -> Receipt:
    """Return the receipt of a command that decided on no events, or raise its rejection."""
    if decision.rejected is not None:
        raise decision.rejected
    return Receipt(state.position, (), decision.id)


def _numbered(metadata: Metadata, number: int) -> Metadata:
    """Give the metadata of a batch's command an id of its own: the batch's id with its number."""
    if metadata.command is None:
        return metadata
    return msgspec.structs.replace(metadata, command=f"{metadata.command}/{number}")


def _time_of(command: object, when: When) -> datetime:
    found: Any = when(command) if callable(when) else when
    if not isinstance(found, datetime):
        raise UsageError(
            f"time={when!r} gives {found!r} as the time of {type(command).__qualname__}",
            "an aware datetime, or a function that returns one for a command",
            "leave out time= for the current time",
        )
    return found

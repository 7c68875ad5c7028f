"""Batches of commands: decided one after another on staged states, appended together."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from leftfold.command.context import Context
from leftfold.command.parameters import Key, ModelParameter, ModelParameters
from leftfold.command.receipt import Receipt
from leftfold.command.states import StagedState, StagedStates, State, StateLocks
from leftfold.errors import Rejected
from leftfold.model.clock import Clock
from leftfold.model.message import MessageType
from leftfold.model.metadata import NOTHING_SAID, Metadata, encode_command, encode_metadata
from leftfold.model.record import NewEvent
from leftfold.model.registry import Registry
from leftfold.store.contract import Appended, IdempotencyKey

MAX_COMMANDS_PER_APPEND = 500


class Decider(Protocol):
    """What decides a command: its handler, or one that also records the outcome of a submitted command."""

    @property
    def command(self) -> MessageType:
        """The type of the command."""
        ...

    @property
    def takes_context(self) -> bool:
        """Whether `decide` uses its context."""
        ...

    @property
    def folds_contexts(self) -> bool:
        """Whether `evolve` of one of its models takes the context of each event."""
        ...

    def decide(self, command: object, states: Iterable[Any], context: Context | None) -> list[Any]:
        """Return the events."""
        ...


Staged = StagedState | StagedStates


class Decision:
    """A command with the metadata `said` with it, the states it is decided on, and what the handler decided."""

    __slots__ = ("command", "events", "handler", "id", "records", "rejected", "said", "single", "states", "time")

    def __init__(
        self,
        handler: Decider,
        command: Any,
        states: Sequence[State],
        said: Metadata,
        id: str,
        time: datetime | None,
    ) -> None:
        self.handler = handler
        self.command = command
        self.states = states
        self.single = states[0] if len(states) == 1 else None
        self.said = said
        self.id = id
        self.time = time
        self.events: Sequence[Any] = ()
        self.records: Sequence[NewEvent] = ()
        self.rejected: Rejected | None = None

    def __repr__(self) -> str:
        return f"<Decision {self.command!r}: {self.rejected or list(self.events)!r}>"

    @property
    def metadata(self) -> Metadata:
        """The metadata of the events."""
        return self.said.of_command(self.id, self.handler.command.wire)

    def decide(self, registry: Registry, staged: Staged, clock: Clock) -> Sequence[NewEvent]:
        """Call the handler and stage its events; an event that its own models cannot fold is never stored."""
        if self.records or self.rejected is not None:
            self.events, self.records, self.rejected = (), (), None
        handler, single = self.handler, self.single
        try:
            values = self.values(staged) if single is None else [staged.value(single)]
            if handler.takes_context:
                decided = handler.decide(self.command, values, Context(self.time or clock.now(), self.metadata))
            else:
                decided = handler.decide(self.command, values, None)
        except Rejected as rejected:
            self.rejected = rejected
            return ()
        except StatesMissing:
            return ()
        if self.said is NOTHING_SAID:
            metadata = encode_command(self.id, handler.command.wire)
        else:
            metadata = encode_metadata(self.metadata)
        records, events = list[NewEvent](), list[Any]()
        for each in decided:
            record, event = registry.admit(each, metadata, self.time)
            staged.apply(record, event)
            records.append(record)
            events.append(event)
        self.records, self.events = records, events
        return records

    def values(self, staged: Staged) -> Sequence[Any]:
        """Return what the handler gets after its command."""
        return [staged.value(state) for state in self.states]


class StatesMissing(Exception):
    """A decision cannot be made yet: states are missing, which its `StagedStates` names."""


class LookupDecision(Decision):
    """A decision that finds its states as it is made, since their keys may stand in other states.

    It begins with the states that the command itself names, and `beside` them others for its decider alone, which
    come last.
    """

    __slots__ = ("_beside", "_parameters")

    def __init__(
        self,
        handler: Decider,
        command: Any,
        states: Sequence[State],
        said: Metadata,
        id: str,
        time: datetime | None,
        parameters: ModelParameters,
        beside: Sequence[State] = (),
    ) -> None:
        super().__init__(handler, command, [*states, *beside], said, id, time)
        self.single = None
        self._parameters = parameters
        self._beside = beside

    def values(self, staged: Staged) -> Sequence[Any]:
        """Return what the handler gets after its command; raise `StatesMissing` if not all states are there."""
        assert isinstance(staged, StagedStates)

        def find(parameter: ModelParameter, keys: Sequence[Key]) -> Sequence[Any] | None:
            parameter.check(keys)
            states = staged.find(parameter.fold, keys)
            return None if states is None else [staged.value(state) for state in states]

        values = self._parameters.arguments(self.command, find)
        if values is None:
            raise StatesMissing
        return [*values, *(staged.value(state) for state in self._beside)]


class Execution:
    """One call to the executor: its commands are decided one after another and appended under one key, or not at all.

    Afterwards `known` is where an earlier call with the same key put its events, `error` is what the handler or the
    key's check raised. As long as the execution is open it has neither; `first` is the position of its first event.
    What a handler raises has `failed` it until the states that it was decided on turn out to be present ones.
    """

    __slots__ = (
        "abandoned",
        "decisions",
        "error",
        "failed",
        "first",
        "is_open",
        "key",
        "known",
        "records",
        "states",
        "waiter",
    )

    def __init__(self, decisions: Sequence[Decision], key: IdempotencyKey | None) -> None:
        self.decisions = decisions
        self.key = key
        self.states = _states_of(decisions)
        self.records: list[NewEvent] = []
        self.is_open = True
        self.failed = False
        self.known: Appended | None = None
        self.error: Exception | None = None
        self.first = 0
        self.waiter: asyncio.Future[None] | None = None
        self.abandoned = False

    def __repr__(self) -> str:
        return f"<Execution {list(self.decisions)!r}{', abandoned' if self.abandoned else ''}>"

    @property
    def commands(self) -> list[Any]:
        """Return the commands in order."""
        return [decision.command for decision in self.decisions]

    @property
    def last(self) -> int:
        """The position of the last event, or the one that a decision without events was made at."""
        return max(self.first + len(self.records) - 1, 0)

    def decide(self, registry: Registry, staged: Staged, clock: Clock) -> None:
        """Decide all commands in order, each on the outcome of those before; an error closes the execution."""
        records: list[NewEvent] = []
        try:
            for decision in self.decisions:
                records += decision.decide(registry, staged, clock)
        except Exception as error:  # noqa: BLE001 whatever the handler raises is the caller's
            self.close(error)
            self.failed = True
        else:
            self.records = records

    def close(self, outcome: Appended | Exception) -> None:
        """Leave the commands out of the append: they failed, or an earlier call has appended their events."""
        self.records, self.is_open, self.failed = [], False, False
        if isinstance(outcome, Exception):
            self.error = outcome
        else:
            self.error, self.known = None, outcome

    def reopen(self) -> None:
        """Forget an error, to decide again."""
        self.error, self.failed, self.is_open = None, False, self.known is None

    def outcomes(self) -> tuple[Receipt | Rejected, ...]:
        """Return the receipt or rejection of each command; raise the error if there was one."""
        if self.error is not None:
            raise self.error
        if len(self.decisions) == 1:
            [only] = self.decisions
            return (only.rejected or Receipt(self.last, tuple(only.events), only.id),)
        outcomes: list[Receipt | Rejected] = []
        position = self.first - 1
        for decision in self.decisions:
            position += len(decision.events)
            receipt = Receipt(max(position, 0), tuple(decision.events), decision.id)
            outcomes.append(decision.rejected or receipt)
        return tuple(outcomes)

    async def wait(self) -> None:
        """Wait for `wake`. A caller who is cancelled while waiting abandons the commands."""
        self.waiter = asyncio.get_running_loop().create_future()
        try:
            await self.waiter
        except asyncio.CancelledError:
            self.abandoned = True
            raise

    def wake(self) -> None:
        """Wake the waiting caller, if it was not cancelled."""
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)


def _states_of(decisions: Sequence[Decision]) -> Sequence[State]:
    """Return the states of all decisions, each once."""
    if len(decisions) == 1 and decisions[0].single is not None:
        return decisions[0].states
    return list(dict.fromkeys(state for decision in decisions for state in decision.states))


class CommandBatch:
    """Executions on the same states: decided in order, appended at once; one that fails does not fail the others.

    `found` are further states, whose keys stood in others. While the batch runs it holds the locks of all `states`.
    """

    __slots__ = ("executions", "found", "locks", "states")

    def __init__(self, executions: Sequence[Execution]) -> None:
        self.executions = executions
        self.states = executions[0].states
        self.found: list[State] = []
        self.locks = StateLocks(self.states)

    def __repr__(self) -> str:
        return f"<CommandBatch of {self.name}>"

    @property
    def name(self) -> str:
        """The command, or how many there are."""
        decisions = [decision for execution in self.executions for decision in execution.decisions]
        return decisions[0].handler.command.wire if len(decisions) == 1 else f"a batch of {len(decisions)} commands"

    @property
    def single_handler(self) -> Decider | None:
        """The handler of a batch of one command on one state; None for any other batch."""
        if len(self.executions) == len(self.executions[0].decisions) == 1:
            only = self.executions[0].decisions[0]
            return None if only.single is None else only.handler
        return None

    @property
    def open(self) -> list[Execution]:
        """Return the executions without an outcome, and those that failed on states that may not be present ones."""
        return [execution for execution in self.executions if execution.is_open or execution.failed]

    @property
    def records(self) -> list[NewEvent]:
        """Return the events to append."""
        if len(self.executions) == 1:
            return self.executions[0].records
        return [record for execution in self.executions for record in execution.records]

    @property
    def keys(self) -> list[IdempotencyKey] | None:
        """Return the keys to append, each with the place of its events among the others; None if there are none."""
        if len(self.executions) == 1 and self.executions[0].key is None:
            return None
        found: list[IdempotencyKey] | None = None
        place = 0
        for execution in self.executions:
            events = len(execution.records)
            if execution.key is not None and events:
                found = found or []
                found.append(msgspec.structs.replace(execution.key, place=place, events=events))
            place += events
        return found

    def decide(self, registry: Registry, clock: Clock) -> StagedStates:
        """Decide all open executions in order, each on the outcome of those before; an error undoes its own only.

        If states are missing, nothing is decided yet.
        """
        staged = StagedStates(self.executions[0].states, clock, self.found)
        several = len(self.executions) > 1
        executions = self.open
        for execution in executions:
            if execution.failed:
                execution.reopen()
            saved = staged.saved() if several else None
            execution.decide(registry, staged, clock)
            if saved is not None and execution.error is not None:
                staged.restore(saved)
        if staged.missing:
            for execution in executions:
                execution.reopen()
        return staged

    async def add(self, states: Iterable[State]) -> None:
        """Add states that decisions have asked for, and their locks."""
        self.found += states
        self.states = [*self.executions[0].states, *self.found]
        await self.locks.extend(self.states)

    def place(self, first: int) -> None:
        """Tell each execution the position of its first event, given that of the first of all."""
        for execution in self.executions:
            execution.first = first
            first += len(execution.records)


Turn = State | frozenset[State]
"""The states of a command, by which it waits for its turn: one, or a set of them."""


class CommandQueue:
    """Runs the commands of one process in turn, by the states that they are decided on.

    The first command on its states runs alone. Commands that arrive meanwhile wait, and are then decided and appended
    together, in the order of their arrival: many callers on one entity share few commits. A caller who is cancelled
    while waiting leaves the queue; what has been started is finished.
    """

    def __init__(self, run: Callable[[Sequence[Execution]], Awaitable[None]]) -> None:
        self._run = run
        self._waiting: dict[Turn, deque[Execution]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<CommandQueue of {len(self._waiting)} running>"

    def is_free(self, turn: Turn) -> bool:
        """Return whether no command runs on these states."""
        return turn not in self._waiting

    def begin(self, turn: Turn) -> None:
        """Let others wait on states that were free, until `end`."""
        self._waiting[turn] = deque()

    def end(self, turn: Turn) -> None:
        """Start the waiting commands in a task of its own, which no caller can cancel."""
        waiting = self._waiting[turn]
        executions = _next_batch(waiting) if waiting else None
        if not executions:
            del self._waiting[turn]
            return
        task = asyncio.create_task(self._run_waiting(turn, executions))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def run(self, execution: Execution) -> None:
        """Run one command when it is its turn."""
        states = execution.states
        turn = states[0] if len(states) == 1 else frozenset(states)
        if turn in self._waiting:
            self._waiting[turn].append(execution)
            await execution.wait()
        elif states:
            self.begin(turn)
            try:
                await self._run([execution])
            finally:
                self.end(turn)
        else:
            await self._run([execution])  # it depends on no state, so it need not wait

    async def _run_waiting(self, turn: Turn, executions: Sequence[Execution]) -> None:
        try:
            await self._run(executions)
        except Exception as error:  # noqa: BLE001 whatever it is, each caller gets it
            for execution in [each for each in executions if each.is_open]:
                execution.close(error)
        finally:
            self.end(turn)
        for execution in executions:
            execution.wake()


def _next_batch(waiting: deque[Execution]) -> list[Execution]:
    """Take the commands that can share an append.

    A second command with the same key waits for the first's outcome. A command on a state whose fold takes a context
    has an append of its own: the next one is decided on the events as they were stored.
    """
    executions: list[Execution] = []
    keys: set[str] = set()
    while waiting and len(executions) < MAX_COMMANDS_PER_APPEND:
        key = waiting[0].key
        if key is not None and key.value in keys:
            break
        alone = waiting[0].decisions[0].handler.folds_contexts
        if alone and executions:
            break
        execution = waiting.popleft()
        if not execution.abandoned:
            executions.append(execution)
            keys.update([key.value] if key else ())
            if alone:
                break
    return executions

"""One command on its way to being decided, and the states that it is decided on until its append is committed."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any
from uuid import UUID

from leftfold.command.context import Context
from leftfold.command.handler import CommandHandler
from leftfold.command.states import State
from leftfold.errors import Rejected
from leftfold.model.metadata import Metadata, encode_metadata
from leftfold.model.record import NewEvent
from leftfold.model.registry import Registry
from leftfold.store.contract import AppendCondition

FEW = 4
UNTAGGED = ""
NOTHING = 0, 0


class StateLocks:
    """Take each state's turn, in one order for all, so that commands of one process do not race each other."""

    __slots__ = ("_held", "_states")

    def __init__(self, states: Iterable[State]) -> None:
        self._states = sorted(set(states), key=id)
        self._held: list[State] = []

    async def __aenter__(self) -> None:
        try:
            for state in self._states:
                await state.busy.acquire()
                self._held.append(state)
        except BaseException:
            self._release()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()

    def _release(self) -> None:
        for state in self._held:
            state.busy.release()
        self._held.clear()


class StagedStates:
    """States as a decision sees them: those held, changed by what has been decided and not yet committed."""

    def __init__(self, states: Iterable[State]) -> None:
        self._states = list(dict.fromkeys(states))
        self._changed: dict[State, Any] = {}
        self._folded: dict[State, list[int]] = {}  # how many events, and the bytes of their data
        self._by_tag = _by_tag(self._states) if len(self._states) > FEW else None

    def anew(self) -> "StagedStates":
        """The same states without the changes."""
        return StagedStates(self._states)

    def value(self, state: State) -> Any:
        """The state with the changes so far."""
        return self._changed.get(state, state.value)

    def conditions(self) -> list[AppendCondition]:
        """What must not have happened for the decisions to hold."""
        return [AppendCondition(state.criteria, state.position) for state in self._states]

    def apply(self, record: NewEvent, event: Any) -> None:
        """Fold a decided event into every state that it concerns."""
        for state in self._candidates(record):
            if state.criteria.matches(record.type, record.tags):
                self._changed[state] = state.fold.step(self.value(state), event)
                folded = self._folded.get(state)
                if folded is None:
                    self._folded[state] = [1, len(record.data)]
                else:
                    folded[0] += 1
                    folded[1] += len(record.data)

    def commit(self, position: int) -> None:
        """The append is done: the changes become the states that are held."""
        for state in self._states:
            state.advance(self.value(state), position, *self._folded.get(state, NOTHING))

    def _candidates(self, record: NewEvent) -> Iterable[State]:
        by_tag = self._by_tag
        if by_tag is None:
            return self._states
        return dict.fromkeys(state for tag in (UNTAGGED, *record.tags) for state in by_tag.get(tag, ()))


def _by_tag(states: Iterable[State]) -> dict[str, list[State]]:
    """By tag, so that a batch over thousands of states looks at few of them for each event."""
    found: defaultdict[str, list[State]] = defaultdict(list)
    for state in states:
        for tag in {tag for item in state.criteria.items for tag in item.tags or (UNTAGGED,)}:
            found[tag].append(state)
    return found


class Decision:
    """A command, the states it is decided on, and what was decided."""

    __slots__ = ("command", "events", "handler", "metadata", "records", "rejected", "states", "time")

    def __init__(
        self, handler: CommandHandler, command: Any, states: Sequence[State], metadata: Metadata, time: datetime | None
    ) -> None:
        self.handler = handler
        self.command = command
        self.states = states
        self.metadata = metadata
        self.time = time
        self.events: Sequence[Any] = ()
        self.records: Sequence[NewEvent] = ()
        self.rejected: Rejected | None = None

    def __repr__(self) -> str:
        return f"<Decision {self.command!r}: {self.rejected or list(self.events)!r}>"

    def forget(self) -> None:
        """Nothing has been decided."""
        self.events, self.records, self.rejected = (), (), None

    def decide(self, registry: Registry, working: StagedStates, now: datetime) -> None:
        """Call the handler and fold what it decided, so that an event its own models cannot fold is never stored."""
        self.forget()
        context = Context(self.time or now, self.metadata)
        try:
            decided = self.handler.decide(self.command, map(working.value, self.states), context)
        except Rejected as rejected:
            self.rejected = rejected
            return
        metadata = encode_metadata(self.metadata)
        admitted = [registry.admit(event, metadata, self.time) for event in decided]
        self.records = [record for record, _ in admitted]
        self.events = [event for _, event in admitted]
        for record, event in admitted:
            working.apply(record, event)


def stamped(said: Metadata, handler: CommandHandler, new_id: Callable[[], UUID]) -> Metadata:
    """What is said of a command, with its id and its type; a command that nothing led to starts a correlation."""
    identity = said.command or new_id().hex
    return said.of_command(identity, handler.command.wire)

"""States while commands are decided on them: their turns, and the changes that are not committed yet."""

from collections import defaultdict
from collections.abc import Iterable
from types import TracebackType
from typing import Any

from leftfold.command.states import State
from leftfold.store.contract import AppendCondition, NewEvent

FEW = 4


class Turns:
    """Take each state's turn, in one order for all, so that commands of one process do not race each other."""

    __slots__ = ("_held", "_states")

    def __init__(self, states: Iterable[State]) -> None:
        distinct = {id(state): state for state in states}
        self._states = sorted(distinct.values(), key=id)
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


class Working:
    """States as a decision sees them: those held, changed by what has been decided and not yet committed."""

    def __init__(self, states: Iterable[State]) -> None:
        self._states = list({id(state): state for state in states}.values())
        self._changed: dict[int, Any] = {}
        self._folded: dict[int, int] = {}
        self._tagged: defaultdict[str, list[State]] = defaultdict(list)
        self._untagged: list[State] = self._states
        if len(self._states) > FEW:
            self._index()

    def value(self, state: State) -> Any:
        """The state with the changes so far."""
        return self._changed.get(id(state), state.value)

    def conditions(self) -> list[AppendCondition]:
        """What must not have happened for the decisions to hold."""
        return [AppendCondition(state.criteria, state.position) for state in self._states]

    def apply(self, record: NewEvent, event: Any) -> None:
        """Fold a decided event into every state that it concerns."""
        for state in self._candidates(record):
            if state.criteria.matches(record.type, record.tags):
                name = id(state)
                self._changed[name] = state.fold.evolve(self.value(state), event)
                self._folded[name] = self._folded.get(name, 0) + 1

    def commit(self, position: int) -> None:
        """The append is done: the changes become the states that are held."""
        for state in self._states:
            state.advance(self.value(state), position, self._folded.get(id(state), 0))

    def _index(self) -> None:
        """By tag, so that a batch over thousands of states looks at few of them for each event."""
        self._untagged = []
        for state in self._states:
            if all(item.tags for item in state.criteria.items):
                for tag in {tag for item in state.criteria.items for tag in item.tags}:
                    self._tagged[tag].append(state)
            else:
                self._untagged.append(state)

    def _candidates(self, record: NewEvent) -> Iterable[State]:
        if not self._tagged:
            return self._untagged
        tagged = {id(state): state for tag in record.tags for state in self._tagged.get(tag, ())}
        return [*self._untagged, *tagged.values()]

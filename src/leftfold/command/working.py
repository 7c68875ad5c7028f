"""States while commands are decided on them: their turns, and the changes that are not committed yet."""

from collections import defaultdict
from collections.abc import Iterable
from types import TracebackType
from typing import Any

from leftfold.command.states import State
from leftfold.store.contract import AppendCondition, NewEvent

FEW = 4
UNTAGGED = ""
NOTHING = 0, 0


class Turns:
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


class Working:
    """States as a decision sees them: those held, changed by what has been decided and not yet committed."""

    def __init__(self, states: Iterable[State]) -> None:
        self._states = list(dict.fromkeys(states))
        self._changed: dict[State, Any] = {}
        self._folded: dict[State, list[int]] = {}  # how many events, and the bytes of their data
        self._by_tag = _by_tag(self._states) if len(self._states) > FEW else None

    def anew(self) -> "Working":
        """The same states without the changes."""
        return Working(self._states)

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

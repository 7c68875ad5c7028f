"""States of decision models held in memory: bounded, keyed by model and key, brought up to date by the tail."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from leftfold.command.snapshots import Snapshots
from leftfold.model.criteria import Criteria
from leftfold.model.fold import Fold
from leftfold.model.record import StoredEvent
from leftfold.model.registry import Registry
from leftfold.model.sizes import size_of
from leftfold.store.contract import EventStore

LONG_HISTORY = 1_000
LEAST_BYTES = 1_000  # of a state's criteria, lock and place among the others
TOGETHER = 25  # states that are read at once; more cost more to put together than they save


class State:
    """One model's state for one key, true at `position`; 0 and the model's start when nothing has been read."""

    __slots__ = (
        "busy",
        "criteria",
        "fold",
        "grown",
        "is_held",
        "key",
        "loaded",
        "position",
        "since_snapshot",
        "size",
        "value",
    )

    def __init__(self, fold: Fold, key: tuple[Any, ...], registry: Registry) -> None:
        self.fold = fold
        self.key = key
        self.value = fold.start(key)
        self.criteria: Criteria = registry.stored(criteria_of(fold, self.value))
        self.position = 0
        self.loaded = False
        self.since_snapshot = 0
        self.size = LEAST_BYTES
        self.grown = 0
        self.is_held = True
        self.busy = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<State {self.value!r} at {self.position}>"

    def advance(self, value: Any, position: int, folded: int, grown: int = 0) -> None:
        """Take a newer state, and count the events folded into it and their bytes; an older one is left aside."""
        if position >= self.position:
            self.value, self.position, self.loaded = value, position, True
            self.since_snapshot += folded
            self.grown += grown


def criteria_of(fold: Fold, start: Any) -> Criteria:
    """The model's own criteria where it states them, else those that its key and evolve imply."""
    stated: Callable[[], Criteria] | None = getattr(start, "criteria", None)
    return fold.criteria(fold.key_of(start)) if stated is None else stated()


class States:
    """The states that a live app holds: at most `capacity`, of about `most_bytes`; the longest unused are let go.

    A state is measured again when as many bytes of events have been folded into it as it had: it may have doubled.
    """

    def __init__(
        self, store: EventStore, registry: Registry, snapshots: Snapshots, *, capacity: int, most_bytes: int
    ) -> None:
        self._store = store
        self._registry = registry
        self._snapshots = snapshots
        self._capacity = capacity
        self._most_bytes = most_bytes
        self._bytes = 0
        self._held: OrderedDict[tuple[Fold, tuple[Any, ...]], State] = OrderedDict()

    def __repr__(self) -> str:
        return f"<States {len(self._held)} of {self._capacity}>"

    def __len__(self) -> int:
        return len(self._held)

    def of(self, fold: Fold, key: tuple[Any, ...]) -> State:
        """The state as it is held, or a new one that has not been loaded."""
        name = (fold, key)
        state = self._held.get(name)
        if state is None:
            state = self._held[name] = State(fold, key, self._registry)
            self._bytes += state.size
            if len(self._held) > self._capacity:
                self._let_go()
        else:
            self._held.move_to_end(name)
        return state

    async def refresh(self, state: State) -> bool:
        """Bring a state up to the head; whether any event changed it."""
        value, position, folded, seen, grown = state.value, state.position, 0, 0, 0
        limit = None if state.loaded else LONG_HISTORY
        async for batch in self._store.read(state.criteria, after=position, limit=limit, data_only=True):
            events = self._registry.decode_all(batch.events)
            value = state.fold.fold(value, events, batch.events)
            position = batch.through
            folded += len(events)
            seen += len(batch.events)
            grown += sum(len(stored.data) for stored in batch.events)
        if seen == limit:
            return await self._from_snapshot(state, value, position, folded)
        state.advance(value, position, folded, grown)
        await self.have_changed([state])
        return folded > 0

    async def refresh_all(self, states: Iterable[State]) -> bool:
        """Bring states up to the head, several with each read; whether any event changed one of them."""
        waiting = sorted(states, key=lambda state: state.position)
        groups = [waiting[start : start + TOGETHER] for start in range(0, len(waiting), TOGETHER)]
        return any([await self._refresh_together(group) for group in groups])

    async def _refresh_together(self, states: Sequence[State]) -> bool:
        if len(states) == 1:
            return await self.refresh(states[0])
        wanted = Criteria(*(item for state in states for item in state.criteria.items))
        events: list[StoredEvent] = []
        through = 0
        async for batch in self._store.read(wanted, after=states[0].position, limit=LONG_HISTORY):
            events += batch.events
            through = batch.through
        if len(events) == LONG_HISTORY:
            return any([await self.refresh(state) for state in states])
        changed = [self._fold_own(state, events, through) for state in states]  # each of them, so no generator
        for state in states:
            if state.grown > state.size:
                self._weigh(state)
        return any(changed)

    def _fold_own(self, state: State, events: Sequence[StoredEvent], through: int) -> bool:
        """Fold those of the events that are the state's own and new to it."""
        matches, position = state.criteria.matches, state.position
        own = [stored for stored in events if stored.position > position and matches(stored.type, stored.tags)]
        new = self._registry.decode_all(own)
        grown = sum(len(stored.data) for stored in own)
        state.advance(state.fold.fold(state.value, new, own), through, len(new), grown)
        return bool(new)

    async def at(self, fold: Fold, key: tuple[Any, ...], position: int) -> Any:
        """The state as of a position, from the nearest snapshot before it."""
        snapshot = await self._snapshots.find(fold, key, upto=position)
        return await self._folded(fold, key, position, snapshot)

    async def replay(self, fold: Fold, key: tuple[Any, ...], position: int) -> Any:
        """The state as of a position, from the events alone."""
        return await self._folded(fold, key, position, None)

    async def _folded(self, fold: Fold, key: tuple[Any, ...], position: int, snapshot: tuple[Any, int] | None) -> Any:
        start = State(fold, key, self._registry)
        value, after = snapshot or (start.value, 0)
        async for batch in self._store.read(start.criteria, after=after, upto=position, data_only=True):
            value = fold.fold(value, self._registry.decode_all(batch.events), batch.events)
        return value

    async def have_changed(self, states: Iterable[State]) -> None:
        """Keep to the bounds, and keep snapshots of states into which enough events were folded since their last."""
        for state in states:
            if state.grown > state.size:
                self._weigh(state)
            if state.since_snapshot >= LONG_HISTORY:
                state.since_snapshot = 0
                await self._snapshots.keep(state.fold, state.key, state.value, state.position)

    def _weigh(self, state: State) -> None:
        """Measure a state that has grown, and let states go while all of them take too much."""
        before, state.size, state.grown = state.size, LEAST_BYTES + size_of(state.value), 0
        if state.is_held:
            self._bytes += state.size - before
        while self._bytes > self._most_bytes and len(self._held) > 1:
            self._let_go()

    def _let_go(self) -> None:
        """Forget the state that was used least lately."""
        _, state = self._held.popitem(last=False)
        state.is_held = False
        self._bytes -= state.size

    async def _from_snapshot(self, state: State, value: Any, position: int, folded: int) -> bool:
        """The history is long: go on from a snapshot when there is one, else from where reading stands."""
        snapshot = await self._snapshots.find(state.fold, state.key, upto=await self._store.head())
        if snapshot is not None and snapshot[1] > position:
            (value, position), folded = snapshot, 0
        state.advance(value, position, folded, state.size + 1)  # a snapshot may be of any size
        return await self.refresh(state) or True

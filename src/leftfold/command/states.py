"""States of decision models: held in memory within bounds, brought up to date from the log, locked and staged."""

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

from leftfold.command.parameters import Key
from leftfold.command.snapshots import Snapshots
from leftfold.model.clock import Clock
from leftfold.model.context import context_of_decided
from leftfold.model.criteria import Criteria
from leftfold.model.fold import Decoder, Fold
from leftfold.model.record import NewEvent, StoredEvent, bytes_of_data
from leftfold.model.registry import Registry
from leftfold.model.sizes import size_of
from leftfold.store.contract import AppendCondition, EventStore
from leftfold.store.slots import Slots

LONG_HISTORY = 1_000  # events; a state of so many is kept as a snapshot
STATE_OVERHEAD_BYTES = 1_000  # of a state's criteria, lock and dictionary entry
STATES_PER_READ = 25  # a larger criteria costs more than the reads it saves
MANY_TAGS = 8  # of an event; so many are faster to search as a set
FEW_STATES = 4  # so few are asked one by one whether an event concerns them
NO_TAG = ""  # stands for the tags of a criteria item that has none


class State:
    """The state of one model for one key as of `position`; the model's start at 0 until it has been read."""

    __slots__ = (
        "criteria",
        "fold",
        "grown",
        "is_held",
        "key",
        "loaded",
        "position",
        "since_snapshot",
        "size",
        "turn",
        "value",
    )

    def __init__(self, fold: Fold, key: Key, registry: Registry) -> None:
        self.fold = fold
        self.key = key
        self.value = fold.start(key)
        self.criteria: Criteria = registry.stored(criteria_of(fold, self.value))
        self.position = 0
        self.loaded = False
        self.since_snapshot = 0
        self.size = STATE_OVERHEAD_BYTES
        self.grown = 0
        self.is_held = True
        self.turn = Slots(1)

    def __repr__(self) -> str:
        return f"<State {self.value!r} at {self.position}>"

    @property
    def is_due(self) -> bool:
        """Whether it has grown so much that it has to be measured again, or kept as a snapshot."""
        return self.grown > self.size or self.since_snapshot >= LONG_HISTORY

    def advance(self, value: Any, position: int, folded: int, grown: int = 0) -> None:
        """Replace the value by that of a later position, and count the events and bytes that were folded into it."""
        if position >= self.position:
            self.value, self.position, self.loaded = value, position, True
            self.since_snapshot += folded
            self.grown += grown

    def stage(self, value: Any, record: NewEvent, event: Any, clock: Clock) -> Any:
        """Return a value of this state, whose fold takes a context, after an event that has no position yet."""
        return self.fold.step(value, event, context_of_decided(record, clock.now()))

    def mark_unread(self, value: Any, position: int, folded: int, grown: int) -> None:
        """Forget a staged value of a fold that takes a context: its events are read as they were stored.

        A value that no event changed is that of the last position of the append.
        """
        if folded:
            self.loaded = False
        else:
            self.advance(value, position, folded, grown)


def criteria_of(fold: Fold, start: Any) -> Criteria:
    """Return the criteria that the model defines, or those that follow from its key and `evolve`."""
    stated: Callable[[], Criteria] | None = getattr(start, "criteria", None)
    return fold.criteria(fold.key_of(start)) if stated is None else stated()


class StateLocks:
    """Hold the locks of states, taken in one global order, so that commands of one process do not race each other."""

    __slots__ = ("_held", "_states")

    def __init__(self, states: Sequence[State]) -> None:
        self._states = _in_lock_order(states)
        self._held = 0

    async def __aenter__(self) -> None:
        try:
            for state in self._states:
                if state.turn.free:
                    state.turn.free = 0
                else:
                    await state.turn.wait()
                self._held += 1
        except BaseException:
            self._release()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()

    async def extend(self, states: Sequence[State]) -> None:
        """Hold the locks of these states, which include those that are held; others may run in between."""
        self._release()
        self._states = _in_lock_order(states)
        await self.__aenter__()

    def _release(self) -> None:
        for state in self._states[: self._held]:
            state.turn.leave()
        self._held = 0


def _in_lock_order(states: Sequence[State]) -> Sequence[State]:
    return states if len(states) == 1 else sorted(set(states), key=id)


Staged = dict[State, tuple[Any, int, int]]
"""For each changed state its new value, how many events were folded into it, and their bytes."""


class StagedState:
    """`StagedStates` of a single state."""

    __slots__ = ("_clock", "_events", "_size", "_state", "_value")

    def __init__(self, state: State, clock: Clock) -> None:
        self._state = state
        self._clock = clock
        self._value = state.value
        self._events = 0
        self._size = 0

    def value(self, state: State) -> Any:
        """Return the state's value with the decided events folded in."""
        return self._value

    @property
    def condition(self) -> AppendCondition:
        """The condition under which the decision holds: no event that the state has not seen."""
        return AppendCondition(self._state.criteria, self._state.position)

    def apply(self, record: NewEvent, event: Any) -> None:
        """Fold a decided event in, if it concerns the state."""
        if self._state.criteria.matches(record.type, record.tags):
            state, fold = self._state, self._state.fold
            if fold.takes_context:
                self._value = state.stage(self._value, record, event, self._clock)
            else:
                self._value = fold.step(self._value, event)
            self._events += 1
            self._size += len(record.data)

    def commit(self, position: int) -> None:
        """Make the staged value the state's own, as of the last position of the append."""
        state = self._state
        take = state.mark_unread if state.fold.takes_context else state.advance
        take(self._value, position, self._events, self._size)


class StagedStates:
    """States with the decided events folded in; `commit` makes the staged values the states' own.

    Those in `found` count only if a decision asks for them with `find`. `missing` names those that it asked for in
    vain.
    """

    __slots__ = ("_by_key", "_by_tag", "_clock", "_staged", "_states", "_unused", "missing")

    def __init__(self, states: Sequence[State], clock: Clock, found: Sequence[State] = ()) -> None:
        self._states = [*states, *found] if found else states
        self._unused = set(found)
        self._clock = clock
        self._staged: Staged = {}
        self._by_tag = _by_tag(self._states) if len(self._states) > FEW_STATES else None
        self._by_key: dict[tuple[type, Key], State] | None = None
        self.missing: dict[tuple[Fold, Key], None] = {}

    def find(self, fold: Fold, keys: Iterable[Key]) -> list[State] | None:
        """Return the states of these keys; or None, and note those that are missing."""
        if self._by_key is None:
            self._by_key = {(state.fold.owner, state.key): state for state in self._states}
        found: list[State] = []
        missing: list[tuple[Fold, Key]] = []
        for key in keys:
            state = self._by_key.get((fold.owner, key))
            if state is None:
                fold.start(key)  # raises for a key that no state can have: that fails this decision alone
                missing.append((fold, key))
            else:
                found.append(state)
        self._unused.difference_update(found)
        self.missing.update(dict.fromkeys(missing))
        return None if missing else found

    def value(self, state: State) -> Any:
        """Return the state's value with the decided events folded in."""
        staged = self._staged.get(state)
        return state.value if staged is None else staged[0]

    def conditions(self) -> list[AppendCondition]:
        """Return the conditions under which the decisions hold: no event that the states have not seen."""
        return [AppendCondition(state.criteria, state.position) for state in self._used]

    def apply(self, record: NewEvent, event: Any) -> None:
        """Fold a decided event into every state that it concerns."""
        states: Iterable[State] = self._states
        tags: Collection[str] = record.tags
        if self._by_tag is not None:
            states, tags = self._candidates(record, self._by_tag), set(tags)
        for state in states:
            if state.criteria.matches(record.type, tags):
                value, events, size = self._staged.get(state) or (state.value, 0, 0)
                if state.fold.takes_context:
                    value = state.stage(value, record, event, self._clock)
                else:
                    value = state.fold.step(value, event)
                self._staged[state] = value, events + 1, size + len(record.data)

    def saved(self) -> Staged:
        """Return what is staged now, for `restore`."""
        return self._staged.copy()

    def restore(self, saved: Staged) -> None:
        """Forget what was staged since `saved`."""
        self._staged = saved

    def commit(self, position: int) -> None:
        """Make the staged values the states' own, as of the last position of the append."""
        for state in self._used:
            value, events, size = self._staged.get(state) or (state.value, 0, 0)
            take = state.mark_unread if state.fold.takes_context else state.advance
            take(value, position, events, size)

    @property
    def _used(self) -> Sequence[State]:
        """The states that the decisions depend on."""
        return [state for state in self._states if state not in self._unused] if self._unused else self._states

    def _candidates(self, record: NewEvent, by_tag: Mapping[str, Sequence[State]]) -> Iterable[State]:
        return dict.fromkeys(state for tag in (NO_TAG, *record.tags) for state in by_tag.get(tag, ()))


def _by_tag(states: Iterable[State]) -> dict[str, list[State]]:
    """Index states by tag, so that each event of a large batch is compared with few of them."""
    found: defaultdict[str, list[State]] = defaultdict(list)
    for state in states:
        for tag in {tag for item in state.criteria.items for tag in item.tags or (NO_TAG,)}:
            found[tag].append(state)
    return found


Tagged = tuple[StoredEvent, Collection[str]]
"""An event with its tags in a form that is fast to search."""


class SharedDecoder:
    """Decodes each event once, however many states it concerns."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._decoded: dict[int, Sequence[Any]] = {}

    def decode_all(self, events: Iterable[StoredEvent]) -> list[Any]:
        """Return the events of those records whose types are known."""
        return [event for stored in events for event in self._events_of(stored)]

    def _events_of(self, stored: StoredEvent) -> Sequence[Any]:
        found = self._decoded.get(stored.position)
        if found is None:
            found = self._decoded[stored.position] = self._registry.decode_all((stored,))
        return found


class States:
    """The states that a live app holds: at most `capacity`, about `most_bytes`; the least recently used go first.

    A state is measured again after as many bytes of events were folded into it as it had: it may have doubled.
    """

    def __init__(
        self, store: EventStore, registry: Registry, snapshots: Snapshots, *, capacity: int, most_bytes: int
    ) -> None:
        self._store = store
        self._registry = registry
        self._by_data = not registry.needs_records
        self._snapshots = snapshots
        self._capacity = capacity
        self._most_bytes = most_bytes
        self._bytes = 0
        self._held: OrderedDict[tuple[Fold, Key], State] = OrderedDict()

    def __repr__(self) -> str:
        return f"<States {len(self._held)} of {self._capacity}>"

    def __len__(self) -> int:
        return len(self._held)

    def of(self, fold: Fold, key: Key) -> State:
        """Return the state that is held, or a new one that has not been loaded."""
        name = (fold, key)
        state = self._held.get(name)
        if state is None:
            state = self._held[name] = State(fold, key, self._registry)
            self._bytes += state.size
            if len(self._held) > self._capacity:
                self._evict()
        else:
            self._held.move_to_end(name)
        return state

    async def refresh(self, state: State) -> bool:
        """Bring a state up to the head, and return whether any event changed it."""
        value, position, folded, seen, grown = state.value, state.position, 0, 0, 0
        limit = None if state.loaded else LONG_HISTORY
        fold = state.fold
        async for batch in self._store.read(
            state.criteria, after=position, limit=limit, data_only=fold.data_only and self._by_data
        ):
            value, known = fold.fold(value, batch.events, self._registry)
            position = batch.through
            folded += known
            seen += len(batch.events)
            grown += bytes_of_data(batch.events)
        if seen == limit:
            return await self._from_snapshot(state, value, position, folded)
        state.advance(value, position, folded, grown)
        await self.note_changes([state])
        return folded > 0

    async def refresh_all(self, states: Iterable[State]) -> bool:
        """Bring states up to the head, many with each read, and return whether any event changed one of them."""
        waiting = sorted(states, key=lambda state: state.position)
        groups = [waiting[start : start + STATES_PER_READ] for start in range(0, len(waiting), STATES_PER_READ)]
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
        tags = [stored.tags if len(stored.tags) < MANY_TAGS else set(stored.tags) for stored in events]
        tagged = list(zip(events, tags, strict=True))
        decoder = SharedDecoder(self._registry)
        changed = [self._fold_own(state, tagged, through, decoder) for state in states]  # each of them
        for state in states:
            if state.grown > state.size:
                self._measure(state)
        return any(changed)

    def _fold_own(self, state: State, tagged: Sequence[Tagged], through: int, decoder: Decoder) -> bool:
        """Fold the events that belong to the state and are new to it."""
        matches, position = state.criteria.matches, state.position
        own = [stored for stored, tags in tagged if stored.position > position and matches(stored.type, tags)]
        value, folded = state.fold.fold(state.value, own, decoder)
        grown = sum(len(stored.data) for stored in own)
        state.advance(value, through, folded, grown)
        return folded > 0

    async def at(self, fold: Fold, key: Key, position: int) -> Any:
        """Return the state as of a position, starting from the nearest snapshot before it."""
        snapshot = await self._snapshots.find(fold, key, upto=position)
        return await self._folded(fold, key, position, snapshot)

    async def replay(self, fold: Fold, key: Key, position: int) -> Any:
        """Return the state as of a position, folded from the events alone."""
        return await self._folded(fold, key, position, None)

    async def _folded(self, fold: Fold, key: Key, position: int, snapshot: tuple[Any, int] | None) -> Any:
        start = State(fold, key, self._registry)
        value, after = snapshot or (start.value, 0)
        async for batch in self._store.read(
            start.criteria, after=after, upto=position, data_only=fold.data_only and self._by_data
        ):
            value, _ = fold.fold(value, batch.events, self._registry)
        return value

    async def note_changes(self, states: Iterable[State]) -> None:
        """Keep changed states within the bounds, and snapshot those that gained enough events since the last one."""
        for state in states:
            if state.grown > state.size:
                self._measure(state)
            if state.since_snapshot >= LONG_HISTORY:
                state.since_snapshot = 0
                await self._snapshots.keep(state.fold, state.key, state.value, state.position)

    def _measure(self, state: State) -> None:
        """Measure a state that has grown, and evict states while all of them take too many bytes."""
        before, state.size, state.grown = state.size, STATE_OVERHEAD_BYTES + size_of(state.value), 0
        if state.is_held:
            self._bytes += state.size - before
        while self._bytes > self._most_bytes and len(self._held) > 1:
            self._evict()

    def _evict(self) -> None:
        """Drop the least recently used state."""
        _, state = self._held.popitem(last=False)
        state.is_held = False
        self._bytes -= state.size

    async def _from_snapshot(self, state: State, value: Any, position: int, folded: int) -> bool:
        """Continue a long history from a snapshot if there is one, else from where reading stopped."""
        snapshot = await self._snapshots.find(state.fold, state.key, upto=await self._store.head())
        if snapshot is not None and snapshot[1] > position:
            (value, position), folded = snapshot, 0
        state.advance(value, position, folded, state.size + 1)  # a snapshot may be of any size
        return await self.refresh(state) or True

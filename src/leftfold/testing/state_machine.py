"""A Hypothesis state machine that drives a store and the model of a log side by side.

A backend's test is one subclass that says how its log is opened:

    class MyMachine(StoreMachine):
        def open_store(self, clock: Clock) -> EventStore: ...

    TestMyMachine = MyMachine.TestCase

A backend that can be left as a crash would leave it sets `crashes = True` and overrides `crash`.
Needs hypothesis (`leftfold[testing]`).

Hypothesis runs a failing walk again to shrink it, so a walk must draw the same values each time. No rule's
precondition or strategy looks at the model, because concurrent appends may end in another order the next time.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from itertools import count, pairwise
from typing import Any, TypeVar

from leftfold.errors import Conflict, KeyReused, LeftfoldError, MissingExtra, TimeRefused
from leftfold.model.clock import Clock
from leftfold.model.criteria import Criteria, CriteriaItem
from leftfold.model.record import NewEvent, StoredEvent
from leftfold.store.contract import AppendCondition, Appended, EventStore
from leftfold.testing.clock import FakeClock
from leftfold.testing.model import LogModel, Request

try:
    from hypothesis import strategies as st
    from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
except ModuleNotFoundError as error:
    raise MissingExtra(error.name or "hypothesis", "testing") from error

T = TypeVar("T")

TYPES = st.sampled_from(["opened", "moved", "closed"])
TAGS = st.sampled_from(["account:a", "account:b", "bank:x", "größe:ß"])
KEYS = st.sampled_from(["k1", "k2", "k3", "k4"])
POSITIONS = st.integers(0, 40)
TURNS = st.integers(0, 12)

EVENTS = st.lists(
    st.builds(
        NewEvent,
        TYPES,
        st.sampled_from([b"", b"{}", b"\xff\x00"]),
        st.lists(TAGS, unique=True, max_size=3).map(tuple),
        st.integers(1, 2),
        st.sampled_from([b"{}", b'{"actor":"Ada"}']),
    ),
    min_size=1,
    max_size=4,
)
ITEMS = st.builds(CriteriaItem, st.lists(TYPES, max_size=2), st.lists(TAGS, max_size=2))
CRITERIA = st.lists(ITEMS, max_size=3).map(lambda items: Criteria(*items))
REQUESTS = st.lists(
    st.tuples(EVENTS, st.none() | st.tuples(CRITERIA, st.integers(0, 4)), st.none() | KEYS), min_size=2, max_size=6
)
GROUP = st.lists(EVENTS, min_size=1, max_size=2)
Drawn = tuple[Sequence[NewEvent], tuple[Criteria, int] | None, str | None]


class StoreMachine(RuleBasedStateMachine):
    """Does to a store what users, clocks and power cuts do; after each step store and model are equal."""

    crashes = False

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = FakeClock()
        self.model = LogModel()
        self.fresh_keys = (f"fresh-{n}" for n in count())
        self.store = self.run(self.opened())

    def open_store(self, clock: Clock) -> EventStore:
        """Open this machine's log: an empty one at first, then the same one again."""
        raise NotImplementedError

    async def crash(self, groups: Sequence[Sequence[Request]], point: float) -> int:
        """Append group after group and stop as a crash would, so that `open_store` opens what was left.

        `point`, from 0 to 1, says how much of what the groups write has been written at the crash. Returns how many
        groups survive; the others leave nothing. The answer depends on the arguments alone, never on timing.
        """
        raise NotImplementedError

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run async work to its end."""
        return self.runner.run(work)

    def teardown(self) -> None:
        """Close what is open."""
        self.run(self.store.close())
        self.runner.close()

    @rule(seconds=st.sampled_from([-3600, -1, 0, 1, 3600]))
    def the_clock_moves(self, seconds: int) -> None:
        """The clock moves, sometimes back."""
        self.clock.advance(seconds=seconds)

    @rule(events=EVENTS)
    def append(self, events: Sequence[NewEvent]) -> None:
        """Append."""
        self.answers(Request(events))

    @rule(events=EVENTS, criteria=CRITERIA, lag=st.integers(0, 4))
    def append_on_condition(self, events: Sequence[NewEvent], criteria: Criteria, lag: int) -> None:
        """Append on a condition whose position is fresh (lag 0) or stale."""
        self.answers(Request(events, self.none_since(criteria, lag)))

    @rule(events=EVENTS, key=KEYS)
    def append_with_key(self, events: Sequence[NewEvent], key: str) -> None:
        """Append with a key that may have been used for something else."""
        self.answers(Request(events, key=key))

    @rule(number=st.integers(0, 15), criteria=CRITERIA)
    def retry(self, number: int, criteria: Criteria) -> None:
        """Append once more with a used key, if there is one, now with a condition that may fail."""
        used = sorted(self.model.keys)
        if used:
            first, _ = self.model.keys[used[number % len(used)]]
            self.answers(Request(first.events, self.none_since(criteria, 1), first.key))

    @rule(drawn=REQUESTS)
    def append_at_once(self, drawn: Sequence[Drawn]) -> None:
        """Append concurrently: the outcomes are those of some order, that of the positions."""
        requests = [Request(events, watched and self.none_since(*watched), key) for events, watched, key in drawn]

        outcomes = self.run(self.outcomes_of(requests))

        made = [(outcome, request) for outcome, request in zip(outcomes, requests, strict=True) if _made(outcome)]
        for outcome, request in sorted(made, key=_first_position):
            assert self.model.append(request) == outcome
        for outcome, request in zip(outcomes, requests, strict=True):
            assert outcome is not Conflict or self.model.conflicts(request)
            assert outcome is not KeyReused or self.model.reuses_key(request)
            assert _made(outcome) or outcome in (Conflict, KeyReused)

    @rule(events=EVENTS, criteria=CRITERIA, lag=st.integers(0, 4))
    def append_from_another_opening(self, events: Sequence[NewEvent], criteria: Criteria, lag: int) -> None:
        """Append through a second opening of the log; then the first one, which stayed open, must know of it."""
        first, self.store = self.store, self.run(self.opened())
        self.answers(Request(events, self.none_since(criteria, lag)))

        if self.store is not first:
            self.run(self.store.close())
        self.store = first
        like_it = Criteria(CriteriaItem([events[-1].type], events[-1].tags))
        self.answers(Request(events, self.none_since(like_it, lag)))

    @rule(events=EVENTS, turns=TURNS)
    def append_and_cancel(self, events: Sequence[NewEvent], turns: int) -> None:
        """Cancel the caller somewhere on the way; the retry by key tells what came of it."""
        request = Request(events, key=next(self.fresh_keys))

        self.run(self.cancelled(request, turns))

        self.answers_one_of_both(request)

    @rule(events=EVENTS)
    def append_what_is_refused(self, events: Sequence[NewEvent]) -> None:
        """Give the last event a time in the future: the whole append is refused."""
        tomorrow = self.clock.now().replace(year=9999)
        late = NewEvent("late", b"", time=tomorrow)

        (outcome,) = self.run(self.outcomes_of([Request([*events, late])]))

        assert outcome is TimeRefused

    @rule(criteria=CRITERIA, after=POSITIONS, upto=st.none() | POSITIONS, limit=st.none() | st.integers(0, 5))
    def read(self, criteria: Criteria, after: int, upto: int | None, limit: int | None) -> None:
        """Read a range, from either end."""
        for reverse in (False, True):
            found = self.run(self.read_all(criteria, after=after, upto=upto, limit=limit, reverse=reverse))

            wanted = self.model.positions(criteria, after=after, upto=upto, limit=limit, reverse=reverse)
            assert [event.position for event in found] == wanted
            assert all(_same(event, self.model.events[event.position - 1]) for event in found)

    @rule(criteria=CRITERIA, limit=st.integers(1, 5))
    def page_through(self, criteria: Criteria, limit: int) -> None:
        """Read page after page, each from where the last one was complete."""
        found: list[int] = []
        after = 0
        while after < len(self.model.events):
            batches = self.run(self.batches_of(criteria, after, limit))
            found += [event.position for batch in batches for event in batch[0]]
            after = batches[-1][1]

        assert found == self.model.positions(criteria)

    @rule()
    def reopen(self) -> None:
        """Close the store and open it again."""
        self.run(self.store.close())
        self.store = self.run(self.opened())

    @precondition(lambda self: self.crashes)
    @rule(drawn=st.lists(GROUP, max_size=3), point=st.floats(0, 1))
    def crash_and_open(self, drawn: Sequence[Sequence[Sequence[NewEvent]]], point: float) -> None:
        """Crash while appends are under way: what was acknowledged stays, each other append in full or not at all."""
        groups = [[Request(events, key=next(self.fresh_keys)) for events in group] for group in drawn]

        whole = self.run(self.crash(groups, point))
        self.store = self.run(self.opened())

        found = [(self.run(self.store.lookup(one.key or "")), one) for group in groups for one in group]
        survived = [(appended, one) for appended, one in found if appended]
        assert {one for _, one in survived} == {one for group in groups[:whole] for one in group}
        for appended, request in sorted(survived, key=_first_position):
            assert self.model.append(request) == appended

    @invariant()
    def store_and_model_are_equal(self) -> None:
        """The same events at the same positions, at times that never decrease."""
        stored = self.run(self.read_all(Criteria(CriteriaItem())))

        assert self.run(self.store.head()) == len(self.model.events)
        assert [event.position for event in stored] == list(range(1, len(self.model.events) + 1))
        assert all(map(_same, stored, self.model.events))
        assert all(earlier.microseconds <= later.microseconds for earlier, later in pairwise(stored))

    def none_since(self, criteria: Criteria, lag: int) -> AppendCondition:
        """Return the condition that nothing happened since `lag` events ago."""
        return AppendCondition(criteria, max(0, len(self.model.events) - lag))

    def answers(self, request: Request) -> None:
        """Check that the store answers as the model does."""
        (outcome,) = self.run(self.outcomes_of([request]))
        assert outcome == self.model.append(request)

    def answers_one_of_both(self, request: Request) -> None:
        """Retry an append of unknown outcome: it was made, or it is made now, but once."""
        (outcome,) = self.run(self.outcomes_of([request]))
        assert isinstance(outcome, Appended)
        made = self.model.append(request)
        assert made == Appended(outcome.first, outcome.last)

    async def opened(self) -> EventStore:
        """Open the store inside the loop that it belongs to."""
        return await self.open_store(self.clock).__aenter__()

    async def outcomes_of(self, requests: Sequence[Request]) -> list[Appended | type[LeftfoldError]]:
        """Append all at once; a refusal counts by its class."""
        outcomes = await asyncio.gather(*(self.append_one(request) for request in requests))
        return [outcome if isinstance(outcome, Appended) else type(outcome) for outcome in outcomes]

    async def append_one(self, request: Request) -> Appended | LeftfoldError:
        """Append, with the refusal as a value."""
        try:
            return await self.store.append(request.events, condition=request.condition, key=request.key)
        except LeftfoldError as refusal:
            return refusal

    async def cancelled(self, request: Request, turns: int) -> None:
        """Append, and cancel the caller after some turns of the loop."""
        task = asyncio.create_task(self.append_one(request))
        for turn in range(turns):
            await asyncio.sleep(0.0005 if turn % 4 == 3 else 0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def read_all(
        self,
        criteria: Criteria,
        *,
        after: int = 0,
        upto: int | None = None,
        limit: int | None = None,
        reverse: bool = False,
    ) -> list[StoredEvent]:
        """All events of a read."""
        batches = self.store.read(criteria, after=after, upto=upto, limit=limit, reverse=reverse)
        return [event async for batch in batches for event in batch.events]

    async def batches_of(self, criteria: Criteria, after: int, limit: int) -> list[tuple[Sequence[StoredEvent], int]]:
        """Return the batches of a read."""
        return [(batch.events, batch.through) async for batch in self.store.read(criteria, after=after, limit=limit)]


def _made(outcome: Appended | type[LeftfoldError]) -> bool:
    return isinstance(outcome, Appended)


def _first_position(made: tuple[Appended | type[LeftfoldError], Request]) -> tuple[int, bool]:
    outcome = made[0]
    assert isinstance(outcome, Appended)
    return outcome.first, outcome.duplicate


def _same(stored: StoredEvent, appended: NewEvent) -> bool:
    return (stored.type, stored.version, stored.data, stored.metadata, stored.tags) == (
        appended.type,
        appended.version,
        appended.data,
        appended.metadata,
        appended.tags,
    )

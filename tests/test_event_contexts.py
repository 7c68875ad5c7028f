"""Folds that ask for the context of each event: when it was recorded, where in the log, and by whom."""

import asyncio
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Self

import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from leftfold import (
    EVERYTHING,
    App,
    Command,
    Context,
    DecisionModel,
    Event,
    EventContext,
    EventStore,
    LiveApp,
    Metadata,
    ProcessManager,
    ReadModel,
    Rejected,
    Tag,
    recording,
    replace,
)
from leftfold.errors import ArgumentMutated, EvolveFailed, InvalidModel, UsageError
from leftfold.model.fold import fold_of
from leftfold.store import MemoryStore
from leftfold.testing import FakeClock, check_laws, given
from leftfold.testing.clock import START
from tests.patience import examples

CardId = Annotated[str, Tag("card")]
Entries = tuple[tuple[int, datetime, str | None], ...]


class Entry(Event):
    """What was written on a card, with what the decision knew of the entries before."""

    card: CardId
    text: str
    seen: Entries = ()


class Note(Event):
    card: CardId


class Write(Command):
    card: CardId
    text: str = ""


class Look(Command):
    card: CardId


class Card(DecisionModel):
    card: CardId
    entries: Entries = ()

    def evolve(self, event: Entry, context: EventContext) -> Self:
        return replace(self, entries=(*self.entries, (context.position, context.time, context.actor)))


class Plain(DecisionModel):
    card: CardId
    count: int = 0

    def evolve(self, event: Entry) -> Self:
        return replace(self, count=self.count + 1)


class LastEntry(ReadModel):
    card: CardId
    at: datetime | None = None
    by: str | None = None
    position: int = 0
    texts: tuple[str, ...] = ()

    def evolve(self, event: Entry, context: EventContext) -> Self | None:
        if event.text == "tear":
            return None
        return replace(
            self, at=context.time, by=context.actor, position=context.position, texts=(*self.texts, event.text)
        )


def cards() -> App:
    app = App("cards")
    app.read_model(LastEntry)

    @app.handles
    def write(command: Write, card: Card) -> Entry:
        if command.text == "refuse":
            raise Rejected("refused")
        return Entry(command.card, command.text, () if command.text == "brief" else card.entries)

    @app.handles
    def look(command: Look, card: Card, plain: Plain) -> Note:
        if len(card.entries) != plain.count:
            raise Rejected("two states of different moments")
        return Note(command.card)

    return app


async def recorded(store: EventStore, card: str) -> Entries:
    """What the log says of the entries of a card."""
    found: list[tuple[int, datetime, str | None]] = []
    async for batch in store.read(EVERYTHING):
        for stored in batch.events:
            if stored.type == "Entry" and f"card:{card}" in stored.tags:
                actor = "ann" if b'"actor":"ann"' in stored.metadata else None
                found.append((stored.position, stored.time, actor))
    return tuple(found)


async def entries(live: LiveApp) -> list[tuple[int, Entry]]:
    """Each entry of the log, with its position."""
    found: list[tuple[int, Entry]] = []
    for card in "ab":
        found += [(each.position, each.event) for each in await live.explain(Card, card)]
    return sorted(found, key=lambda pair: pair[0])


# --- decision models


async def test_a_decision_model_learns_when_where_and_by_whom() -> None:
    clock = FakeClock()
    async with cards().test(clock) as live:
        with recording(actor="ann"):
            first = await live.execute(Write("a"))
        clock.advance(hours=2)
        second = await live.execute(Write("a"))

        card = await live.state(Card, "a")

        assert card.entries == (
            (first.position, START, "ann"),
            (second.position, START + timedelta(hours=2), None),
        )
        assert (await live.state(Card, "a", as_of=first.position)).entries == card.entries[:1]
        assert [each.after.entries for each in await live.explain(Card, "a")] == [card.entries[:1], card.entries]


@pytest.mark.parametrize("others", [0, 1])
async def test_the_next_decision_knows_the_events_as_they_were_stored(others: int) -> None:
    class Slow(MemoryStore):
        """Commits a second after the decision."""

        async def append(self, *given: Any, **named: Any) -> Any:
            clock.advance(seconds=1)
            return await super().append(*given, **named)

    clock = FakeClock()
    store = Slow(clock)
    async with cards().open(store, clock=clock, work=False) as live:
        for _ in range(others):
            await live.execute(Write("b"))
        for _ in range(3):
            await live.execute(Write("a"))
            await live.execute(Look("a"))
        last = await live.execute(Write("a"))

        [event] = last.events
        assert event.seen == (await recorded(store, "a"))[:3]
        assert (await live.state(Card, "a")).entries == await recorded(store, "a")


async def test_callers_on_one_card_each_know_what_was_stored_before() -> None:
    class Yielding(MemoryStore):
        """Gives others a turn while it commits."""

        async def append(self, *given: Any, **named: Any) -> Any:
            await asyncio.sleep(0)
            return await super().append(*given, **named)

    async with cards().open(Yielding(FakeClock()), work=False) as live:
        await asyncio.gather(*(live.execute(Write("a")) for _ in range(16)))

        found = await entries(live)

        for number, (_, event) in enumerate(found):
            assert [position for position, _, _ in event.seen] == [position for position, _ in found[:number]]


async def test_a_later_command_of_one_batch_sees_an_event_without_position() -> None:
    clock = FakeClock()
    async with cards().test(clock) as live:
        first = await live.execute(Write("a"))
        clock.advance(hours=1)
        with recording(actor="ann"):
            await live.execute_many([Write("a"), Write("a")])

        [_, _, (_, third)] = await entries(live)

        assert third.seen == ((first.position, START, None), (0, START + timedelta(hours=1), "ann"))
        assert (await live.state(Card, "a")).entries == await recorded(live.store, "a")


async def test_an_event_with_a_time_of_its_own_has_that_time_before_it_is_stored() -> None:
    async with cards().test(FakeClock()) as live:
        long_ago = START - timedelta(days=3)
        await live.execute_many([Write("a"), Write("a")], time=long_ago)

        [_, (_, second)] = await entries(live)

        assert second.seen == ((0, long_ago, None),)


async def test_submitted_commands_each_know_what_was_stored_before() -> None:
    clock = FakeClock()
    async with cards().test(clock) as live:
        for _ in range(3):
            await live.submit(Write("a"))
        await live.submit(Write("b"))
        await live.run_until_quiet()

        found = [(position, event) for position, event in await entries(live) if event.card == "a"]

        assert len(found) == 3
        for number, (_, event) in enumerate(found):
            assert [position for position, _, _ in event.seen] == [position for position, _ in found[:number]]


Act = tuple[str, str]
ACTS = st.lists(
    st.tuples(st.sampled_from(["write", "refuse", "many", "gather", "submit", "look", "other"]), st.sampled_from("ab")),
    max_size=8,
)


@settings(max_examples=examples(40))
@for_all(ACTS, st.booleans())
def test_what_is_decided_on_is_what_the_log_gives(acts: Sequence[Act], crowded: bool) -> None:
    async def run() -> None:
        clock = FakeClock()
        store = MemoryStore(clock)
        capacity = 1 if crowded else 100
        async with (
            cards().open(store, clock=clock, work=("projections",), states=capacity) as live,
            cards().open(store, clock=clock, work=False) as other,
        ):
            for act, card in acts:
                clock.advance(seconds=1)
                await perform(live, other, act, card)
                for each in "ab":
                    expected = await recorded(store, each)
                    assert (await live.state(Card, each)).entries == expected
            for position, event in await entries(live):
                known = [each for each in await recorded(store, event.card) if each[0] < position]
                stored = tuple(each for each in event.seen if each[0] != 0)
                assert stored == tuple(known[: len(stored)])
                assert len(event.seen) == len(known)

    asyncio.run(run())


async def perform(live: LiveApp, other: LiveApp, act: str, card: str) -> None:
    match act:
        case "refuse":
            with pytest.raises(Rejected):
                await live.execute(Write(card, "refuse"))
        case "many":
            with recording(actor="ann"):
                await live.execute_many([Write(card), Write("a"), Write(card)])
        case "gather":
            await asyncio.gather(*(live.execute(Write(card)) for _ in range(3)), live.execute(Look(card)))
        case "submit":
            await asyncio.gather(*(live.submit(Write(each)) for each in (card, "a", card)))
            await live.run_until_quiet()
        case "look":
            await live.execute(Look(card))
        case "other":
            await other.execute(Write(card))
        case _:
            await live.execute(Write(card))


async def test_a_long_history_comes_back_from_its_snapshot(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path}/cards.db"
    async with cards().open(address) as live:
        with recording(actor="ann"):
            await live.execute_many([Write("a", "brief") for _ in range(400)])
            for _ in range(3):
                await live.execute_many([Write("a", "brief") for _ in range(300)])
        expected = await live.state(Card, "a")
    async with cards().open(address) as live:
        assert await live.state(Card, "a") == expected
        assert expected.entries == await recorded(live.store, "a")
        assert all(not report.findings for report in await live.verify(snapshots=True))


async def test_an_event_that_the_own_model_cannot_fold_is_not_stored() -> None:
    class Strict(DecisionModel):
        card: CardId

        def evolve(self, event: Entry, context: EventContext) -> Self:
            raise ValueError(f"at {context.position}")

    app = App("strict")

    @app.handles
    def write(command: Write, strict: Strict) -> Entry:
        return Entry(command.card, command.text)

    async with app.test(FakeClock()) as live:
        with pytest.raises(EvolveFailed, match="raised ValueError: at 0, for Entry, which was just decided") as caught:
            await live.execute(Write("a"))
        assert caught.value.position is None
        assert await live.store.head() == 0


# --- processes


async def test_an_instance_of_a_process_learns_when_and_by_whom() -> None:
    class Filing(ProcessManager):
        card: CardId
        at: datetime | None = None
        by: str | None = None
        position: int = 0

        def evolve(self, event: Entry, context: EventContext) -> Self:
            return replace(self, at=context.time, by=context.actor, position=context.position)

        def react(self, event: Entry) -> Look:
            return Look(self.card)

    app = cards()
    app.process(Filing)
    async with app.test(FakeClock()) as live:
        with recording(actor="ann"):
            receipt = await live.execute(Write("a"))
        await live.run_until_quiet()

        instance = await live.process(Filing, "a")

        assert instance.state == Filing("a", START, "ann", receipt.position)


# --- definitions


def test_a_fold_without_a_context_needs_nothing_but_data() -> None:
    assert fold_of(Plain).data_only
    assert not fold_of(Card).data_only


def test_a_context_is_part_of_the_fingerprint() -> None:
    def model(with_context: bool) -> type[DecisionModel]:
        if with_context:

            class Counted(DecisionModel):
                card: CardId
                count: int = 0

                def evolve(self, event: Note, context: EventContext) -> Self:
                    return self
        else:

            class Counted(DecisionModel):  # type: ignore[no-redef]
                card: CardId
                count: int = 0

                def evolve(self, event: Note) -> Self:
                    return self

        return Counted

    plain, asking = (fold_of(model(each)).fingerprint() for each in (False, True))

    assert plain.shape != asking.shape


@pytest.mark.parametrize(
    ("annotation", "found"),
    [
        (int, r"evolve takes \['self', 'event', 'context'\], the third one <class 'int'>"),
        (Context, "the third one <class 'leftfold.command.context.Context'>"),
        (None, r"evolve takes \['self', 'event', 'context'\]$"),
    ],
)
def test_a_third_parameter_that_is_no_context_is_refused(annotation: Any, found: str) -> None:
    def evolve(self: Any, event: Note, context: Any) -> Any:
        return self

    if annotation is None:
        del evolve.__annotations__["context"]
    else:
        evolve.__annotations__["context"] = annotation

    with pytest.raises(InvalidModel) as caught:
        type(DecisionModel)("Odd", (DecisionModel,), {"__annotations__": {"card": CardId}, "evolve": evolve})

    assert "def evolve(self, event: ..., context: EventContext) -> Self" in str(caught.value)
    assert re.search(found, caught.value.found, re.MULTILINE)


def test_a_fourth_parameter_is_refused() -> None:
    def evolve(self: Any, event: Note, context: EventContext, more: EventContext) -> Any:
        return self

    with pytest.raises(InvalidModel, match="'context', 'more'"):
        type(DecisionModel)("Odd", (DecisionModel,), {"__annotations__": {"card": CardId}, "evolve": evolve})


def test_an_evolve_that_changes_its_context_is_named() -> None:
    class Meddling(DecisionModel):
        card: CardId

        def evolve(self, event: Entry, context: EventContext) -> Self:
            context.metadata.extra["seen"] = True
            return self

    app = App("meddling")

    @app.handles
    def write(command: Write, meddling: Meddling) -> Entry:
        return Entry(command.card, command.text)

    with pytest.raises(ArgumentMutated, match="context"):
        given(app, Entry("a", "one")).when(Write("a"))


# --- tests of users


def test_what_was_given_has_a_time_and_an_actor() -> None:
    later = START + timedelta(hours=3)
    scenario = given(cards(), Entry("a", "one"), metadata=Metadata(actor="ann")).and_given(Entry("a", "two"), at=later)

    scenario.when(Write("a", "three")).then(Entry("a", "three", ((1, START, "ann"), (2, later, None))))
    scenario.then_row(LastEntry("a", later, None, 2, ("one", "two")))


def test_what_was_given_cannot_go_back_in_time() -> None:
    with pytest.raises(UsageError, match="times never decrease"):
        given(cards(), Entry("a", "one")).and_given(Entry("a", "two"), at=START - timedelta(seconds=1))


LISTS = st.lists(st.builds(Entry, st.sampled_from("ab"), st.sampled_from(["one", "tear"])), max_size=6)


@settings(max_examples=examples(25))
@for_all(LISTS)
def test_models_with_contexts_keep_the_laws(events: list[Entry]) -> None:
    check_laws(Card, events)
    check_laws(LastEntry, events)


def test_the_laws_name_a_fold_that_reads_a_clock_beside_its_context() -> None:
    class Clocked(DecisionModel):
        card: CardId
        at: tuple[datetime, ...] = ()

        def evolve(self, event: Entry, context: EventContext) -> Self:
            return replace(self, at=(*self.at, context.time, datetime.now(UTC)))

    with pytest.raises(AssertionError, match="differ"):
        check_laws(Clocked, [Entry("a", "one")])

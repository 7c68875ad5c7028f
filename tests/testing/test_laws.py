"""The laws: kept by models that are pure folds, broken by those that are not, and said which way."""

from itertools import count
from typing import Annotated, Any, Self

import pytest

from leftfold import App, DecisionModel, Event, ReadModel, Tag, replace
from leftfold.model.criteria import Criteria, criteria
from leftfold.testing import (
    any_batch_size_gives_the_same_table,
    as_of_is_the_fold_of_exactly_so_many,
    check_laws,
    replay_equals_incremental,
    snapshot_and_tail_equal_replay,
)

ItemId = Annotated[str, Tag("item")]
BoxId = Annotated[str, Tag("box")]


class Packed(Event):
    item: ItemId
    box: BoxId


class Sealed(Event):
    box: BoxId


class Swapped(Event):
    boxes: tuple[BoxId, BoxId]


EVENTS = [
    Packed("i", "a"),
    Packed("j", "a"),
    Sealed("a"),
    Packed("i", "b"),
    Swapped(("a", "b")),
    Packed("k", "b"),
    Sealed("b"),
    Packed("j", "b"),
]


class Box(DecisionModel):
    box: BoxId
    items: tuple[str, ...] = ()
    sealed: bool = False

    def evolve(self, event: Packed | Sealed | Swapped) -> Self:
        match event:
            case Packed(item=item):
                return replace(self, items=(*self.items, item))
            case Sealed():
                return replace(self, sealed=True)
            case Swapped():
                return replace(self, items=())


class Placement(DecisionModel):
    item: ItemId
    box: BoxId
    times: int = 0

    def evolve(self, event: Packed | Sealed) -> Self:
        return replace(self, times=self.times + 1)


class Everything(DecisionModel):
    events: int = 0

    def evolve(self, event: Packed | Sealed) -> Self:
        return replace(self, events=self.events + 1)


class Stated(DecisionModel):
    box: BoxId
    sealed: int = 0

    def criteria(self) -> Criteria:
        return criteria(Sealed)

    def evolve(self, event: Sealed) -> Self:
        return replace(self, sealed=self.sealed + 1)


class OpenBox(ReadModel):
    box: BoxId
    items: tuple[str, ...] = ()

    def evolve(self, event: Packed | Sealed | Swapped) -> Self | None:
        match event:
            case Packed(item=item):
                return replace(self, items=(*self.items, item))
            case Sealed():
                return None
            case Swapped():
                return replace(self, items=("swapped",))


class Count(ReadModel):
    packed: int = 0

    def evolve(self, event: Packed) -> Self:
        return replace(self, packed=self.packed + 1)


@pytest.mark.parametrize("model", [Box, Placement, Everything, Stated, OpenBox, Count])
@pytest.mark.parametrize("events", [[], EVENTS[:1], EVENTS], ids=len)
def test_pure_folds_keep_every_law(model: Any, events: list[Event]) -> None:
    check_laws(model, events)


# --- broken laws


class ChangedInPlace(DecisionModel):
    box: BoxId
    items: list[str] = []  # noqa: RUF012 msgspec gives each state its own

    def evolve(self, event: Packed) -> Self:
        self.items.append(event.item)
        return self


def test_a_state_that_is_changed_in_place_breaks_the_first_law() -> None:
    with pytest.raises(
        AssertionError, match=r"ChangedInPlace\('a'\) after 0 events: a replay and the state kept differ"
    ):
        replay_equals_incremental(ChangedInPlace, EVENTS)


numbers = count()


class Counting(DecisionModel):
    box: BoxId
    number: int = -1

    def evolve(self, event: Packed) -> Self:
        return replace(self, number=next(numbers))


def test_what_depends_on_something_else_than_the_events_breaks_the_first_law() -> None:
    with pytest.raises(AssertionError, match="a replay and the state kept differ"):
        replay_equals_incremental(Counting, EVENTS)


class Tupled(DecisionModel):
    box: BoxId
    last: Any = None

    def evolve(self, event: Packed) -> Self:
        return replace(self, last=(event.item, 1))


def test_a_state_that_does_not_come_back_equal_breaks_the_second_law() -> None:
    with pytest.raises(AssertionError) as raised:
        snapshot_and_tail_equal_replay(Tupled, EVENTS)

    assert "Tupled('a') does not come back from its stored form" in str(raised.value)
    assert "last: ['i', 1] instead of ('i', 1)" in str(raised.value)


class TupledRow(ReadModel):
    box: BoxId
    last: Any = None

    def evolve(self, event: Packed) -> Self:
        return replace(self, last=(*(self.last or ()), event.item) if isinstance(self.last, list) else [event.item])


def test_a_row_that_comes_back_otherwise_from_its_table_breaks_the_third_law() -> None:
    with pytest.raises(AssertionError, match="TupledRow has other rows when folded in batches of"):
        any_batch_size_gives_the_same_table(TupledRow, EVENTS)


class CountingRow(ReadModel):
    box: BoxId
    number: int = -1

    def evolve(self, event: Packed) -> Self:
        return replace(self, number=next(numbers))


@pytest.mark.parametrize("model", [Counting, CountingRow])
def test_what_depends_on_something_else_than_the_events_breaks_the_last_law(model: Any) -> None:
    with pytest.raises(AssertionError, match="as of"):
        as_of_is_the_fold_of_exactly_so_many(model, EVENTS)


# --- how they are used


def test_an_app_brings_its_codec_and_its_upcasters() -> None:
    class Repacked(Event, wire="Packed", version=2):
        item: ItemId
        box: BoxId

    class Boxed(DecisionModel):
        box: BoxId
        items: tuple[str, ...] = ()

        def evolve(self, event: Repacked) -> Self:
            return replace(self, items=(*self.items, event.item))

    app = App("boxes")
    app.event(Repacked)
    app.upcasts("Packed", 1)(lambda data: data)

    check_laws(Boxed, [Repacked("i", "a")], app=app)

    assert [known.owner for known in app.registry.types] == [Repacked]


async def test_they_can_be_checked_where_a_loop_runs() -> None:
    check_laws(Box, EVENTS)
    check_laws(OpenBox, EVENTS)

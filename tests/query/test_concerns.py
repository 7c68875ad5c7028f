"""`concerns` finds rows that an event concerns without carrying their keys, and always finds the same ones."""

import asyncio
import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Self

import pytest
import sqlalchemy as sa

from leftfold import (
    App,
    ChangedAt,
    Event,
    EventContext,
    NonKey,
    Query,
    ReadModel,
    ReadModels,
    SyncLive,
    Tag,
    Text,
    open_store_sync,
    replace,
)
from leftfold.errors import InvalidModel, ProjectionParked, TaglessEvent, UsageError
from leftfold.model.registry import Registry
from leftfold.query import ReadModelDefinition, Rebuilt
from leftfold.query.rebuild import rebuild
from leftfold.store import open_store
from leftfold.testing import any_batch_size_gives_the_same_table, as_of_is_the_fold_of_exactly_so_many
from tests.query.places import Place, place

__all__ = ["place"]

GuestId = Annotated[str, Tag("guest")]
BookingId = Annotated[int, Tag("booking")]
BAD: set[str] = set()


class Booked(Event):
    booking: BookingId
    guest: str


class Taken(Event):
    """A guest takes a booking over."""

    booking: BookingId
    guest: str


class Cancelled(Event):
    booking: BookingId


class Renamed(Event, wire="guest.renamed"):
    guest: GuestId
    name: str


class Upgraded(Event):
    """The booking that it carries, and those of its guest."""

    booking: BookingId
    guest: GuestId


class Booking(ReadModel):
    booking: BookingId
    guest: Annotated[GuestId, NonKey] = ""
    name: str = ""
    upgrades: int = 0
    changed_at: Annotated[dt.datetime | None, ChangedAt] = None

    @classmethod
    def concerns(cls, event: Renamed | Upgraded, models: ReadModels) -> Iterable[Self]:
        return models.select(cls, guest=event.guest)

    def evolve(self, event: Booked | Taken | Cancelled | Renamed | Upgraded) -> Self | None:
        match event:
            case Booked(guest=guest) | Taken(guest=guest):
                return replace(self, guest=guest)
            case Cancelled():
                return None
            case Renamed(name=name):
                if name in BAD:
                    raise ValueError(f"{name} is bad")
                return replace(self, name=name)
            case Upgraded():
                return replace(self, upgrades=self.upgrades + 1)


class Guest(ReadModel):
    guest: GuestId
    name: str = ""

    def evolve(self, event: Renamed) -> Self:
        return replace(self, name=event.name)


class Ask(Query[Any]):
    number: int


asked: list[Callable[[ReadModels], Any]] = []


@pytest.fixture(autouse=True)
def bad() -> set[str]:
    BAD.clear()
    return BAD


class Desk:
    """An app with bookings, its log and its models."""

    def __init__(self, place: Place, path: Path) -> None:
        self.log = f"sqlite:///{path / 'hotel.db'}"
        self.models = place.shared()
        self.registry = Registry()

    def app(self, *owners: type[ReadModel], **options: Any) -> App:
        app = App("hotel", ignores=["*"])
        for owner in owners or (Booking, Guest):
            app.read_model(**options)(owner)

        @app.answers
        def ask(query: Ask, models: ReadModels) -> Any:
            return asked[query.number](models)

        return app

    def write(self, *events: Any) -> int:
        with open_store_sync(self.log) as store:
            return store.append([self.registry.encode(event, b"{}") for event in events]).last

    def rebuild(self) -> Rebuilt:
        async def run() -> Rebuilt:
            async with open_store(self.log) as store:
                registry = Registry()
                for event in (Booked, Taken, Cancelled, Renamed, Upgraded):
                    registry.add(event)
                return await rebuild(ReadModelDefinition(Booking), store, registry, self.models)

        return asyncio.run(run())

    def ask(self, live: SyncLive, question: Callable[[ReadModels], Any], **options: Any) -> Any:
        asked.append(question)
        return live.query(Ask(len(asked) - 1), **options)


@pytest.fixture
def desk(place: Place, tmp_path: Path) -> Desk:
    return Desk(place, tmp_path)


def names(models: ReadModels) -> list[tuple[Any, ...]]:
    return [(row.booking, row.guest, row.name) for row in models.select(Booking, order_by="booking")]


EVENTS: list[Event] = [
    Booked(1, "ann"),
    Booked(2, "bob"),
    Renamed("ann", "Ann"),
    Booked(3, "ann"),
    Taken(2, "ann"),
    Renamed("ann", "Anna"),
    Cancelled(1),
    Renamed("ann", "Anne"),
    Renamed("eve", "Eve"),
    Upgraded(4, "ann"),
]
LAST = [(2, "ann", "Anne"), (3, "ann", "Anne"), (4, "", "")]


@pytest.mark.parametrize("history", [True, False])
def test_an_event_changes_the_rows_that_it_concerns_now_and_as_of_the_past(desk: Desk, history: bool) -> None:
    last = desk.write(*EVENTS)

    with desk.app(history=history).open_sync(desk.log, models=desk.models) as live:
        assert desk.ask(live, names, after=last) == LAST
        assert desk.ask(live, names, as_of=6) == [(1, "ann", "Anna"), (2, "ann", "Anna"), (3, "ann", "Anna")]
        assert desk.ask(live, names, as_of=5) == [(1, "ann", "Ann"), (2, "ann", ""), (3, "ann", "")]
        get = [desk.ask(live, lambda models: models.get(Booking, 3), as_of=at) for at in (3, 4, 6)]
        assert [row and row.name for row in get] == [None, "", "Anna"]


def test_rows_that_carry_the_key_and_rows_that_are_found_change_once_each(desk: Desk) -> None:
    last = desk.write(*EVENTS, Upgraded(2, "ann"))

    with desk.app().open_sync(desk.log, models=desk.models) as live:
        found = desk.ask(live, lambda models: models.select(Booking, order_by="booking"), after=last)
        assert [(row.booking, row.upgrades) for row in found] == [(2, 2), (3, 2), (4, 1)]


def test_what_is_found_does_not_depend_on_how_the_events_are_batched() -> None:
    any_batch_size_gives_the_same_table(Plain, EVENTS)
    as_of_is_the_fold_of_exactly_so_many(Plain, EVENTS)


class Plain(Booking):
    """The same without the time of a change, which each database of a test has of its own."""

    changed_at: dt.datetime | None = None


class Dated(Booking):
    """The same, with the position of the last change by the context of the event."""

    changed_at: dt.datetime | None = None
    at: int = 0

    def evolve(self, event: Booked | Taken | Cancelled | Renamed | Upgraded, context: EventContext) -> Self | None:
        return replace(self, guest=getattr(event, "guest", ""), at=context.position)


def test_a_found_row_gets_the_context_of_its_event(desk: Desk) -> None:
    last = desk.write(Booked(1, "ann"), Booked(2, "bob"), Renamed("ann", "Ann"))

    with desk.app(Dated).open_sync(desk.log, models=desk.models) as live:
        found = desk.ask(live, lambda models: models.select(Dated, order_by="booking"), after=last)
        assert [(row.booking, row.at) for row in found] == [(1, 3), (2, 2)]


def test_a_found_row_notes_when_it_was_changed(desk: Desk) -> None:
    desk.write(Booked(1, "ann"))
    last = desk.write(Renamed("ann", "Ann"))

    with desk.app().open_sync(desk.log, models=desk.models) as live, open_store_sync(desk.log) as store:
        row = desk.ask(live, lambda models: models.get(Booking, 1), after=last)
        [[_, renamed]] = [batch.events for batch in store.read()]
        assert row.changed_at == renamed.time


def test_a_rebuild_finds_the_same_rows(desk: Desk) -> None:
    last = desk.write(*EVENTS)
    with desk.app().open_sync(desk.log, models=desk.models) as live:
        desk.ask(live, names, after=last)

    rebuilt = desk.rebuild()

    assert (rebuilt.position, rebuilt.differences.none) == (last, True)
    last = desk.write(Renamed("ann", "Nan"))
    with desk.app().open_sync(desk.log, models=desk.models) as live:
        assert desk.ask(live, names, after=last) == [(2, "ann", "Nan"), (3, "ann", "Nan"), (4, "", "")]


def test_events_stored_under_a_former_name_are_asked_about_too(desk: Desk) -> None:
    class Former(Event, wire="guest.named"):
        guest: GuestId
        name: str

    last = desk.write(Booked(1, "ann"), Former("ann", "Ann"))
    app = desk.app()
    app.renamed("guest.named", "guest.renamed")

    with app.open_sync(desk.log, models=desk.models) as live:
        assert desk.ask(live, names, after=last) == [(1, "ann", "Ann")]


# --- an event that cannot be applied


def test_an_event_that_cannot_be_applied_stops_the_model_until_it_is_retried(desk: Desk, bad: set[str]) -> None:
    bad.add("Anna")
    last = desk.write(*EVENTS)

    with desk.app().open_sync(desk.log, models=desk.models) as live:
        live.run_until_quiet()
        [parked] = live.parked()
        assert (parked.name, parked.key, parked.position) == ("projection Booking", (), 6)
        assert "Anna is bad" in parked.problem
        assert desk.ask(live, names) == [(1, "ann", "Ann"), (2, "ann", ""), (3, "ann", "")]
        [status] = [each for each in live.read_models() if each.name == "Booking"]
        assert (status.position, status.parked) == (5, 1)
        assert isinstance(status.problem, ProjectionParked)

        bad.clear()
        assert live.retry(Booking) == []
        assert desk.ask(live, names, after=last) == LAST


def test_an_event_that_is_skipped_is_left_out_in_a_rebuild_and_in_the_past_too(desk: Desk, bad: set[str]) -> None:
    bad.add("Anna")
    last = desk.write(*EVENTS[:6])
    expected = [(1, "ann", "Ann"), (2, "ann", ""), (3, "ann", "")]

    with desk.app().open_sync(desk.log, models=desk.models) as live:
        live.run_until_quiet()
        assert live.skip(Booking, reason="a joke") == []
        assert desk.ask(live, names, after=last) == expected
        assert desk.ask(live, names, as_of=last) == expected
    with desk.app(version=2).open_sync(desk.log, models=desk.models) as live:
        assert desk.ask(live, names, after=last) == expected


def test_a_rebuild_that_an_event_stopped_begins_again_the_next_time(desk: Desk, bad: set[str]) -> None:
    last = desk.write(*EVENTS[:6])
    with desk.app().open_sync(desk.log, models=desk.models) as live:
        desk.ask(live, names, after=last)
    bad.add("Anna")
    with pytest.raises(ProjectionParked, match="position 6"):
        desk.rebuild()
    bad.clear()

    assert desk.rebuild().differences.none


# --- what concerns returns, and what it may read


def parked_by(desk: Desk, find: Callable[[type[Any], Any, ReadModels], Any]) -> tuple[str, list[Any]]:
    """The error of a model whose `concerns` does this, and its rows."""

    class Found(ReadModel):
        booking: BookingId
        guest: Annotated[str, Text()] = ""
        name: str = ""

        @classmethod
        def concerns(cls, event: Renamed, models: ReadModels) -> Any:
            return find(cls, event, models)

        def evolve(self, event: Booked | Renamed) -> Self:
            return replace(self, guest=event.guest, name=event.name if isinstance(event, Renamed) else self.name)

    last = desk.write(Booked(1, "ann"), Booked(2, "bob"), Renamed("ann", "Ann"))
    with desk.app(Found, Guest).open_sync(desk.log, models=desk.models) as live:
        live.run_until_quiet()
        problems = [each.problem for each in live.parked()]
        rows = [] if problems else desk.ask(live, lambda models: models.select(Found, order_by="booking"), after=last)
    return (problems[0] if problems else ""), [(row.booking, row.name) for row in rows]


@pytest.mark.parametrize(
    ("find", "rows"),
    [
        (lambda cls, event, models: [1], [(1, "Ann"), (2, "")]),
        (lambda cls, event, models: (number for number in (2, 2, 7)), [(1, ""), (2, "Ann"), (7, "Ann")]),
        (lambda cls, event, models: [*models.select(cls), 1], [(1, "Ann"), (2, "Ann")]),
        (lambda cls, event, models: [], [(1, ""), (2, "")]),
        (
            lambda cls, event, models: [
                row.booking
                for row in models.execute(
                    sa.select(models.table(cls).c.booking).where(models.table(cls).c.guest == event.guest)
                )
            ],
            [(1, "Ann"), (2, "")],
        ),
        (lambda cls, event, models: [models.position(cls)], [(1, ""), (2, "Ann")]),
    ],
)
def test_it_returns_rows_or_keys_of_rows_which_need_not_be_there(
    desk: Desk, find: Callable[..., Any], rows: list[Any]
) -> None:
    assert parked_by(desk, find) == ("", rows)


@pytest.mark.parametrize(
    ("find", "problem"),
    [
        (lambda cls, event, models: ["one"], "Found was requested with the key ("),
        (lambda cls, event, models: [None], "Found was requested with the key ("),
        (lambda cls, event, models: None, "concerns returned None"),
        (lambda cls, event, models: "12", "concerns returned '12'"),
        (lambda cls, event, models: models.select(Guest), "Found.concerns asked for Guest"),
        (lambda cls, event, models: models.search(cls, "ann"), "Found.concerns asked for a full-text search"),
        (lambda cls, event, models: models.execute(sa.text("SELECT 1")), "Found.concerns asked for plain SQL text"),
        (
            lambda cls, event, models: models.execute(sa.select(sa.table("guest", sa.column("guest")))),
            "Found.concerns asked for guest",
        ),
        (lambda cls, event, models: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_what_would_not_be_found_again_stops_the_model_by_name(
    desk: Desk, find: Callable[..., Any], problem: str
) -> None:
    assert problem in parked_by(desk, find)[0]


# --- definitions


def define(concerns: Any, **options: Any) -> ReadModelDefinition:
    class Model(ReadModel):
        booking: BookingId
        guest: str = ""

        def evolve(self, event: Booked | Renamed) -> Self:
            return self

        locals()["concerns"] = concerns

    return ReadModelDefinition(Model, **options)


def no_models(cls: Any, event: Renamed) -> Any: ...
def other_models(cls: Any, event: Renamed, models: int) -> Any: ...
def any_event(cls: Any, event: Any, models: ReadModels) -> Any: ...
def no_hint(cls, event, models: ReadModels): ...  # type: ignore[no-untyped-def]
def not_folded(cls: Any, event: Renamed | Cancelled, models: ReadModels) -> Any: ...
def proper(cls: Any, event: Renamed, models: ReadModels) -> Any: ...
async def waits(cls: Any, event: Renamed, models: ReadModels) -> Any: ...


@pytest.mark.parametrize(
    ("concerns", "problem"),
    [
        (proper, r"concerns is no class method"),
        (staticmethod(proper), r"concerns is no class method"),
        (classmethod(no_models), r"concerns takes \['cls', 'event'\]"),
        (classmethod(other_models), r"concerns takes \['cls', 'event', 'models'\]"),
        (classmethod(any_event), r"concerns annotates its event as "),
        (classmethod(no_hint), r"concerns annotates its event as None"),
        (classmethod(not_folded), r"concerns takes Cancelled, and evolve does not"),
        (classmethod(waits), r"concerns is async"),
    ],
)
def test_a_wrong_definition_is_refused_by_name(concerns: Any, problem: str) -> None:
    with pytest.raises(InvalidModel, match=problem):
        define(concerns)


def test_it_cannot_be_split_into_shards() -> None:
    with pytest.raises(InvalidModel, match=r"Model has shards=2 and defines concerns"):
        define(classmethod(proper), shards=2)


def test_an_event_without_the_key_still_needs_it_where_concerns_does_not_take_it() -> None:
    with pytest.raises(TaglessEvent):

        class Model(ReadModel):
            booking: BookingId

            @classmethod
            def concerns(cls, event: Renamed, models: ReadModels) -> list[Self]:
                return []

            def evolve(self, event: Renamed | Left) -> Self:
                return self


class Left(Event):
    guest: GuestId


def test_the_events_of_one_row_cannot_be_explained(desk: Desk) -> None:
    with desk.app().open_sync(desk.log, models=desk.models) as live, pytest.raises(UsageError, match="whose concerns"):
        live.explain(Booking, 1)


def test_a_field_may_have_the_name() -> None:
    class Complaint(ReadModel):
        booking: BookingId
        concerns: str = ""

        def evolve(self, event: Booked) -> Self:
            return self

    assert not ReadModelDefinition(Complaint).concerns


@pytest.fixture(autouse=True)
def questions() -> Iterator[None]:
    yield
    asked.clear()

"""A reference leads from a row to a row of another read model: now, as of the past, in conditions and in orders."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Self

import pytest

from leftfold import (
    App,
    Event,
    NonKey,
    Query,
    ReadModel,
    ReadModels,
    Reference,
    SyncLive,
    Tag,
    open_store_sync,
    replace,
)
from leftfold.errors import InvalidModel, UnknownName, UsageError
from leftfold.model.registry import Registry
from tests.query.places import Place, place

__all__ = ["place"]

GuestId = Annotated[str, Tag("guest")]
BookingId = Annotated[int, Tag("booking")]
HotelId = Annotated[str, Tag("hotel")]
RoomNumber = Annotated[int, Tag("room")]


class Named(Event):
    guest: GuestId
    name: str | None
    friend: str | None = None


class Forgotten(Event):
    guest: GuestId


class Furnished(Event):
    hotel: HotelId
    room: RoomNumber
    beds: int


class Booked(Event):
    booking: BookingId
    guest: GuestId
    payer: Annotated[str | None, "who pays"]
    hotel: HotelId
    room: RoomNumber


class Ask(Query[Any]):
    number: int


asked: list[Callable[[ReadModels], Any]] = []


class Guest(ReadModel):
    guest: GuestId
    name: str | None = None
    friend: Annotated[GuestId | None, NonKey] = None

    def evolve(self, event: Named | Forgotten) -> Self | None:
        return None if isinstance(event, Forgotten) else replace(self, name=event.name, friend=event.friend)


class Room(ReadModel):
    hotel: HotelId
    room: RoomNumber
    beds: int = 0

    def evolve(self, event: Furnished) -> Self:
        return replace(self, beds=event.beds)


class Booking(ReadModel):
    booking: BookingId
    guest: Annotated[GuestId, NonKey] = ""
    payer: str | None = None
    hotel: Annotated[HotelId, NonKey] = ""
    room: Annotated[RoomNumber, NonKey] = 0

    def evolve(self, event: Booked) -> Self:
        return replace(self, guest=event.guest, payer=event.payer, hotel=event.hotel, room=event.room)


GUEST = Reference(Booking.guest, Guest)
PAYER = Reference(Booking.payer, Guest)
ROOM = Reference((Booking.hotel, Booking.room), Room)
FRIEND = Reference(Guest.friend, Guest)
A_CLASS: Any = Guest
AN_EVENT: Any = Named


def hotel(*, history: bool) -> App:
    app = App("hotel")
    for owner in (Guest, Room, Booking):
        app.read_model(owner) if not history else app.read_model(history=True)(owner)

    @app.answers
    def ask(query: Ask, models: ReadModels) -> Any:
        return asked[query.number](models)

    return app


EVENTS = [
    Named("ann", "Ann Miller", friend="bob"),
    Named("bob", None),
    Furnished("ritz", 12, 2),
    Booked(1, "ann", "bob", "ritz", 12),
    Booked(2, "ann", None, "ritz", 13),
    Booked(3, "eve", "ann", "ritz", 12),
]


class Hotel:
    """The live app, and what is asked of it."""

    def __init__(self, live: SyncLive, write: Callable[..., int]) -> None:
        self.live = live
        self.append = write
        self.position = write(*EVENTS)

    def __call__(self, question: Callable[[ReadModels], Any], **options: Any) -> Any:
        asked.append(question)
        options = options or {"after": self.position}
        return self.live.query(Ask(len(asked) - 1), **options)


@pytest.fixture(params=["history", "no history"])
def ask(request: pytest.FixtureRequest, place: Place, tmp_path: Path) -> Iterator[Hotel]:
    app, log = hotel(history=request.param == "history"), f"sqlite:///{tmp_path / 'hotel.db'}"
    registry = Registry()
    with app.open_sync(log, models=place.shared()) as live, open_store_sync(log) as store:

        def write(*events: Any) -> int:
            return store.append([registry.encode(event, b"{}") for event in events]).last

        yield Hotel(live, write)


ANN = Guest("ann", "Ann Miller", "bob")
BOB = Guest("bob")
SUITE = Room("ritz", 12, 2)


def booking(number: int) -> Booking:
    [found] = [event for event in EVENTS if isinstance(event, Booked) and event.booking == number]
    return Booking(found.booking, found.guest, found.payer, found.hotel, found.room)


def test_a_row_comes_with_the_rows_that_it_refers_to_and_none_where_there_is_none(ask: Hotel) -> None:
    found = ask(lambda models: models.join(Booking, GUEST, PAYER, ROOM).select(order_by="booking"))

    assert found == [
        (booking(1), ANN, BOB, SUITE),
        (booking(2), ANN, None, None),
        (booking(3), None, ANN, SUITE),
    ]


def test_a_rename_shows_in_every_row_that_refers_to_it_and_not_in_the_past(ask: Hotel) -> None:
    ask.position = ask.append(Named("ann", "Ann Smith"))

    def names(models: ReadModels) -> Any:
        return [guest and guest.name for _, guest in models.join(Booking, GUEST).select(order_by="booking")]

    assert ask(names) == ["Ann Smith", "Ann Smith", None]
    assert ask(names, as_of=ask.position - 1) == ["Ann Miller", "Ann Miller", None]
    assert ask(names, as_of=4) == ["Ann Miller"]


def test_a_row_that_is_deleted_is_none_from_then_on(ask: Hotel) -> None:
    ask.position = ask.append(Forgotten("ann"))

    def guests(models: ReadModels) -> Any:
        return [guest for _, guest in models.join(Booking, GUEST).select(order_by="booking")]

    assert ask(guests) == [None, None, None]
    assert ask(guests, as_of=ask.position - 1) == [ANN, ANN, None]


def test_a_reference_may_begin_at_a_row_that_another_one_leads_to(ask: Hotel) -> None:
    found = ask(lambda models: models.join(Booking, GUEST, FRIEND).select(booking=1))

    assert found == [(booking(1), ANN, BOB)]


def test_a_model_may_refer_to_itself(ask: Hotel) -> None:
    found = ask(lambda models: models.join(Guest, FRIEND).select(order_by="guest"))

    assert found == [(ANN, BOB), (BOB, None)]


def test_conditions_and_orders_name_fields_of_the_other_rows_by_the_field_that_refers_to_them(ask: Hotel) -> None:
    def numbers(models: ReadModels, **options: Any) -> list[int]:
        return [row[0].booking for row in models.join(Booking, GUEST, PAYER, ROOM).select(**options)]

    assert ask(lambda models: numbers(models, where={"guest.name": "Ann Miller"}, order_by="-booking")) == [2, 1]
    assert ask(lambda models: numbers(models, where={"guest.guest": None})) == [3]
    assert ask(lambda models: numbers(models, order_by=["-room.beds", "-payer.name"])) == [3, 1, 2]
    assert ask(lambda models: numbers(models, order_by="payer.name", limit=1, offset=2)) == [3]
    assert ask(lambda models: models.join(Booking, ROOM).count(where={"room.beds": 2})) == 2
    assert ask(lambda models: models.join(Booking, ROOM).count(hotel="ritz")) == 3


def test_expressions_are_over_the_tables_of_the_references(ask: Hotel) -> None:
    def beds(models: ReadModels) -> Any:
        booking, room = models.table(Booking).c, models.table(ROOM).c
        found = models.join(Booking, GUEST, ROOM).select(where=[room.beds > 1, booking.payer == "ann"])
        return [row.booking for row, _, _ in found]

    assert ask(beds) == [3]


def test_a_condition_on_a_table_that_is_not_joined_is_refused(ask: Hotel) -> None:
    def crossed(models: ReadModels) -> Any:
        return models.join(Booking, GUEST).select(where=models.table(PAYER).c.name == "Bob")

    with pytest.raises(UsageError, match=r"conditions on another table in a join of Booking with Guest"):
        ask(crossed)


def test_pages_of_joined_rows_follow_each_other(ask: Hotel) -> None:
    def pages(models: ReadModels) -> Any:
        join = models.join(Booking, GUEST)
        first = join.page(order_by="-hotel", limit=2)
        second = join.page(order_by="-hotel", limit=2, after=first.next)
        return [[row.booking for row, _ in page.rows] for page in (first, second)], second.next

    assert ask(pages) == ([[3, 2], [1]], None)


def test_a_page_in_the_order_of_other_rows_is_refused(ask: Hotel) -> None:
    with pytest.raises(UsageError, match=r"a page of Booking with Guest by 'guest\.name'"):
        ask(lambda models: models.join(Booking, GUEST).page(order_by="-guest.name", limit=2))
    with pytest.raises(UsageError, match=r"a page of Booking with Guest by 'guest\.name'"):
        ask(lambda models: models.join(Booking, GUEST).select(order_by="guest.name", after="x"))


def test_an_unknown_field_is_refused_with_those_that_there_are(ask: Hotel) -> None:
    with pytest.raises(
        UsageError, match=r"no column .guest\.nme.\s+expected: .*guest\.friend, guest\.guest, guest\.name"
    ):
        ask(lambda models: models.join(Booking, GUEST).select(order_by="guest.nme"))
    with pytest.raises(UsageError, match=r"'guest\.name' names 2 columns"):
        ask(lambda models: models.join(Booking, GUEST, GUEST).select(order_by="guest.name"))


def test_a_reference_that_begins_elsewhere_is_refused(ask: Hotel) -> None:
    with pytest.raises(UsageError, match=r"a join of Room with <Reference Booking\.guest to Guest>"):
        ask(lambda models: models.join(Room, GUEST).select())
    with pytest.raises(UsageError, match=r"expected: references from Booking\s"):
        ask(lambda models: models.join(Booking, FRIEND, GUEST).select())
    with pytest.raises(UsageError, match=r"a join of Booking with <class '.*Guest'>"):
        ask(lambda models: models.join(Booking, A_CLASS).select())


def test_a_reference_to_a_model_that_the_app_does_not_keep_is_refused(ask: Hotel) -> None:
    class Stranger(ReadModel):
        guest: GuestId

        def evolve(self, event: Named) -> Self:
            return self

    with pytest.raises(UnknownName, match=r"Stranger"):
        ask(lambda models: models.join(Booking, Reference(Booking.guest, Stranger)).select())


def test_after_waits_for_each_model_that_is_joined(ask: Hotel) -> None:
    ask.position = ask.append(Named("ann", "Ann Smith"), Booked(4, "ann", None, "ritz", 12))

    found = ask(lambda models: models.join(Booking, GUEST).select(booking=4))

    assert [(row.booking, guest.name) for row, guest in found] == [(4, "Ann Smith")]


class Other(Event):
    booking: BookingId


class Single(ReadModel):
    count: int = 0

    def evolve(self, event: Other) -> Self:
        return self


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: Reference("guest", Guest), r"a reference is made of 'guest'"),
        (lambda: Reference(Booked.guest, Guest), r"a reference is made of Booked\.guest"),
        (lambda: Reference((Booking.guest, Guest.friend), Guest), r"made of Booking\.guest, Guest\.friend"),
        (lambda: Reference((), Guest), r"a reference is made of "),
        (lambda: Reference(Booking.guest, AN_EVENT), r"Booking\.guest refers to <class '.*Named'>"),
        (lambda: Reference(Booking.guest, Room), r"refers by 1 fields to Room, whose key has 2"),
        (lambda: Reference(Booking.guest, Single), r"refers by 1 fields to Single, whose key has 0"),
        (lambda: Reference(Booking.room, Guest), r"Booking\.room refers to Guest\.guest, .* types are int and str"),
    ],
)
def test_a_reference_that_can_lead_nowhere_is_refused_when_it_is_declared(
    make: Callable[[], object], problem: str
) -> None:
    with pytest.raises(InvalidModel, match=problem):
        make()


def test_a_reference_and_a_join_say_what_they_are(ask: Hotel) -> None:
    assert repr(ROOM) == "<Reference Booking.room to Room>"
    assert ask(lambda models: repr(models.join(Booking, ROOM))) == "<Join Booking with Room>"

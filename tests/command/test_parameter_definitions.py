"""Parameters that are many, optional, or found in other models: what cannot be is said when the handler is defined."""

import enum
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Self

import pytest

from leftfold import App, Command, Context, DecisionModel, Event, Many, NonKey, Tag, Via, message
from leftfold.errors import DefinitionError, InvalidField, InvalidHandler, UnmatchedParameter

BookingId = Annotated[str, Tag("booking")]
GuestId = Annotated[str, Tag("guest")]
RoomId = Annotated[str, Tag("room")]


class Booked(Event):
    booking: BookingId
    guest: GuestId
    rooms: list[RoomId]


class Guest(DecisionModel):
    guest: GuestId

    def evolve(self, event: Booked) -> Self: ...


class Room(DecisionModel):
    room: RoomId

    def evolve(self, event: Booked) -> Self: ...


class Booking(DecisionModel):
    booking: BookingId
    guest: Annotated[GuestId, NonKey] = ""
    payer: Annotated[GuestId, NonKey] | None = None
    rooms: Annotated[tuple[RoomId, ...], NonKey] = ()
    note: str = ""

    def evolve(self, event: Booked) -> Self: ...


class Stay(DecisionModel):
    guest: GuestId
    room: RoomId

    def evolve(self, event: Booked) -> Self: ...


class Total(DecisionModel):
    count: int = 0

    def evolve(self, event: Booked) -> Self: ...


class Book(Command):
    booking: BookingId
    guest: GuestId
    payer: GuestId | None
    rooms: list[RoomId]
    wishes: frozenset[RoomId]


class CheckOut(Command):
    booking: BookingId


class CloseRooms(Command):
    rooms: list[RoomId]


class CloseRoom(Command):
    room: RoomId


class Pay(Command):
    payer: GuestId | None


class MoveAll(Command):
    guest: GuestId
    rooms: list[RoomId]


class MoveEverybody(Command):
    guests: list[GuestId]
    rooms: list[RoomId]


def handler_of(command: Any, **models: Any) -> Any:
    """A handler with these parameters, registered."""
    names = ", ".join(("command", *models))
    made: dict[str, Any] = {}
    exec(f"def handle({names}): ...", made)
    handle: Callable[..., Any] = made["handle"]
    handle.__annotations__.update(command=command, **models, **{"return": Booked | None})
    app = App("hotel")
    app.handles(handle)
    return app.command_handlers[command]


def keys(handler: Any, command: object, arguments: Mapping[str, Any] = {}) -> dict[str, Any]:
    return {each.name: list(each.keys({"command": command, **arguments})) for each in handler.models}


BOOK = Book("b", "g", "p", ["1", "2", "1"], frozenset("43"))


# --- which field has the keys


def test_many_is_keyed_by_the_collection_of_its_name_or_the_only_one_with_its_tag() -> None:
    by_name = handler_of(Book, wishes=Many[Room], rooms=Many[Room])
    only = handler_of(CloseRooms, whatever=Many[Room])

    assert keys(by_name, BOOK) == {"wishes": [("3",), ("4",)], "rooms": [("1",), ("2",)]}
    assert keys(only, CloseRooms(["5"])) == {"whatever": [("5",)]}


def test_one_of_several_collections_has_to_be_named() -> None:
    with pytest.raises(UnmatchedParameter, match="several fields") as refused:
        handler_of(Book, closed=Many[Room])

    assert refused.value.choices == ("rooms", "wishes")


def test_many_of_a_single_key_is_refused_with_the_remedy() -> None:
    with pytest.raises(UnmatchedParameter, match="annotate the parameter with Room") as refused:
        handler_of(CloseRoom, rooms=Many[Room])

    assert refused.value.choices == ("room",)
    assert "no field of the command has this tag in a collection" in refused.value.found


def test_a_single_model_of_a_collection_is_refused_with_the_remedy() -> None:
    with pytest.raises(UnmatchedParameter, match=r"annotate the parameter with Many\[Room\]") as refused:
        handler_of(CloseRooms, room=Room)

    assert refused.value.choices == ("rooms",)


def test_many_of_two_parts_takes_one_from_a_collection() -> None:
    handler = handler_of(MoveAll, stays=Many[Stay])

    assert keys(handler, MoveAll("g", ["1", "2", "1"])) == {"stays": [("g", "1"), ("g", "2")]}


def test_many_of_two_collections_is_refused() -> None:
    with pytest.raises(InvalidHandler, match="2 parts of the key of Stay are collections"):
        handler_of(MoveEverybody, stays=Many[Stay])


def test_many_of_a_model_without_a_key_is_refused() -> None:
    with pytest.raises(InvalidHandler, match="0 parts of the key of Total are collections"):
        handler_of(CloseRooms, totals=Many[Total])


def test_keys_of_commands_from_other_libraries_are_found_too() -> None:
    @message
    @dataclass
    class Close:
        rooms: set[RoomId]
        guest: GuestId | None = None

    handler = handler_of(Close, rooms=Many[Room], guest=Guest | None)

    assert keys(handler, Close({"2", "1"})) == {"rooms": [("1",), ("2",)], "guest": []}


def test_a_collection_that_is_none_has_no_keys() -> None:
    class Close(Command):
        rooms: list[RoomId] | None = None

    assert keys(handler_of(Close, rooms=Many[Room]), Close()) == {"rooms": []}


# --- None


def test_an_optional_model_goes_with_an_optional_key() -> None:
    handler = handler_of(Book, payer=Guest | None, guest=Guest)

    assert keys(handler, BOOK) == {"payer": [("p",)], "guest": [("g",)]}
    assert keys(handler_of(Pay, someone=Guest | None), Pay(None)) == {"someone": []}


@pytest.mark.parametrize("hint", [Guest, Annotated[Guest, "a note"]])
def test_an_optional_key_without_an_optional_model_is_refused_with_the_remedy(hint: Any) -> None:
    with pytest.raises(
        InvalidHandler, match=r"'payer' of handle is never None, but its key may be None in Book.payer"
    ) as refused:
        handler_of(Book, payer=hint)

    assert refused.value.remedy == "annotate 'payer' with Guest | None, or give Book.payer a type without None"


def test_an_optional_model_without_an_optional_key_is_refused_with_the_remedy() -> None:
    with pytest.raises(
        InvalidHandler, match=r"'guest' of handle may be None, but its key is never None in Book.guest"
    ) as refused:
        handler_of(Book, guest=Guest | None)

    assert refused.value.remedy == "annotate 'guest' with Guest, or type Book.guest as optional"


def test_an_optional_model_without_a_key_is_refused() -> None:
    with pytest.raises(InvalidHandler, match="'total' of handle may be None"):
        handler_of(CheckOut, total=Total | None)


@pytest.mark.parametrize("hint", [Many[Room] | None, Many[Room | None]])
def test_many_is_never_none(hint: Any) -> None:
    with pytest.raises(InvalidHandler, match="is a Many or None") as refused:
        handler_of(CloseRooms, rooms=hint)

    assert "without keys it is empty" in refused.value.expected


def test_the_other_parts_of_many_keys_are_never_none() -> None:
    class Move(Command):
        guest: GuestId | None
        rooms: list[RoomId]

    with pytest.raises(InvalidHandler, match=r"its key may be None in Move.guest"):
        handler_of(Move, stays=Many[Stay])


# --- keys in other models


def test_a_key_is_found_in_another_model() -> None:
    handler = handler_of(CheckOut, guest=Annotated[Guest, Via("booking", "guest")], booking=Booking)

    [guest, _] = handler.models
    assert guest.keys({"booking": Booking("b", "g")}) == (("g",),)


def test_a_key_may_be_named_in_the_command_too() -> None:
    class Change(Command):
        former: GuestId
        present: GuestId

    handler = handler_of(Change, one=Annotated[Guest, Via("command", "present")])

    assert keys(handler, Change("a", "b")) == {"one": [("b",)]}


def test_the_parts_of_a_key_may_stand_in_several_places() -> None:
    class Enter(Command):
        booking: BookingId
        room: RoomId

    one = handler_of(Enter, booking=Booking, stay=Annotated[Stay, Via("booking", "guest")])
    all_ = handler_of(
        CheckOut, booking=Booking, stays=Annotated[Many[Stay], Via("booking", "guest"), Via("booking", "rooms")]
    )

    booking = Booking("b", "g", None, ("1", "2"))
    assert keys(one, Enter("b", "3"), {"booking": booking})["stay"] == [("g", "3")]
    assert keys(all_, CheckOut("b"), {"booking": booking})["stays"] == [("g", "1"), ("g", "2")]


def test_many_keys_are_found_in_many_models() -> None:
    class Check(Command):
        bookings: list[BookingId]

    handler = handler_of(
        Check,
        bookings=Many[Booking],
        payers=Annotated[Many[Guest], Via("bookings", "payer")],
        rooms=Annotated[Many[Room], Via("bookings", "rooms")],
    )

    found = Many([Booking("a", "g", "p", ("1",)), Booking("b", "g", None, ("2", "1")), Booking("c", "h", "p")])
    asked = keys(handler, Check(["a", "b", "c"]), {"bookings": found})
    assert (asked["payers"], asked["rooms"]) == ([("p",)], [("1",), ("2",)])


PAYER = Via("booking", "payer")


@pytest.mark.parametrize("hint", [Annotated[Guest | None, PAYER], Annotated[Guest, PAYER] | None])
def test_a_key_that_may_be_none_goes_with_an_optional_model(hint: Any) -> None:
    handler = handler_of(CheckOut, booking=Booking, payer=hint)

    assert keys(handler, CheckOut("b"), {"booking": Booking("b")})["payer"] == []


def test_a_found_key_that_may_be_none_without_an_optional_model_is_refused() -> None:
    with pytest.raises(InvalidHandler, match=r"its key may be None in Booking.payer"):
        handler_of(CheckOut, booking=Booking, payer=Annotated[Guest, Via("booking", "payer")])


def test_a_found_key_that_is_never_none_with_an_optional_model_is_refused() -> None:
    with pytest.raises(InvalidHandler, match=r"its key is never None in Booking.guest"):
        handler_of(CheckOut, booking=Booking, guest=Annotated[Guest | None, Via("booking", "guest")])


def test_what_is_found_in_an_optional_model_is_optional() -> None:
    class Find(Command):
        booking: BookingId | None

    with pytest.raises(InvalidHandler, match=r"its key may be None in Booking.guest"):
        handler_of(Find, booking=Booking | None, guest=Annotated[Guest, Via("booking", "guest")])

    handler = handler_of(Find, booking=Booking | None, guest=Annotated[Guest | None, Via("booking", "guest")])
    assert keys(handler, Find(None), {"booking": None}) == {"booking": [], "guest": []}


@pytest.mark.parametrize("via", [Via("bookings", "guest"), Via("guest", "guest"), Via("context", "guest")])
def test_the_parameter_of_a_via_has_to_be_another_one(via: Via) -> None:
    with pytest.raises(InvalidHandler):
        handler_of(CheckOut, booking=Booking, context=Context, guest=Annotated[Guest, via])


def test_a_parameter_that_does_not_exist_is_named_with_those_that_do() -> None:
    with pytest.raises(InvalidHandler, match=r"Via\('bookings', 'guest'\)") as refused:
        handler_of(CheckOut, booking=Booking, guest=Annotated[Guest, Via("bookings", "guest")])

    assert refused.value.expected == "the name of another parameter: 'command', 'booking'"


@pytest.mark.parametrize("field", ["note", "guests"])
def test_the_field_of_a_via_has_to_have_a_tag(field: str) -> None:
    with pytest.raises(InvalidHandler, match=f"Booking has no tag-typed field '{field}'") as refused:
        handler_of(CheckOut, booking=Booking, guest=Annotated[Guest, Via("booking", field)])

    assert "'guest', 'payer', 'rooms'" in refused.value.expected
    assert "NonKey" in refused.value.remedy


def test_the_field_of_a_via_has_to_have_the_tag_of_the_key() -> None:
    with pytest.raises(InvalidHandler, match="no part of its key tagged 'room'"):
        handler_of(CheckOut, booking=Booking, guest=Annotated[Guest, Via("booking", "rooms")])
    with pytest.raises(InvalidHandler, match="Total has no part of its key"):
        handler_of(CheckOut, booking=Booking, total=Annotated[Total, Via("booking", "guest")])


def test_two_places_for_one_part_are_refused() -> None:
    with pytest.raises(InvalidHandler, match="no part of its key"):
        handler_of(CheckOut, booking=Booking, guest=Annotated[Guest, Via("booking", "guest"), Via("booking", "payer")])


def test_one_model_of_many_keys_is_refused_with_the_remedy() -> None:
    with pytest.raises(InvalidHandler, match=r"Booking.rooms gives many keys") as refused:
        handler_of(CheckOut, booking=Booking, room=Annotated[Room, Via("booking", "rooms")])

    assert refused.value.remedy == "annotate 'room' with Many[Room]"


def test_models_that_lead_to_each_other_alone_are_refused() -> None:
    class Pair(DecisionModel):
        guest: GuestId
        booking: Annotated[BookingId, NonKey] = ""

        def evolve(self, event: Booked) -> Self: ...

    with pytest.raises(InvalidHandler, match="'booking' and 'pair' of handle have their keys in each other"):
        handler_of(
            CheckOut,
            booking=Annotated[Booking, Via("pair", "booking")],
            pair=Annotated[Pair, Via("booking", "guest")],
        )


# --- what is no parameter


@pytest.mark.parametrize("hint", [list[Room], dict[str, Room], tuple[Room, ...], frozenset[Room]])
def test_a_collection_that_is_not_many_is_refused_with_the_remedy(hint: Any) -> None:
    with pytest.raises(InvalidHandler, match="'rooms'") as refused:
        handler_of(CloseRooms, rooms=hint)

    assert refused.value.remedy == "annotate it with Many[Room]"


@pytest.mark.parametrize("hint", [Many, Many[Many[Room]], Many[int], Room | Guest, int | None, Annotated[int, 1]])  # type: ignore[type-var]
def test_what_names_no_model_is_refused(hint: Any) -> None:
    with pytest.raises(InvalidHandler, match="'rooms'"):
        handler_of(CloseRooms, rooms=hint)


def test_parameters_say_what_they_are() -> None:
    handler = handler_of(CheckOut, booking=Booking, guest=Annotated[Guest, Via("booking", "guest")])

    assert repr(handler.models[1]) == "<ModelParameter guest of Guest>"
    assert repr(handler.parameters) == "<ModelParameters booking, guest>"
    assert repr(Via("booking", "guest")) == "Via('booking', 'guest')"
    assert inspect.signature(handler.function).parameters.keys() == {"command", "booking", "guest"}


@pytest.mark.parametrize("names", [(1, None), ("booking", ""), ("", "guest"), (["booking"], "guest")])
def test_a_via_without_two_names_is_refused(names: tuple[Any, Any]) -> None:
    with pytest.raises(DefinitionError, match="does not have two names"):
        Via(*names)


class Colour(enum.StrEnum):
    RED = "red"


@pytest.mark.parametrize("value_type", [int, enum.Enum])
def test_a_command_whose_key_has_another_type_than_the_model_s_is_refused(value_type: Any) -> None:
    command = type(Command)("Odd", (Command,), {"__annotations__": {"room": Annotated[value_type, Tag("room")]}})

    def handle(command: Any, room: Room) -> None: ...

    handle.__annotations__["command"] = command
    with pytest.raises(
        InvalidHandler, match=rf"the key Room.room: str, and Odd.room is of the type {value_type.__name__}"
    ):
        App("odd").handles(handle)


def test_a_command_may_have_the_members_of_an_enum_as_keys_of_texts() -> None:
    class Paint(Command):
        room: Annotated[Colour, Tag("room")]

    app = App("colours")

    @app.handles
    def paint(command: Paint, room: Room) -> None: ...


@pytest.mark.parametrize("hint", [dict[RoomId, int], Sequence[RoomId], tuple[RoomId, int], RoomId | list[RoomId]])
def test_a_command_with_the_tag_where_it_is_not_found_is_told_so(hint: Any) -> None:
    command = type(Command)("Odd", (Command,), {"__annotations__": {"note": dict[GuestId, int], "rooms": hint}})

    def handle(command: Any, rooms: Many[Room]) -> None: ...

    handle.__annotations__["command"] = command
    with pytest.raises(
        InvalidField, match=r"Odd.rooms has Tag\('room'\) in a type whose values are not found as tags"
    ) as refused:
        App("odd").handles(handle)

    assert "list, tuple, set or frozenset" in refused.value.expected


def test_a_command_may_hold_tags_that_no_model_asks_for() -> None:
    class Count(Command):
        room: RoomId
        guests: dict[GuestId, int]

    app = App("counts")

    @app.handles
    def count(command: Count, room: Room) -> None: ...

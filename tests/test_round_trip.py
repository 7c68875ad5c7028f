"""What is accepted is read back equal: messages that would not be are refused by name, before anything is written."""

import dataclasses
import enum
import math
import re
import typing
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Generic, Self, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import attrs
import msgspec
import pydantic
import pytest

from leftfold import App, Command, DecisionModel, Event, LiveApp, Query, ReadModels, Rejected, Tag, message, replace
from leftfold.errors import CannotEncode, InvalidField, InvalidKey, InvalidMessage, LeftfoldError, shown
from leftfold.store import MemoryStore

Id = Annotated[str, Tag("account")]
SeatId = Annotated[UUID, Tag("seat")]
VIENNA = ZoneInfo("Europe/Vienna")
ONE = UUID("6d1f6d4c-2b1a-4f5e-9a3b-0c9d8e7f6a5b")
T = TypeVar("T")


class Decide(Command):
    pass


async def decided(event: Any) -> Any:
    """The event as a receipt and a new app give it; InvalidMessage or CannotEncode with nothing written."""
    store = MemoryStore()
    app = App("any")
    app.event(type(event))

    @app.handles
    def decide(command: Decide) -> Event:
        return event  # type: ignore[no-any-return]

    async with app.open(store, work=False) as live:
        try:
            receipt = await live.execute(Decide())
        except LeftfoldError:
            assert await live.store.head() == 0
            raise
        [batch] = [batch async for batch in live.store.read()]
    stored = app.registry.decode(batch.events[0])
    assert (stored,) == receipt.events
    return stored


# --- structs


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


class Level(enum.IntEnum):
    LOW = 1


class Line(msgspec.Struct, frozen=True):
    price: int


class Card(msgspec.Struct, frozen=True, tag=True):
    number: int


class Cash(msgspec.Struct, frozen=True, tag=True):
    number: int


class Sparse(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    unit_price: int = 0
    item_count: int = 3


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    count: int


class Box(msgspec.Struct, Generic[T], frozen=True):
    content: T


class Raised(msgspec.Struct, frozen=True):
    count: int

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "count", self.count + 1)


class Deposited(Event):
    account: Id
    amount: int


class Held(Event):
    account: Id
    integer: int = 0
    number: float = 0.0
    text: str = ""
    data: bytes = b""
    exact: Decimal = Decimal(0)
    moment: datetime | None = None
    day: date | None = None
    length: timedelta | None = None
    seat: UUID | None = None
    color: Color | None = None
    level: Level | None = None
    numbers: list[int] = []  # noqa: RUF012 msgspec copies it
    pair: tuple[int, ...] = ()
    order: Sequence[int] = ()
    lines: tuple[Line, ...] = ()
    unique: frozenset[Line] = frozenset()
    colors: frozenset[Color] = frozenset()
    choices: frozenset[bool | None] = frozenset()
    times: frozenset[datetime | None] = frozenset()
    groups: frozenset[frozenset[str]] = frozenset()
    seats: dict[int, str] = {}  # noqa: RUF012 msgspec copies it
    days: dict[date, Decimal] = {}  # noqa: RUF012 msgspec copies it
    paid: Card | Cash | None = None
    sparse: Sparse | None = None
    strict: Strict | None = None
    box: Box[int] | None = None
    raised: Raised | None = None
    anything: Any = None
    plan: dict[str, datetime] = {}  # noqa: RUF012 msgspec copies it


AUTUMN = datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=VIENNA)  # a time that this day has twice


@pytest.mark.parametrize(
    "fields",
    [
        {"integer": 10**30},
        {"integer": Level.LOW},
        {"number": 1},
        {"number": -0.0},
        {"text": "\0 🙂"},
        {"order": (1, 2)},
        {"data": b"\0\xff"},
        {"exact": Decimal("1.10")},
        {"moment": datetime(2026, 1, 1, tzinfo=UTC)},
        {"moment": datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=5, minutes=30)))},
        {"moment": datetime(2026, 7, 1, tzinfo=VIENNA)},
        {"length": timedelta.max},
        {"level": 1},
        {"seats": {1: "a", 22: "b", 3: "c"}},
        {"days": {date(2026, 1, 2): Decimal("1.5"), date(2025, 1, 1): Decimal(2)}},
        {"unique": frozenset({Line(2), Line(1)})},
        {"colors": frozenset(Color)},
        {"choices": frozenset([None])},
        {"choices": frozenset([None, True, False])},
        {"times": frozenset([None, datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=UTC)])},
        {"groups": frozenset([frozenset(["a"]), frozenset(["b", "c"]), frozenset()])},
        {"paid": Cash(1)},
        {"sparse": Sparse(0, 3)},
        {"strict": Strict(1)},
        {"box": Box(1)},
        {"anything": {"a": [1, None, 1.5]}},
    ],
)
async def test_what_comes_back_equal_is_stored(fields: dict[str, Any]) -> None:
    event = Held("a", **fields)

    stored = await decided(event)

    assert stored == replace(event, order=list(event.order))


async def test_a_time_that_its_zone_has_twice_comes_back_as_the_moment_it_was() -> None:
    stored = await decided(Held("a", moment=AUTUMN))

    assert stored.moment.astimezone(UTC) == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"integer": "100"}, "integer"),
        ({"integer": 1.0}, "integer"),
        ({"integer": True}, "integer"),
        ({"number": math.nan}, "number"),
        ({"number": math.inf}, "number"),
        ({"number": 2**60 + 1}, "number"),
        ({"number": True}, "number"),
        ({"text": b"x"}, "text"),
        ({"text": 5}, "text"),
        ({"data": "eA=="}, "data"),
        ({"exact": Decimal("NaN")}, "exact"),
        ({"exact": Decimal("sNaN")}, "exact"),
        ({"exact": "1.5"}, "exact"),
        ({"moment": datetime(2026, 1, 1)}, "moment"),  # noqa: DTZ001
        ({"moment": date(2026, 1, 1)}, "moment"),
        ({"moment": datetime(2026, 1, 1, tzinfo=timezone(timedelta(seconds=7)))}, "moment"),
        ({"day": datetime(2026, 1, 1, tzinfo=UTC)}, "day"),
        ({"seat": str(ONE)}, "seat"),
        ({"seat": str(ONE).upper()}, "seat"),
        ({"seat": ONE.hex}, "seat"),
        ({"color": "red"}, "color"),
        ({"numbers": (1,)}, "numbers"),
        ({"pair": [1]}, "pair"),
        ({"lines": (Line(1), Line("2"))}, "lines"),  # type: ignore[arg-type]
        ({"raised": Raised(1)}, "raised.count"),
        ({"anything": (1, 2)}, "anything"),
        ({"anything": datetime(2026, 1, 1, tzinfo=UTC)}, "anything"),
        ({"anything": [Line(1)]}, "anything[0]"),
        ({"plan": {"start": datetime(2026, 1, 1)}}, "plan['start']"),  # noqa: DTZ001
        ({"seats": {"1": "a"}}, "seats"),
    ],
)
async def test_what_would_come_back_as_something_else_is_refused_with_its_field(
    fields: dict[str, Any], place: str
) -> None:
    with pytest.raises(InvalidMessage) as refused:
        await decided(Held("a", **fields))

    assert refused.value.owner == "Held"
    assert refused.value.field.startswith(place)
    assert f"Held.{place}" in refused.value.found


class Text(str):
    pass


@pytest.mark.parametrize("text", ["\ud800", Text("x"), object()])
async def test_what_has_no_stored_form_is_refused_with_its_field(text: Any) -> None:
    with pytest.raises(CannotEncode, match="text is") as refused:
        await decided(Held("a", text=text))

    assert (refused.value.field, refused.value.given) == ("text", text)


async def test_the_refusal_shows_both_values_and_what_to_do() -> None:
    with pytest.raises(InvalidMessage) as refused:
        await decided(Held("a", seat=ONE.hex))  # type: ignore[arg-type]

    assert repr(ONE.hex) in refused.value.found
    assert repr(ONE) in refused.value.found
    assert "annotated type" in refused.value.remedy


def test_equal_messages_have_equal_bytes_whatever_the_order_of_their_dicts_and_sets() -> None:
    encode = App("any").registry.codec.encode
    one = Held("a", seats={1: "a", 2: "b"}, colors=frozenset([Color.RED, Color.GREEN]))
    other = Held("a", seats={2: "b", 1: "a"}, colors=frozenset([Color.GREEN, Color.RED]))

    assert encode(one) == encode(other)
    assert b'"seats":{"1":"a","2":"b"}' in encode(one)


# --- classes of other libraries


@message(wire="pinned")
@attrs.frozen
class Pinned:
    _pin: int = 0


@message(wire="compared")
@attrs.frozen
class Compared:
    shown: int
    hidden: list[int] = attrs.field(eq=False)


@message(wire="never.equal")
@dataclasses.dataclass(frozen=True, eq=False)
class NeverEqual:
    count: int


@message(wire="half.compared")
@dataclasses.dataclass(frozen=True)
class HalfCompared:
    _count: int
    note: Any = dataclasses.field(compare=False, default=None)


@message(wire="counting")
@dataclasses.dataclass
class Counting:
    count: int
    calls: int = dataclasses.field(default=0, init=False)


@message(wire="secret")
class Secret(pydantic.BaseModel, frozen=True):
    password: pydantic.SecretStr


@message(wire="aliased")
class Aliased(pydantic.BaseModel, frozen=True):
    user_id: str = pydantic.Field(alias="userId")


@message(wire="excluded")
class Excluded(pydantic.BaseModel, frozen=True):
    note: str = pydantic.Field(default="", exclude=True)


@message(wire="computed")
class Computed(pydantic.BaseModel, frozen=True):
    count: int

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def double(self) -> int:
        return 2 * self.count


@message(wire="private")
class Private(pydantic.BaseModel):
    count: int
    _seen: int = pydantic.PrivateAttr(default=0)


@message(wire="dated")
class Dated(pydantic.BaseModel, frozen=True):
    at: datetime
    data: bytes = b""
    number: float = 0.0


def with_private(count: int, seen: int) -> Private:
    made = Private(count=count)
    made._seen = seen
    return made


def counted(count: int, calls: int) -> Counting:
    made = Counting(count)
    made.calls = calls
    return made


@pytest.mark.parametrize(
    "event",
    [
        Pinned(),
        Compared(1, [2]),
        HalfCompared(1, "x"),
        counted(1, 2),
        Aliased(userId="ann"),
        Excluded(),
        Computed(count=2),
        Private(count=1),
        Dated(at=datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
async def test_instances_of_other_libraries_come_back_equal(event: Any) -> None:
    assert await decided(event) == event


@pytest.mark.parametrize(
    ("event", "place"),
    [
        (Pinned(pin=1234), "_pin"),
        (Compared(1, (2,)), "hidden"),  # type: ignore[arg-type]
        (NeverEqual("1"), "count"),  # type: ignore[arg-type]
        (HalfCompared(1, (2,)), "note"),
        (HalfCompared("1"), "_count"),  # type: ignore[arg-type]
        (Secret(password="x"), "password"),  # type: ignore[arg-type]
        (Excluded(note="x"), "note"),
        (with_private(1, 2), "__pydantic_private__"),
        (Dated(at=datetime(2026, 1, 1)), "at"),  # noqa: DTZ001
        (Dated(at=datetime(2026, 1, 1, tzinfo=UTC), number=math.nan), "number"),
        (Dated.model_construct(at="today"), "at"),
    ],
)
async def test_instances_of_other_libraries_that_would_not_come_back_are_refused(event: Any, place: str) -> None:
    with pytest.raises(InvalidMessage) as refused:
        await decided(event)

    assert refused.value.field.startswith(place)


async def test_an_event_that_is_never_equal_to_another_is_compared_by_its_fields() -> None:
    app = App("any")

    record, read = app.registry.admit(NeverEqual(3), b"{}")

    assert (record.data, read.count) == (b'{"count":3}', 3)


async def test_what_pydantic_cannot_write_is_refused() -> None:
    with pytest.raises(CannotEncode):
        await decided(Dated(at=datetime(2026, 1, 1, tzinfo=UTC), data=b"\xff"))


def test_pydantic_events_that_were_stored_by_alias_are_read_too() -> None:
    app = App("any")
    record, _ = app.registry.admit(Aliased(userId="ann"), b"{}")

    assert record.data == b'{"user_id":"ann"}'
    assert app.registry.decode_new(msgspec.structs.replace(record, data=b'{"userId":"bob"}')) == Aliased(userId="bob")


# --- definitions


class Untagged(msgspec.Struct):
    number: int


class Other(msgspec.Struct):
    number: int


class Thing:
    pass


UNSTORABLE = [
    Untagged | Other,
    datetime | date,
    list[int] | tuple[int, ...],
    dict[tuple[int, int], str],
]
FOREIGN = [Thing, complex, Callable[[int], int]]


@pytest.mark.parametrize(
    ("base", "hint"),
    [
        *product([Event, Command, Query], UNSTORABLE),
        *product([Event, Command], FOREIGN),
    ],
)
def test_a_type_that_cannot_be_stored_is_refused_when_the_class_is_registered(base: type, hint: Any) -> None:
    owner: Any = type(base)("Bad", (base,), {"__annotations__": {"fine": int, "field": hint}, "__module__": __name__})
    app = App("any")

    with pytest.raises(InvalidField) as refused:
        register(app, owner)

    assert (refused.value.owner, refused.value.field) == ("Bad", "field")


class Amount(Event, abstract=True):
    amount: int


class HiddenByProperty(Amount):
    @property
    def amount(self) -> int:  # type: ignore[override]
        return 0


class HiddenByMethod(Amount):
    def amount(self) -> int:  # type: ignore[override]
        return 0


class PropertyAsDefault(Event):
    amount: int

    @property
    def amount(self) -> int:  # type: ignore[no-redef]
        return 0


class Shadowing(msgspec.Struct, frozen=True):
    amount: int

    @property
    def amount(self) -> int:  # type: ignore[no-redef]
        return 0


class ShadowedWithin(Event):
    inner: list[Shadowing]


@dataclasses.dataclass(frozen=True)
class Total:
    amount: int


@message
class HiddenInDataclass(Total):
    @property
    def amount(self) -> int:  # type: ignore[override]
        return 0


def test_a_field_that_a_constant_hides_is_refused_when_the_class_is_defined() -> None:
    with pytest.raises(InvalidField, match="5 without an annotation hides it"):

        class HiddenByConstant(Amount):
            amount = 5


@pytest.mark.parametrize(
    ("owner", "found"),
    [
        (HiddenByProperty, "a property"),
        (HiddenByMethod, "a method"),
        (PropertyAsDefault, "a property"),
        (ShadowedWithin, "a property"),
        (HiddenInDataclass, "a property"),
    ],
)
def test_a_field_that_python_reads_elsewhere_is_refused_when_the_class_is_registered(owner: Any, found: str) -> None:
    app = App("any")

    with pytest.raises(InvalidField, match=found) as refused:
        app.event(owner)

    assert refused.value.field == "amount"


@pytest.mark.parametrize("hint", FOREIGN)
def test_a_query_may_hold_what_json_does_not_know_since_it_is_not_stored(hint: Any) -> None:
    owner: Any = type(Query)("Ask", (Query,), {"__annotations__": {"field": hint}, "__module__": __name__})
    app = App("any")

    register(app, owner)

    assert list(app.query_handlers) == [owner]


def register(app: App, owner: Any) -> None:
    """Register an event, or a handler of a command or a query."""
    if issubclass(owner, Event):
        app.event(owner)
    elif issubclass(owner, Command):

        def handle(command: Any) -> None: ...

        handle.__annotations__["command"] = owner
        app.handles(handle)
    else:

        def answer(query: Any, models: ReadModels) -> int:
            return 0

        answer.__annotations__["query"] = owner
        app.answers(answer)


class Early(Event):
    inner: "Wrapper"


class Wrapper(msgspec.Struct):
    later: "Later"  # noqa: F821 it is defined when the test runs


async def test_a_type_that_is_defined_later_is_refused_when_the_app_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    app = App("any")
    app.event(Early)
    monkeypatch.setitem(globals(), "Later", datetime | date)

    with pytest.raises(InvalidField):
        async with app.open("memory:"):
            pass


# --- commands, queries and keys


class Reserved(Event):
    seat: SeatId


class Reserve(Command):
    seat: SeatId
    count: int = 1


class Seat(DecisionModel):
    seat: SeatId
    taken: bool = False

    def evolve(self, event: Reserved) -> Self:
        return replace(self, taken=True)


theatre = App("theatre")


@theatre.handles
def reserve(command: Reserve, seat: Seat) -> Reserved:
    if seat.taken:
        raise Rejected("taken")
    return Reserved(UUID(str(command.seat)))


class Free(Query[int]):
    limit: int = 1


@theatre.answers
def free(query: Free, models: ReadModels) -> int:
    return query.limit


SPELLINGS: list[Any] = [str(ONE), str(ONE).upper(), ONE.hex]


@pytest.mark.parametrize("seat", SPELLINGS)
async def test_a_command_whose_key_is_spelt_another_way_reads_no_other_entity(seat: Any) -> None:
    async with theatre.open("memory:", work=False) as live:
        await live.execute(Reserve(ONE))

        with pytest.raises(InvalidMessage) as refused:
            await live.execute(Reserve(seat))
        with pytest.raises(InvalidKey, match="UUID"):
            await live.state(Seat, seat)
        assert await live.store.head() == 1

    assert refused.value.field == "seat"


async def verbs(live: LiveApp, command: Reserve) -> list[typing.Awaitable[Any]]:
    return [
        live.execute(command),
        live.execute(command, key="k"),
        live.execute_many([Reserve(ONE), command]),
        live.submit(command),
        live.submit(command, key="k", delay=timedelta(hours=1)),
    ]


async def test_a_command_that_would_not_come_back_is_refused_by_every_verb() -> None:
    wrong = Reserve(ONE, "1")  # type: ignore[arg-type]
    async with theatre.open("memory:", work=False) as live:
        for verb in await verbs(live, wrong):
            with pytest.raises(InvalidMessage) as refused:
                await verb
            assert refused.value.field == "count"

        assert await live.store.head() == 0


async def test_a_query_whose_fields_do_not_fit_their_types_is_refused() -> None:
    async with theatre.open("memory:", work=False) as live:
        with pytest.raises(InvalidMessage) as refused:
            await live.query(Free("1"))  # type: ignore[arg-type]
        assert await live.query(Free(2)) == 2

    assert refused.value.field == "limit"


class Refuse(Command):
    pass


@pytest.mark.parametrize(
    ("details", "kept"),
    [
        ({"pair": (1, 2)}, {"pair": [1, 2]}),
        ({"number": math.nan}, {"number": None}),
        ({"text": "\ud800"}, {"text": "'\\ud800'"}),
        ({"keys": {(1, 2): 3}}, {"keys": {"(1, 2)": 3}}),
        ({"at": Path("x")}, {"at": repr(Path("x"))}),
    ],
)
async def test_the_rejection_of_a_submitted_command_is_kept_whatever_its_details_are(
    details: dict[str, Any], kept: dict[str, Any]
) -> None:
    app = App("refusing")

    @app.handles
    def refuse(command: Refuse) -> None:
        raise Rejected("no\ud800", **details)

    async with app.open("memory:", work=("commands",)) as live:
        ticket = await live.submit(Refuse())
        with pytest.raises(Rejected) as rejected:
            await ticket.result()

    assert (rejected.value.reason, rejected.value.details) == ("no?", kept)


class Opaque(DecisionModel):
    account: Id
    last: datetime | date | None = None

    def evolve(self, event: Deposited) -> Self:
        return replace(self, last=date(2026, 1, event.amount))


class Deposit(Command):
    account: Id
    amount: int


async def test_a_decision_model_that_cannot_be_stored_does_without_snapshots(caplog: pytest.LogCaptureFixture) -> None:
    app = App("opaque")

    @app.handles
    def deposit(command: Deposit, account: Opaque) -> Deposited:
        return Deposited(command.account, command.amount)

    async with app.open("memory:", work=False) as live:
        await live.execute_many([Deposit("a", 1)] * 1000)
        await live.execute(Deposit("a", 2))

        assert (await live.state(Opaque, "a")).last == date(2026, 1, 2)

    assert "no snapshot of Opaque" in caplog.text


def test_structs_are_compared_by_their_own_equality_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leftfold.model.stored_form.difference", None)  # field by field costs several times as much
    registry = App("any").registry

    _, read = registry.admit(Deposited("a", 1), b"{}")

    assert read == Deposited("a", 1)


async def test_a_field_of_any_object_holds_what_json_has() -> None:
    class Sent(Event):
        content: object

    app = App("sent")
    app.event(Sent)
    async with app.open("memory:") as live:
        record = app.registry.encode(Sent({"x": [1, None]}), b"{}")
        await live.store.append([record])
        [stored] = [event async for batch in live.store.read() for event in batch.events]

        assert app.registry.decode(stored) == Sent({"x": [1, None]})
        with pytest.raises(InvalidMessage, match="content"):
            app.registry.encode(Sent((1, 2)), b"{}")


# --- values that are nested very deeply


class Nested(Event):
    lists: list[Any]
    anything: Any = None


async def decided_or_refused(event: Nested) -> str | None:
    """What the refusal says, if there is one."""
    try:
        read = await decided(event)
    except InvalidMessage as error:
        return str(error)
    assert read.anything == event.anything
    assert read.lists == event.lists
    return None


def nested(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


@pytest.mark.parametrize("depth", [50, 300, 450, 600, 900, 10_000, 100_000])
@pytest.mark.parametrize("within", ["lists", "dict"])
async def test_a_value_that_is_nested_very_deeply_is_stored_or_refused_by_name(depth: int, within: str) -> None:
    value = nested(depth)
    event = Nested(value) if within == "lists" else Nested([], {"a": value})

    said = await decided_or_refused(event)

    if depth == 50:
        assert said is None
    assert said is None or re.match("Nested.*(nested too deeply|recursion)", said)


def test_a_value_that_cannot_show_itself_does_not_hide_what_an_error_says() -> None:
    class Silent:
        def __repr__(self) -> str:
            raise KeyError

    assert shown(Silent()) == "a Silent whose repr raises KeyError"
    assert shown(nested(100_000)) == "a list that is nested too deeply to be shown"
    assert shown("a" * 200) == f"'{'a' * 116}..."

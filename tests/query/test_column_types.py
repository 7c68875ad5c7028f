"""Every type of field comes back from its column as it went in, and sorts by its meaning."""

import datetime as dt
import enum
import sqlite3
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, Self

import msgspec
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from leftfold import NonKey, Tag
from leftfold.errors import InvalidModel, UnsupportedExpression, UnsupportedValue
from leftfold.model.message import Event
from leftfold.query import ParkedKey, ReadModel, ReadModelDefinition, ReadModels, ReadSide
from leftfold.query.tables.decimal_text import from_text, to_text
from leftfold.query.tables.model_table import ModelTable
from leftfold.store import MemoryStore
from tests.query.bank import append, ask, reading, registry_of
from tests.query.places import Place, place

__all__ = ["place"]


class Colour(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Size(enum.Enum):
    SMALL = "s"


class Address(msgspec.Struct, frozen=True):
    street: str
    since: dt.date | None = None


Name = NewType("Name", str)
ParcelId = Annotated[str, Tag("parcel")]
NOON = dt.datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=dt.timezone(dt.timedelta(hours=5)))


class Sent(Event):
    parcel: ParcelId


class Everything(ReadModel):
    parcel: ParcelId
    text: str = "ä ' \" \\ { , } NULL 日本"
    name: Name = Name("n")
    whole: int = -(2**63)
    real: float = 0.1
    flag: bool = True
    raw: bytes = b"\x00\xff"
    day: dt.date = dt.date(2026, 2, 28)
    moment: dt.datetime = NOON
    exact: Decimal = Decimal("12345678901234567890.10")
    identity: uuid.UUID = uuid.UUID(int=7)
    colour: Colour = Colour.RED
    level: Level = Level.HIGH
    size: Size = Size.SMALL
    word: Literal["a", "b"] = "b"
    tags: list[str] = msgspec.field(default_factory=lambda: ["x", "y"])
    pair: tuple[int, Decimal] = (1, Decimal("1.10"))
    address: Address = Address("high street", dt.date(2026, 1, 1))
    by_number: dict[int, uuid.UUID] = msgspec.field(default_factory=lambda: {3: uuid.UUID(int=3)})
    pause: dt.timedelta = dt.timedelta(seconds=90)
    either: int | str = "7"
    anything: Any = None
    maybe_text: str | None = None
    maybe_number: int | None = 4
    maybe_moment: dt.datetime | None = None
    maybe_exact: Decimal | None = None
    maybe_identity: uuid.UUID | None = None
    maybe_colour: Annotated[Colour | None, "a note"] = None
    maybe_address: Address | None = None
    others: Annotated[list[ParcelId], NonKey] = msgspec.field(default_factory=list)

    def evolve(self, event: Sent) -> Self:
        return self


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    async with MemoryStore() as store:
        yield store


async def kept(read_side: ReadSide, **options: Any) -> list[Everything]:
    rows: list[Everything] = await ask(read_side, lambda models: models.select(Everything, **options))
    return rows


async def test_every_type_comes_back_as_it_went_in(store: MemoryStore) -> None:
    async with reading(store, Everything, registry=registry_of(Sent)) as read_side:
        await read_side.wait(Everything, await append(store, Sent("p")))

        (row,) = await kept(read_side)

    expected = Everything("p")
    assert row == expected
    for field in Everything.__struct_fields__:
        assert type(getattr(row, field)) is type(getattr(expected, field)), field
    assert (str(row.exact), row.moment.tzinfo, row.pair) == ("12345678901234567890.10", dt.UTC, (1, Decimal("1.10")))


async def test_values_are_found_by_each_type(store: MemoryStore) -> None:
    async with reading(store, Everything, registry=registry_of(Sent)) as read_side:
        await read_side.wait(Everything, await append(store, Sent("p")))

        for field in ("whole", "real", "flag", "raw", "day", "moment", "exact", "identity", "colour", "level", "size"):
            found = await kept(read_side, where={field: getattr(Everything("p"), field)})
            assert len(found) == 1, field
        assert len(await kept(read_side, maybe_text=None, maybe_number=4)) == 1
        assert await kept(read_side, maybe_number=None) == []
        assert len(await kept(read_side, where={"exact": Decimal("12345678901234567890.1")})) == 1


class Measured(Event):
    parcel: ParcelId
    exact: Decimal
    moment: dt.datetime
    address: Address


class Measure(ReadModel):
    parcel: ParcelId
    exact: Decimal = Decimal(0)
    moment: dt.datetime = NOON
    address: Address = Address("")

    def evolve(self, event: Measured) -> Self:
        return type(self)(self.parcel, event.exact, event.moment, event.address)


MEASURED = [
    Measured("nine", Decimal(9), NOON, Address("b")),
    Measured("ten", Decimal("10.5"), NOON.astimezone(dt.UTC) + dt.timedelta(microseconds=1), Address("a")),
    Measured("minus", Decimal("-3"), NOON - dt.timedelta(days=9000), Address("c")),
]


async def names(read_side: ReadSide, question: Any) -> list[str]:
    found: list[str] = await ask(read_side, lambda models: [row.parcel for row in question(models)])
    return found


async def test_decimals_and_times_sort_by_their_meaning(store: MemoryStore) -> None:
    async with reading(store, Measure, registry=registry_of(Measured)) as read_side:
        await read_side.wait(Measure, await append(store, *MEASURED))

        for field in ("exact", "moment"):
            ordered = await names(read_side, lambda models, field=field: models.select(Measure, order_by=field))
            assert ordered == ["minus", "nine", "ten"], field

        def over_nine(models: ReadModels) -> list[Measure]:
            column = models.table(Measure).c.exact
            return models.select(Measure, where=[column > Decimal(9), column < Decimal(100)])

        assert await names(read_side, over_nine) == ["ten"]


async def test_your_own_sql_gets_typed_values_and_reaches_into_json(store: MemoryStore) -> None:
    def question(models: ReadModels) -> Any:
        c = models.table(Measure).c
        (extremes,) = models.execute(sa.select(sa.func.max(c.exact), sa.func.min(c.moment)))
        streets = models.execute(sa.select(c.address["street"].as_string()).order_by(c.parcel))
        return [tuple(extremes), [street for (street,) in streets]]

    async with reading(store, Measure, registry=registry_of(Measured)) as read_side:
        await read_side.wait(Measure, await append(store, *MEASURED))

        extremes, streets = await ask(read_side, question)

    assert extremes == (Decimal("10.5"), NOON - dt.timedelta(days=9000))
    assert streets == ["c", "b", "a"]


KINDS = ("sqlite", "postgres")
TOO_LARGE = {
    "sqlite": "OverflowError: Python int too large to convert to SQLite INTEGER",
    "postgres": "NumericValueOutOfRange: bigint out of range",
}
NAIVE = "the datetime 2026-01-01T00:00:00 has no time zone"
NOT_NULL = {
    "sqlite": "IntegrityError: NOT NULL constraint failed: odd.text",
    "postgres": 'NotNullViolation: null value in column "text" of relation "odd" violates not-null constraint',
}


@pytest.mark.parametrize(
    ("fields", "problems"),
    [
        ({"whole": 2**63}, TOO_LARGE),
        ({"moment": dt.datetime(2026, 1, 1)}, dict.fromkeys(KINDS, NAIVE)),  # noqa: DTZ001
        ({"text": None}, NOT_NULL),
    ],
)
async def test_a_value_that_fits_no_column_parks_its_key(
    store: MemoryStore, place: Place, fields: dict[str, Any], problems: dict[str, str]
) -> None:
    class Odd(ReadModel):
        parcel: ParcelId
        whole: int = 0
        moment: dt.datetime = NOON
        text: str = ""

        def evolve(self, event: Sent) -> Self:
            return type(self)(self.parcel, **(fields if self.parcel == "odd" else {}))

    async with reading(store, Odd, registry=registry_of(Sent)) as read_side:
        await read_side.wait(Odd, await append(store, Sent("p"), Sent("q"), Sent("odd"), Sent("r"), Sent("odd")))

        assert await read_side.parked() == [ParkedKey("Odd", "odd", ("odd",), 3, problems[place.kind], 2)]
        assert await ask(read_side, lambda models: models.count(Odd)) == 3


class Noted(Event):
    parcel: ParcelId
    text: str
    number: float = 0.0


class Note(ReadModel):
    parcel: ParcelId
    text: str = ""
    number: float | None = None
    maybe: str | None = None

    def evolve(self, event: Noted) -> Self:
        return type(self)(self.parcel, event.text, event.number, event.text or None)


async def test_text_with_a_nul_is_kept_where_the_database_can_and_parked_where_it_cannot(
    store: MemoryStore, place: Place
) -> None:
    async with reading(store, Note, registry=registry_of(Noted)) as read_side:
        await read_side.wait(Note, await append(store, Noted("a", "b\0c"), Noted("z", "")))

        found = await ask(read_side, lambda models: [row.text for row in models.select(Note, order_by="parcel")])
        parked = [(key.key, key.problem) for key in await read_side.parked()]

    refused = "DataError: PostgreSQL text fields cannot contain NUL (0x00) bytes"
    assert found == (["b\0c", ""] if place.is_sqlite else [""])
    assert parked == ([] if place.is_sqlite else [(("a",), refused)])


async def test_text_sorts_by_its_characters_numbers_and_none_comes_first(store: MemoryStore) -> None:
    texts = ["a", "B", "ä", "_", "z", "", "é", "Z", "-", "日"]
    async with reading(store, Note, registry=registry_of(Noted)) as read_side:
        await read_side.wait(Note, await append(store, *(Noted(f"{n}", text) for n, text in enumerate(texts))))

        for order in ("text", "maybe"):
            found = await ask(read_side, lambda models, order=order: models.select(Note, order_by=order))
            assert [row.text for row in found] == sorted(texts), order
        found = await ask(read_side, lambda models: models.select(Note, order_by="-maybe"))
        assert [row.text for row in found] == sorted(texts, reverse=True)


@pytest.mark.parametrize("number", [float("inf"), 5e-324, 1.7976931348623157e308, 0.1 + 0.2])
async def test_every_float_comes_back(store: MemoryStore, number: float) -> None:
    class Weight(ReadModel):
        parcel: ParcelId
        number: float = 0.0

        def evolve(self, event: Sent) -> Self:
            return type(self)(self.parcel, number)

    async with reading(store, Weight, registry=registry_of(Sent)) as read_side:
        await read_side.wait(Weight, await append(store, Sent("p")))

        (row,) = await ask(read_side, lambda models: models.select(Weight))

    assert (row.number, str(row.number)) == (number, str(number))


def test_a_type_that_no_column_can_hold_is_refused() -> None:
    class Strange(ReadModel):
        parcel: ParcelId
        thing: dict[str, list[range]] | None = None

        def evolve(self, event: Sent) -> Self:
            return self

    with pytest.raises(
        InvalidModel, match=r"Strange.thing cannot be kept in a column: type .*range.* is not supported"
    ):
        ReadModelDefinition(Strange)


def test_another_database_keeps_its_own_types() -> None:
    table = ModelTable(ReadModelDefinition(Everything)).current

    created = str(sa.schema.CreateTable(table).compile(dialect=postgresql.dialect()))

    for column in ("moment TIMESTAMP WITH TIME ZONE", "exact NUMERIC", "identity UUID", "flag BOOLEAN", "tags JSON"):
        assert column in created, column


async def test_a_table_can_be_read_by_people(store: MemoryStore, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/models.db"
    async with reading(store, Everything, registry=registry_of(Sent), url=url) as read_side:
        await read_side.wait(Everything, await append(store, Sent("p")))

    with sa.create_engine(url).connect() as connection:
        row = connection.exec_driver_sql(
            "SELECT moment, substr(exact, instr(exact, ' ') + 1), identity, colour, level, tags, date(moment), pause "
            "FROM everything"
        ).one()
    assert tuple(row) == (
        "2026-03-01 07:00:00.123456+00:00",
        "12345678901234567890.1 ",
        "00000000-0000-0000-0000-000000000007",
        "red",
        3,
        '["x", "y"]',
        "2026-03-01",
        90_000_000,
    )


class Weighed(Event):
    parcel: ParcelId
    price: Decimal
    pieces: int
    aged: dt.timedelta


class Cheese(ReadModel):
    parcel: ParcelId
    price: Decimal = Decimal(0)
    pieces: int = 0
    aged: dt.timedelta = dt.timedelta()
    at: dt.time = dt.time()
    ripe: dt.datetime = NOON
    level: Level = Level.HIGH
    number: float = 0.0
    good: bool = True
    serial: uuid.UUID = uuid.UUID(int=7)
    rind: bytes = b"rind"
    day: dt.date = dt.date(2026, 1, 1)
    size: Size = Size.SMALL
    colour: Colour = Colour.RED
    prices: list[Decimal] = msgspec.field(default_factory=lambda: [Decimal("1.10")])
    by_name: dict[str, int] = msgspec.field(default_factory=lambda: {"b": 2, "a": 1})

    def evolve(self, event: Weighed) -> Self:
        number = float("nan") if event.pieces == 13 else 0.5
        at = dt.time(12, tzinfo=dt.UTC) if event.pieces == 14 else dt.time(9)
        aged = dt.timedelta.max if event.pieces == 15 else event.aged
        price = Decimal("sNaN") if event.pieces == 16 else event.price
        return type(self)(self.parcel, price, event.pieces, aged, at, NOON, Level.HIGH, number)


WEIGHED = [
    Weighed("Brie", Decimal("0.10"), 1, dt.timedelta(days=9)),
    Weighed("gouda", Decimal("0.20"), 2, dt.timedelta(hours=100)),
    Weighed("feta", Decimal("-3.5"), 3, dt.timedelta(seconds=-1)),
    Weighed("Edam", Decimal("100"), 4, dt.timedelta()),
]
Computed = Callable[[Any], Any]


async def computed(read_side: ReadSide, *expressions: Computed) -> list[Any]:
    def question(models: ReadModels) -> Any:
        c = models.table(Cheese).c
        return list(models.execute(sa.select(*(expression(c) for expression in expressions)))[0])

    values: list[Any] = await ask(read_side, question)
    return values


@asynccontextmanager
async def cheeses(store: MemoryStore, *more: Weighed, url: str | None = None) -> AsyncGenerator[ReadSide, None]:
    async with reading(store, Cheese, registry=registry_of(Weighed), url=url) as read_side:
        await read_side.wait(Cheese, await append(store, *WEIGHED, *more), 10)
        yield read_side


async def test_sums_are_exact_and_of_the_type_of_the_field(store: MemoryStore) -> None:
    async with cheeses(store) as read_side:
        sums = await computed(
            read_side,
            lambda c: sa.func.sum(c.price),
            lambda c: sa.func.sum(c.pieces),
            lambda c: sa.func.sum(c.aged),
            lambda c: sa.func.sum(c.level),
            lambda c: sa.func.coalesce(sa.func.sum(c.price).filter(c.price > 1_000), 0),
            lambda c: sa.func.sum(c.price * c.pieces),
            lambda c: sa.func.sum(sa.case((c.price > 0, c.price - Decimal("0.01")), else_=0)),
            lambda c: sa.func.avg(c.price, type_=c.price.type),
        )

    assert sums[:4] == [Decimal("96.80"), 10, dt.timedelta(days=9, hours=100, seconds=-1), 12]
    assert [type(value) for value in sums[:4]] == [Decimal, int, dt.timedelta, int]
    assert sums[4:] == [0, Decimal("390.00"), Decimal("100.27"), Decimal("24.2")]


async def test_decimals_compare_with_other_numbers(store: MemoryStore) -> None:
    async with cheeses(store) as read_side:

        def over(models: ReadModels) -> list[Cheese]:
            c = models.table(Cheese).c
            return models.select(Cheese, where=[c.price > c.pieces - 1, c.price.in_([100, Decimal("0.100")])])

        assert sorted(await names(read_side, over)) == ["Brie", "Edam"]


async def test_numbers_compare_with_numbers_of_every_type(store: MemoryStore) -> None:
    async with cheeses(store) as read_side:

        def over(condition: Computed) -> Callable[[ReadModels], list[Cheese]]:
            return lambda models: models.select(Cheese, where=condition(models.table(Cheese).c), order_by="pieces")

        for condition, expected in (
            (lambda c: c.pieces > 1.5, ["gouda", "feta", "Edam"]),
            (lambda c: c.pieces > Decimal("2.5"), ["feta", "Edam"]),
            (lambda c: c.pieces.between(0.5, 2.5), ["Brie", "gouda"]),
            (lambda c: c.pieces / 2.5 > 1, ["feta", "Edam"]),
            (lambda c: c.level == 3, ["Brie", "gouda", "feta", "Edam"]),
            (lambda c: (c.number > 0) & (c.size == "s") & (c.colour == "red"), ["Brie", "gouda", "feta", "Edam"]),
            (lambda c: c.number < Decimal("0.25"), []),
        ):
            assert await names(read_side, over(condition)) == expected


REFUSED_EVERYWHERE: list[Computed] = [
    lambda c: sa.func.avg(c.price),
    lambda c: sa.func.max(c.prices),
    lambda c: c.prices == [Decimal(1)],
    lambda c: c.by_name > {"a": 1},
    lambda c: sa.func.sum(c.at),
    lambda c: sa.func.avg(c.at),
    lambda c: sa.func.sum(c.ripe),
    lambda c: sa.func.avg(c.ripe),
    lambda c: sa.func.sum(c.parcel),
    lambda c: sa.func.sum(c.good),
    lambda c: sa.func.max(c.good),
    lambda c: sa.func.min(c.good),
    lambda c: sa.func.sum(c.serial),
    lambda c: sa.func.sum(c.rind),
    lambda c: sa.func.sum(c.day),
    lambda c: sa.func.sum(c.size),
    lambda c: sa.func.sum(c.at.distinct()),
    lambda c: sa.func.sum(c.at).over(partition_by=c.parcel),
    lambda c: sa.func.sum(sa.case((c.pieces > 0, c.at), else_=None)),
    lambda c: c.pieces > True,
    lambda c: c.pieces == True,  # noqa: E712
    lambda c: c.good > True,
    lambda c: c.good == 1,
    lambda c: c.pieces == "1",
    lambda c: c.pieces.in_(["1"]),
    lambda c: c.pieces.between("1", "2"),
    lambda c: c.parcel == 1,
    lambda c: c.parcel == c.pieces,
    lambda c: c.parcel == Size.SMALL,
    lambda c: c.price > "1",
    lambda c: c.number < "1",
    lambda c: c.aged > 1,
    lambda c: c.at > "09:00",
    lambda c: c.ripe > "2026-01-01",
    lambda c: c.ripe > dt.date(2026, 1, 1),
    lambda c: c.day == NOON,
    lambda c: c.day == "2026-01-01",
    lambda c: c.serial == str(uuid.UUID(int=7)),
    lambda c: c.rind == "rind",
    lambda c: c.size == 1,
    lambda c: c.level == "3",
    lambda c: c.level == Size.SMALL,
]


@pytest.mark.parametrize("expression", REFUSED_EVERYWHERE)
async def test_what_no_two_databases_do_alike_is_refused(store: MemoryStore, expression: Computed) -> None:
    async with cheeses(store) as read_side:
        with pytest.raises(UnsupportedExpression):
            await computed(read_side, expression)
        with pytest.raises(UnsupportedExpression, match=r"ORDER BY of by_name"):
            await ask(read_side, lambda models: models.select(Cheese, order_by="by_name"))
        found = await ask(read_side, lambda models: models.select(Cheese, where={"by_name": {"a": 1, "b": 2}}))
        assert len(found) == 4


REFUSED_ON_SQLITE: list[Computed] = [
    lambda c: c.ripe - c.ripe,
    lambda c: c.ripe + dt.timedelta(1),
    lambda c: sa.func.group_concat(c.price),
    lambda c: c.number * c.price,
]


@pytest.mark.parametrize("expression", REFUSED_ON_SQLITE)
async def test_what_sqlite_would_make_of_texts_is_refused(store: MemoryStore, expression: Computed) -> None:
    async with cheeses(store, url="sqlite:///:memory:") as read_side:
        with pytest.raises(UnsupportedExpression):
            await computed(read_side, expression)


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("SELECT sum(price) FROM cheese", True),
        ("SELECT parcel FROM cheese WHERE price > 1", True),
        ("SELECT price * 2 FROM cheese", True),
        ("SELECT max(price), count(*) FROM cheese ORDER BY price", False),
    ],
)
async def test_plain_text_that_computes_with_decimals_is_refused_on_sqlite(
    store: MemoryStore, text: str, refused: bool
) -> None:
    async with cheeses(store, url="sqlite:///:memory:") as read_side:
        if refused:
            with pytest.raises(UnsupportedExpression, match="plain text"):
                await ask(read_side, lambda models: models.execute(sa.text(text)))
        else:
            assert len(await ask(read_side, lambda models: models.execute(sa.text(text)))) == 1


async def test_like_tells_capital_letters(store: MemoryStore) -> None:
    async with cheeses(store) as read_side:

        def starting(models: ReadModels) -> list[Cheese]:
            return models.select(Cheese, where=models.table(Cheese).c.parcel.startswith("b"))

        assert await names(read_side, starting) == []


async def test_values_without_an_order_park_their_key(store: MemoryStore) -> None:
    odd = [Weighed(f"odd {pieces}", Decimal(1), pieces, dt.timedelta()) for pieces in (13, 14, 15, 16)]
    async with cheeses(store, *odd) as read_side:
        parked = {key.key[0]: key.problem for key in await read_side.parked()}

    assert list(parked) == ["odd 13", "odd 14", "odd 15", "odd 16"]
    assert all("cannot be stored in a column" in problem for problem in parked.values())


async def test_any_sqlite_program_sorts_decimals_and_adds_up_durations(store: MemoryStore, tmp_path: Path) -> None:
    async with cheeses(store, url=f"sqlite:///{tmp_path}/models.db"):
        pass

    with sqlite3.connect(tmp_path / "models.db") as plain:
        ordered = [name for (name,) in plain.execute("SELECT parcel FROM cheese ORDER BY price")]
        (seconds,) = plain.execute("SELECT sum(aged) / 1000000 FROM cheese").fetchone()
    plain.close()
    assert ordered == ["feta", "Brie", "gouda", "Edam"]
    assert seconds == (9 * 24 + 100) * 3600 - 1


def test_the_text_of_a_decimal_sorts_as_the_decimal_does() -> None:
    numbers = [
        Decimal(text)
        for text in [
            "-Infinity",
            "-1E+100",
            "-123.45",
            "-123.4",
            "-100",
            "-99.5",
            "-1.25",
            "-1",
            "-0.5",
            "-1E-30",
            "0",
            "1E-30",
            "0.00123",
            "0.5",
            "1",
            "1.05",
            "1.1",
            "9.99",
            "10",
            "99",
            "100",
            "12345678901234567890.10",
            "1E+100",
            "Infinity",
        ]
    ]

    assert sorted(numbers, key=lambda number: to_text(number).rstrip(" ")) == numbers
    assert [from_text(to_text(number)) for number in numbers] == numbers
    assert str(from_text(to_text(Decimal("-1.500")))) == "-1.500"
    assert to_text(Decimal("1.10")).rstrip(" ") == to_text(Decimal("1.1"))


@pytest.mark.parametrize("number", ["NaN", "1E+131072", "1E-16384"])
def test_a_decimal_that_postgresql_would_not_take_is_refused(number: str) -> None:
    with pytest.raises(UnsupportedValue):
        to_text(Decimal(number))

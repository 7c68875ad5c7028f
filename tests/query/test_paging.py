"""Pages, counts, sums and extremes are those of a plain list in Python, on each database, now and as of the past."""

import datetime as dt
import enum
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Annotated, Any, Self
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leftfold import App, Event, NonKey, Page, Query, ReadModel, ReadModels, SyncLive, Tag, open_store_sync
from leftfold.errors import InvalidCursor, UnsupportedExpression, UsageError
from leftfold.model.registry import Registry
from leftfold.query.paging import FORM
from tests.query.places import Place, place

__all__ = ["place"]

ItemId = Annotated[int, Tag("item")]
PartId = Annotated[str, Tag("part")]
ROWS = 90
EXAMPLES = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 20


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


class Changed(Event):
    item: ItemId
    part: PartId
    values: tuple[Any, ...]


class Gone(Event):
    item: ItemId
    part: PartId


VALUES: dict[str, Sequence[Any]] = {
    "number": [-(2**63), -1, 0, 1, 7, 2**63 - 1],
    "amount": [None, Decimal("-Infinity"), Decimal("-1.10"), Decimal("0.1"), Decimal("0.10"), Decimal("12E+3")],
    "name": ["", "a", "B", "ß", "𝄞", "z%_'\""],
    "when": [None, *(dt.datetime(2026, 1, day, microsecond=day, tzinfo=dt.UTC) for day in (1, 2, 3))],
    "day": [dt.date(1, 1, 1), dt.date(2026, 2, 3)],
    "open": [True, False],
    "level": [Level.LOW, Level.HIGH],
    "color": [None, Color.RED, Color.GREEN],
    "lasted": [dt.timedelta(), dt.timedelta(days=-3, microseconds=1), dt.timedelta(days=40)],
    "ratio": [None, -1.5, 0.1, float("inf")],
    "code": [UUID(int=3), UUID(int=2**127)],
    "hour": [dt.time(12, 30, 0, 1), dt.time()],
    "raw": [b"", b"\xff\x00"],
}


class Item(ReadModel):
    item: ItemId
    part: PartId
    number: int = 0
    amount: Decimal | None = None
    name: str = ""
    when: dt.datetime | None = None
    day: dt.date = dt.date(2026, 1, 1)
    open: bool = False
    level: Level = Level.LOW
    color: Color | None = None
    lasted: dt.timedelta = dt.timedelta()
    ratio: float | None = None
    code: UUID = UUID(int=0)
    hour: dt.time = dt.time()
    raw: bytes = b""
    owner: Annotated[PartId, NonKey] = ""
    labels: tuple[str, ...] = ()

    def evolve(self, event: Changed | Gone) -> Self | None:
        if isinstance(event, Gone):
            return None
        kept = (VALUES[name][at] for name, at in zip(VALUES, event.values, strict=True))
        return type(self)(self.item, self.part, *kept)


class Other(ReadModel):
    item: ItemId
    number: int = 0

    def evolve(self, event: Changed | Gone) -> Self:
        return type(self)(self.item, self.number + 1)


class Twin(ReadModel):
    """It has the key and the order of another model."""

    item: ItemId
    part: PartId
    number: int = 0

    def evolve(self, event: Changed | Gone) -> Self:
        return type(self)(self.item, self.part, self.number + 1)


class Total(ReadModel):
    events: int = 0

    def evolve(self, event: Changed | Gone) -> Self:
        return type(self)(self.events + 1)


class Ask(Query[Any]):
    """Whatever the question of this number asks."""

    number: int


def events() -> list[Event]:
    random = Random(7)
    found: list[Event] = []
    for n in range(ROWS):
        found.append(Changed(n % 40, f"p{n % 3}", tuple(random.randrange(len(each)) for each in VALUES.values())))
        if n % 11 == 10:
            found.append(Gone((n - 3) % 40, f"p{(n - 3) % 3}"))
    return found


EVENTS = events()


def rows_at(position: int) -> list[Item]:
    """The rows after these events: the plainest fold."""
    rows: dict[tuple[int, str], Item] = {}
    for event in EVENTS[:position]:
        assert isinstance(event, Changed | Gone)
        after = rows.get((event.item, event.part), Item(event.item, event.part)).evolve(event)
        rows.pop((event.item, event.part), None)
        if after is not None:
            rows[event.item, event.part] = after
    return list(rows.values())


def value_of(row: Any, name: str) -> Any:
    value = getattr(row, name)
    return value.value if isinstance(value, enum.Enum) else value


def in_order(rows: Sequence[Item], order_by: Sequence[str]) -> list[Item]:
    """The rows in this order, None first; equal ones by their key, in the direction of the last field."""
    backwards = bool(order_by) and order_by[-1].startswith("-")
    named = {name.removeprefix("-") for name in order_by}
    ends = [f"-{name}" if backwards else name for name in ("item", "part") if name not in named]
    found = list(rows)
    for name in reversed([*order_by, *ends]):
        field = name.removeprefix("-")
        found.sort(
            key=lambda row, field=field: (
                (value_of(row, field) is not None),
                value_of(row, field) or _least(row, field),
            ),
            reverse=name.startswith("-"),
        )
    return found


def _least(row: Any, field: str) -> Any:
    value = value_of(row, field)
    return value if value is not None else 0


class Library:
    """An open app, and the questions that a test asks it."""

    def __init__(self, live: SyncLive, log: str, asked: list[Callable[[ReadModels], Any]]) -> None:
        self.live = live
        self.log = log
        self._asked = asked

    def ask(self, question: Callable[[ReadModels], Any], as_of: int | None = None) -> Any:
        self._asked.append(question)
        after = None if as_of is not None else len(EVENTS)
        return self.live.query(Ask(len(self._asked) - 1), after=after, as_of=as_of, wait_timeout=20)


@pytest.fixture(params=[True, False], ids=["history", "no history"])
def library(request: pytest.FixtureRequest, place: Place, tmp_path: Path) -> Iterator[Library]:
    app, asked = App("library"), list[Callable[[ReadModels], Any]]()
    app.read_model(history=request.param, indexes=["number", ("-amount", "name"), ("open", "-when")])(Item)
    app.read_model(Other)
    app.read_model(Twin)
    app.read_model(Total)

    @app.answers
    def answer(query: Ask, models: ReadModels) -> Any:
        return asked[query.number](models)

    registry, log = Registry(), f"sqlite:///{tmp_path}/log.db"
    for each in (Changed, Gone):
        registry.add(each)
    with open_store_sync(log) as store:
        store.append([registry.encode(event, b"{}") for event in EVENTS])
    with app.open_sync(log, models=place.shared()) as live:
        yield Library(live, log, asked)


FIELDS = [*VALUES, "item", "part"]
orders = st.lists(st.sampled_from(FIELDS), max_size=3, unique=True).flatmap(
    lambda names: st.tuples(*(st.sampled_from([name, f"-{name}"]) for name in names)).map(list)
)
moments = st.none() | st.sampled_from([3, 47, len(EVENTS)])
filters = st.sampled_from([{}, {"open": True}, {"color": None}, {"name": "ß"}, {"amount": Decimal("0.1")}])


def meeting(rows: Sequence[Item], equal: dict[str, Any]) -> list[Item]:
    return [row for row in rows if all(getattr(row, name) == value for name, value in equal.items())]


@EXAMPLES
@given(order_by=orders, limit=st.integers(1, 40), equal=filters, as_of=moments)
def test_pages_one_after_the_other_are_the_whole_in_order(
    library: Library, order_by: list[str], limit: int, equal: dict[str, Any], as_of: int | None
) -> None:
    expected = in_order(meeting(rows_at(as_of or len(EVENTS)), equal), order_by)
    found: list[Item] = []
    cursor: str | None = None

    while True:
        page: Page[Item] = library.ask(
            lambda models, after=cursor: models.page(Item, order_by=order_by, limit=limit, after=after, **equal), as_of
        )
        found += page.rows
        assert len(page.rows) == limit or page.next is None
        if page.next is None:
            break
        rest = library.ask(
            lambda models, after=page.next: models.select(Item, order_by=order_by, after=after, **equal), as_of
        )
        assert rest == expected[len(found) :]
        assert page.next != cursor
        cursor = page.next

    assert found == expected
    if order_by:
        assert library.ask(lambda models: models.select(Item, order_by=order_by, **equal), as_of) == expected


@EXAMPLES
@given(
    by=st.lists(st.sampled_from([*VALUES, "part"]), min_size=1, max_size=2, unique=True), equal=filters, as_of=moments
)
def test_groups_are_counted_and_added_up_as_in_python(
    library: Library, by: list[str], equal: dict[str, Any], as_of: int | None
) -> None:
    fields = tuple(getattr(Item, name) for name in by)
    given_by = fields if len(fields) > 1 else fields[0]
    groups: dict[Any, list[Item]] = {}
    for row in in_order(meeting(rows_at(as_of or len(EVENTS)), equal), by):
        key = tuple(getattr(row, name) for name in by)
        groups.setdefault(key if len(by) > 1 else key[0], []).append(row)

    def question(models: ReadModels) -> Any:
        found = models.group(Item, given_by, **equal)
        return found.count(), found.sum(Item.lasted), found.min(Item.amount), found.max(Item.name)

    counts, sums, least, greatest = library.ask(question, as_of)

    assert list(counts.items()) == [(key, len(rows)) for key, rows in groups.items()]
    assert sums == {key: sum((row.lasted for row in rows), dt.timedelta()) for key, rows in groups.items()}
    assert least == {key: min(_amounts(rows), default=None) for key, rows in groups.items()}
    assert greatest == {key: max(row.name for row in rows) for key, rows in groups.items()}


def _amounts(rows: Sequence[Item]) -> list[Decimal]:
    return [row.amount for row in rows if row.amount is not None]


@EXAMPLES
@given(equal=filters, as_of=moments, name=st.sampled_from(sorted(set(VALUES) - {"open", "color", "code", "raw"})))
def test_extremes_are_those_of_python(library: Library, equal: dict[str, Any], as_of: int | None, name: str) -> None:
    rows = meeting(rows_at(as_of or len(EVENTS)), equal)
    values = [getattr(row, name) for row in rows if getattr(row, name) is not None]

    field = getattr(Item, name)
    found = library.ask(lambda models: (models.min(Item, field, **equal), models.max(Item, field, **equal)), as_of)

    assert found == (min(values, default=None), max(values, default=None))
    assert library.ask(lambda models: models.count(Item, **equal), as_of) == len(rows)


@pytest.mark.parametrize("as_of", [None, 47])
def test_sums_are_exact_and_of_the_type_of_the_field(library: Library, as_of: int | None) -> None:
    rows = rows_at(as_of or len(EVENTS))

    def question(models: ReadModels) -> Any:
        amounts = models.sum(Item, Item.amount, where=models.table(Item).c.amount > Decimal(-2))
        return (
            amounts,
            models.sum(Item, Item.lasted),
            models.sum(Item, Item.level),
            models.sum(Item, Item.ratio, open=True),
        )

    amount, lasted, level, ratio = library.ask(question, as_of)

    assert amount == sum((each for each in _amounts(rows) if each > -2), Decimal())
    assert isinstance(amount, Decimal)
    assert lasted == sum((row.lasted for row in rows), dt.timedelta())
    assert (level, type(level)) == (sum(row.level for row in rows), int)
    assert ratio == pytest.approx(sum(row.ratio for row in rows if row.open and row.ratio is not None))


def test_the_sum_of_nothing_is_zero_in_the_type_of_the_field_and_the_least_of_nothing_is_none(library: Library) -> None:
    def question(models: ReadModels) -> Any:
        of = {"name": "no such name"}
        sums = [models.sum(Item, field, **of) for field in (Item.number, Item.amount, Item.lasted, Item.ratio)]
        return sums, models.min(Item, Item.number, **of), models.group(Item, Item.name, **of).count()

    sums, least, groups = library.ask(question)

    assert sums == [0, Decimal(0), dt.timedelta(), 0.0]
    assert [type(each) for each in sums] == [int, Decimal, dt.timedelta, float]
    assert (least, groups) == (None, {})


@pytest.mark.parametrize(
    ("question", "error", "said"),
    [
        (lambda models: models.sum(Item, Item.name), UnsupportedExpression, r"sum\(\) of Item.name \(str\)"),
        (lambda models: models.sum(Item, Item.open), UnsupportedExpression, r"sum\(\) of Item.open \(bool\)"),
        (lambda models: models.group(Item, Item.part).sum(Item.color), UnsupportedExpression, r"Item.color \(Color\)"),
        (lambda models: models.max(Item, Item.open), UnsupportedExpression, r"max\(\) of open"),
        (lambda models: models.max(Item, Item.labels), UnsupportedExpression, r"max\(\) of labels"),
        (lambda models: models.group(Item, Item.labels).count(), UnsupportedExpression, "ORDER BY of labels"),
        (lambda models: models.sum(Item, Other.number), UsageError, "Item has no field Other.number\n"),
        (
            lambda models: models.sum(Item, "number"),
            UsageError,
            r"Item has no field 'number'\n  expected: one of Item.item, ",
        ),
        (lambda models: models.group(Item, ("part",)).count(), UsageError, "Item has no field 'part'"),
        (lambda models: models.page(Item, limit=0), UsageError, "a page of Item with limit=0"),
        (lambda models: models.page(Item, limit=True), UsageError, "a page of Item with limit=True"),
        (lambda models: models.page(Item, order_by="size", limit=3), UsageError, "Item has no column 'size'"),
        (lambda models: models.page(Item, order_by="labels", limit=3), UnsupportedExpression, "ORDER BY of labels"),
    ],
)
def test_what_cannot_be_computed_is_refused_by_name(
    library: Library, question: Callable[[ReadModels], Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        library.ask(question)


def cursor_of(library: Library, **options: Any) -> str:
    page: Page[Item] = library.ask(lambda models: models.page(Item, limit=2, **options))
    assert page.next is not None
    return page.next


def test_a_cursor_of_another_model_or_order_is_refused_by_name(library: Library) -> None:
    cursor = cursor_of(library, order_by="-number")

    for options, said in [
        (
            {"order_by": "number"},
            "it is of Item by -number, -item, -part, and this select is of Item by number, item, part",
        ),
        ({}, "this select is of Item by item, part"),
        ({"order_by": ["-number", "item"]}, "this select is of Item by -number, item, part"),
    ]:
        with pytest.raises(InvalidCursor, match=said):
            library.ask(lambda models, options=options: models.page(Item, limit=2, after=cursor, **options))
    with pytest.raises(InvalidCursor, match=r"it is of Item by .*, and this select is of Twin by -number, "):
        library.ask(lambda models: models.select(Twin, order_by="-number", after=cursor))
    with pytest.raises(
        InvalidCursor, match="it is of Item by -number, -item, -part, and this select is of Other by -number"
    ):
        library.ask(lambda models: models.select(Other, order_by="-number", after=cursor))
    with pytest.raises(UsageError, match=r"a select of Item with offset=3 and after=\n"):
        library.ask(lambda models: models.select(Item, order_by="-number", after=cursor, offset=3))


def forged(*values: Any, order: str = "number, item, part", form: int = FORM) -> str:
    return urlsafe_b64encode(msgspec.msgpack.encode([form, "Item", order, values])).decode().rstrip("=")


@pytest.mark.parametrize(
    ("order_by", "cursor"),
    [
        ("number", ""),
        ("number", "ann"),
        ("number", "é"),
        ("number", "====="),
        ("number", 3),
        ("number", forged(1, 1)),
        ("number", forged(1, 1, "p", 1)),
        ("number", forged("1", 1, "p")),
        ("number", forged(None, 1, "p")),
        ("number", forged(2**63, 1, "p")),
        ("number", forged(1, 1, "p", form=FORM + 1)),
        ("number", forged(msgspec.msgpack.Ext(9, b""), 1, "p")),
        ("amount", forged("NaN", 1, "p", order="amount, item, part")),
        ("amount", forged("1E+999999", 1, "p", order="amount, item, part")),
        ("when", forged("2026-01-01T00:00:00", 1, "p", order="when, item, part")),
        ("when", forged("0001-01-01T00:00:00+14:00", 1, "p", order="when, item, part")),
        ("hour", forged("12:00:00+01:00", 1, "p", order="hour, item, part")),
        ("level", forged(2, 1, "p", order="level, item, part")),
    ],
)
def test_a_damaged_or_forged_cursor_is_refused_by_name(library: Library, order_by: str, cursor: Any) -> None:
    with pytest.raises(InvalidCursor, match="cannot be used: "):
        library.ask(lambda models: models.page(Item, order_by=order_by, limit=3, after=cursor))


@EXAMPLES
@given(cursor=st.text() | st.from_regex(r"[\w-]{0,60}", fullmatch=True))
def test_any_text_is_a_cursor_or_refused(library: Library, cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        library.ask(lambda models: models.page(Item, limit=3, after=cursor))


def test_a_cursor_is_of_letters_that_a_url_may_have_and_goes_through_json(library: Library) -> None:
    page: Page[Item] = library.ask(lambda models: models.page(Item, order_by=["name", "-amount"], limit=9))

    assert page.next is not None
    assert set(page.next) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
    assert msgspec.json.decode(msgspec.json.encode(Other(1)), type=Other) == Other(1)
    other: Page[Other] = library.ask(lambda models: models.page(Other, limit=2))
    assert msgspec.json.decode(msgspec.json.encode(other), type=Page[Other]) == other


def test_a_model_of_one_row_has_one_page(library: Library) -> None:
    page: Page[Total] = library.ask(lambda models: models.page(Total, limit=1))

    assert page == Page([Total(len(EVENTS))], None)
    assert library.ask(lambda models: models.sum(Total, Total.events)) == len(EVENTS)


def test_rows_that_are_written_meanwhile_move_nothing(library: Library) -> None:
    first: Page[Item] = library.ask(lambda models: models.page(Item, order_by="item", limit=10))
    registry = Registry()
    registry.add(Gone)
    gone = [Gone(row.item, row.part) for row in first.rows]
    with open_store_sync(library.log) as store:
        appended = store.append([registry.encode(each, b"{}") for each in gone])

    library.live.query(Ask(0), after=appended.last)
    second: Page[Item] = library.ask(lambda models: models.page(Item, order_by="item", limit=10, after=first.next))

    assert second.rows == in_order(rows_at(len(EVENTS)), ["item"])[10:20]

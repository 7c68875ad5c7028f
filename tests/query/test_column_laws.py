"""What is folded into a read model comes back equal, sorts, compares and adds up as in Python, or is refused.

The fields are of random types. The same is asked of SQLite and of PostgreSQL.
"""

import datetime as dt
import types
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any

import msgspec
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import exc

from leftfold import NonKey, ReadModel, ReadModels, Tag
from leftfold.errors import UsageError
from leftfold.model.message import Event
from leftfold.query import ReadSide
from leftfold.store import MemoryStore
from tests.message_types import SCALARS, Color, FieldKind, field_kinds, frozenset_of, new_class, optional, set_of
from tests.query.bank import append, ask, reading, registry_of
from tests.query.places import Place, place

__all__ = ["place"]

Number = Annotated[int, Tag("number")]
Row = tuple[int, Any]
COLUMNS = {hint for kind in SCALARS for hint in (kind.hint, kind.hint | None)}
ORDERED = {hint for kind in SCALARS if kind.ordered for hint in (kind.hint, kind.hint | None)}
SUMMED = {hint for kind in SCALARS if kind.summed for hint in (kind.hint, kind.hint | None)}
REFUSALS = (UsageError, exc.DBAPIError)  # a database's own refusal names what it does not have: max(boolean), say


class Case:
    """Types of fields, and rows with a value of each."""

    def __init__(self, kinds: Sequence[FieldKind], rows: Sequence[Sequence[Any]]) -> None:
        self.fields = {f"field_{number}": kind for number, kind in enumerate(kinds)}
        self.rows = [dict(zip(self.fields, row, strict=True)) for row in rows]

    def __repr__(self) -> str:
        return f"{[kind.hint for kind in self.fields.values()]}: {self.rows}"


def cases(kinds: st.SearchStrategy[Sequence[FieldKind]]) -> st.SearchStrategy[Case]:
    def rows_of(drawn: Sequence[FieldKind]) -> st.SearchStrategy[Case]:
        row = st.tuples(*(kind.values for kind in drawn))
        return st.builds(Case, st.just(drawn), st.lists(row, min_size=1, max_size=6))

    return kinds.flatmap(rows_of)


COLORS = FieldKind(Color, st.sampled_from(Color), Color.RED)
TEXTS = FieldKind(str, st.text(), "")

scalars = cases(st.just(SCALARS))
optionals = cases(st.just([optional(kind) for kind in SCALARS]))
shapes = cases(st.lists(field_kinds(), min_size=1, max_size=6))


def model_of(case: Case) -> tuple[type[ReadModel], Any]:
    """A read model with fields of these kinds, and the event that sets them."""
    event: Any = new_class("struct", {"number": FieldKind(Number, st.integers(), 0), **case.fields}, base=Event)

    def evolve(self: Any, event: Any) -> Any:
        return type(self)(self.number, *(getattr(event, name) for name in case.fields))

    evolve.__annotations__ = {"event": event}
    hints = {"number": Number, **{name: Annotated[kind.hint, NonKey] for name, kind in case.fields.items()}}
    defaults = {
        name: msgspec.field(default_factory=lambda kind=kind: kind.default) for name, kind in case.fields.items()
    }
    body = {"__annotations__": hints, "__module__": __name__, "evolve": evolve, **defaults}
    return types.new_class(f"Model{event.__name__}", (ReadModel,), {}, lambda space: space.update(body)), event


@asynccontextmanager
async def folded(case: Case, place: Place) -> AsyncGenerator[tuple[ReadSide, type[ReadModel], list[int]], None]:
    """The rows, folded; those that a database cannot hold are parked, which is seen, and the others are there."""
    model, event = model_of(case)
    async with (
        MemoryStore() as store,
        reading(store, model, registry=registry_of(event), url=place.shared()) as read_side,
    ):
        events = [event(number=number, **row) for number, row in enumerate(case.rows)]
        await read_side.wait(model, await append(store, *events), 20)
        refused = {key.key[0]: key.problem for key in await read_side.parked()}
        for number, problem in refused.items():
            nul = "NUL" in problem or "unsupported Unicode escape" in problem  # in a text, or within JSON
            assert (place.kind, nul) == ("postgres", True), (number, problem)
        yield read_side, model, [number for number in range(len(case.rows)) if number not in refused]


async def asked(read_side: ReadSide, question: Callable[[ReadModels], Any]) -> Any:
    """The answer, or the refusal."""
    try:
        return await ask(read_side, question)
    except REFUSALS as refusal:
        return refusal


async def check(case: Case, place: Place) -> None:
    async with folded(case, place) as (read_side, model, numbers):
        kept = await ask(read_side, lambda models: models.select(model, order_by="number"))
        assert [row.number for row in kept] == numbers
        for name, kind in case.fields.items():
            rows = [(number, case.rows[number][name]) for number in numbers]
            assert [(row.number, getattr(row, name)) for row in kept] == rows
            ordered = kind.hint in ORDERED
            await check_equality(read_side, model, name, rows, must_find=ordered)
            if ordered:
                await check_order(read_side, model, name, rows)
            elif kind.hint not in COLUMNS:
                found = await asked(read_side, lambda models, name=name: models.select(model, order_by=name))
                assert isinstance(found, UsageError), found
            if kind.hint in SUMMED:
                await check_sum(read_side, model, name, rows)


async def check_equality(
    read_side: ReadSide, model: type[ReadModel], name: str, rows: list[Row], *, must_find: bool
) -> None:
    for _, wanted in rows[:2]:
        found = await asked(read_side, lambda models, wanted=wanted: models.select(model, where={name: wanted}))
        if isinstance(found, UsageError):
            assert not must_find, found
        else:
            assert sorted(row.number for row in found) == [number for number, value in rows if value == wanted]


async def check_order(read_side: ReadSide, model: type[ReadModel], name: str, rows: list[Row]) -> None:
    """None comes first, as `order_by` has it."""

    def place_of(value: Any) -> Any:
        return (value is not None, sortable(value)) if value is not None else (False, 0)

    values = [value for _, value in rows]
    for order, reverse in ((name, False), (f"-{name}", True)):
        found = await ask(read_side, lambda models, order=order: models.select(model, order_by=order))
        assert [sortable(getattr(row, name)) for row in found] == [
            sortable(value) for value in sorted(values, key=place_of, reverse=reverse)
        ]
    for wanted in [value for value in values if not isinstance(value, bool | None)][:2]:  # SQLAlchemy has no < True
        less = await ask(
            read_side, lambda models, wanted=wanted: models.select(model, where=models.table(model).c[name] < wanted)
        )
        expected = [n for n, value in rows if value is not None and sortable(value) < sortable(wanted)]
        assert sorted(row.number for row in less) == expected
    await check_extremes(read_side, model, name, [value for value in values if value is not None])


async def check_extremes(read_side: ReadSide, model: type[ReadModel], name: str, values: list[Any]) -> None:
    def question(models: ReadModels) -> Any:
        value = models.table(model).c[name]
        return tuple(models.execute(sa.select(sa.func.min(value), sa.func.max(value)))[0])

    found = await asked(read_side, question)
    if not isinstance(found, Exception):
        ordered = sorted(values, key=sortable)
        assert found == ((ordered[0], ordered[-1]) if ordered else (None, None))


async def check_sum(read_side: ReadSide, model: type[ReadModel], name: str, rows: list[Row]) -> None:
    def question(models: ReadModels) -> Any:
        value = models.table(model).c[name]
        distinct = sa.func.count(value.distinct())
        return tuple(models.execute(sa.select(sa.func.sum(value), distinct))[0])

    values = [value for _, value in rows if value is not None]
    found = await asked(read_side, question)
    if isinstance(found, UsageError):
        assert sum(map(abs, values)) >= 2**63, found
    else:
        assert not isinstance(found, Exception), found
        expected = sum(values[1:], start=values[0]) if values else None
        assert (found, type(found[0])) == ((expected, len(set(values))), type(expected))


def sortable(value: Any) -> Any:
    """A moment by itself, whatever its zone."""
    return value.astimezone(dt.UTC) if isinstance(value, dt.datetime) else value


PROPERTIES = settings(
    max_examples=4,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@PROPERTIES
@given(case=scalars)
async def test_scalars_sort_compare_and_add_up_as_in_python(place: Place, case: Case) -> None:
    await check(case, place)


@PROPERTIES
@given(case=optionals)
async def test_optional_scalars_sort_and_compare_as_in_python_and_none_comes_first(place: Place, case: Case) -> None:
    await check(case, place)


async def test_sets_without_an_order_come_back_equal_and_are_found(place: Place) -> None:
    kinds = [set_of(kind) for kind in (COLORS, optional(COLORS), frozenset_of(COLORS), frozenset_of(TEXTS))]
    every, groups = set(Color), {frozenset(Color), frozenset([Color.RED]), frozenset[Color]()}
    case = Case(kinds, [[every, {None, *every}, groups, {frozenset("ab"), frozenset("c")}], [set()] * len(kinds)])
    await check(case, place)


@PROPERTIES
@given(case=shapes)
async def test_other_types_come_back_equal_and_are_found_or_refused(place: Place, case: Case) -> None:
    await check(case, place)

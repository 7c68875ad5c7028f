"""What is folded into a read model comes back equal, sorts, compares and adds up as in Python, or is refused.

The fields are of random types. The same is asked of SQLite and of PostgreSQL.
"""

import datetime as dt
import types
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leftfold import NotKey, ReadModel, ReadModels, Tag
from leftfold.errors import UsageError
from leftfold.events import Event
from leftfold.query import ReadSide
from leftfold.store import MemoryStore
from tests.message_types import SCALARS, FieldKind, field_kinds, new_class, optional
from tests.query.bank import append, ask, reading, registry_of
from tests.query.places import Place, place

__all__ = ["place"]

Number = Annotated[int, Tag("number")]
Row = tuple[int, Any]
REFUSALS = (UsageError, sa.exc.DBAPIError)  # a database's own refusal names what it does not have: max(boolean), say


class Case:
    """A type of field, and one value of it for each row."""

    def __init__(self, kind: FieldKind, values: Sequence[Any]) -> None:
        self.kind = kind
        self.rows: list[Row] = list(enumerate(values))

    def __repr__(self) -> str:
        return f"{self.kind.hint}: {[value for _, value in self.rows]}"


def cases(kinds: st.SearchStrategy[FieldKind]) -> st.SearchStrategy[Case]:
    return kinds.flatmap(lambda kind: st.builds(Case, st.just(kind), st.lists(kind.values, min_size=1, max_size=7)))


scalars = cases(st.sampled_from(SCALARS))
optionals = cases(st.sampled_from(SCALARS).map(optional))
shapes = cases(field_kinds())


def model_of(kind: FieldKind) -> tuple[type[ReadModel], type[Event]]:
    """A read model with one field of this kind, and the event that sets it."""
    event = new_class("struct", {"number": FieldKind(Number, st.integers(), 0), "value": kind}, base=Event)

    def evolve(self: Any, event: Any) -> Any:
        return type(self)(self.number, event.value)

    evolve.__annotations__ = {"event": event}
    hints = {"number": Number, "value": Annotated[kind.hint, NotKey]}
    body = {"__annotations__": hints, "__module__": __name__, "value": kind.default, "evolve": evolve}
    return types.new_class(f"Model{event.__name__}", (ReadModel,), {}, lambda space: space.update(body)), event


@asynccontextmanager
async def folded(case: Case, place: Place) -> AsyncIterator[tuple[ReadSide, type[ReadModel], list[Row]]]:
    """The rows, folded; those that a database cannot hold are parked, which is seen, and the others are there."""
    model, event = model_of(case.kind)
    async with (
        MemoryStore() as store,
        reading(store, model, registry=registry_of(event), url=place.shared()) as read_side,
    ):
        position = await append(store, *(event(number=number, value=value) for number, value in case.rows))
        await read_side.wait(model, position, 20)
        refused = {key.key[0]: key.problem for key in await read_side.parked()}
        for number, problem in refused.items():
            assert place.kind == "postgres" and ("NUL" in problem or "u0000" in problem), (number, problem)
        yield read_side, model, [row for row in case.rows if row[0] not in refused]


async def asked(read_side: ReadSide, question: Callable[[ReadModels], Any]) -> Any:
    """The answer, or the refusal."""
    try:
        return await ask(read_side, question)
    except REFUSALS as refusal:
        return refusal


async def check(case: Case, place: Place, *, must_sort: bool) -> None:
    async with folded(case, place) as (read_side, model, rows):
        kept = await ask(read_side, lambda models: models.select(model, order_by="number"))
        assert [(row.number, row.value) for row in kept] == rows
        await check_equality(read_side, model, rows, must_find=must_sort)
        if case.kind.ordered or must_sort:
            await check_order(read_side, model, rows)
        if case.kind.summed:
            await check_sum(read_side, model, rows)
        elif not must_sort:
            await check_refused(read_side, model, case)


async def check_equality(read_side: ReadSide, model: type[ReadModel], rows: list[Row], *, must_find: bool) -> None:
    for _, wanted in rows[:3]:
        found = await asked(read_side, lambda models, wanted=wanted: models.select(model, where={"value": wanted}))
        if isinstance(found, UsageError):
            assert not must_find, found
        else:
            assert sorted(row.number for row in found) == [number for number, value in rows if value == wanted]


async def check_order(read_side: ReadSide, model: type[ReadModel], rows: list[Row]) -> None:
    """None comes first, as `order_by` has it."""

    def place_of(value: Any) -> Any:
        return (value is not None, sortable(value)) if value is not None else (False, 0)

    values = [value for _, value in rows]
    for order, reverse in (("value", False), ("-value", True)):
        found = await ask(read_side, lambda models, order=order: models.select(model, order_by=order))
        assert [sortable(row.value) for row in found] == [
            sortable(value) for value in sorted(values, key=place_of, reverse=reverse)
        ]
    for wanted in [value for value in values if not isinstance(value, bool | None)][:2]:  # SQLAlchemy has no < True
        less = await ask(
            read_side, lambda models, wanted=wanted: models.select(model, where=models.table(model).c.value < wanted)
        )
        expected = [n for n, value in rows if value is not None and sortable(value) < sortable(wanted)]
        assert sorted(row.number for row in less) == expected
    await check_extremes(read_side, model, [value for value in values if value is not None])


async def check_extremes(read_side: ReadSide, model: type[ReadModel], values: list[Any]) -> None:
    def question(models: ReadModels) -> Any:
        value = models.table(model).c.value
        return tuple(models.execute(sa.select(sa.func.min(value), sa.func.max(value)))[0])

    found = await asked(read_side, question)
    if not isinstance(found, Exception):
        ordered = sorted(values, key=sortable)
        assert found == ((ordered[0], ordered[-1]) if ordered else (None, None))


async def check_sum(read_side: ReadSide, model: type[ReadModel], rows: list[Row]) -> None:
    def question(models: ReadModels) -> Any:
        value = models.table(model).c.value
        distinct = sa.func.count(value.distinct())
        return tuple(models.execute(sa.select(sa.func.sum(value), distinct))[0])

    values = [value for _, value in rows]
    found = await asked(read_side, question)
    if isinstance(found, UsageError):
        assert max(map(abs, values)) * len(values) >= 2**63, found
    else:
        expected = sum(values[1:], start=values[0]) if values else None
        assert (found, type(found[0])) == ((expected, len(set(values))), type(expected))


async def check_refused(read_side: ReadSide, model: type[ReadModel], case: Case) -> None:
    """What has no order in Python, or another one in JSON, is not sorted in silence."""
    if case.kind in SCALARS or case.kind.hint in {kind.hint | None for kind in SCALARS}:
        return
    found = await asked(read_side, lambda models: models.select(model, order_by="value"))
    assert isinstance(found, UsageError), found


def sortable(value: Any) -> Any:
    """A moment by itself, whatever its zone."""
    return value.astimezone(dt.UTC) if isinstance(value, dt.datetime) else value


PROPERTIES = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@PROPERTIES
@given(case=scalars)
async def test_a_scalar_sorts_compares_and_adds_up_as_in_python(place: Place, case: Case) -> None:
    await check(case, place, must_sort=case.kind.ordered)


@PROPERTIES
@given(case=optionals)
async def test_an_optional_scalar_sorts_and_compares_as_in_python_and_none_comes_first(
    place: Place, case: Case
) -> None:
    ordered = {kind.hint | None for kind in SCALARS if kind.ordered}
    await check(case, place, must_sort=case.kind.hint in ordered)


@PROPERTIES
@given(case=shapes)
async def test_every_other_type_comes_back_equal_and_is_found_or_refused(place: Place, case: Case) -> None:
    await check(case, place, must_sort=case.kind.ordered)

"""Indexes of read models: used by queries, kept through rebuilds, and brought in line with the code."""

import logging
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Annotated, Any, Self

import pytest
import sqlalchemy as sa

from leftfold import App, Event, LiveApp, NonKey, Query, ReadModel, ReadModels, StatementPlan, Tag, open_store, replace
from leftfold.errors import InvalidModel
from leftfold.query.rebuild import rebuild
from leftfold.query.tables.own_tables import checkpoint
from tests.query.bank import append
from tests.query.places import Place, outside, place, url

__all__ = ["place", "url"]

OrderId = Annotated[str, Tag("order")]
MANY = 10_500
BY_CUSTOMER = [("customer", "-total")]


class Ordered(Event):
    order: OrderId
    customer: str
    total: int | None


class Rows(Query[list[Any]]):
    """The orders that these options select."""

    options: dict[str, Any]


def shop(*, indexes: Any = None, **options: Any) -> App:
    """An app with a table of orders; the source of the model is always the same."""
    app = App("shop")

    @app.read_model(indexes=indexes, **options)
    class Order(ReadModel):
        order: OrderId
        customer: Annotated[str, NonKey] = ""
        total: int | None = None

        def evolve(self, event: Ordered) -> Self:
            return replace(self, customer=event.customer, total=event.total)

    @app.answers
    def rows(query: Rows, models: ReadModels) -> list[Any]:
        return [row.order for row in models.select(Order, **query.options)]

    return app


@pytest.fixture
async def log(tmp_path: Path) -> str:
    """A log of a few orders."""
    return await log_of(tmp_path, 12)


async def log_of(folder: Path, orders: int) -> str:
    log = f"sqlite:///{folder}/shop.db"
    async with open_store(log) as store:
        for first in range(0, orders, 1_000):
            numbers = range(first, min(first + 1_000, orders))
            await append(store, *(Ordered(f"o-{n:05}", f"c-{n % 50}", n % 7 or None) for n in numbers))
    return log


def indexes_in(url: str, table: str = "order") -> list[list[str | None]]:
    """The columns of the indexes of a table."""
    with outside(url) as connection:
        return sorted(index["column_names"] for index in sa.inspect(connection).get_indexes(table))


def analyze(url: str) -> None:
    """Let the database know how large the tables are, as it would by itself after a while."""
    with outside(url) as connection:
        connection.exec_driver_sql("ANALYZE")


async def rows(live: LiveApp, **options: Any) -> list[str]:
    return await live.query(Rows(options), after=await live.store.head())


async def plan(live: LiveApp, as_of: int | None = None, **options: Any) -> StatementPlan:
    [found] = await live.plan(Rows(options), after=await live.store.head(), as_of=as_of)
    return found


@pytest.mark.parametrize(
    ("options", "used"),
    [
        ({"customer": "c-3", "order_by": "-total", "limit": 5}, "order (customer, -total)"),
        ({"customer": "c-3", "order_by": "total", "limit": 5}, "order (customer, -total)"),
        ({"customer": "c-3", "order_by": ["-total", "-order"], "limit": 5}, "order (customer, -total)"),
        ({"order_by": "total", "limit": 5}, "order (total)"),
        ({"order_by": "-total", "limit": 5}, "order (total)"),
    ],
)
async def test_a_select_uses_an_index_for_what_it_looks_for_and_sorts_by(
    options: dict[str, Any], used: str, tmp_path: Path, url: str
) -> None:
    log = await log_of(tmp_path, MANY)

    async with shop(indexes=["total", *BY_CUSTOMER]).open(log, models=url) as live:
        expected = await rows(live, **options)
        analyze(url)
        found = await plan(live, **options)

        assert list(found.indexes) == [used]
        assert not [step for step in found.steps if step.startswith("Sort") or "TEMP B-TREE" in step]
        assert await rows(live, **options) == expected


async def test_the_past_is_read_by_the_index_of_its_versions(tmp_path: Path, url: str) -> None:
    log = await log_of(tmp_path, MANY)
    options: dict[str, Any] = {"customer": "c-3", "order_by": "-total", "limit": 5}

    async with shop(indexes=BY_CUSTOMER, history=True).open(log, models=url) as live:
        present = await rows(live, **options)
        analyze(url)

        assert (await plan(live, as_of=MANY, **options)).indexes == ("order_history (customer, -total)",)
        assert await live.query(Rows(options), as_of=MANY) == present


@pytest.mark.parametrize("history", [False, True])
async def test_an_index_that_is_declared_or_left_out_later_is_made_or_dropped_without_a_rebuild(
    log: str, url: str, history: bool
) -> None:
    tables = ["order", "order_history"] if history else ["order"]

    async def opened(indexes: Any) -> tuple[list[str], list[Any]]:
        async with shop(indexes=indexes, history=history).open(log, models=url) as live:
            found = await rows(live, order_by="-total")
        with outside(url) as connection:
            marks = sa.select(checkpoint.c.build, checkpoint.c.fingerprint, checkpoint.c.position)
            return found, [tuple(row) for row in connection.execute(marks)]

    without = await opened([])
    own = {table: indexes_in(url, table) for table in tables}
    gained = await opened(["customer", *BY_CUSTOMER])
    for table in tables:
        assert indexes_in(url, table) == sorted([*own[table], ["customer", "order"], ["customer", "total", "order"]]), (
            table
        )
    changed = await opened(["-total"])
    for table in tables:
        assert indexes_in(url, table) == sorted([*own[table], ["total", "order"]]), table
    lost = await opened([])

    assert {table: indexes_in(url, table) for table in tables} == own
    assert without == gained == changed == lost


async def test_an_index_that_somebody_else_made_stays(log: str, url: str) -> None:
    async with shop().open(log, models=url) as live:
        await rows(live)
    with outside(url) as connection:
        connection.exec_driver_sql('CREATE INDEX "of_somebody_else" ON "order" (total)')

    async with shop(indexes=["customer"]).open(log, models=url) as live:
        await rows(live)

    assert indexes_in(url) == [["customer", "order"], ["total"]]


async def test_an_index_over_values_that_do_not_fit_is_refused_by_name(tmp_path: Path, place: Place, url: str) -> None:
    log = f"sqlite:///{tmp_path}/large.db"
    large = "".join(Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=20_000))  # can hardly be compressed
    async with open_store(log) as store:
        await append(store, Ordered("o-1", large, 1))
    async with shop().open(log, models=url) as live:
        await rows(live)

    if place.is_sqlite:
        async with shop(indexes=["customer"]).open(log, models=url) as live:
            assert await rows(live, customer=large) == ["o-1"]
        return
    with pytest.raises(InvalidModel, match=r"the index \(customer\) of order cannot be made: index row "):
        async with shop(indexes=["customer"]).open(log, models=url):
            pass


async def test_a_rebuilt_table_has_the_indexes_of_the_code(log: str, url: str) -> None:
    async with shop(indexes=["customer"]).open(log, models=url) as live:
        await rows(live)

    for version in (2, 3, 4):
        app = shop(indexes=BY_CUSTOMER, history=True, version=version)
        async with app.open(log, models=url) as live:
            await rows(live)
        assert indexes_in(url) == [["customer", "total", "order"]]
        assert ["customer", "total", "order"] in indexes_in(url, "order_history")
    async with open_store(log) as store:
        [definition] = app.read_models.values()
        await rebuild(definition, store, app.registry, url)
    assert indexes_in(url) == [["customer", "total", "order"]]

    async with shop(indexes=["customer"], history=True, version=4).open(log, models=url) as live:
        await rows(live)
    assert indexes_in(url) == [["customer", "order"]]


async def test_a_rebuild_that_goes_on_takes_over_the_indexes_of_the_code(log: str, url: str) -> None:
    async with shop().open(log, models=url) as live:
        await rows(live)

    async def rebuilt(indexes: Any, *, interrupted: bool) -> None:
        def report(progress: Any) -> None:
            if interrupted:
                raise KeyError("interrupted")

        app = shop(indexes=indexes, version=2)
        [definition] = app.read_models.values()
        async with open_store(log) as store:
            await rebuild(definition, store, app.registry, url, on_progress=report)

    with pytest.raises(KeyError):
        await rebuilt(["total"], interrupted=True)
    await rebuilt(["customer"], interrupted=False)

    assert indexes_in(url) == [["customer", "order"]]


async def test_a_model_that_is_split_keeps_its_indexes(log: str, url: str) -> None:
    for shards in (1, 3, 2):
        async with shop(indexes=BY_CUSTOMER, shards=shards).open(log, models=url) as live:
            assert len(await rows(live)) == 12
        assert indexes_in(url) == [["customer", "total", "order"]]


async def test_rows_that_are_equal_in_the_order_are_ordered_by_their_key(log: str, place: Place) -> None:
    async with shop().open(log, models=place.own()) as live:
        found = await rows(live, order_by="-total")
        upwards = await rows(live, order_by="total")
        within = await rows(live, order_by=["total", "-order"])

    none, ones = ["o-00000", "o-00007"], ["o-00001", "o-00008"]
    assert upwards[:4] == [*none, *ones]
    assert found == upwards[::-1]
    assert within[:4] == [*none[::-1], *ones[::-1]]


# --- selects that read a whole table


def scans_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "one by one" in record.getMessage()]


BEGINNING = "reads more than 10,000 rows of order one by one."


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"customer": "c-3", "order_by": "-total", "limit": 5},
            f"select(Order, customer=…, order_by -total) {BEGINNING} "
            "Declare an index: @app.read_model(indexes=[('customer', '-total')])",
        ),
        (
            {"where": {"total": 3}},
            f"select(Order, total=…) {BEGINNING} Declare an index: @app.read_model(indexes=['total'])",
        ),
        ({}, f"select(Order) {BEGINNING} Select fewer rows: page with limit= and after="),
        (
            {"order_by": "order", "limit": 1, "offset": 10_200},
            f"select(Order, order_by order) {BEGINNING} Page with after= in place of offset=",
        ),
        ({"order": "o-00003"}, None),
        ({"order_by": "order", "limit": 20, "offset": 100}, None),
        ({"limit": 20}, None),
        ({"order_by": "order", "limit": 10_400}, None),
    ],
)
async def test_a_select_that_reads_more_than_10_000_rows_is_named_once_with_the_index_that_it_lacks(
    options: dict[str, Any], said: str | None, tmp_path: Path, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    log = await log_of(tmp_path, MANY)

    async with shop().open(log, models=url) as live:
        with caplog.at_level(logging.WARNING):
            for _ in range(9):
                await rows(live, **options)

    assert scans_in(caplog) == ([said] if said else [])


async def test_a_table_that_has_grown_is_noticed_and_an_index_ends_it(
    tmp_path: Path, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    log = await log_of(tmp_path, 20)

    async with shop().open(log, models=url) as live:
        for _ in range(3):
            await rows(live, customer="c-3")
        assert scans_in(caplog) == []
        for first in range(20, MANY, 1_000):
            numbers = range(first, first + 1_000)
            await append(live.store, *(Ordered(f"o-{n:05}", f"c-{n % 50}", n) for n in numbers))
        for _ in range(2):
            await rows(live, customer="c-4")
    assert len(scans_in(caplog)) == 1

    async with shop(indexes=["customer"]).open(log, models=url) as live:
        analyze(url)
        await rows(live, customer="c-4")
    assert len(scans_in(caplog)) == 1


# --- plans


def words(plans: Sequence[StatementPlan]) -> list[tuple[Sequence[str], Sequence[str]]]:
    return [(each.indexes, each.scans) for each in plans]


async def test_a_plan_says_what_is_read_from_the_beginning(log: str, url: str) -> None:
    async with shop().open(log, models=url) as live:
        found = await live.plan(Rows({"customer": "c-3"}), after=await live.store.head())

    assert words(found) == [((), ("order",))]
    assert found[0].statement.startswith("SELECT ")
    assert found[0].steps

"""Rebuilding SQL projections: beside the present tables, compared, taken over in one transaction."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeEngine, UserDefinedType

from leftfold.errors import NotKept, ProjectionParked, ReadModelBehind, ReadModelChanged
from leftfold.query import ReplayProgress, SqlProjection
from leftfold.query.rebuild import drop_old, rebuild
from leftfold.store import MemoryStore
from tests.patience import PATIENCE
from tests.query.bank import Deposited, append, ask, registry_of
from tests.query.places import Place, outside, place, url
from tests.query.sql_bank import add, expected_totals, ledger, projecting, rows, totals, totals_of
from tests.query.sql_bank import metadata as both

__all__ = ["place", "url"]

NAME = "account totals"


def once(event: Deposited, connection: sa.Connection) -> None:
    connection.execute(add(event.account, event.amount))


def twice(event: Deposited, connection: sa.Connection) -> None:
    if event.amount:
        connection.execute(add(event.account, 2 * event.amount))


async def twice_async(event: Deposited, connection: AsyncConnection) -> None:
    await asyncio.sleep(0)
    if event.amount:
        await connection.execute(add(event.account, 2 * event.amount))


def refusing(event: Deposited, connection: sa.Connection) -> None:
    if event.account == "b":
        raise ValueError("no b")
    connection.execute(add(event.account, event.amount))


class OfServer(UserDefinedType[str]):
    """A type of PostgreSQL by its name; its values are texts."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **options: Any) -> str:
        return self.name

    def bind_expression(self, bindvalue: sa.BindParameter[str]) -> sa.ColumnElement[str]:
        return sa.cast(sa.type_coerce(bindvalue, sa.String), self)


def projection(handler: Callable[..., Any], version: int = 1) -> SqlProjection:
    return SqlProjection(handler, NAME, both, version=version)


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    async with MemoryStore() as store:
        yield store


async def keep(store: MemoryStore, url: str, definition: SqlProjection, *amounts: int) -> int:
    async with projecting(store, definition, url=url) as read_side:
        position = await append(store, *(Deposited("abc"[n % 3], amount) for n, amount in enumerate(amounts)))
        await read_side.wait(NAME, position)
    return position


def in_file(url: str) -> tuple[list[str], list[str]]:
    """The tables and indexes in it, but leftfold's own."""
    with outside(url) as connection:
        present = sa.inspect(connection)
        tables = [name for name in present.get_table_names() if not name.startswith("leftfold")]
        indexes = [str(index["name"]) for name in tables for index in present.get_indexes(name)]
    return sorted(tables), indexes


async def test_while_developing_a_changed_handler_is_rebuilt(store: MemoryStore, url: str) -> None:
    await keep(store, url, projection(once), 1, 2)
    position = await append(store, Deposited("a", 5))

    async with projecting(store, projection(twice), url=url, on_change="rebuild") as read_side:
        await read_side.wait(NAME, position, 5)
    assert await keep(store, url, projection(twice), 3) == 4


async def test_changed_code_without_another_version_is_refused(store: MemoryStore, url: str) -> None:
    await keep(store, url, projection(once), 1, 2)

    with pytest.raises(ReadModelChanged) as caught:
        async with projecting(store, projection(twice), url=url):
            pass

    assert "write @app.projection('account totals', version=2, ...), or run `leftfold rebuild" in caught.value.remedy
    assert "URL 'account totals'`" in caught.value.remedy
    assert await keep(store, url, projection(once), 3) == 3


@pytest.mark.parametrize("handler", [twice, twice_async])
async def test_a_higher_version_is_rebuilt_as_the_app_is_opened(
    store: MemoryStore, url: str, handler: Callable[..., Any]
) -> None:
    await keep(store, url, projection(once), 1, 2)
    position = await append(store, Deposited("a", 3))

    async with projecting(store, projection(handler, 2), url=url) as read_side:
        assert await rows(read_side, after=position) == [("a", 8), ("b", 4)]
        assert await rows(read_side, after=await append(store, Deposited("b", 1))) == [("a", 8), ("b", 6)]
        assert await rows(read_side, as_of=1) == [("a", 2)]

    assert in_file(url) == (["ledger", "ledger__old", "totals", "totals__old"], ["totals_amount"])


async def test_the_old_rows_are_kept_until_they_are_dropped(store: MemoryStore, url: str) -> None:
    await keep(store, url, projection(once), 1, 2)
    definition = projection(twice, 2)
    await rebuild(definition, store, registry_of(), url)

    with outside(url) as connection:
        old = connection.execute(sa.text("SELECT account, amount FROM totals__old ORDER BY account")).all()
        new = connection.execute(sa.select(totals).order_by("account")).all()

    assert ([tuple(row) for row in old], [tuple(row) for row in new]) == (
        [("a", 1), ("b", 2)],
        [("a", 2), ("b", 4)],
    )
    assert drop_old(definition, url)
    assert not drop_old(definition, url)
    assert in_file(url)[0] == ["ledger", "totals"]


async def test_the_difference_is_told_row_by_row(store: MemoryStore, url: str) -> None:
    await keep(store, url, projection(once), 1, 0, 4)
    told: list[ReplayProgress] = []

    found = await rebuild(projection(twice, 2), store, registry_of(), url, on_progress=told.append)

    rows = found.differences
    assert (found.model, found.position, found.swapped) == (NAME, 3, True)
    assert (rows.added, rows.removed, rows.changed) == (0, 1, 2)
    assert rows.removed_samples == ({"table": "totals", "account": "b", "amount": 0},)
    before, after = rows.changed_samples[0]
    assert (before["amount"], after["amount"]) == (1, 2)
    assert told[-1].position == 3


async def test_a_dry_run_keeps_nothing(store: MemoryStore, url: str) -> None:
    await keep(store, url, projection(once), 1, 2)

    found = await rebuild(projection(twice, 2), store, registry_of(), url, dry_run=True)

    assert (found.swapped, found.differences.changed) == (False, 2)
    assert in_file(url) == (["ledger", "totals"], ["totals_amount"])
    async with projecting(store, projection(once), url=url) as read_side:
        assert await rows(read_side) == [("a", 1), ("b", 2)]


async def test_rows_without_a_key_are_compared_as_a_whole(store: MemoryStore, url: str) -> None:
    plain = sa.Table("plain", sa.MetaData(), sa.Column("amount", sa.Integer), sa.Column("note", sa.JSON))

    def first(event: Deposited, connection: sa.Connection) -> None:
        connection.execute(sa.insert(plain).values(amount=event.amount, note={"account": event.account}))

    def second(event: Deposited, connection: sa.Connection) -> None:
        connection.execute(sa.insert(plain).values(amount=event.amount % 2, note={"account": event.account}))

    definitions = [
        SqlProjection(handler, NAME, [plain], version=version) for version, handler in enumerate((first, second), 1)
    ]
    await keep(store, url, definitions[0], 1, 2)

    found = (await rebuild(definitions[1], store, registry_of(), url)).differences

    assert (found.added, found.removed, found.changed) == (1, 1, 0)
    assert [fields["amount"] for fields in (*found.added_samples, *found.removed_samples)] == [0, 2]


KINDS_OF_COLUMNS: dict[str, list[tuple[TypeEngine[Any], Any, Any]]] = {
    "sqlite": [(sa.JSON(), {"a": 1}, {"a": 2}), (sa.Date(), dt.date(2026, 1, 1), dt.date(2026, 1, 2))],
    "postgres": [
        (sa.JSON(), {"a": 1}, {"a": 2}),
        (postgresql.JSONB(), {"a": 1}, {"a": 2}),
        (postgresql.ARRAY(sa.Integer), [1, 2], [1, 3]),
        (OfServer("json[]"), '{"{\\"a\\": 1}"}', '{"{\\"a\\": 2}"}'),
        (OfServer("point"), "(1,2)", "(1,3)"),
        (OfServer("box"), "(2,2),(0,0)", "(3,3),(1,1)"),  # the server's = compares their areas
        (OfServer("path"), "[(0,0),(1,1)]", "[(0,0),(1,2)]"),
        (OfServer("tsvector"), "'a'", "'b'"),
        (OfServer("jsonpath"), "$.a", "$.b"),
        (OfServer("int4range"), "[1,3)", "[1,4)"),
        (postgresql.INET(), "10.0.0.1", "10.0.0.2"),
    ],
}


@pytest.mark.filterwarnings("ignore:Did not recognize type")
@pytest.mark.parametrize("keyed", [True, False])
async def test_columns_of_every_type_are_compared_by_their_values(
    store: MemoryStore, place: Place, keyed: bool
) -> None:
    kinds = KINDS_OF_COLUMNS[place.kind]
    columns = [sa.Column(f"c{number}", kind) for number, (kind, _, _) in enumerate(kinds)]
    table = sa.Table("kinds", sa.MetaData(), sa.Column("account", sa.String, primary_key=keyed), *columns)

    def first(event: Deposited, connection: sa.Connection) -> None:
        values = {f"c{number}": value for number, (_, value, _) in enumerate(kinds)}
        connection.execute(sa.insert(table).values(account=event.account, **values))

    def second(event: Deposited, connection: sa.Connection) -> None:
        values = {f"c{number}": value for number, (_, value, _) in enumerate(kinds)}
        changed = ord(event.account) - ord("a")
        values[f"c{changed}"] = kinds[changed][2]
        connection.execute(sa.insert(table).values(account=event.account, **values))

    events = [Deposited(chr(ord("a") + number), 1) for number in range(len(kinds))]
    async with projecting(store, SqlProjection(first, NAME, [table]), url=place.shared()) as read_side:
        position = await append(store, *events)
        await read_side.wait(NAME, position)

    found = []
    for version, handler in enumerate((first, second), 2):
        definition = SqlProjection(handler, NAME, [table], version=version)
        found.append((await rebuild(definition, store, registry_of(), place.shared())).differences)

    assert (found[0].added, found[0].removed, found[0].changed) == (0, 0, 0)
    every = len(kinds)
    assert (found[1].added, found[1].removed, found[1].changed) == ((0, 0, every) if keyed else (every, every, 0))


async def test_other_tables_than_before_are_made_and_former_ones_kept_as_old(store: MemoryStore, url: str) -> None:
    other = sa.Table("wider", sa.MetaData(), sa.Column("account", sa.String, primary_key=True))

    def handle(event: Deposited, connection: sa.Connection) -> None:
        connection.execute(insert(other).values(account=event.account).on_conflict_do_nothing())

    await keep(store, url, projection(once), 1, 2)

    found = await rebuild(SqlProjection(handle, NAME, [other], version=2), store, registry_of(), url)

    assert (found.differences.added, found.differences.removed) == (2, 2)
    assert in_file(url) == (["ledger__old", "totals__old", "wider"], [])


async def test_a_projection_without_tables_cannot_be_rebuilt(store: MemoryStore, url: str) -> None:
    with pytest.raises(NotKept):
        await rebuild(projection(once), store, registry_of(), url)


async def test_queries_are_answered_from_the_old_tables_meanwhile(store: MemoryStore, url: str) -> None:
    await keep(store, url, projection(once), *range(1, 31))
    handling, go_on = asyncio.Event(), asyncio.Event()

    async def slow(event: Deposited, connection: AsyncConnection) -> None:
        handling.set()
        await go_on.wait()
        await connection.execute(add(event.account, -event.amount))

    async with projecting(store, projection(slow, 2), url=url) as read_side:
        await handling.wait()
        before = await rows(read_side)
        position = await append(store, Deposited("a", 5))
        with pytest.raises(ReadModelBehind):
            await rows(read_side, after=position, timeout=0.05)
        go_on.set()
        after = await rows(read_side, after=position)

    assert before == expected_totals([Deposited("abc"[n % 3], n + 1) for n in range(30)])
    assert after[0] == ("a", -before[0][1] - 5)


async def test_a_rebuild_keeps_up_with_a_projection_that_goes_on(store: MemoryStore, url: str) -> None:
    definition = totals_of()
    async with projecting(store, definition, url=url) as read_side:
        await read_side.wait(NAME, await append(store, *(Deposited("a", n % 10) for n in range(300))))
        rebuilding = asyncio.create_task(rebuild(definition, store, registry_of(), url))
        while not rebuilding.done():
            await read_side.wait(NAME, await append(store, Deposited("b", 1)))
        found = await rebuilding
        position = await append(store, Deposited("b", 1))
        after = await rows(read_side, after=position, timeout=PATIENCE)
        positions = [row[0] for row in await rows(read_side, ledger)]

    assert found.differences.none
    assert after == [("a", 1_350), ("b", position - 300)]
    assert positions == list(range(1, position + 1))


async def test_an_event_that_new_code_cannot_handle_leaves_the_present_tables(store: MemoryStore, url: str) -> None:
    await keep(store, url, projection(once), 1, 2, 3)

    with pytest.raises(ProjectionParked):
        await rebuild(projection(refusing, 2), store, registry_of(), url)
    async with projecting(store, projection(refusing, 2), url=url) as read_side:
        with pytest.raises(ProjectionParked, match="is parked at position 2"):
            await read_side.wait(NAME, 4)
        assert await rows(read_side) == [("a", 1), ("b", 2), ("c", 3)]
        [status] = await read_side.status()
        assert status.failed
    assert in_file(url)[0] == ["ledger", "totals"]

    async with projecting(store, projection(once), url=url) as read_side:
        assert (await rows(read_side, after=await append(store, Deposited("c", 1))))[-1] == ("c", 4)


async def test_two_processes_that_rebuild_one_version_swap_once(store: MemoryStore, url: str) -> None:
    await keep(store, url, projection(once), 1, 2)
    definition = projection(twice, 2)

    async with projecting(store, definition, url=url) as first, projecting(store, definition, url=url) as second:
        position = await append(store, Deposited("a", 1))
        assert await rows(first, after=position) == await rows(second, after=position) == [("a", 4), ("b", 4)]
        statement = sa.text("SELECT account, amount FROM totals__old ORDER BY account")
        old = await ask(first, lambda models: models.execute(statement))

    assert [tuple(row) for row in old] == [("a", 1), ("b", 2)]

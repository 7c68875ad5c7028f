"""What PostgreSQL alone does as the models database: a server that comes and goes, and that others use too."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Self

import pytest
import sqlalchemy as sa

from leftfold.errors import InvalidModel, InvalidUrl, MissingExtra, ModelsUnavailable, TableTaken
from leftfold.model.metadata import Metadata
from leftfold.query import ReadModel, ReadModels, ReadSide
from leftfold.query.read_model import ReadModelDefinition
from leftfold.query.rebuild import rebuild
from leftfold.query.tables.database import open_database
from leftfold.store import MemoryStore, open_store
from leftfold_torture.postgres_server import PostgresServer
from tests.postgres import DATABASE, fresh_schema
from tests.query.bank import AccountId, Balance, Deposited, Opened, Turnover, append, ask, reading, registry_of
from tests.query.places import outside
from tests.query.sql_bank import projecting, rows, totals_of


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    async with MemoryStore() as store:
        yield store


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return fresh_schema(postgres)


async def balances(read_side: ReadSide) -> list[Any]:
    found: list[Any] = await ask(read_side, lambda models: models.select(Balance, order_by="account"))
    return found


# --- a place that others use too


async def test_the_models_of_another_log_are_left_alone(store: MemoryStore, url: str) -> None:
    async with reading(store, Balance, url=url) as read_side:
        await read_side.wait(Balance, await append(store, Opened("a")))

    async with MemoryStore() as other:
        with pytest.raises(TableTaken, match=r"Balance needs the table 'balance' .* built from the log") as caught:
            async with reading(other, Balance, url=url):
                pass
        with pytest.raises(TableTaken):
            await rebuild(ReadModelDefinition(Balance), other, registry_of(), url)

    assert caught.value.owner == store.log_id
    async with reading(store, Balance, url=url) as read_side:
        assert await balances(read_side) == [Balance("a", "ann", 0, 1)]


async def test_a_table_that_is_none_of_leftfolds_is_left_alone(store: MemoryStore, url: str) -> None:
    async with reading(store, Turnover, url=url):
        pass
    with outside(url) as connection:
        connection.exec_driver_sql("CREATE TABLE balance (dear text)")

    with pytest.raises(TableTaken, match="was not created by leftfold"):
        async with reading(store, Balance, url=url):
            pass

    with outside(url) as connection:
        connection.exec_driver_sql("DROP TABLE balance")
    async with reading(store, Balance, url=url) as read_side:
        await read_side.wait(Balance, await append(store, Opened("a")))


async def test_logs_share_a_database_by_schemas(store: MemoryStore, postgres: PostgresServer) -> None:
    async with (
        MemoryStore() as other,
        reading(store, Balance, url=fresh_schema(postgres)) as first,
        reading(other, Balance, url=postgres.url(DATABASE, schema='odd " schema')) as second,
    ):
        await first.wait(Balance, await append(store, Opened("a")))
        await second.wait(Balance, await append(other, Opened("b")))

        assert [row.account for row in await balances(first)] == ["a"]
        assert [row.account for row in await balances(second)] == ["b"]


async def test_many_that_open_an_empty_schema_at_once_make_its_tables_once(store: MemoryStore, url: str) -> None:
    async def fold() -> list[Any]:
        async with reading(store, Balance, url=url, history=True) as read_side:
            await read_side.wait(Balance, 1)
            return await balances(read_side)

    await append(store, Opened("a"))

    found = await asyncio.gather(*(fold() for _ in range(6)))

    assert found == [[Balance("a", "ann", 0, 1)]] * 6


async def test_a_name_that_a_rebuild_could_not_lengthen_is_refused(store: MemoryStore, url: str) -> None:
    class BalanceOfEveryAccountThatWasEverOpened(ReadModel):
        account: AccountId

        def evolve(self, event: Opened) -> Self:
            return self

    with pytest.raises(InvalidModel, match="at most 39 characters"):
        async with reading(store, BalanceOfEveryAccountThatWasEverOpened, url=url):
            pass


# --- the URL


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ("postgresql+asyncpg://ann@host/bank", "the driver 'asyncpg' is not supported; the only driver is psycopg 3"),
        ("mysql://ann@host/bank", "mysql commits whenever a table is created or renamed"),
        ("mssql+pyodbc://ann@host/bank", "mssql does not rename tables"),
        ("elsewhere://ann@host/bank", "SQLAlchemy knows no database 'elsewhere'"),
        ("sqlite:///bank.db?schema=reading", "there is no option 'schema'"),
        ("bank.db", "not a URL in SQLAlchemy's form"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused(wrong: str, problem: str) -> None:
    with pytest.raises(InvalidUrl, match=problem):
        open_database(wrong)


def test_a_missing_driver_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)

    with pytest.raises(MissingExtra, match=r"leftfold\[postgres\]"):
        open_database("postgresql://ann@host/bank")


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(open_database("postgresql://ann:secret@host/bank"))


@pytest.mark.parametrize("scheme", ["postgresql://", "postgres://", "postgresql+psycopg://"])
def test_connections_are_named_and_wait_for_no_lock_for_ever(postgres: PostgresServer, scheme: str) -> None:
    url = fresh_schema(postgres).replace("postgresql://", scheme) + "&options=-cwork_mem%3D5MB&application_name=mine"
    database = open_database(url)

    with database.writing() as connection:
        names = ("lock_timeout", "work_mem", "application_name", "timezone")
        shown = [connection.exec_driver_sql(f"SHOW {name}").scalar_one() for name in names]
    database.close()

    assert shown == ["10s", "5MB", "mine", "UTC"]


# --- a server that comes and goes


async def test_a_server_that_is_restarted_is_not_noticed(store: MemoryStore, mortal: PostgresServer) -> None:
    async with reading(store, Balance, Turnover, url=mortal.url(schema="restarted")) as read_side:
        await read_side.wait(Balance, await append(store, Opened("a")))
        assert await balances(read_side) == [Balance("a", "ann", 0, 1)]

        await asyncio.to_thread(mortal.restart, "immediate")

        assert await balances(read_side) == [Balance("a", "ann", 0, 1)]
        await read_side.wait(Balance, await append(store, Deposited("a", 5)))
        assert await balances(read_side) == [Balance("a", "ann", 5, 2)]


async def test_a_server_that_is_down_is_waited_out_and_told_of(store: MemoryStore, mortal: PostgresServer) -> None:
    async with reading(store, Balance, url=mortal.url(schema="waited_out")) as read_side:
        await read_side.wait(Balance, await append(store, Opened("a")))
        await asyncio.to_thread(mortal.stop, "kill")

        await append(store, Deposited("a", 5))
        while (status := (await read_side.status())[0]).problem is None:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)
        with pytest.raises(ModelsUnavailable, match="the models database postgresql"):
            await balances(read_side)
        await asyncio.to_thread(mortal.start)

        await read_side.wait(Balance, 2)
        assert isinstance(status.problem, ModelsUnavailable)
        assert await balances(read_side) == [Balance("a", "ann", 5, 2)]


async def test_a_projection_that_is_held_up_outlives_a_server_that_is_down(
    store: MemoryStore, mortal: PostgresServer
) -> None:
    async with projecting(store, totals_of(), url=mortal.url(schema="held_up")) as read_side:
        position = await append(store, Deposited("a", 5), Deposited("a", 13), Deposited("a", 1))
        await read_side.catch_up(position)
        await asyncio.to_thread(mortal.stop, "kill")
        with pytest.raises(ModelsUnavailable):
            await rows(read_side)
        await asyncio.to_thread(mortal.start)

        await read_side.parked_keys("account totals").skip((), Metadata())

        await read_side.wait("account totals", position)
        assert await rows(read_side) == [("a", 6)]


async def test_a_server_that_is_not_there_is_named_when_the_app_is_opened(store: MemoryStore) -> None:
    with pytest.raises(ModelsUnavailable, match="nowhere"):
        async with reading(store, Balance, url="postgresql://ann@/bank?host=/nowhere"):
            pass


# --- a swap beside queries


async def test_a_query_that_began_before_a_swap_sees_the_former_table_to_its_end(store: MemoryStore, url: str) -> None:
    loop = asyncio.get_running_loop()
    await append(store, Opened("a"), Deposited("a", 5))
    async with reading(store, Balance, Turnover, url=url) as read_side:
        await read_side.wait(Balance, 2)
        await read_side.wait(Turnover, 2)
        swapping: list[asyncio.Task[Any]] = []

        async def begin_to_swap() -> None:
            swapping.append(asyncio.create_task(rebuild(ReadModelDefinition(Balance), store, registry_of(), url)))
            while not await loop.run_in_executor(None, waiting_for_the_lock):  # noqa: ASYNC110 - seen from outside
                await asyncio.sleep(0)

        def waiting_for_the_lock() -> bool:
            with outside(url) as connection:
                waits = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'")
                return bool(connection.execute(waits).scalar_one())

        def question(models: ReadModels) -> Any:
            first = models.count(Turnover)
            asyncio.run_coroutine_threadsafe(begin_to_swap(), loop).result()
            return first, models.get(Balance, "a")

        assert await ask(read_side, question) == (1, Balance("a", "ann", 5, 2))
        assert (await swapping[0]).differences.none
        assert await balances(read_side) == [Balance("a", "ann", 5, 2)]


# --- through the app


async def test_an_app_keeps_its_models_there(url: str, tmp_path: Any) -> None:
    from examples.bank import Open, Richest, bank

    async with bank.open(f"sqlite:///{tmp_path}/bank.db", models=url) as live:
        receipt = await live.execute(Open("a-1", "ann"))

        assert [row.account for row in await live.query(Richest(), after=receipt)] == ["a-1"]
    assert [path.name for path in tmp_path.glob("*.models.db")] == []
    async with open_store(f"sqlite:///{tmp_path}/bank.db") as log:
        assert await log.head() == 1

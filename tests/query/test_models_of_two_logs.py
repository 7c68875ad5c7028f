"""Models that are kept in a database which was named belong to one log; a second log is refused by name."""

from pathlib import Path

import pytest

from examples.bank import Balance, Open, Richest, bank
from leftfold.errors import TableTaken
from leftfold.query.tables.database import open_database
from leftfold_torture.postgres_server import PostgresServer
from tests.postgres import fresh_schema


@pytest.fixture(params=["sqlite", "postgres"])
def models(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/shared.db"
    server: PostgresServer = request.getfixturevalue("postgres")
    return fresh_schema(server)


@pytest.mark.parametrize("work", [True, False])
async def test_a_second_log_that_shares_the_models_of_a_log_is_refused_by_name(
    tmp_path: Path, models: str, work: bool
) -> None:
    first, second = tmp_path / "first.db", tmp_path / "second.db"
    async with bank.open(first, models=models) as live:
        await live.query(Richest(), after=await live.execute(Open("a", "ann")))

        with pytest.raises(TableTaken, match=r"Balance .* was built from the log") as caught:
            async with bank.open(second, models=models, work=work):
                pass
        assert caught.value.owner == live.store.log_id
        assert len(await live.query(Richest(), after=await live.execute(Open("b", "bob")))) == 2

    with pytest.raises(TableTaken):
        async with bank.open(second, models=models, work=work):
            pass
    async with bank.open(first, models=models) as live:
        assert [each.position for each in await live.read_models()] == [2]


async def test_a_log_whose_models_another_log_has_begun_meanwhile_says_so_to_queries(tmp_path: Path) -> None:
    models = f"sqlite:///{tmp_path}/shared.db"
    async with bank.open(tmp_path / "first.db", models=models, work=False) as first:
        receipt = await first.execute(Open("a", "ann"))
        async with bank.open(tmp_path / "second.db", models=models):
            with pytest.raises(TableTaken, match="Balance"):
                await first.query(Richest(), after=receipt)


async def test_models_beside_a_log_that_was_replaced_are_begun_anew(tmp_path: Path) -> None:
    for name in ("ann", "bob"):
        async with bank.open(tmp_path / "log.db") as live:
            receipt = await live.execute(Open("a", name))
            assert [each.owner for each in await live.query(Richest(), after=receipt)] == [name]
        for each in tmp_path.glob("log.db*"):
            each.unlink()


async def test_models_of_another_log_that_were_deleted_are_in_nobodys_way(tmp_path: Path) -> None:
    models = tmp_path / "shared.db"
    async with bank.open(tmp_path / "first.db", models=models) as live:
        await live.query(Richest(), after=await live.execute(Open("a", "ann")))
    models.unlink()

    async with bank.open(tmp_path / "second.db", models=models) as live:
        assert len(await live.query(Richest(), after=await live.execute(Open("b", "bob")))) == 1
    database = open_database(f"sqlite:///{models}")
    with database.reading() as connection:
        assert connection.exec_driver_sql(f"SELECT count(*) FROM {Balance.__name__.lower()}").scalar_one() == 1
    database.close()

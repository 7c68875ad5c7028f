"""What somebody else has written into the rows of checkpoints stops no projection, and is answered from by none."""

from typing import Any

import pytest
import sqlalchemy as sa

from leftfold.query import ReadModels
from leftfold.store import MemoryStore
from leftfold_torture.postgres_server import PostgresServer
from tests.postgres import fresh_schema
from tests.query.bank import Balance, Deposited, Opened, append, ask, reading

GARBAGE = {
    "a position that the log does not reach": "position = 1000000000000",
    "another one with an anchor": "position = 1000000000000, anchor = '1000000000000:x'",
    "the largest position": "position = 9223372036854775807",
    "a position before the first": "position = -5",
    "an anchor of nothing": "anchor = 'x:y:z'",
    "a fingerprint of nothing": "fingerprint = 'x/y'",
    "another build": "build = ''",
    "another log": "log_id = ''",
    "tables that are not there": "tables = 'nowhere nothing'",
    "a position that is a text": "position = 'x'",
    "a position between two": "position = 1.5",
    "an anchor that is no text": "anchor = x'ff'",
    "a build that is no text": "build = x'ff'",
    "a fingerprint that is no text": "fingerprint = x'ff'",
    "a version that is no number": "version = 'x'",
}
ON_POSTGRES = ["a position that the log does not reach", "a position before the first"]
OTHER_ROWS = """
    INSERT INTO leftfold_checkpoint
    SELECT {model}, position, build, fingerprint, log_id, tables, version, anchor FROM leftfold_checkpoint"""


def amount(models: ReadModels) -> Any:
    row = models.get(Balance, "a")
    return None if row is None else row.amount


def write(url: str, statement: str) -> None:
    schema = url.rpartition("schema=")[2] if url.startswith("postgresql") else ""
    engine = sa.create_engine(url.partition("&schema=")[0].replace("postgresql:", "postgresql+psycopg:", 1))
    with engine.begin() as connection:
        if schema:
            connection.exec_driver_sql(f"SET LOCAL search_path = {schema}")
        connection.exec_driver_sql(statement)
    engine.dispose()


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Any) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/models.db"
    postgres: PostgresServer = request.getfixturevalue("postgres")
    return fresh_schema(postgres)


CASES = [("sqlite", name) for name in GARBAGE] + [("postgres", name) for name in ON_POSTGRES]


@pytest.mark.parametrize(("url", "garbage"), CASES, indirect=["url"])
@pytest.mark.parametrize("alive", [True, False])
async def test_a_checkpoint_of_garbage_is_folded_again_and_no_answer_is_wrong(
    url: str, garbage: str, alive: bool, caplog: pytest.LogCaptureFixture
) -> None:
    spoil = f"UPDATE leftfold_checkpoint SET {GARBAGE[garbage]}"
    async with MemoryStore() as store:
        async with reading(store, Balance, url=url) as read_side:
            assert await ask(read_side, amount, after=await append(store, Opened("a"), Deposited("a", 5))) == 5
            if alive:
                write(url, spoil)
                assert await ask(read_side, amount, after=await append(store, Deposited("a", 5))) == 10
        if not alive:
            write(url, spoil)
        async with reading(store, Balance, url=url) as read_side:
            position = await append(store, Deposited("a", 5))
            assert await ask(read_side, amount, after=position) == 10 + 5 * alive
            [status] = await read_side.status()
            assert (status.position, status.problem) == (position, None)
    if "position" in garbage:
        assert len([each for each in caplog.records if each.name == "leftfold.history"]) <= 1
        assert "does not contain the event at position" in caplog.text


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("model", ["model || '#1/x'", "model || '#9/2'", "x'ff'", "'nobody'"])
async def test_checkpoints_of_models_that_there_are_not_change_nothing(url: str, model: str) -> None:
    async with MemoryStore() as store:
        async with reading(store, Balance, url=url) as read_side:
            await ask(read_side, amount, after=await append(store, Opened("a"), Deposited("a", 5)))
        write(url, OTHER_ROWS.format(model=model))
        async with reading(store, Balance, url=url) as read_side:
            assert await ask(read_side, amount, after=await append(store, Deposited("a", 5))) == 10

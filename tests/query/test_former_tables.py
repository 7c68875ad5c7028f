"""Tables that were made before decimals, durations and times of day had columns that sort: they are built again."""

import datetime as dt
import sqlite3
from pathlib import Path

import sqlalchemy as sa

from leftfold_torture.postgres_server import PostgresServer
from tests.postgres import fresh_schema
from tests.query.former_shop import PLACED, Orders, Place, PricesAre, shop
from tests.query.places import outside

FORMATS = Path(__file__).parent / "formats"
BY_AMOUNT = ["o-3", "o-1", "o-2"]
BY_WAITS = ["o-3", "o-2", "o-1"]
POSTGRES_BEFORE = """
DROP TABLE {schema}."order"; DROP TABLE {schema}.order_history; DROP TABLE {schema}.prices;
CREATE TABLE {schema}."order" ("order" TEXT COLLATE "C" NOT NULL PRIMARY KEY, amount NUMERIC NOT NULL,
    waits JSONB NOT NULL, at JSONB NOT NULL, maybe NUMERIC);
CREATE TABLE {schema}.order_history ("order" TEXT COLLATE "C" NOT NULL, amount NUMERIC NOT NULL,
    waits JSONB NOT NULL, at JSONB NOT NULL, maybe NUMERIC, valid_from BIGINT NOT NULL, valid_until BIGINT,
    PRIMARY KEY ("order", valid_from));
CREATE TABLE {schema}.prices ("order" TEXT COLLATE "C" NOT NULL PRIMARY KEY, prices JSONB NOT NULL);
INSERT INTO {schema}."order" VALUES ('o-1', 9.60, '"P10D"', '"09:30:00"', NULL),
    ('o-2', 10.00, '"PT10800S"', '"12:00:00"', NULL), ('o-3', -3, '"-PT1S"', '"08:00:00.000005"', NULL);
INSERT INTO {schema}.prices VALUES ('o-1', '{{"b": 2, "a": 1}}'), ('o-2', '{{"b": 2, "a": 1}}'), ('o-3', '{{}}');
UPDATE {schema}.leftfold_checkpoint SET fingerprint = split_part(fingerprint, '/', 1);
"""


def restored(directory: Path, name: str) -> None:
    """Make a file from its dump."""
    connection = sqlite3.connect(directory / f"{name}.db")
    connection.create_collation("leftfold_decimal", lambda left, right: (left > right) - (left < right))
    connection.executescript((FORMATS / f"{name}.sql").read_text(encoding="utf-8"))
    connection.close()


async def check(log: str, models: str | None) -> None:
    """Open the app twice, and ask in between what only the present form of the columns answers right."""
    for _ in range(2):
        async with shop.open(log, **({} if models is None else {"models": models})) as live:
            assert [row.order for row in await live.query(Orders("amount"), after=4)] == BY_AMOUNT
            assert [row.order for row in await live.query(Orders("-waits"), after=4)] == BY_WAITS[::-1]
            assert [str(row.amount) for row in await live.query(Orders("at"))] == ["-3", "9.60", "10.00"]
            assert [row.order for row in await live.query(Orders("amount"), as_of=2)] == ["o-1", "o-2"]
            await live.run_until_quiet()
            assert len(await live.query(PricesAre({"b": 2, "a": 1}), after=4)) == 2


async def test_tables_of_before_are_built_again_and_answer_right(tmp_path: Path) -> None:
    restored(tmp_path, "shop")
    restored(tmp_path, "shop.models")

    await check(f"sqlite:///{tmp_path}/shop.db", None)

    with sqlite3.connect(tmp_path / "shop.models.db") as plain:
        found = plain.execute('SELECT "order" FROM "order" ORDER BY amount').fetchall()
        marks = dict(plain.execute("SELECT model, fingerprint FROM leftfold_checkpoint").fetchall())
    plain.close()
    assert [order for (order,) in found] == BY_AMOUNT
    assert [mark.partition("/")[2] for mark in marks.values()] == ["2", "2"]


async def test_tables_of_before_on_postgresql_are_built_again_and_answer_right(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    log, models = f"sqlite:///{tmp_path}/shop.db", fresh_schema(postgres)
    async with shop.open(log, models=models) as live:
        for values in PLACED:
            await live.execute(Place(*values))
        await live.run_until_quiet()
    with outside(models) as connection:
        schema = connection.execute(sa.select(sa.func.current_schema())).scalar_one()
        connection.exec_driver_sql(POSTGRES_BEFORE.format(schema=schema))

    await check(log, models)

    with outside(models) as connection:
        assert connection.exec_driver_sql('SELECT sum(waits) FROM "order"').scalar_one() == dt.timedelta(
            days=10, hours=3, seconds=-1
        )

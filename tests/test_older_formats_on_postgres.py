"""A log and read models that an older version has made in PostgreSQL are opened, are right, and are gone on with."""

import logging
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from leftfold_torture.postgres_server import PostgresServer
from tests.formats.shop import Account, Balances, Deposit, fill, shop

DUMP = Path(__file__).parent / "formats" / "bytecode.postgres.sql"
numbers = count(1)


@pytest.fixture
def database(postgres: PostgresServer) -> str:
    """A database with the older log and tables; one row shows who wrote it."""
    name = f"older_{next(numbers)}"
    postgres.create(name)
    run(
        postgres.url(name),
        DUMP.read_text(),
        "UPDATE shop_models.lines SET account = 'by the older one' WHERE amount = 7",
    )
    return postgres.url(name)


def run(database: str, *statements: str) -> list[tuple[Any, ...]]:
    """Run scripts; the rows of the last one."""
    with psycopg.connect(database, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def log_in(database: str) -> str:
    return f"{database}&log=shop"


def test_tables_of_an_older_log_are_taken_over_as_they_are_and_once(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    said: list[list[str]] = []
    for _ in range(2):
        caplog.clear()
        with caplog.at_level(logging.INFO), shop.open_sync(log_in(database)) as live:
            live.run_until_quiet()
            assert [(each.problem, each.lag) for each in live.read_models()] == [(None, 0)] * 4
        said.append([each.name for each in caplog.records if each.name in ("leftfold.models", "leftfold.history")])

    anchors = run(
        database, "SELECT anchor IS NOT NULL, split_part(fingerprint, ':', 1) FROM shop_models.leftfold_checkpoint"
    )
    assert anchors == [(True, "source-1")] * 5
    assert said == [[*["leftfold.history"] * 5, "leftfold.models"], []]
    assert ("by the older one", 7) in run(database, "SELECT account, amount FROM shop_models.lines")


def test_an_older_log_in_postgres_gives_the_right_answers_and_grows(database: str) -> None:
    with shop.open_sync(log_in(database)) as live:
        live.execute(Deposit("c", 5))
        live.run_until_quiet()

        assert [each.total for each in live.query(Balances())] == [45, 0, 17]
        assert [each.total for each in live.query(Balances(), as_of=4)] == [7, 0, 0]
        assert live.state(Account, "a").balance == 45
        assert live.state(Account, "a", as_of=5).balance == 15
        assert [each.findings for each in live.verify()] == [()]
        assert [each.outstanding for each in live.reactors()] == [()]
        assert live.commands() == []


def test_states_and_rows_of_an_older_log_equal_those_of_one_that_is_made_today(
    database: str, postgres: PostgresServer
) -> None:
    name = f"older_{next(numbers)}"
    today = log_in(postgres.create(name))
    fill(today)

    found: list[tuple[object, ...]] = []
    for url in (log_in(database), today):
        with shop.open_sync(url) as live:
            live.run_until_quiet()
            states = [live.state(Account, account) for account in "abc"]
            found.append((states, live.query(Balances())))
    assert found[0] == found[1]


def test_the_view_of_an_older_log_is_lifted(database: str) -> None:
    columns = "SELECT column_name FROM information_schema.columns WHERE table_schema = 'shop' AND table_name = 'events'"
    before = run(database, columns)

    with shop.open_sync(log_in(database)):
        pass

    assert ("data_hex",) not in before
    assert ("data_hex",) in run(database, columns)
    assert run(database, "SELECT data FROM shop.events WHERE position = 4") == [('{"account":"a","amount":7}',)]

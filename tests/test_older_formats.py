"""What an older version has made is opened, is right, and is gone on with: logs, tables, snapshots."""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.formats.shop import Account, Balances, Deposit, shop

FORMATS = Path(__file__).parent / "formats"
KEPT = {"log": "shop.db", "models": "shop.models.db", "snapshots": "shop.snapshots.db"}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A log, tables and snapshots that are from before fingerprints were of source; one row shows who wrote it."""
    for name, file in KEPT.items():
        with closing(sqlite3.connect(tmp_path / file)) as connection:
            connection.create_collation("leftfold_decimal", lambda a, b: (a > b) - (a < b))
            connection.executescript((FORMATS / f"bytecode.{name}.sql").read_text())
            if name == "models":
                connection.execute("UPDATE lines SET account = 'by the older one' WHERE amount = 7")
                connection.commit()
    return tmp_path


def fingerprints(folder: Path) -> set[str]:
    with closing(sqlite3.connect(folder / "shop.models.db")) as connection:
        return {row[0].partition(":")[0] for row in connection.execute("SELECT fingerprint FROM leftfold_checkpoint")}


def lines(folder: Path) -> list[tuple[str, int]]:
    with closing(sqlite3.connect(folder / "shop.models.db")) as connection:
        return connection.execute("SELECT account, amount FROM lines ORDER BY amount").fetchall()


def test_tables_of_a_bytecode_fingerprint_are_taken_over_once(old: Path, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        with shop.open_sync(f"sqlite:///{old}/shop.db") as live:
            live.run_until_quiet()
            assert [(each.problem, each.lag) for each in live.read_models()] == [(None, 0)] * 4
            live.query(Balances())
    told = [record for record in caplog.records if record.name == "leftfold.models"]

    assert fingerprints(old) == {"source-1"}
    assert lines(old)[0] == ("by the older one", 7)
    assert [(record.levelno, "Latest, lines were" in record.getMessage()) for record in told] == [
        (logging.WARNING, True)
    ]


def test_an_old_log_gives_the_right_answers_and_grows(old: Path) -> None:
    with shop.open_sync(f"sqlite:///{old}/shop.db") as live:
        live.execute(Deposit("c", 5))
        live.run_until_quiet()

        assert [each.total for each in live.query(Balances())] == [45, 0, 17]
        assert [each.total for each in live.query(Balances(), as_of=4)] == [7, 0, 0]
        assert live.state(Account, "a").balance == 45
        assert live.state(Account, "a", as_of=5).balance == 15
        assert [each.findings for each in live.verify()] == [()]
        assert [each.outstanding for each in live.reactors()] == [()]
        assert live.commands() == []

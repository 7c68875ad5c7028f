"""Projection workers that are killed, in small; and the comparison notices a row that is wrong."""

import sqlite3
from pathlib import Path

from bench.endurance._ledger import Tally, ledger
from bench.endurance._tables import differences
from bench.endurance.exactly_once import Load, run
from leftfold.query import models_url


async def test_killed_workers_leave_the_tables_of_a_clean_rebuild(tmp_path: Path) -> None:
    load = Load(events=20_000, seconds=3, workers=2, kill_every=0.8, seed=1, accounts=200, patience=600)

    outcome = await run(load, tmp_path)

    assert outcome.problems == []
    assert outcome.kills.total() > 0

    url = f"sqlite:///{tmp_path}/ledger.db"
    with sqlite3.connect(models_url(url).removeprefix("sqlite:///")) as connection:
        connection.execute("UPDATE tally SET events = events + 1 WHERE account = 'a7'")
    connection.close()
    [noticed] = await differences(ledger, Tally, url)
    assert "0 rows too few, 0 too many, 1 other ones" in noticed

"""A database of which leftfold knows nothing: SQLite under another name, with none of what is done for SQLite."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from leftfold.query import ReadModels
from leftfold.query.read_model import ReadModelDefinition
from leftfold.query.rebuild import rebuild
from leftfold.store import MemoryStore
from tests.query.bank import (
    Balance,
    Closed,
    Deposited,
    Opened,
    Transferred,
    Turnover,
    append,
    ask,
    folded,
    reading,
    registry_of,
    sorted_rows,
)

EVENTS = [Opened("a"), Opened("b"), Deposited("a", 5), Transferred("a", "b", 2), Closed("b"), Deposited("c", 1)]


class Unknown(SQLiteDialect_pysqlite):
    name = "unknown"
    supports_statement_cache = True


sa.dialects.registry.register("unknown", __name__, "Unknown")


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    async with MemoryStore() as store:
        yield store


async def test_models_are_folded_asked_and_rebuilt_there(store: MemoryStore, tmp_path: Path) -> None:
    url = f"unknown:///{tmp_path}/models.db"

    def question(models: ReadModels) -> Any:
        return sorted_rows(models.select(Balance)), models.get(Turnover)

    for _ in range(2):
        position = await append(store, *EVENTS)
        async with reading(store, Balance, Turnover, url=url, history=True) as read_side:
            rows, turnover = await ask(read_side, question, after=position)
            past, _ = await ask(read_side, question, as_of=4)
            assert past == sorted_rows(folded(Balance, EVENTS, 4).values())

    assert rows == sorted_rows(folded(Balance, EVENTS * 2).values())
    assert turnover == Turnover(4, 12)
    found = await rebuild(ReadModelDefinition(Balance, history=True), store, registry_of(), url)
    assert found.swapped
    assert found.differences.none

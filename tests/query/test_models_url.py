"""Where read models are kept when nothing is said, and what happens without SQLAlchemy."""

import subprocess
import sys
from pathlib import Path

import pytest

from leftfold.errors import InvalidUrl
from leftfold.query import models_url

ROOT = Path(__file__).parents[2]
WITHOUT_SQLALCHEMY = """
import asyncio, sys
sys.modules["sqlalchemy"] = None
from leftfold.errors import MissingExtra
from leftfold.query import ReadModelDefinition, ReadSide
from leftfold.store import MemoryStore
from tests.query.bank import Balance, registry_of

async def main():
    read_side = ReadSide(MemoryStore(), registry_of(), [ReadModelDefinition(Balance)], "sqlite://")
    try:
        await read_side.start()
    except MissingExtra as error:
        print(error.module, error.extra)

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("log", "models"),
    [
        ("sqlite:///bank.db", "sqlite:///bank.models.db"),
        ("sqlite:////var/lib/bank.v2.sqlite?event_limit=10", "sqlite:////var/lib/bank.v2.models.sqlite"),
        ("sqlite:///data/bank", "sqlite:///data/bank.models"),
        ("sqlite:///100%25.db", "sqlite:///100%25.models.db"),
        ("sqlite:///bank.db?mode=ro", "sqlite://"),
        ("memory:", "sqlite://"),
        (
            "postgresql://ann@/shop?host=/run/pg&log=bank&queue=10",
            "postgresql://ann@/shop?host=/run/pg&schema=bank_models",
        ),
        ("postgres://ann@db/shop", "postgres://ann@db/shop?schema=leftfold_models"),
        ("postgresql://ann@db/shop?mode=ro", "sqlite://"),
    ],
)
def test_read_models_lie_beside_the_log(log: str, models: str) -> None:
    assert models_url(log) == models


@pytest.mark.parametrize("log", ["sqlite://", "mongodb://localhost/bank", "postgresql://db/shop?through=pgbouncer"])
def test_a_log_without_a_place_for_them_is_refused(log: str) -> None:
    with pytest.raises(InvalidUrl, match="does not say where to keep the read models"):
        models_url(log)


def test_without_sqlalchemy_the_missing_extra_is_named_when_tables_are_needed() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT_SQLALCHEMY], capture_output=True, text=True, check=True, cwd=ROOT
    )

    assert ran.stdout == "sqlalchemy models\n"

"""Folding into tables: any batches give the same rows and versions, and each event is folded once."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from leftfold.errors import ProjectionFailed
from leftfold.events import Event
from leftfold.query import ReadModel, ReadModelDefinition
from leftfold.query.row_cache import Row, RowCache
from leftfold.query.standing import Overtaken
from leftfold.query.tables.database import Database
from leftfold.query.tables.folding import StoredFolding
from leftfold.query.tables.models_database import ModelsDatabase
from leftfold.store import Batch, StoredEvent
from tests.query.bank import (
    IN_MEMORY,
    Audited,
    Balance,
    Closed,
    Deposited,
    Opened,
    Transferred,
    Turnover,
    folded,
    registry_of,
    sorted_rows,
)

accounts = st.sampled_from("abcd")
amounts = st.integers(0, 3)
events = st.one_of(
    st.builds(Opened, accounts),
    st.builds(Deposited, accounts, amounts),
    st.builds(Transferred, accounts, accounts, amounts),
    st.builds(Closed, accounts),
)
cuts = st.sets(st.integers(1, 40))

REGISTRY = registry_of()
DECODE = REGISTRY.decode


class Tables:
    """The tables of some models, opened to be folded into."""

    def __init__(self, *models: type[ReadModel], history: bool = False, url: str = IN_MEMORY) -> None:
        definitions = [ReadModelDefinition(model, history=history) for model in models]
        self.database = ModelsDatabase(url, definitions)
        self.database.positions()
        self.definitions = {definition.owner: definition for definition in definitions}

    def folding(self, model: type[ReadModel]) -> StoredFolding:
        return self.database.open(DECODE, "log", ())[self.definitions[model]]

    def rows(self, sql: str) -> list[Any]:
        with self.database.present({}, 0) as moment:
            return [tuple(row) for row in moment.execute(sa.text(f"SELECT {sql}"))] if False else self._all(sql)

    def _all(self, sql: str) -> list[Any]:
        raise NotImplementedError


def stored(folded_events: Sequence[Event]) -> list[StoredEvent]:
    records = [REGISTRY.encode(event, b"{}") for event in folded_events]
    return [
        StoredEvent(position, 0, record.type, record.version, record.data, b"{}", record.tags)
        for position, record in enumerate(records, 1)
    ]


def in_batches(log: Sequence[StoredEvent], ends: set[int]) -> Iterator[Batch]:
    after = 0
    for end in sorted({end for end in ends if end < len(log)} | {len(log)}):
        yield Batch(log[after:end], end)
        after = end

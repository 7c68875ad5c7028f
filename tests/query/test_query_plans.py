"""How SQLite finds rows: a test fails when a key or an index is not used any more."""

from typing import Any

import pytest
import sqlalchemy as sa

from leftfold.query import ReadModel
from leftfold.query.tables.rows import statements_of
from tests.query.bank import Balance
from tests.query.test_folding import Enrolment, Kept

BY_INDEX = [
    "MULTI-INDEX OR",
    "INDEX 1",
    "SEARCH balance_history USING INDEX balance_history_until (valid_until=? AND valid_from<?)",
    "INDEX 2",
    "SEARCH balance_history USING INDEX balance_history_until (valid_until>?)",
]


def plan_of(kept: Kept, statement: sa.Select[Any]) -> list[str]:
    sql = statement.compile(dialect=kept.database.dialect, compile_kwargs={"literal_binds": True})
    with kept.database.reading() as connection:
        return [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}")]


@pytest.mark.parametrize(
    ("as_of", "key", "plan"),
    [
        (None, "a", ["SEARCH balance USING PRIMARY KEY (account=?)"]),
        (5, "a", ["SEARCH balance_history USING PRIMARY KEY (account=? AND valid_from<?)"]),
        (5, None, BY_INDEX),
    ],
)
def test_rows_are_found_by_their_keys_and_past_ones_by_when_they_ended(
    as_of: int | None, key: str | None, plan: list[str]
) -> None:
    kept = Kept(Balance, history=True)
    source = kept.table.current if as_of is None else kept.table.as_of(as_of)

    statement = sa.select(source).where(source.c.account == key) if key else sa.select(source)

    assert plan_of(kept, statement) == plan


@pytest.mark.parametrize(
    ("model", "keys", "plan"),
    [
        (Balance, [("a",), ("b",)], ["SEARCH balance USING PRIMARY KEY (account=?)"]),
        (
            Enrolment,
            [("a", "b"), ("a", "c")],
            [
                "MULTI-INDEX OR",
                "INDEX 1",
                "SEARCH enrolment USING PRIMARY KEY (source=? AND target=?)",
                "INDEX 2",
                "SEARCH enrolment USING PRIMARY KEY (source=? AND target=?)",
            ],
        ),
    ],
)
def test_the_rows_of_a_batch_are_found_by_their_keys(
    model: type[ReadModel], keys: list[tuple[str, ...]], plan: list[str]
) -> None:
    kept, sent = Kept(model), list[tuple[str, Any]]()
    rows = statements_of(kept.table, kept.database.dialect)

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        sent.append((statement, parameters))

    with kept.database.writing() as connection:
        sa.event.listen(connection, "before_cursor_execute", note)
        list(rows.select(connection, keys * 8))
        rows.delete(connection, keys * 8)
        sa.event.remove(connection, "before_cursor_execute", note)
        found = [
            [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
            for statement, parameters in sent
        ]

    assert [steps[: len(plan)] for steps in found] == [plan, plan]

"""Selects that read a whole table: each is logged once."""

import logging
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.sql import visitors

from leftfold.query.indexes import Order
from leftfold.query.tables.model_table import ModelTable
from leftfold.query.tables.plans import Plan, Sent, plan_of

MANY_ROWS = 10_000
MOST_SHAPES = 1_000
PLANNED = ("sqlite", "postgresql")
log = logging.getLogger("leftfold.models")


class Selected(NamedTuple):
    """What a select asked for, and how many rows it returned.

    `equal` are the fields that were compared with one value; they are in the `conditions` too.
    """

    equal: Sequence[str]
    conditions: Sequence[sa.ColumnElement[bool]]
    order: Order
    limit: int | None
    offset: int
    returned: int

    def others(self) -> list[str]:
        """Return the other columns in the conditions."""
        parts: Iterator[Any] = (part for condition in self.conditions for part in visitors.iterate(condition))
        names = dict.fromkeys(part.name for part in parts if isinstance(part, sa.Column))
        return [name for name in names if name not in self.equal]


class ScanLog:
    """Names each select that reads more than 10,000 rows without an index: once for each statement in one process.

    The plan is asked for at the first, second, fourth, eighth … run of a statement: a table may grow meanwhile.
    """

    def __init__(self) -> None:
        self._runs: dict[str, int] = {}
        self._named: set[str] = set()

    def __repr__(self) -> str:
        return f"<ScanLog {len(self._named)} of {len(self._runs)} statements>"

    def note(self, table: ModelTable, connection: sa.Connection, context: Any, selected: Selected) -> None:
        """Log the select if it has read more than 10,000 rows; `context` is that of its execution."""
        statement = context.compiled.string
        runs = self._runs.get(statement, 0) + 1
        if statement in self._named or (runs == 1 and len(self._runs) >= MOST_SHAPES):
            return
        self._runs[statement] = runs
        if runs & (runs - 1) or connection.dialect.name not in PLANNED:
            return
        plan = plan_of(connection, Sent(context.statement, context.parameters[0]))
        if _reads_many(table, connection, plan, selected):
            self._named.add(statement)
            log.warning("%s", _named(table, plan, selected))


def _reads_many(table: ModelTable, connection: sa.Connection, plan: Plan, selected: Selected) -> bool:
    """Return whether it has surely read that many: one that found its rows early may have read fewer.

    One that was asked for more rows by its limit reads no more than it has to.
    """
    if not any(read.whole and read.table == table.stem for read in plan.reads):
        return False
    if plan.sorts or selected.limit is None or selected.returned < selected.limit:
        return _has_many(table, connection)
    return selected.offset > MANY_ROWS


def _has_many(table: ModelTable, connection: sa.Connection) -> bool:
    beyond = sa.select(sa.literal(1)).select_from(table.current).limit(1).offset(MANY_ROWS)
    return connection.execute(beyond).first() is not None


def _named(table: ModelTable, plan: Plan, selected: Selected) -> str:
    named = [*(f"{name}=…" for name in selected.equal), *(f"where {name} …" for name in selected.others())]
    if selected.order:
        named.append(f"order_by {', '.join(map(str, selected.order))}")
    call = ", ".join([table.name, *named])
    remedy = _remedy(table, plan, selected)
    return f"select({call}) reads more than {MANY_ROWS:,} rows of {table.stem} one by one. {remedy}"


def _remedy(table: ModelTable, plan: Plan, selected: Selected) -> str:
    if selected.offset > MANY_ROWS:
        return "Page with after= in place of offset="
    indexable = {column.name for column in table.indexable}
    wanted = [*selected.equal, *(map(str, selected.order) if selected.order else selected.others())]
    fields = [name for name in dict.fromkeys(wanted) if name.removeprefix("-") in indexable]
    in_order = not plan.sorts and all(read.by for read in plan.reads) and not (selected.equal or selected.others())
    if in_order or not fields or tuple(fields) == table.key[: len(fields)]:
        return "Select fewer rows: page with limit= and after="
    index = repr(fields[0]) if len(fields) == 1 else f"({', '.join(map(repr, fields))})"
    return f"Declare an index: @app.read_model(indexes=[{index}])"

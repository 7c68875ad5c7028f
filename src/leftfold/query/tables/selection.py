"""Selecting from one table or subquery: rows by key, by condition, in an order, counted."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import ClauseElement, visitors

from leftfold.errors import UnsupportedExpression, UsageError
from leftfold.query.indexes import Order, OrderedField, order_of, total_order
from leftfold.query.paging import cursor_to, values_in
from leftfold.query.tables.column_types import Exact
from leftfold.query.tables.keyset import check_values, parts_after
from leftfold.query.tables.model_table import ModelTable
from leftfold.query.tables.scans import ScanLog, Selected
from leftfold.query.tables.sql_target import SqlTables
from leftfold.query.tables.texts import searched

COMPUTES = (
    r"""(?ix) (\b (sum|avg|total|abs|round) \s*\(\s* (distinct\s+)? (\w+\.)? | [-+*/%] \s* (\w+\.)?) "?\b{column}\b"""
    r"""| \b{column}\b"? \s* ([-+*/%] | (<=?|>=?|==?|<>|!=|\bin\b|\bbetween\b) \s* \(? \s* ['\d.:?+-])"""
)
"""Matches text that computes with a column, or compares it with a literal or a parameter."""

Where = Mapping[str, Any] | sa.ColumnElement[bool] | Sequence[sa.ColumnElement[bool]]


def is_text(statement: sa.Executable) -> bool:
    """Return whether a statement is plain text, so that the tables that it reads are unknown."""
    return isinstance(statement, sa.TextClause | sa.TextualSelect)


def tables_in(statement: sa.Executable) -> set[sa.FromClause]:
    """Return the tables that a statement names, also in subqueries; any text in it counts as an unknown table."""
    found: set[sa.FromClause] = set()
    if isinstance(statement, sa.ClauseElement):
        parts: Iterator[Any] = visitors.iterate(statement)
        for part in parts:
            if part.__visit_name__ == "table":
                found.add(part)
            elif part.__visit_name__ == "textclause" or _may_select(part):
                found.add(sa.table("?"))
    return found


def check_texts(statement: sa.Executable, tables: Iterable[ModelTable], connection: sa.Connection) -> None:
    """Refuse plain text that computes with a decimal on SQLite, or compares one with a number: there it is text.

    Sorting, grouping, counting and selecting decimals is allowed.
    """
    texts = "\n".join(_texts_in(statement)) if connection.dialect.name == "sqlite" else ""
    if not texts:
        return
    named = tables_in(statement)
    for table in tables:
        if table.current in named or re.search(rf"\b{table.current.name}\b", texts):
            for column in table.current.columns:
                if isinstance(column.type, Exact) and re.search(COMPUTES.format(column=re.escape(column.name)), texts):
                    operation, kind = "computing in plain text on SQLite", f"{column} (exact)"
                    raise UnsupportedExpression(operation, kind, "write it with SQLAlchemy and models.table(...)")


def _texts_in(statement: sa.Executable) -> Iterator[str]:
    if isinstance(statement, sa.ClauseElement):
        parts: Iterator[Any] = visitors.iterate(statement)
        for part in parts:
            if part.__visit_name__ == "textclause":
                yield part.text
            elif getattr(part, "is_literal", False):
                yield part.name


def _may_select(part: Any) -> bool:
    return getattr(part, "is_literal", False) and "select" in part.name.lower()


class Selection:
    """Reads instances of one model from `source`, its table or a subquery with the same columns.

    With `scans` it notes those selects that read a whole table.
    """

    def __init__(
        self, table: ModelTable, source: sa.FromClause, connection: sa.Connection, scans: ScanLog | None = None
    ) -> None:
        self._table = table
        self._source = source
        self._origin = source
        self._connection = connection
        self._scans = scans

    def get(self, key: Sequence[Any]) -> Any:
        """Return the row of a key, or None."""
        equal = dict(zip(self._table.key, key, strict=True))
        row = self._connection.execute(self._rows().where(*self._equalities(equal)).limit(1)).first()
        return None if row is None else self._table.make(row)

    def select(
        self,
        where: Where | None,
        equal: Mapping[str, Any],
        order_by: str | Sequence[str],
        limit: int | None,
        offset: int,
        after: str | None = None,
    ) -> list[Any]:
        """Return the instances that meet all conditions; those that are equal in the order are ordered by their key.

        With `after` they are those that follow the row of a cursor in this order.
        """
        order = order_of(order_by)
        conditions = [*self._conditions(where), *self._equalities(equal)]
        names = [*(where if isinstance(where, Mapping) else ()), *equal]
        asked = Selected(names, conditions, order, limit, offset, 0)
        if after is None:
            statement = self._rows().where(*conditions).order_by(*self._sorting(order))
            return self._selected(statement.offset(offset) if offset else statement, asked)
        if offset:
            found = f"a select of {self._table.name} with offset={offset} and after="
            raise UsageError(found, "one of the two", "leave out offset=: the rows follow the cursor")
        return self._after(after, conditions, asked)

    def page(
        self,
        where: Where | None,
        equal: Mapping[str, Any],
        order_by: str | Sequence[str],
        limit: int,
        after: str | None,
    ) -> tuple[list[Any], str | None]:
        """Return the first instances, or those after a cursor, and the cursor of the next page, if there is one."""
        if type(limit) is not int or limit < 1:
            found = f"a page of {self._table.name} with limit={limit!r}"
            raise UsageError(found, "a whole number, 1 or more", "say how many rows a page has")
        order = self._total(order_of(order_by))
        sorts = order_by and self._table.has_ordered_key  # `select` then completes the order
        rows = self.select(where, equal, order_by if sorts else tuple(map(str, order)), limit + 1, 0, after)
        if len(rows) <= limit:
            return rows, None
        return rows[:limit], cursor_to(self._table.name, order, self._own_row(rows[limit - 1]))

    def search(
        self, where: Where | None, equal: Mapping[str, Any], words: Sequence[str], limit: int
    ) -> list[tuple[Any, float]]:
        """Return the instances with all the words, the best first, and their scores."""
        table = self._table
        source, matches, score = searched(self._connection, table.current, table.definition.texts, table.key, words)
        fields = [table.current.c[name] for name in table.fields]
        conditions = [matches, *self._conditions(where), *self._equalities(equal)]
        statement = sa.select(*fields, score.label("leftfold_score")).select_from(source).where(*conditions)
        keys = self._sorting(order_of(table.key)) if table.has_ordered_key else []
        ordered = statement.order_by(sa.desc("leftfold_score"), *keys).limit(limit)
        return [(table.make(row[:-1]), float(row[-1])) for row in self._connection.execute(ordered)]

    def aggregate(
        self, where: Where | None, equal: Mapping[str, Any], by: Sequence[str], function: str, name: str | None
    ) -> list[Any]:
        """Return a row for each group, ordered by its fields: their values, and the aggregate of a field."""
        groups = [self._column(field) for field in by]
        compute = getattr(sa.func, function)
        found = compute() if name is None else compute(self._column(name))
        statement = sa.select(*groups, found).select_from(self._origin).group_by(*groups)
        conditions = [*self._conditions(where), *self._equalities(equal)]
        ordered = [self._ordered(OrderedField(field, descending=False)) for field in by]
        return list(self._connection.execute(statement.where(*conditions).order_by(*ordered)))

    def _after(self, cursor: str, conditions: Sequence[sa.ColumnElement[bool]], asked: Selected) -> list[Any]:
        """Return the rows after a cursor, range by range of the order."""
        order, columns = self._total(asked.order), self._table.current.c
        values = values_in(cursor, self._table.name, order, self._table.hints)
        check_values(cursor, columns, order, values, self._connection.dialect)
        found: list[Any] = []
        for part in parts_after(self._source, columns, order, values) if order else ():
            left = None if asked.limit is None else asked.limit - len(found)
            if left == 0:
                break
            statement = self._rows().where(*conditions, *part).order_by(*self._sorting(order))
            found += self._selected(statement, asked._replace(limit=left))
        return found

    def _selected(self, statement: sa.Select[Any], asked: Selected) -> list[Any]:
        result = self._connection.execute(statement if asked.limit is None else statement.limit(asked.limit))
        found = [self._made(row) for row in result]
        if self._scans is not None:
            self._scans.note(self._table, self._connection, result.context, asked._replace(returned=len(found)))
        return found

    def _made(self, row: Sequence[Any]) -> Any:
        return self._table.make(row)

    def _own_row(self, made: Any) -> Any:
        """Return the instance of the model itself."""
        return made

    def _rows(self) -> sa.Select[Any]:
        return sa.select(*(self._source.c[name] for name in self._table.fields))

    def _conditions(self, where: Where | None) -> Iterator[sa.ColumnElement[bool]]:
        if isinstance(where, Mapping):
            yield from self._equalities(where)
        elif isinstance(where, sa.ColumnElement):
            yield where
        else:
            yield from where or ()

    def _equalities(self, equal: Mapping[str, Any]) -> Iterator[sa.ColumnElement[bool]]:
        fold = self._table.definition.fold
        for name, value in (fold.values_from(equal) if fold.has_functions else equal).items():
            yield self._column(name) == value

    def _sorting(self, order: Order) -> list[sa.ColumnElement[Any]]:
        """Return what to sort by, so that no two rows are equal; a key that is kept as JSON has no order."""
        sorts = order and self._table.has_ordered_key
        return [self._ordered(field) for field in (self._total(order) if sorts else order)]

    def _total(self, order: Order) -> Order:
        return total_order(order, self._table.key)

    def _ordered(self, field: OrderedField) -> sa.ColumnElement[Any]:
        """Order NULL before every value, whatever the database does by default."""
        column = self._column(field.name)
        if not self._table.current.c[field.name].nullable:
            return column.desc() if field.descending else column
        return column.desc().nulls_last() if field.descending else column.asc().nulls_first()

    def _column(self, name: str) -> sa.ColumnElement[Any]:
        if name in self._table.fields:
            return self._source.c[name]
        raise UsageError(
            f"{self._table.name} has no column {name!r}",
            f"one of {', '.join(self._table.fields)}",
            "name a field of the read model; a minus in front of it in order_by means descending",
        )


def projections_read(statement: sa.Executable, projections: Iterable[SqlTables]) -> Iterator[SqlTables]:
    """Return the projections whose tables a statement names, each once."""
    if not isinstance(statement, ClauseElement):
        return
    names = {element.name for element in visitors.iterate(statement) if isinstance(element, sa.Table)}
    for table in projections:
        if not names.isdisjoint(table.tables):
            yield table

"""Selecting rows together with the rows that they refer to."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from leftfold.errors import UsageError
from leftfold.query.indexes import OrderedField
from leftfold.query.reference import Reference
from leftfold.query.tables.model_table import ModelTable
from leftfold.query.tables.scans import ScanLog, Selected
from leftfold.query.tables.selection import Selection, Where


class Referred(NamedTuple):
    """The rows that a reference leads to: their table, what they are selected from, and what they are found by."""

    reference: Reference[Any]
    table: ModelTable
    source: sa.FromClause
    place: int


class JoinedSelection(Selection):
    """Reads instances of one model, each in a tuple with the instances that it refers to, or None."""

    def __init__(
        self,
        table: ModelTable,
        source: sa.FromClause,
        connection: sa.Connection,
        scans: ScanLog | None,
        referred: Sequence[Referred],
    ) -> None:
        super().__init__(table, source, connection, scans)
        self._referred = referred
        sources = [source, *(each.source for each in referred)]
        for each in referred:
            own, other = sources[each.place].c, each.source.c
            pairs = zip(each.reference.fields, each.table.key, strict=True)
            same = (own[field] == other[part] for field, part in pairs)
            self._origin = self._origin.outerjoin(each.source, sa.and_(*same))

    def __repr__(self) -> str:
        return " with ".join([self._table.name, *(each.table.name for each in self._referred)])

    def page(
        self,
        where: Where | None,
        equal: Mapping[str, Any],
        order_by: str | Sequence[str],
        limit: int,
        after: str | None,
    ) -> tuple[list[Any], str | None]:
        """Return the first tuples, or those after a cursor, and the cursor of the next page, if there is one."""
        self._check_own([order_by] if isinstance(order_by, str) else order_by)
        return super().page(where, equal, order_by, limit, after)

    def _after(self, cursor: str, conditions: Sequence[sa.ColumnElement[bool]], asked: Selected) -> list[Any]:
        self._check_own([field.name for field in asked.order])
        return super()._after(cursor, conditions, asked)

    def _selected(self, statement: sa.Select[Any], asked: Selected) -> list[Any]:
        if len(statement.get_final_froms()) > 1:
            raise UsageError(
                f"conditions on another table in a join of {self!r}",
                "conditions on the columns of models.table(Model) of the first model, or of models.table(REFERENCE)",
                "name the columns of models.table(REFERENCE), or write {'guest.name': …}",
            )
        return super()._selected(statement, asked)

    def _rows(self) -> sa.Select[Any]:
        columns = [self._source.c[name] for name in self._table.fields]
        columns += [each.source.c[name] for each in self._referred for name in each.table.fields]
        return sa.select(*columns).select_from(self._origin)

    def _made(self, row: Sequence[Any]) -> Any:
        end = len(self._table.fields)
        found = [self._table.make(row[:end])]
        for each in self._referred:
            start, end = end, end + len(each.table.fields)
            part = row[start:end]
            is_there = part[each.table.fields.index(each.table.key[0])] is not None
            found.append(each.table.make(part) if is_there else None)
        return tuple(found)

    def _own_row(self, made: Any) -> Any:
        return made[0]

    def _column(self, name: str) -> sa.ColumnElement[Any]:
        prefix, dot, field = name.partition(".")
        if not dot:
            return super()._column(name)
        found = [each for each in self._referred if each.reference.name == prefix]
        if len(found) == 1 and field in found[0].table.fields:
            return found[0].source.c[field]
        names = [f"{each.reference.name}.{field}" for each in self._referred for field in each.table.fields]
        known = sorted(each for each in names if names.count(each) == 1)
        raise UsageError(
            f"{name!r} names {len(found)} columns" if len(found) > 1 else f"a join of {self!r} has no column {name!r}",
            f"a field of {self._table.name}, or one of {', '.join(known)}",
            "name a field of a row that is referred to by the field that refers to it, or use models.table(REFERENCE)",
        )

    def _ordered(self, field: OrderedField) -> sa.ColumnElement[Any]:
        if "." not in field.name:
            return super()._ordered(field)
        column = self._column(field.name)
        return column.desc().nulls_last() if field.descending else column.asc().nulls_first()

    def _check_own(self, names: Iterable[str]) -> None:
        for name in names:
            if "." in name:
                raise UsageError(
                    f"a page of {self!r} by {name.removeprefix('-')!r}",
                    f"an order by fields of {self._table.name}, which cursors hold",
                    "order pages by its own fields; select(order_by=…, limit=…, offset=…) takes any",
                )

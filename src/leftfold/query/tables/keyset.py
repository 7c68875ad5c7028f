"""The rows after a given one in a total order, as conditions that an index serves."""

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from leftfold.errors import InvalidCursor, LeftfoldError
from leftfold.query.indexes import Order

Conditions = list[sa.ColumnElement[bool]]


def parts_after(
    source: sa.FromClause, columns: sa.ColumnCollection[Any, Any], order: Order, values: Sequence[Any]
) -> Iterator[Conditions]:
    """Yield conditions whose rows, one part after the other, are the rows after the one with these values.

    Each part is one range of an index in this order. There is one part if all fields have one direction and none can
    be NULL. NULL comes before every value.
    """
    found = [source.c[field.name] for field in order]
    wanted = [sa.literal(value, column.type) for value, column in zip(values, found, strict=True)]
    directions = {field.descending for field in order}
    if len(directions) == 1 and not any(columns[field.name].nullable for field in order):
        row, last = sa.tuple_(*found), sa.tuple_(*wanted)
        yield [row < last if order[0].descending else row > last]
        return
    for at in reversed(range(len(order))):
        equal = [_is(column, value) for column, value in zip(found[:at], wanted[:at], strict=True)]
        for beyond in _beyond(found[at], wanted[at], descending=order[at].descending):
            yield [*equal, beyond]


def check_values(
    cursor: str, columns: sa.ColumnCollection[Any, Any], order: Order, values: Sequence[Any], dialect: sa.Dialect
) -> None:
    """Raise `InvalidCursor` if a value cannot be in its column, as in a cursor that somebody has made up."""
    for field, value in zip(order, values, strict=True):
        kind = columns[field.name].type.dialect_impl(dialect)
        bind = kind.bind_processor(dialect)
        try:
            if bind is not None:
                bind(value)
        except (LeftfoldError, ArithmeticError, TypeError, ValueError) as error:
            raise InvalidCursor(cursor, f"its value of {field.name} cannot be in that column") from error
        if dialect.name == "postgresql" and isinstance(value, str) and "\0" in value:
            raise InvalidCursor(cursor, f"its value of {field.name} cannot be in that column")


def _is(column: sa.ColumnElement[Any], value: sa.BindParameter[Any]) -> sa.ColumnElement[bool]:
    return column.is_(None) if value.value is None else column == value


def _beyond(
    column: sa.ColumnElement[Any], value: sa.BindParameter[Any], *, descending: bool
) -> Iterator[sa.ColumnElement[bool]]:
    if descending:
        if value.value is not None:
            yield column < value
            if getattr(column, "nullable", True):
                yield column.is_(None)
    elif value.value is None:
        yield column.is_not(None)
    else:
        yield column > value

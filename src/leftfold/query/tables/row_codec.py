"""Between a model's instances and the values that the driver takes, by the columns' own types."""

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any

import sqlalchemy as sa

from leftfold.query.tables.model_table import ModelTable

Process = Callable[[Any], Any]
Values = Sequence[Any]


class RowCodec:
    """Encodes and decodes the rows of one table for one database."""

    def __init__(self, table: ModelTable, dialect: sa.Dialect) -> None:
        columns = [table.current.c[name] for name in table.fields]
        types = [column.type.dialect_impl(dialect) for column in columns]
        binds = [sql.bind_processor(dialect) for sql in types]
        self._read = _reader(table.fields)
        self._bind = _each(binds) if any(binds) else None
        self._encode_key = _each([bind for bind, name in zip(binds, table.fields, strict=True) if name in table.key])
        self._decode = _each([sql.result_processor(dialect, None) for sql in types])
        self._make = table.make

    def encode(self, states: Iterable[Any]) -> list[Values]:
        """The values of rows, each in the order of the fields."""
        rows = map(self._read, states)
        return list(rows if self._bind is None else map(self._bind, rows))

    def encode_key(self, key: Values) -> Values:
        """The values of a key."""
        return self._encode_key(key)

    def decode(self, row: Values) -> Any:
        """The instance that a row stands for."""
        return self._make(self._decode(row))


class PlainCodec:
    """Lets SQLAlchemy do it, statement by statement."""

    def __init__(self, table: ModelTable) -> None:
        self._read = _reader(table.fields)
        self.decode = table.make

    def encode(self, states: Iterable[Any]) -> list[Values]:
        """The values of rows, each in the order of the fields."""
        return list(map(self._read, states))

    def encode_key(self, key: Values) -> Values:
        """The key."""
        return key


def _reader(fields: Sequence[str]) -> Callable[[Any], Values]:
    read = attrgetter(*fields)
    return read if len(fields) > 1 else lambda state: (read(state),)


def _each(processes: Iterable[Process | None]) -> Callable[[Values], Values]:
    needed = list(processes)
    if not any(needed):
        return lambda values: values

    def process(values: Values) -> Values:
        return [value if process is None else process(value) for process, value in zip(needed, values, strict=True)]

    return process

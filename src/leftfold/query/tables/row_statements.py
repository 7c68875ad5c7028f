"""The four statements by which rows are read and written, many rows at once."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import sqlalchemy as sa

from leftfold.query.tables.model_table import ModelTable

Values = Sequence[Any]


class RowStatements(Protocol):
    """What is done to one model's tables with values that the driver takes; a key's values are in its order."""

    def select(self, connection: sa.Connection, keys: Sequence[Values]) -> Iterable[Any]:
        """The rows of these keys, each with the position since which it is so behind its fields."""
        ...

    def delete(self, connection: sa.Connection, keys: Sequence[Values]) -> None:
        """Take out the rows of these keys."""
        ...

    def put(self, connection: sa.Connection, rows: Sequence[Values]) -> None:
        """Put rows in the place of those with the same keys."""
        ...

    def put_versions(self, connection: sa.Connection, rows: Sequence[Values]) -> None:
        """The same with versions of rows: behind the fields is the position since which, and that until which."""
        ...


def since(table: ModelTable) -> sa.ColumnElement[int]:
    """The position since which the present version of a row is true; 0 where no versions are kept."""
    versions = table.versions
    if versions is None:
        return sa.literal_column("0")
    same = (versions.c[name] == table.current.c[name] for name in table.key)
    return sa.select(sa.func.max(versions.c.valid_from)).where(sa.true(), *same).scalar_subquery()

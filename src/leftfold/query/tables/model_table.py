"""The tables of one read model, made from the fields of its struct."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Any

import sqlalchemy as sa

from leftfold.model.tag import hints_of
from leftfold.query.read_model import ReadModelDefinition
from leftfold.query.shard import shards_of
from leftfold.query.tables.column_types import Json, column_type, form_of, is_read_alike
from leftfold.query.tables.indexes import align_indexes
from leftfold.query.tables.target import Tables
from leftfold.query.tables.texts import WORDS, align_texts, drop_texts

LONGEST_NAME = 63


class ModelTable(Tables):
    """One read model in SQL: the table of its rows and, with history, the table of their versions.

    They are named after the model, or after another `stem` while they are built beside the present ones.
    A version was true at the positions p with `valid_from` <= p < `valid_until`; the present one has no `valid_until`.
    """

    def __init__(self, definition: ReadModelDefinition, stem: str = "") -> None:
        shards = [shard.checkpoint for shard in shards_of(definition)]  # one process folds what is built beside
        tables = tables_of(stem or definition.table, history=definition.history)
        super().__init__(definition, stem or definition.table, [stem] if stem else shards, tables)
        self.history = definition.history
        self.fields: tuple[str, ...] = definition.owner.__struct_fields__
        self.key: tuple[str, ...] = tuple(field.name for field in definition.fold.key)
        self.hints = hints_of(definition.owner)
        self.make: Callable[[Iterable[Any]], Any] = _maker(definition.owner, self.fields)
        metadata = sa.MetaData()
        self.current = self._table(metadata, self.stem)
        self.versions = self._version_table(metadata) if definition.history else None
        self._temporary = self._table(sa.MetaData(), definition.table, prefixes=["TEMPORARY"])
        self.indexable = [column for column in self.current.columns if not isinstance(column.type, Json)]
        self.has_ordered_key = not any(isinstance(self.current.c[name].type, Json) for name in self.key)
        self.form = max(form_of(column.type) for column in self.current.columns)

    def create(self, connection: sa.Connection) -> None:
        """Create the tables, empty; drop whatever has their names."""
        for name in self.tables:
            drop(connection, name)
        for index in self.versions.indexes if self.versions is not None else ():
            _drop_index(connection, str(index.name))  # a former table may still have it
        self.current.create(connection)
        if self.versions is not None:
            self.versions.create(connection)
        self.align(connection)

    def align(self, connection: sa.Connection) -> None:
        """Bring the indexes of the rows, and those of their versions, in line with the code."""
        tables = [self.current] if self.versions is None else [self.current, self.versions]
        align_indexes(connection, self.definition, tables)
        align_texts(connection, self.current, self.definition.texts)

    def create_temporary(self, connection: sa.Connection) -> None:
        """Create an empty temporary table of the rows, which hides the stored one on this connection."""
        self._temporary.create(connection)

    def answers(self, connection: sa.Connection) -> bool:
        """Return whether the stored table has the columns that the code selects."""
        if not self.exists(connection):
            return False
        names = [column["name"] for column in sa.inspect(connection).get_columns(self.stem)]
        return [name for name in names if name != WORDS] == list(self.fields)

    def reads(self, form: int) -> bool:
        """Return whether this code reads rows of a former form correctly."""
        return form >= self.form or all(is_read_alike(column.type) for column in self.current.columns)

    def columns_after(self, form: int) -> set[str]:
        """Return the columns whose form has changed since a former one."""
        return {column.name for column in self.current.columns if form_of(column.type) > form}

    def as_of(self, position: int) -> sa.Subquery:
        """Return the rows as they were at a position, under the table's own name."""
        versions = self.versions
        assert versions is not None, "a model without history has no versions"
        until = versions.c.valid_until
        return (
            sa.select(*(versions.c[name] for name in self.fields))
            .where(versions.c.valid_from <= position, sa.or_(until.is_(None), until > position))
            .subquery(self.definition.table)
        )

    def _table(self, metadata: sa.MetaData, name: str, prefixes: Sequence[str] = ()) -> sa.Table:
        key = [sa.PrimaryKeyConstraint(*self.key)] if self.key else []
        return sa.Table(name, metadata, *self._columns(), *key, prefixes=list(prefixes), sqlite_with_rowid=not self.key)

    def _version_table(self, metadata: sa.MetaData) -> sa.Table:
        name = f"{self.stem}_history"
        return sa.Table(
            name,
            metadata,
            *self._columns(),
            sa.Column("valid_from", sa.BigInteger, nullable=False),
            sa.Column("valid_until", sa.BigInteger),
            sa.PrimaryKeyConstraint(*self.key, "valid_from"),
            sa.Index(_index_name(name), "valid_until", "valid_from"),
            sqlite_with_rowid=False,
        )

    def _columns(self) -> Iterator[sa.Column[Any]]:
        for name in self.fields:
            sql, nullable = column_type(self.hints[name])
            yield sa.Column(name, sql, nullable=nullable and name not in self.key, autoincrement=False)


def tables_of(stem: str, *, history: bool = True) -> tuple[str, ...]:
    """Return the names of a model's tables."""
    return (stem, f"{stem}_history") if history else (stem,)


def drop(connection: sa.Connection, name: str) -> None:
    """Drop a table if it exists, with its full-text index."""
    drop_texts(connection, name)
    sa.Table(name, sa.MetaData()).drop(connection, checkfirst=True)


def _drop_index(connection: sa.Connection, name: str) -> None:
    quoted = connection.dialect.identifier_preparer.quote(name)
    connection.exec_driver_sql(f"DROP INDEX IF EXISTS {quoted}")


def _index_name(table: str) -> str:
    """Return a name that no other table's index has, and that is not too long for PostgreSQL."""
    name = f"{table}_until"
    return name if len(name) <= LONGEST_NAME else f"{name[:40]}_{blake2b(name.encode(), digest_size=8).hexdigest()}"


def _maker(owner: type, fields: Sequence[str]) -> Callable[[Iterable[Any]], Any]:
    """Return the function that makes an instance from a row; by position where the class allows it, which is faster."""
    parameters = list(inspect.signature(owner).parameters.values())
    in_order = [parameter.name for parameter in parameters] == list(fields)
    if in_order and all(parameter.kind is parameter.POSITIONAL_OR_KEYWORD for parameter in parameters):
        return lambda row: owner(*row)
    return lambda row: owner(**dict(zip(fields, row, strict=True)))

"""Reading and writing the rows of a read model in bulk, on each kind of database."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from operator import attrgetter
from typing import Any, Protocol

import sqlalchemy as sa

from leftfold.query.batch_fold import Changes, Row
from leftfold.query.event_keys import Key, key_of
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
        """Return the values of rows, each in the order of the fields."""
        rows = map(self._read, states)
        return list(rows if self._bind is None else map(self._bind, rows))

    def encode_key(self, key: Values) -> Values:
        """Return the values of a key."""
        return self._encode_key(key)

    def decode(self, row: Values) -> Any:
        """Return the instance in a row."""
        return self._make(self._decode(row))


class PlainCodec:
    """Leaves encoding and decoding to SQLAlchemy, statement by statement."""

    def __init__(self, table: ModelTable) -> None:
        self._read = _reader(table.fields)
        self.decode = table.make

    def encode(self, states: Iterable[Any]) -> list[Values]:
        """Return the values of rows, each in the order of the fields."""
        return list(map(self._read, states))

    def encode_key(self, key: Values) -> Values:
        """Return the key as it is."""
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


BULK_SIZES = (256, 16, 1)  # rows in one statement
BULK_VARIABLES = 30_000  # in one statement; SQLite takes 32,766 since 3.32


class Bulk:
    """A statement for many rows, each of `width` values in the order of the statement."""

    def __init__(self, statement: Callable[[int], str], width: int) -> None:
        limit = BULK_VARIABLES // max(width, 1)
        self._sizes = [size for size in BULK_SIZES if size <= limit]
        self._statement = statement
        self._made: dict[int, str] = {}

    def run(self, connection: sa.Connection, rows: Sequence[Sequence[Any]]) -> Iterator[sa.CursorResult[Any]]:
        """Execute it for all rows, in as few statements as the sizes allow."""
        start = 0
        for size in self._sizes:
            while len(rows) - start >= size:
                values = tuple(chain.from_iterable(rows[start : start + size]))
                yield connection.exec_driver_sql(self._sql(size), values)
                start += size

    def _sql(self, size: int) -> str:
        known = self._made.get(size)
        if known is None:
            known = self._made[size] = self._statement(size)
        return known


class RowStatements(Protocol):
    """The statements of one model's tables, with values as the driver takes them."""

    def select(self, connection: sa.Connection, keys: Sequence[Values]) -> Iterable[Any]:
        """Return the rows of these keys: the fields, then the position of the row's last change."""
        ...

    def delete(self, connection: sa.Connection, keys: Sequence[Values]) -> None:
        """Delete the rows of these keys."""
        ...

    def put(self, connection: sa.Connection, rows: Sequence[Values]) -> None:
        """Insert rows, or replace those with the same keys."""
        ...

    def put_versions(self, connection: sa.Connection, rows: Sequence[Values]) -> None:
        """Do the same with versions of rows: the fields, then `valid_from` and `valid_until`."""
        ...


def since(table: ModelTable) -> sa.ColumnElement[int]:
    """Return `valid_from` of the present version of a row; 0 where no versions are kept."""
    versions = table.versions
    if versions is None:
        return sa.literal_column("0")
    same = (versions.c[name] == table.current.c[name] for name in table.key)
    return sa.select(sa.func.max(versions.c.valid_from)).where(sa.true(), *same).scalar_subquery()


class PlainRows:
    """The statements of one model's tables on any database. A row is deleted before it is replaced."""

    def __init__(self, table: ModelTable) -> None:
        current, versions = table.current, table.versions
        self._fields, self._key = table.fields, table.key
        self._keys_at = [table.fields.index(name) for name in table.key]
        self._select = sa.select(*(current.c[name] for name in table.fields), since(table)).where(
            _has(current, table.key)
        )
        self._delete = sa.delete(current).where(_has(current, table.key))
        self._insert = sa.insert(current)
        if versions is not None:
            self._delete_versions = sa.delete(versions).where(_has(versions, (*table.key, "valid_from")))
            self._insert_versions = sa.insert(versions)

    def select(self, connection: sa.Connection, keys: Sequence[Values]) -> Iterator[Any]:
        """Return the rows of these keys, one after the other."""
        for key in keys:
            yield from connection.execute(self._select, _named(self._key, key)).all()

    def delete(self, connection: sa.Connection, keys: Sequence[Values]) -> None:
        """Delete the rows of these keys."""
        if keys:
            connection.execute(self._delete, [_named(self._key, key) for key in keys])

    def put(self, connection: sa.Connection, rows: Sequence[Values]) -> None:
        """Delete the rows with the same keys, then insert."""
        if not rows:
            return
        if self._key:
            self.delete(connection, [[row[at] for at in self._keys_at] for row in rows])
        connection.execute(self._insert, [dict(zip(self._fields, row, strict=True)) for row in rows])

    def put_versions(self, connection: sa.Connection, rows: Sequence[Values]) -> None:
        """Do the same with versions."""
        if not rows:
            return
        key, fields = (*self._key, "valid_from"), (*self._fields, "valid_from", "valid_until")
        ended = [_named(key, [*(row[at] for at in self._keys_at), row[-2]]) for row in rows]
        connection.execute(self._delete_versions, ended)
        latest = {(*(row[at] for at in self._keys_at), row[-2]): row for row in rows}
        connection.execute(self._insert_versions, [dict(zip(fields, row, strict=True)) for row in latest.values()])


def _has(table: sa.Table, key: Sequence[str]) -> sa.ColumnElement[bool]:
    return sa.and_(sa.true(), *(table.c[name] == sa.bindparam(f"of_{name}", type_=table.c[name].type) for name in key))


def _named(key: Sequence[str], values: Values) -> dict[str, Any]:
    return {f"of_{name}": value for name, value in zip(key, values, strict=True)}


VERSION = ("valid_from", "valid_until")
SELECT = "SELECT {fields}, {since} FROM {table} WHERE {wanted}"
DELETE = "DELETE FROM {table} WHERE {wanted}"
SINCE = "(SELECT max(versions.valid_from) FROM {table} AS versions WHERE {same})"
SQLITE_INSERT = "INSERT INTO {table} ({fields}) VALUES {rows}{conflict}"


class Upserts:
    """The parts of statements that SQLite and PostgreSQL share."""

    def __init__(self, table: ModelTable, dialect: sa.Dialect) -> None:
        self._dialect = dialect
        self._name = self._quoted(table.current.name)

    def _quoted(self, name: str) -> str:
        return self._dialect.identifier_preparer.quote(name)

    def _list(self, names: Sequence[str]) -> str:
        return ", ".join(map(self._quoted, names))

    def _conflict(self, key: Sequence[str], rest: Sequence[str]) -> str:
        """Return the clause that replaces the `rest` of a row whose key exists."""
        if not key:
            return ""
        replaced = ", ".join(f"{self._quoted(name)} = excluded.{self._quoted(name)}" for name in rest)
        return f" ON CONFLICT ({self._list(key)}) DO {f'UPDATE SET {replaced}' if rest else 'NOTHING'}"

    def _since(self, table: ModelTable) -> str:
        """Return `valid_from` of the present version of a row; 0 where no versions are kept."""
        if table.versions is None:
            return "0"
        same = (f"versions.{self._quoted(name)} = {self._name}.{self._quoted(name)}" for name in table.key)
        return SINCE.format(table=self._quoted(table.versions.name), same=" AND ".join(["true", *same]))


class SQLiteRows(Upserts):
    """The statements of one model's tables."""

    def __init__(self, table: ModelTable, dialect: sa.Dialect) -> None:
        super().__init__(table, dialect)
        self._key = table.key
        select = SELECT.format(fields=self._list(table.fields), since=self._since(table), table=self._name, wanted="{}")
        delete = DELETE.format(table=self._name, wanted="{}")
        rest = [name for name in table.fields if name not in table.key]
        put = partial(self._insert, self._name, table.fields, table.key, rest)
        version = (*table.fields, *VERSION)
        ended = partial(self._insert, self._history(table), version, (*table.key, "valid_from"), ["valid_until"])
        self._select = Bulk(lambda size: select.format(self._wanted(size)), len(table.key))
        self._delete = Bulk(lambda size: delete.format(self._wanted(size)), len(table.key))
        self._put = Bulk(put, len(table.fields))
        self._put_versions = Bulk(ended, len(version))

    def select(self, connection: sa.Connection, keys: Sequence[Values]) -> Iterator[Any]:
        """Return the rows of these keys."""
        return chain.from_iterable(self._select.run(connection, keys))

    def delete(self, connection: sa.Connection, keys: Sequence[Values]) -> None:
        """Delete the rows of these keys."""
        _exhaust(self._delete, connection, keys)

    def put(self, connection: sa.Connection, rows: Sequence[Values]) -> None:
        """Insert or replace rows."""
        _exhaust(self._put, connection, rows)

    def put_versions(self, connection: sa.Connection, rows: Sequence[Values]) -> None:
        """Insert versions, or end those that exist."""
        _exhaust(self._put_versions, connection, rows)

    def _insert(self, table: str, fields: Sequence[str], key: Sequence[str], rest: Sequence[str], size: int) -> str:
        """Insert rows; where the key exists, replace its `rest`."""
        one = f"({', '.join('?' * len(fields))})"
        rows, conflict = ", ".join([one] * size), self._conflict(key, rest)
        return SQLITE_INSERT.format(table=table, fields=self._list(fields), rows=rows, conflict=conflict)

    def _history(self, table: ModelTable) -> str:
        return "" if table.versions is None else self._quoted(table.versions.name)

    def _wanted(self, size: int) -> str:
        """Compare keys of several values one by one: with `IN`, SQLite would not look them up by the primary key."""
        if len(self._key) == 1:
            return f"{self._list(self._key)} IN ({', '.join('?' * size)})"
        one = " AND ".join(f"{self._quoted(name)} = ?" for name in self._key)
        return " OR ".join([one] * size) if one else "true"


def _exhaust(bulk: Bulk, connection: sa.Connection, rows: Sequence[Values]) -> None:
    for _ in bulk.run(connection, rows):
        pass


_collation = re.compile(r' COLLATE "\w+"')
POSTGRES_INSERT = "INSERT INTO {table} ({fields}) SELECT * FROM unnest({arrays}){conflict}"


class PostgresRows(Upserts):
    """The statements of one model's tables, as text with a placeholder for each column."""

    def __init__(self, table: ModelTable, dialect: sa.Dialect) -> None:
        super().__init__(table, dialect)
        self._key = table.key
        wanted = self._wanted(table)
        fields = ", ".join(f"{self._name}.{self._quoted(name)}" for name in table.fields)
        self._select = SELECT.format(fields=fields, since=self._since(table), table=self._name, wanted=wanted)
        self._delete = DELETE.format(table=self._name, wanted=wanted)
        rest = [name for name in table.fields if name not in table.key]
        self._put = self._insert(table.current, table.fields, table.key, rest)
        self._put_versions = ""
        if table.versions is not None:
            key = (*table.key, "valid_from")
            self._put_versions = self._insert(table.versions, (*table.fields, *VERSION), key, ["valid_until"])

    def select(self, connection: sa.Connection, keys: Sequence[Values]) -> Iterable[Any]:
        """Return the rows of these keys."""
        return self._run(connection, self._select, keys, self._key) if keys else ()

    def delete(self, connection: sa.Connection, keys: Sequence[Values]) -> None:
        """Delete the rows of these keys."""
        if keys:
            self._run(connection, self._delete, keys, self._key)

    def put(self, connection: sa.Connection, rows: Sequence[Values]) -> None:
        """Insert or replace rows."""
        if rows:
            self._run(connection, self._put, rows)

    def put_versions(self, connection: sa.Connection, rows: Sequence[Values]) -> None:
        """Insert versions, or end those that exist."""
        if rows:
            self._run(connection, self._put_versions, rows)

    def _run(
        self, connection: sa.Connection, statement: str, rows: Sequence[Values], columns: Sequence[str] | None = None
    ) -> sa.CursorResult[Any]:
        if columns is not None and not columns:
            return connection.exec_driver_sql(statement)
        return connection.exec_driver_sql(statement, tuple(list(column) for column in zip(*rows, strict=True)))

    def _insert(self, table: sa.Table, fields: Sequence[str], key: Sequence[str], rest: Sequence[str]) -> str:
        return POSTGRES_INSERT.format(
            table=self._quoted(table.name),
            fields=self._list(fields),
            arrays=", ".join(f"CAST(%s AS {self._type(table.c[name])}[])" for name in fields),
            conflict=self._conflict(key, rest),
        )

    def _wanted(self, table: ModelTable) -> str:
        if not table.key:
            return "true"
        key = ", ".join(f"{self._name}.{self._quoted(name)}" for name in table.key)
        arrays = ", ".join(f"CAST(%s AS {self._type(table.current.c[name])}[])" for name in table.key)
        return f"({key}) IN (SELECT * FROM unnest({arrays}))"

    def _type(self, column: sa.Column[Any]) -> str:
        return _collation.sub("", self._dialect.type_compiler_instance.process(column.type))

    def _quoted(self, name: str) -> str:
        return self._dialect.identifier_preparer.quote(name).replace("%", "%%")


NO_ROW = Row(None, 0)


class Rows:
    """The rows of one read model in one database."""

    def __init__(self, table: ModelTable, dialect: sa.Dialect) -> None:
        self._table = table
        self._statements = _statements(table, dialect)
        known = not isinstance(self._statements, PlainRows)
        self._codec = RowCodec(table, dialect) if known else PlainCodec(table)
        self._key_of = key_of(table.definition.fold)

    def load(self, connection: sa.Connection, keys: Collection[Key]) -> dict[Key, Row]:
        """Return the rows of these keys; those that are not in the table have no state."""
        rows = dict.fromkeys(keys, NO_ROW)
        for row in self._statements.select(connection, [self._codec.encode_key(key) for key in keys]):
            state = self._codec.decode(row[:-1])
            rows[self._key_of(state)] = Row(state, row[-1])
        return rows

    def write(self, connection: sa.Connection, changes: Changes) -> None:
        """Write the changes to the table, and to its history."""
        gone = changes.gone
        if changes.present and not self._table.key:
            gone = [()]  # the one row has no key to replace it by
        self._statements.delete(connection, [self._codec.encode_key(key) for key in gone])
        self._statements.put(connection, self._codec.encode(changes.present))
        if changes.versions:
            states = self._codec.encode(row.state for row in changes.versions)
            versions = [(*state, row.since, row.until) for state, row in zip(states, changes.versions, strict=True)]
            self._statements.put_versions(connection, versions)


def _statements(table: ModelTable, dialect: sa.Dialect) -> RowStatements:
    if dialect.name == "sqlite":
        return SQLiteRows(table, dialect)
    return PostgresRows(table, dialect) if dialect.name == "postgresql" else PlainRows(table)

"""Reading and writing the rows of a read model in bulk, on each kind of database."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any, NamedTuple

import sqlalchemy as sa

from leftfold.query.batch_fold import Changes, Row
from leftfold.query.event_keys import Key, key_of
from leftfold.query.tables.model_table import ModelTable

Values = Sequence[Any]
Process = Callable[[Any], Any] | None
Run = Callable[[sa.Connection, Sequence[Values]], Iterable[Any]]
"""Execute a statement for each row of values; return the rows that it selects."""
NO_ROW = Row(None, 0)


class Rows:
    """The rows of one read model in one database."""

    def __init__(self, table: ModelTable, dialect: sa.Dialect) -> None:
        self._table = table
        self._statements = statements_of(table, dialect)
        self._codec = RowCodec(table, dialect)
        self._key_of = key_of(table.definition.fold)

    def load(self, connection: sa.Connection, keys: Collection[Key]) -> dict[Key, Row]:
        """Return the rows of these keys; those that are not in the table have no state."""
        rows = dict.fromkeys(keys, NO_ROW)
        for row in self._statements.select(connection, list(map(self._codec.encode_key, keys))):
            state = self._codec.decode(row[:-1])
            rows[self._key_of(state)] = Row(state, row[-1])
        return rows

    def write(self, connection: sa.Connection, changes: Changes) -> None:
        """Write the changes to the table, and to its history."""
        gone = changes.gone
        if changes.present and not self._table.key:
            gone = [()]  # the one row has no key to replace it by
        self._statements.delete(connection, list(map(self._codec.encode_key, gone)))
        self._statements.put(connection, self._codec.encode(changes.present))
        if changes.versions:
            states = self._codec.encode(row.state for row in changes.versions)
            versions = [(*state, row.since, row.until) for state, row in zip(states, changes.versions, strict=True)]
            self._statements.put_versions(connection, versions)


class RowCodec:
    """Encodes and decodes the rows of one table; in a database other than ours SQLAlchemy does so, by statement."""

    def __init__(self, table: ModelTable, dialect: sa.Dialect) -> None:
        types = [table.current.c[name].type.dialect_impl(dialect) for name in table.fields]
        is_ours = dialect.name in MAKERS
        binds = [sql.bind_processor(dialect) if is_ours else None for sql in types]
        read = attrgetter(*table.fields)
        self._read: Callable[[Any], Values] = read if len(table.fields) > 1 else lambda state: (read(state),)
        self._bind = _each(binds)
        self._decode = _each([sql.result_processor(dialect, None) if is_ours else None for sql in types])
        self._make = table.make
        self.encode_key: Callable[[Values], Values] = _each([binds[at] for at in _key_at(table)]) or _same

    def encode(self, states: Iterable[Any]) -> list[Values]:
        """Return the values of rows, each in the order of the fields."""
        rows = map(self._read, states)
        return list(rows if self._bind is None else map(self._bind, rows))

    def decode(self, row: Values) -> Any:
        """Return the instance in a row."""
        return self._make(row if self._decode is None else self._decode(row))


def _same(values: Values) -> Values:
    return values


def _each(processes: Sequence[Process]) -> Callable[[Values], Values] | None:
    def process(values: Values) -> Values:
        return [value if one is None else one(value) for one, value in zip(processes, values, strict=True)]

    return process if any(processes) else None


def _key_at(table: ModelTable) -> list[int]:
    """Return where the parts of the key are among the fields."""
    return [table.fields.index(name) for name in table.key]


class Statements(NamedTuple):
    """The statements of one model's tables, with values as the driver takes them.

    `select` takes keys and returns the fields and the position of each row's last change. `put` inserts rows, or
    replaces those with the same keys; `put_versions` does so with the fields, `valid_from` and `valid_until`.
    """

    select: Run
    delete: Run
    put: Run
    put_versions: Run


BULK_SIZES = (256, 16, 1)  # rows in one statement
BULK_VARIABLES = 30_000  # in one statement; SQLite takes 32,766 since 3.32
VERSION = ("valid_from", "valid_until")
_collation = re.compile(r' COLLATE "\w+"')


class Bulk:
    """A statement for many rows, each of `width` values in the order of the statement."""

    def __init__(self, statement: Callable[[int], str], width: int) -> None:
        limit = BULK_VARIABLES // max(width, 1)
        self._sizes = [size for size in BULK_SIZES if size <= limit]
        self._statement = statement
        self._made: dict[int, str] = {}

    def run(self, connection: sa.Connection, rows: Sequence[Values]) -> list[Any]:
        """Execute it for all rows, in as few statements as the sizes allow; return what it selects."""
        start, found = 0, list[Any]()
        for size in self._sizes:
            while len(rows) - start >= size:
                sql = self._made.get(size) or self._made.setdefault(size, self._statement(size))
                result = connection.exec_driver_sql(sql, tuple(chain.from_iterable(rows[start : start + size])))
                if result.returns_rows:
                    found += result.all()
                start += size
        return found


class Arrays:
    """A statement that takes each column of all rows as one array."""

    def __init__(self, statement: Callable[[int], str]) -> None:
        self._statement = statement(0)

    def run(self, connection: sa.Connection, rows: Sequence[Values]) -> Iterable[Any]:
        """Execute it for all rows; return what it selects."""
        if not rows:
            return ()
        columns = tuple(list(column) for column in zip(*rows, strict=True))
        result = connection.exec_driver_sql(self._statement, columns or None)
        return result if result.returns_rows else ()


class RowSql:
    """The text of the statements on SQLite, each for so many rows, with a placeholder for each value."""

    def __init__(self, table: ModelTable, dialect: sa.Dialect) -> None:
        self._table = table
        self._dialect = dialect
        self._name = self._quoted(table.current.name)

    def select(self, size: int) -> str:
        """Select the fields, and `valid_from` of the present version; 0 where no versions are kept."""
        versions, since = self._table.versions, "0"
        if versions is not None:
            same = (f"versions.{self._quoted(name)} = {self._own(name)}" for name in self._table.key)
            history, wanted = self._quoted(versions.name), " AND ".join(["true", *same])
            since = f"(SELECT max(versions.valid_from) FROM {history} AS versions WHERE {wanted})"
        fields = ", ".join(map(self._own, self._table.fields))
        return f"SELECT {fields}, {since} FROM {self._name} WHERE {self._wanted(size)}"

    def delete(self, size: int) -> str:
        """Delete by keys."""
        return f"DELETE FROM {self._name} WHERE {self._wanted(size)}"

    def put(self, size: int) -> str:
        """Insert rows; replace all but the key of those that exist."""
        rest = [name for name in self._table.fields if name not in self._table.key]
        return self._insert(self._table.current, self._table.fields, self._table.key, rest, size)

    def put_versions(self, size: int) -> str:
        """Insert versions, or end those that exist."""
        versions = self._table.versions
        if versions is None:
            return ""
        key = (*self._table.key, "valid_from")
        return self._insert(versions, (*self._table.fields, *VERSION), key, ["valid_until"], size)

    def _insert(
        self, table: sa.Table, fields: Sequence[str], key: Sequence[str], rest: Sequence[str], size: int
    ) -> str:
        values = self._values([table.c[name] for name in fields], size)
        insert = f"INSERT INTO {self._quoted(table.name)} ({self._list(fields)}) {values}"
        if not key:
            return insert
        replaced = ", ".join(f"{self._quoted(name)} = excluded.{self._quoted(name)}" for name in rest)
        return f"{insert} ON CONFLICT ({self._list(key)}) DO {f'UPDATE SET {replaced}' if rest else 'NOTHING'}"

    def _values(self, columns: Sequence[sa.Column[Any]], size: int) -> str:
        one = f"({', '.join('?' * len(columns))})"
        return f"VALUES {', '.join([one] * size)}"

    def _wanted(self, size: int) -> str:
        """Compare keys of several values one by one: with `IN`, SQLite would not look them up by the primary key."""
        key = self._table.key
        if len(key) == 1:
            return f"{self._own(key[0])} IN ({', '.join('?' * size)})"
        one = " AND ".join(f"{self._own(name)} = ?" for name in key)
        return " OR ".join([one] * size) if one else "true"

    def _own(self, name: str) -> str:
        return f"{self._name}.{self._quoted(name)}"

    def _list(self, names: Sequence[str]) -> str:
        return ", ".join(map(self._quoted, names))

    def _quoted(self, name: str) -> str:
        return self._dialect.identifier_preparer.quote(name)


class PostgresRowSql(RowSql):
    """The same on PostgreSQL, for any number of rows, with a placeholder for each column."""

    def _values(self, columns: Sequence[sa.Column[Any]], size: int) -> str:
        return f"SELECT * FROM unnest({', '.join(map(self._array, columns))})"

    def _wanted(self, size: int) -> str:
        columns = [self._table.current.c[name] for name in self._table.key]
        if not columns:
            return "true"
        key = ", ".join(map(self._own, self._table.key))
        return f"({key}) IN ({self._values(columns, size)})"

    def _array(self, column: sa.Column[Any]) -> str:
        kind = self._dialect.type_compiler_instance.process(column.type)
        return f"CAST(%s AS {_collation.sub('', kind)}[])"

    def _quoted(self, name: str) -> str:
        return super()._quoted(name).replace("%", "%%")


def sqlite_statements(table: ModelTable, dialect: sa.Dialect) -> Statements:
    """Return statements with many rows in each."""
    sql, key, fields = RowSql(table, dialect), len(table.key), len(table.fields)
    put, put_versions = Bulk(sql.put, fields), Bulk(sql.put_versions, fields + len(VERSION))
    return Statements(Bulk(sql.select, key).run, Bulk(sql.delete, key).run, put.run, put_versions.run)


def postgres_statements(table: ModelTable, dialect: sa.Dialect) -> Statements:
    """Return statements that take arrays."""
    sql = PostgresRowSql(table, dialect)
    return Statements(*(Arrays(each).run for each in (sql.select, sql.delete, sql.put, sql.put_versions)))


MAKERS = {"sqlite": sqlite_statements, "postgresql": postgres_statements}


def statements_of(table: ModelTable, dialect: sa.Dialect) -> Statements:
    """Return the statements for a database; on one other than SQLite and PostgreSQL, those that any database takes."""
    make = MAKERS.get(dialect.name)
    return make(table, dialect) if make else plain_statements(table)


def plain_statements(table: ModelTable) -> Statements:
    """Return statements for any database: a row is deleted before it is replaced."""
    current, versions, key_at = table.current, table.versions, _key_at(table)
    selected = sa.select(*(current.c[name] for name in table.fields), _since(table)).where(_has(current, table.key))

    def select(connection: sa.Connection, keys: Sequence[Values]) -> Iterator[Any]:
        for key in keys:
            yield from connection.execute(selected, _named(table.key, key)).all()

    delete, put = _replacing(current, table.key, table.fields, key_at)
    if versions is None:
        return Statements(select, delete, put, put)
    fields = (*table.fields, *VERSION)
    _, put_versions = _replacing(versions, (*table.key, VERSION[0]), fields, [*key_at, len(table.fields)])
    return Statements(select, delete, put, put_versions)


def _replacing(table: sa.Table, key: Sequence[str], fields: Sequence[str], key_at: Sequence[int]) -> tuple[Run, Run]:
    """Return what deletes rows by their keys, and what replaces rows; of those with one key it inserts the last."""
    deleted, inserted = sa.delete(table).where(_has(table, key)), sa.insert(table)

    def delete(connection: sa.Connection, keys: Sequence[Values]) -> Iterable[Any]:
        if keys:
            connection.execute(deleted, [_named(key, each) for each in keys])
        return ()

    def put(connection: sa.Connection, rows: Sequence[Values]) -> Iterable[Any]:
        latest = {tuple(row[at] for at in key_at): row for row in rows}
        if rows and key:
            delete(connection, list(latest))
        if rows:
            connection.execute(inserted, [dict(zip(fields, row, strict=True)) for row in latest.values()])
        return ()

    return delete, put


def _since(table: ModelTable) -> sa.ColumnElement[int]:
    """Return `valid_from` of the present version of a row; 0 where no versions are kept."""
    versions = table.versions
    if versions is None:
        return sa.literal_column("0")
    same = (versions.c[name] == table.current.c[name] for name in table.key)
    return sa.select(sa.func.max(versions.c.valid_from)).where(sa.true(), *same).scalar_subquery()


def _has(table: sa.Table, key: Sequence[str]) -> sa.ColumnElement[bool]:
    return sa.and_(sa.true(), *(table.c[name] == sa.bindparam(f"of_{name}", type_=table.c[name].type) for name in key))


def _named(key: Sequence[str], values: Values) -> dict[str, Any]:
    return {f"of_{name}": value for name, value in zip(key, values, strict=True)}

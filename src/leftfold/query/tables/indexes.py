"""Making the indexes of a read model's tables, and bringing those of existing tables in line with the code."""

import logging
import re
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy import exc

from leftfold.errors import InvalidModel
from leftfold.query.indexes import ModelIndex, OrderedField
from leftfold.query.read_model import ReadModelDefinition
from leftfold.query.tables.database import is_trouble

NAME = re.compile(r"_ix([0-9a-f]{12})_[0-9a-f]{8}$")
"""Matches the end of the name of such an index: the digest of its columns, and a part that makes it unique.

A rebuilt table takes the place of the former one with its indexes, whose names stay as they are.
"""
LONGEST_BEGINNING = 38  # of 63 characters
log = logging.getLogger("leftfold.models")


def align_indexes(connection: sa.Connection, definition: ReadModelDefinition, tables: Sequence[sa.Table]) -> None:
    """Create the indexes that these tables lack, and drop those that the code does not declare any more."""
    for table in tables:
        wanted = {digest_of(connection, table, index): index for index in definition.indexes}
        present = dict(_present(connection, table.name))
        for digest, name in present.items():
            if digest not in wanted:
                connection.exec_driver_sql(f"DROP INDEX {_quoted(connection, name)}")
                log.info("%s: dropped the index %s, which the code does not declare any more", table.name, name)
        for digest, index in wanted.items():
            if digest not in present:
                _create(connection, table, index, digest)


def names_of_indexes(connection: sa.Connection, definition: ReadModelDefinition, table: sa.Table) -> dict[str, str]:
    """Return how the code declares each index that a table has, by the index's name."""
    wanted = {digest_of(connection, table, index): index for index in definition.indexes}
    return {name: str(wanted[digest]) for digest, name in _present(connection, table.name) if digest in wanted}


def digest_of(connection: sa.Connection, table: sa.Table, index: ModelIndex) -> str:
    """Return the digest of an index's columns, as this database orders them."""
    return blake2b(_columns(connection, table, index).encode(), digest_size=6).hexdigest()


def _create(connection: sa.Connection, table: sa.Table, index: ModelIndex, digest: str) -> None:
    words = "_".join((table.name, "by", *(field.name for field in index.declared)))
    name = f"{re.sub(r'[^a-z0-9_]', '', words)[:LONGEST_BEGINNING]}_ix{digest}_{uuid4().hex[:8]}"
    on = f"{_quoted(connection, table.name)} ({_columns(connection, table, index)})"
    try:
        connection.exec_driver_sql(f"CREATE INDEX {name} ON {on}")
    except exc.DBAPIError as error:
        if is_trouble(error):
            raise
        raise InvalidModel(
            f"the index {index} of {table.name} cannot be made: {str(error.orig).strip()}",
            "values that fit into an index; in PostgreSQL they have at most about 2,700 bytes",
            "leave out the index, or keep a short form of the value in a field of its own",
        ) from error


def _present(connection: sa.Connection, table: str) -> Iterator[tuple[str, str]]:
    """Yield the digest and the name of each index of ours that a table has."""
    for index in sa.inspect(connection).get_indexes(table):
        found = NAME.search(index["name"] or "")
        if found:
            yield found[1], str(index["name"])


def _columns(connection: sa.Connection, table: sa.Table, index: ModelIndex) -> str:
    return ", ".join(_column(connection, table, field) for field in index.order)


def _column(connection: sa.Connection, table: sa.Table, field: OrderedField) -> str:
    """Return a column in the order in which `select` sorts it: NULL before every value.

    That is SQLite's own order. PostgreSQL uses an index only for exactly the order that it was made with.
    """
    name = _quoted(connection, field.name)
    if connection.dialect.name == "postgresql" and table.c[field.name].nullable:
        return f"{name} DESC NULLS LAST" if field.descending else f"{name} ASC NULLS FIRST"
    return f"{name} DESC" if field.descending else name


def _quoted(connection: sa.Connection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote(name)

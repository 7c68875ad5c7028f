"""The tables that an SQL projection declares: which are allowed, and their definition as one text."""

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.ddl import sort_tables

from leftfold.errors import InvalidProjection

OLD = "__old"


def checked_tables(projection: str, declared: sa.MetaData | Sequence[sa.Table]) -> tuple[sa.Table, ...]:
    """Return the tables, those that others refer to first; raise `InvalidProjection` for one that cannot be kept."""
    tables = _listed(projection, declared)
    if not tables:
        raise InvalidProjection(projection, "it has no tables", "one or more tables, defined above the handler")
    for table in tables:
        problem = _problem_with(table)
        if problem is not None:
            raise InvalidProjection(projection, f"the table {table.name!r} {problem}", "a table with another name")
    _check_references(projection, tables)
    return tuple(sort_tables(dict.fromkeys(tables)))


def ddl_of(tables: Sequence[sa.Table]) -> str:
    """Return what changes when the tables' columns, keys or indexes do."""
    return "; ".join(" ".join(_parts_of(table)) for table in sorted(tables, key=lambda table: table.name))


def _listed(projection: str, declared: Any) -> list[sa.Table]:
    """Return the declared tables; anything may have been declared."""
    if isinstance(declared, sa.MetaData):
        return list(declared.tables.values())
    if isinstance(declared, list | tuple):
        found: list[Any] = list(declared)  # pyright: ignore[reportUnknownArgumentType]
        if all(isinstance(table, sa.Table) for table in found):
            return found
    raise InvalidProjection(projection, f"its tables are {declared!r}", "a MetaData or a list of Tables")


def _problem_with(table: sa.Table) -> str | None:
    if table.schema is not None:
        return f"is in the schema {table.schema!r}: a rebuild puts temporary tables in front of it by name"
    if table.name.startswith("leftfold_"):
        return "is named like leftfold's own tables"
    if OLD in table.name:
        return f"has {OLD!r} in its name, which marks a table that a rebuild has replaced"
    return "has a blank in its name" if len(table.name.split()) != 1 else None


def _check_references(projection: str, tables: Sequence[sa.Table]) -> None:
    for table in tables:
        for key in table.foreign_keys:
            target = key.target_fullname.rpartition(".")[0]
            if target not in {other.name for other in tables}:
                problem = f"the table {table.name!r} refers to {target!r}, which is not among its tables"
                raise InvalidProjection(projection, problem, "references among the projection's own tables only")


def _parts_of(table: sa.Table) -> Iterator[str]:
    yield table.name
    for column in table.columns:
        default = getattr(column.server_default, "arg", None)
        marks = (column.nullable, column.primary_key, column.unique, str(default))
        yield f"{column.name}:{column.type!r}:{marks}"
        yield from sorted(f"-> {key.target_fullname}" for key in column.foreign_keys)
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        yield f"{index.name}:{index.unique}:{[str(expression) for expression in index.expressions]}"
    yield from sorted(_parts_of_constraints(table))


def _parts_of_constraints(table: sa.Table) -> Iterator[str]:
    for constraint in table.constraints:
        if isinstance(constraint, sa.CheckConstraint):
            yield f"check {constraint.sqltext}"
        if isinstance(constraint, sa.UniqueConstraint):
            yield f"unique {[column.name for column in constraint.columns]}"

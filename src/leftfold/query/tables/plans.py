"""How a database runs a statement: which indexes it uses, which tables it reads from beginning to end."""

import re
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import event

from leftfold.errors import UsageError
from leftfold.query.statement_plan import StatementPlan
from leftfold.query.tables.indexes import names_of_indexes
from leftfold.query.tables.model_table import ModelTable
from leftfold.query.tables.texts import text_index_of

SQLITE_STEP = re.compile(r'(?P<verb>SCAN|SEARCH) "?(?P<table>\w+)"?(?: AS \w+)?(?: USING (?P<how>.*))?')
SQLITE_INDEX = re.compile(r"(?:AUTOMATIC )?(?:PARTIAL )?(?:COVERING )?INDEX (\w+)")
SQLITE_SORT = "TEMP B-TREE FOR ORDER BY"  # other words say that it sorts only rows that are equal in the first terms
VIRTUAL = "VIRTUAL TABLE INDEX"  # of a full-text search
BLANKS = re.compile(r"\s+")


class Sent(NamedTuple):
    """A statement as the driver got it."""

    statement: str
    parameters: Any


class TableRead(NamedTuple):
    """How a table is read: by which index, and whether from its beginning to its end."""

    table: str
    by: str | None
    whole: bool


class Plan(NamedTuple):
    """The steps of a plan in words, the tables that it reads, and whether it sorts what it has read."""

    steps: Sequence[str]
    reads: Sequence[TableRead]
    sorts: bool


@contextmanager
def recorded(connection: sa.Connection) -> Generator[list[Sent], None, None]:
    """Collect the statements that a query sends, without those that fill temporary tables."""
    sent: list[Sent] = []

    def note(_: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if context.compiled is not None and context.compiled.statement.is_dml is False and not context.isddl:
            sent.append(Sent(statement, parameters))

    event.listen(connection, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(connection, "before_cursor_execute", note)


def plan_of(connection: sa.Connection, sent: Sent) -> Plan:
    """Ask the database how it runs a statement; raise `UsageError` for one that cannot be asked."""
    if connection.dialect.name == "sqlite":
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sent.statement}", sent.parameters)
        return _sqlite_plan([str(row.detail) for row in rows])
    if connection.dialect.name == "postgresql":
        found = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {sent.statement}", sent.parameters).scalar_one()
        return _postgres_plan(found[0]["Plan"])
    raise UsageError(
        f"the plan of a query on {connection.dialect.name}",
        "read models on SQLite or PostgreSQL",
        "ask the database itself with EXPLAIN",
    )


def statement_plans(
    connection: sa.Connection, tables: Iterable[ModelTable], sent: Sequence[Sent]
) -> list[StatementPlan]:
    """Return the plan of each statement, once for equal ones, with indexes as the code declares them."""
    names: dict[str, str] = {}
    for each in tables:
        for table in (each.current, each.versions):
            if table is not None and sa.inspect(connection).has_table(table.name):
                names |= names_of_indexes(connection, each.definition, table)
        text_index = text_index_of(connection, each.current.name)
        if text_index is not None:
            names[text_index] = f"Text({', '.join(each.definition.texts)})"
    alike = {each.statement: each for each in sent}
    return [_in_words(BLANKS.sub(" ", each.statement), plan_of(connection, each), names) for each in alike.values()]


def _in_words(statement: str, plan: Plan, names: Mapping[str, str]) -> StatementPlan:
    indexes = (_index_in_words(read, names) for read in plan.reads if read.by)
    scans = (read.table for read in plan.reads if read.whole and not read.by)
    steps = [_with_declared(step, names) for step in plan.steps]
    return StatementPlan(statement, tuple(steps), tuple(dict.fromkeys(indexes)), tuple(dict.fromkeys(scans)))


def _index_in_words(read: TableRead, names: Mapping[str, str]) -> str:
    name = names.get(read.by or "", read.by or "")
    return name if read.table == read.by else f"{read.table} {name}"


def _with_declared(step: str, names: Mapping[str, str]) -> str:
    for name, declared in names.items():
        step = step.replace(name, declared)
    return step


def _sqlite_plan(details: Sequence[str]) -> Plan:
    of_tables = (detail for detail in details if "CONSTANT ROW" not in detail)
    reads = [_sqlite_read(found) for found in map(SQLITE_STEP.match, of_tables) if found]
    sorts = any(SQLITE_SORT in detail for detail in details)
    return Plan(details, reads, sorts)


def _sqlite_read(found: re.Match[str]) -> TableRead:
    if VIRTUAL in found.string:
        return TableRead(found["table"], found["table"], whole=False)
    index = SQLITE_INDEX.match(found["how"] or "")
    return TableRead(found["table"], index[1] if index else None, found["verb"] == "SCAN")


def _postgres_plan(root: Mapping[str, Any]) -> Plan:
    nodes = list(_nodes(root, ""))
    reads = [_postgres_read(node, table) for node, table in nodes if "Index Name" in node or "Relation Name" in node]
    by_bitmap = {read.table for read in reads if read.by}
    reads = [read for read in reads if read.by or read.table not in by_bitmap]
    return Plan([_step(node) for node, _ in nodes], reads, any(node["Node Type"] == "Sort" for node, _ in nodes))


def _nodes(node: Mapping[str, Any], table: str) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Yield each node with its table; a node that reads only the index of a bitmap has that of its parent."""
    own = str(node.get("Relation Name", table))
    yield node, own
    for child in node.get("Plans", ()):
        yield from _nodes(child, own)


def _postgres_read(node: Mapping[str, Any], table: str) -> TableRead:
    index = node.get("Index Name")
    return TableRead(table, index, "Index Cond" not in node if index else node["Node Type"] != "Bitmap Heap Scan")


def _step(node: Mapping[str, Any]) -> str:
    parts = [str(node["Node Type"])]
    for name, word in (("Relation Name", "on"), ("Index Name", "using"), ("Index Cond", "for"), ("Filter", "filter")):
        if name in node:
            parts.append(f"{word} {node[name]}")
    if "Sort Key" in node:
        parts.append(f"by {', '.join(node['Sort Key'])}")
    return " ".join(parts)

"""Full-text indexes of a read model's rows: FTS5 on SQLite, an index over a column of type `tsvector` on PostgreSQL.

On SQLite triggers keep the words beside the table, so that whatever writes rows keeps them right. The texts are not
kept twice. On PostgreSQL a generated column keeps the words with their places: a search ranks each row that it finds,
and to compute the words of a row again takes ten times as long as all the rest.
"""

import re
import string
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy import exc

from leftfold.errors import UsageError
from leftfold.query.tables.database import is_trouble

NAME = re.compile(r"_ft([0-9a-f]{12})_[0-9a-f]{8}$")
"""Matches the end of the name of such an index, as those of other indexes."""
FORMS = {"postgresql": "2"}  # in form 1 the index itself computed the words
FIRST_FORM = "1"
WORDS = "leftfold_words"
PENDING = "gin_pending_list_limit = 256"  # kB of new words that each search reads one by one, until they are sorted in
LONGEST_BEGINNING = 38
INSERTED, CHANGED, DELETED = "_i", "_u", "_d"  # the ends of the triggers' names

PRESENT = {
    "sqlite": "SELECT substr(name, 1, length(name) - 2) FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?",
    "postgresql": "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema() AND tablename = %s",
}
ON_SQLITE = """
CREATE VIRTUAL TABLE {text} USING fts5({fields}, content='', tokenize='unicode61 remove_diacritics 0');
CREATE TABLE {ids} (id INTEGER PRIMARY KEY, {columns}, UNIQUE ({key}));
INSERT INTO {ids} ({key}) SELECT {key} FROM {table};
INSERT INTO {text} (rowid, {fields}) SELECT {ids}.id, {all_fields} FROM {table} JOIN {ids} ON {same_key};
CREATE TRIGGER {inserted} AFTER INSERT ON {table} BEGIN
    INSERT INTO {ids} ({key}) VALUES ({new_key});
    INSERT INTO {text} (rowid, {fields}) SELECT id, {new_fields} FROM {ids} WHERE {is_new};
END;
CREATE TRIGGER {changed} AFTER UPDATE OF {fields} ON {table} WHEN {differs} BEGIN
    INSERT INTO {text} ({text}, rowid, {fields}) SELECT 'delete', id, {old_fields} FROM {ids} WHERE {is_old};
    INSERT INTO {text} (rowid, {fields}) SELECT id, {new_fields} FROM {ids} WHERE {is_new};
END;
CREATE TRIGGER {deleted} AFTER DELETE ON {table} BEGIN
    INSERT INTO {text} ({text}, rowid, {fields}) SELECT 'delete', id, {old_fields} FROM {ids} WHERE {is_old};
    DELETE FROM {ids} WHERE {is_old};
END;
"""


def align_texts(connection: sa.Connection, table: sa.Table, texts: Sequence[str]) -> None:
    """Make the full-text index of a table if it lacks one over these fields, and drop any other."""
    present = text_index_of(connection, table.name)
    form = FORMS.get(connection.dialect.name, FIRST_FORM)
    digest = blake2b(" ".join([form, *texts]).encode(), digest_size=6).hexdigest()
    found = NAME.search(present or "")
    if present is not None and (not texts or (found and found[1] != digest)):
        drop_texts(connection, table.name)
        present = None
    if texts and present is None:
        beginning = re.sub(r"[^a-z0-9_]", "", table.name)[:LONGEST_BEGINNING]
        _create(connection, table, texts, f"{beginning}_ft{digest}_{uuid4().hex[:8]}")


def drop_texts(connection: sa.Connection, table: str) -> None:
    """Drop the full-text index of a table, if it has one."""
    present = text_index_of(connection, table)
    if present is None:
        return
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"DROP INDEX {present}")
        connection.exec_driver_sql(f"ALTER TABLE {_quoted(connection, table)} DROP COLUMN IF EXISTS {WORDS}")
        return
    for end in (INSERTED, CHANGED, DELETED):
        connection.exec_driver_sql(f"DROP TRIGGER {present}{end}")
    connection.exec_driver_sql(f"DROP TABLE {present}")
    connection.exec_driver_sql(f"DROP TABLE {_ids(present)}")


def text_index_of(connection: sa.Connection, table: str) -> str | None:
    """Return the name of a table's full-text index, if it has one."""
    asked = PRESENT.get(connection.dialect.name)
    if asked is None:
        return None
    names = connection.exec_driver_sql(asked, (table,)).scalars()
    return next((str(name) for name in names if NAME.search(str(name))), None)


def searched(
    connection: sa.Connection, table: sa.Table, texts: Sequence[str], key: Sequence[str], words: Sequence[str]
) -> tuple[sa.FromClause, sa.ColumnElement[bool], sa.ColumnElement[float]]:
    """Return what to select from to find rows with all the words, the condition, and the score of a row."""
    present = text_index_of(connection, table.name)
    if present is None:
        raise UsageError(
            f"a search in {table.name}, which has no full-text index",
            "a table on SQLite or PostgreSQL that the present code has made",
            "wait until the model is rebuilt, or open its read models on SQLite or PostgreSQL",
        )
    if connection.dialect.name == "postgresql":
        vector: sa.ColumnElement[Any] = sa.literal_column(f"{_quoted(connection, table.name)}.{WORDS}")
        query = sa.func.plainto_tsquery(
            sa.literal_column("'simple'::regconfig"), sa.literal(" ".join(words), sa.Text())
        )
        return table, vector.op("@@", is_comparison=True)(query), sa.func.ts_rank(vector, query, type_=sa.Float())
    ids = sa.table(_ids(present), sa.column("id"), *(sa.column(name, table.c[name].type) for name in key))
    text = sa.table(present, sa.column("rowid"))
    joined = text.join(ids, ids.c.id == text.c.rowid).join(table, sa.and_(*(table.c[n] == ids.c[n] for n in key)))
    phrases = " ".join(f'"{word}"' for word in words)
    matches = sa.literal_column(present).op("MATCH", is_comparison=True)(sa.literal(phrases, sa.Text()))
    return joined, matches, sa.literal_column(f"-bm25({present})", sa.Float())


def _create(connection: sa.Connection, table: sa.Table, texts: Sequence[str], name: str) -> None:
    if connection.dialect.name == "postgresql":
        own = _quoted(connection, table.name)
        column = f"{WORDS} tsvector GENERATED ALWAYS AS ({_vector(connection, texts)}) STORED"
        connection.exec_driver_sql(f"ALTER TABLE {own} DROP COLUMN IF EXISTS {WORDS}")
        connection.exec_driver_sql(f"ALTER TABLE {own} ADD COLUMN {column}".replace("%", "%%"))
        connection.exec_driver_sql(f"CREATE INDEX {name} ON {own} USING gin ({WORDS}) WITH ({PENDING})")
    elif connection.dialect.name == "sqlite":
        for statement in _statements(connection, table, texts, name):
            _run(connection, statement)


def _run(connection: sa.Connection, statement: str) -> None:
    try:
        connection.exec_driver_sql(statement)
    except exc.OperationalError as error:
        if is_trouble(error) or "no such module" not in str(error.orig):
            raise
        raise UsageError(
            f"a full-text index, and {error.orig}",
            "an SQLite library with FTS5, as Python's own usually has",
            "use a Python whose SQLite has FTS5, or leave out Text()",
        ) from error


def _statements(connection: sa.Connection, table: sa.Table, texts: Sequence[str], name: str) -> list[str]:
    def each(names: Sequence[str], form: str, between: str = ", ") -> str:
        return between.join(form.format(_quoted(connection, one)) for one in names)

    key = [column.name for column in table.primary_key]
    own, ids = _quoted(connection, table.name), _ids(name)
    kinds = (_kind(connection, table.c[one]) for one in key)
    made = ON_SQLITE.format(
        text=name,
        ids=ids,
        table=own,
        fields=each(texts, "{}"),
        all_fields=each(texts, f"{own}.{{}}"),
        new_fields=each(texts, "new.{}"),
        old_fields=each(texts, "old.{}"),
        key=each(key, "{}"),
        new_key=each(key, "new.{}"),
        columns=", ".join(f"{_quoted(connection, one)} {kind}" for one, kind in zip(key, kinds, strict=True)),
        same_key=each(key, f"{own}.{{0}} = {ids}.{{0}}", " AND "),
        is_new=each(key, "{0} = new.{0}", " AND "),
        is_old=each(key, "{0} = old.{0}", " AND "),
        differs=each(texts, "old.{0} IS NOT new.{0}", " OR "),
        inserted=name + INSERTED,
        changed=name + CHANGED,
        deleted=name + DELETED,
    )
    return re.findall(r"(?s)CREATE TRIGGER.*?END;|(?:CREATE|INSERT)[^;]*;", made)


def _kind(connection: sa.Connection, column: sa.Column[Any]) -> str:
    return f"{connection.dialect.type_compiler_instance.process(column.type)} NOT NULL"


def _vector(connection: sa.Connection, texts: Sequence[str]) -> str:
    """Return the words of the texts. What is between words is taken out, as PostgreSQL takes `a-b` or `1.5` for one."""
    whole = " || ' ' || ".join(f"coalesce({_quoted(connection, name)}, '')" for name in texts)
    marks = string.punctuation.replace("'", "''")
    return f"to_tsvector('simple'::regconfig, translate({whole}, '{marks}', '{' ' * len(string.punctuation)}'))"


def _ids(name: str) -> str:
    return f"{name}_ids"


def _quoted(connection: sa.Connection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote(name)

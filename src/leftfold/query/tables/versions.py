"""The history of a read model as changes: each row as it was before and after an event."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from leftfold.query.event_keys import Key
from leftfold.query.read_model import RowChange
from leftfold.query.tables.model_table import ModelTable


def row_changes(
    connection: sa.Connection,
    table: ModelTable,
    after: int,
    upto: int,
    limit: int | None,
    keys: Collection[Key] | None = None,
) -> list[RowChange]:
    """Return how rows changed at the positions from `after` + 1 to `upto`, in order; of these keys alone if given.

    After the first `limit` changes the rest is left out, except for what the last of their events changed too.
    """
    versions = table.versions
    assert versions is not None, "a model without history has no versions"
    since, until = versions.c.valid_from, versions.c.valid_until
    begun = sa.and_(since > after, since <= upto)
    before: dict[tuple[int, Key], Any] = {}
    changed: dict[tuple[int, Key], Any] = {}
    for chosen in _of_keys(table, keys):
        for *row, position in connection.execute(
            _select(table, until, until > after, until <= upto, *chosen).limit(limit)
        ):
            before[position, _key(table, row)] = table.make(row)
        for open_or_ended in (until.is_(None), until > after):  # an index has each of the two in order
            for *row, position in connection.execute(_select(table, since, begun, open_or_ended, *chosen).limit(limit)):
                changed[position, _key(table, row)] = table.make(row)
    places = sorted(dict.fromkeys([*before, *changed]), key=lambda place: place[0])
    found = [RowChange(at, key, before.get((at, key)), changed.get((at, key))) for at, key in places[:limit]]
    if limit is None or len(places) < limit:
        return found
    last = found[-1].position
    return [
        *(each for each in found if each.position < last),
        *row_changes(connection, table, last - 1, last, None, keys),
    ]


def _of_keys(table: ModelTable, keys: Collection[Key] | None) -> Iterator[Sequence[sa.ColumnElement[bool]]]:
    versions = table.versions
    if keys is None or versions is None:
        yield ()
        return
    for key in keys:
        yield [versions.c[name] == value for name, value in zip(table.key, key, strict=True)]


def _select(table: ModelTable, at: sa.ColumnElement[int], *wanted: sa.ColumnElement[bool]) -> sa.Select[Any]:
    versions = table.versions
    assert versions is not None
    keys = [versions.c[name] for name in table.key] if table.has_ordered_key else []
    return sa.select(*(versions.c[name] for name in table.fields), at).where(*wanted).order_by(at, *keys)


def _key(table: ModelTable, row: Sequence[Any]) -> Key:
    return tuple(row[table.fields.index(name)] for name in table.key)

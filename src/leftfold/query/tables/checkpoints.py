"""Checkpoints: up to which position each table has been folded, from which log, by which code."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, NamedTuple
from uuid import uuid4

import sqlalchemy as sa

from leftfold.model.fingerprint import is_in_form
from leftfold.query.shard import Shard, model_of
from leftfold.query.tables.model_table import KeptTables, drop
from leftfold.query.tables.own_tables import checkpoint, create_own_tables
from leftfold.query.tables.parked import ParkingLot
from leftfold.store.bounds import POSITION_LIMIT
from leftfold.store.identity import BEGINNING

BESIDE = "__new_"


class Checkpoint(NamedTuple):
    """Where one model stands, or one shard of it, whose name has a number then."""

    model: str
    position: int
    build: str
    fingerprint: str
    log_id: str
    tables: str
    version: int
    anchor: str | None = None

    @property
    def identity(self) -> str | None:
        """The identity of the event at its position; None where a release that kept none has moved it."""
        position, _, identity = (self.anchor or "").partition(":")
        return identity if position == str(self.position) else None

    def moved(self, position: int, identity: str) -> "Checkpoint":
        """The same at another position, where the log has the event of this identity."""
        return self._replace(position=position, anchor=anchor_at(position, identity))


def anchor_at(position: int, identity: str) -> str:
    """What is stored of an event; its position tells one that belongs to an older position of the checkpoint."""
    return f"{position}:{identity}"


def create_checkpoints(connection: sa.Connection) -> None:
    """Make leftfold's own tables if they are not there."""
    create_own_tables(connection)


def find(connection: sa.Connection, table: KeptTables) -> Checkpoint | None:
    """The checkpoint of a model, if it has been begun; of one in shards that of them all."""
    return together(find_shards(connection, table.stem))


def find_one(connection: sa.Connection, name: str) -> Checkpoint | None:
    """The checkpoint of this name, be it a model's or a shard's."""
    found = connection.execute(_stored().where(checkpoint.c.model == name)).mappings().first()
    return _of_row(found) if found else None


def find_shards(connection: sa.Connection, stem: str) -> list[Checkpoint]:
    """The checkpoints of a model, one for each shard in which it is stored."""
    like = sa.or_(checkpoint.c.model == stem, checkpoint.c.model.startswith(f"{stem}#", autoescape=True))
    found = connection.execute(_stored().where(like).order_by(checkpoint.c.model)).mappings()
    return [_of_row(row) for row in found if model_of(row["model"]) == stem]


def find_all(connection: sa.Connection) -> dict[str, Sequence[Checkpoint]]:
    """The checkpoints of every model, by the name of its table."""
    rows = connection.execute(_stored().order_by(checkpoint.c.model)).mappings()
    found = [_of_row(row) for row in rows if _is_text(row["model"])]
    models = sorted(found, key=lambda each: model_of(each.model))
    return {stem: tuple(rows) for stem, rows in groupby(models, key=lambda each: model_of(each.model))}


def together(shards: Sequence[Checkpoint]) -> Checkpoint | None:
    """What holds for a model: it is as far as the last of its shards, and its build changes with any of theirs."""
    if len(shards) < 2:
        return shards[0] if shards else None
    last, builds = min(shards, key=lambda shard: shard.position), " ".join(shard.build for shard in shards)
    return last._replace(model=model_of(last.model), build=builds)


def furthest(connection: sa.Connection, table: KeptTables) -> int:
    """The position of the shard that is furthest; 0 when the model has not been begun."""
    return max((shard.position for shard in find_shards(connection, table.stem)), default=0)


def position_of(connection: sa.Connection, table: KeptTables) -> int:
    """The position that the model's rows stand for, in the connection's snapshot."""
    found = find(connection, table)
    return found.position if found else 0


def advance(connection: sa.Connection, at: Checkpoint, to: Checkpoint) -> bool:
    """Move a checkpoint on, if it still stands where it is believed to; the row stays locked until the commit."""
    moved = connection.execute(
        sa.update(checkpoint)
        .where(checkpoint.c.model == at.model, checkpoint.c.position == at.position, checkpoint.c.build == at.build)
        .values(position=to.position, anchor=to.anchor)
    )
    return moved.rowcount == 1


def put_anchor(connection: sa.Connection, at: Checkpoint, identity: str) -> bool:
    """Keep which event stands at a checkpoint that a release has left which kept none; whether it still stands so."""
    return advance(connection, at, at.moved(at.position, identity))


def disturb(connection: sa.Connection, table: KeptTables) -> None:
    """Let whoever follows the log find its checkpoint changed: rows have been written that it may remember."""
    of_model = checkpoint.c.model.in_(_names(find_shards(connection, table.stem)))
    connection.execute(sa.update(checkpoint).where(of_model).values(build=uuid4().hex))


def disturb_all(connection: sa.Connection, shard: Shard) -> None:
    """The same for a shard and for what is built beside it: another process folds them from now on."""
    concerned = checkpoint.c.model == shard.checkpoint
    if shard.is_first:
        built = checkpoint.c.model.startswith(f"{shard.definition.table}{BESIDE}", autoescape=True)
        concerned = sa.or_(concerned, built)
    connection.execute(sa.update(checkpoint).where(concerned).values(build=uuid4().hex))


def begin_anew(connection: sa.Connection, table: KeptTables, log_id: str) -> Checkpoint:
    """Empty tables of the present shape, a checkpoint at 0, and nothing parked."""
    ParkingLot(table.definition, table.stem).clear(connection)
    former = find(connection, table)
    for name in former.tables.split() if former else ():
        drop(connection, name)
    table.create(connection)
    fingerprint, tables = mark_of(table), " ".join(table.tables)
    begun = Checkpoint(table.stem, 0, "", fingerprint, log_id, tables, table.definition.version)
    begun = begun.moved(0, BEGINNING)
    put(connection, table, begun)
    return begun


def put(connection: sa.Connection, table: KeptTables, begun: Checkpoint) -> None:
    """Let a model stand here, in the shards that this code has for it, instead of those in which it stood."""
    former = _names(find_shards(connection, table.stem))
    connection.execute(sa.delete(checkpoint).where(checkpoint.c.model.in_(former)))
    rows = [begun._replace(model=name, build=uuid4().hex)._asdict() for name in table.checkpoints]
    connection.execute(sa.insert(checkpoint), rows)


def fits(found: Checkpoint, connection: sa.Connection, table: KeptTables, log_id: str) -> bool:
    """Whether the tables are what this code makes of this log."""
    return found.log_id == log_id and table.exists(connection) and is_of(connection, found, table)


def mark_of(table: KeptTables) -> str:
    """What is kept as the fingerprint: of the code, and the form of the columns unless it is the first."""
    fingerprint = str(table.definition.fingerprint())
    return fingerprint if table.form == 1 else f"{fingerprint}/{table.form}"


def form_in(found: Checkpoint) -> int:
    """The form in which the columns are."""
    form = found.fingerprint.partition("/")[2] or "1"
    return int(form) if form.isdecimal() and len(form) < 10 else 0


def is_in_former_form(connection: sa.Connection, found: Checkpoint, table: KeptTables) -> bool:
    """Whether the rows were made by this code, by a leftfold that kept some columns otherwise."""
    return form_in(found) < table.form and _is_of_code(connection, found, table)


def is_of(connection: sa.Connection, found: Checkpoint, table: KeptTables) -> bool:
    """Whether the rows were made by this code, under this version.

    Where nothing but the version tells, because one of the fingerprints was made without the source or by an older
    leftfold, they count as made by this code if the tables have its columns.
    """
    return form_in(found) == table.form and _is_of_code(connection, found, table)


def _is_of_code(connection: sa.Connection, found: Checkpoint, table: KeptTables) -> bool:
    if found.version != table.definition.version:
        return False
    matches = table.definition.fingerprint().matches(_code_in(found))
    if matches is None:
        return found.tables.split() == list(table.tables) and table.answers(connection)
    return matches


def is_surely_of(found: Checkpoint, table: KeptTables) -> bool:
    """The same, where the fingerprints tell."""
    alike = (found.version, form_in(found)) == (table.definition.version, table.form)
    return alike and table.definition.fingerprint().matches(_code_in(found)) is True


def adopt(connection: sa.Connection, found: Checkpoint, table: KeptTables) -> Checkpoint:
    """Take rows over that an older leftfold made, or code without its source: from now on it is told if they change."""
    present = table.definition.fingerprint()
    if present.matches(_code_in(found)) is not None or (not present.code and is_in_form(found.fingerprint)):
        return found
    own = checkpoint.c.model == found.model
    mark = mark_of(table)
    connection.execute(sa.update(checkpoint).where(own).values(fingerprint=mark))
    return found._replace(fingerprint=mark)


def _code_in(found: Checkpoint) -> str:
    return found.fingerprint.partition("/")[0]


def _stored() -> sa.Select[Any]:
    """All columns that are there: the table of a former release has fewer, until someone writes."""
    return sa.select(sa.text("*")).select_from(checkpoint)


def _of_row(row: sa.RowMapping) -> Checkpoint:
    """The checkpoint in a row. What is none, whoever has written it, stands where no log reaches, and is begun anew."""
    found = Checkpoint(**row)
    texts = found[2:6]  # from `build` to `tables`
    numbers = found.position, found.version
    sound = all(map(_is_text, texts)) and all(map(_is_number, numbers))
    if sound and found.position >= 0 and (found.anchor is None or _is_text(found.anchor)):
        return found
    build, fingerprint, log_id, tables = (each if _is_text(each) else "" for each in texts)
    version = found.version if _is_number(found.version) else 0
    return Checkpoint(found.model, POSITION_LIMIT, build, fingerprint, log_id, tables, version)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_number(value: object) -> bool:
    return isinstance(value, int)


def _names(shards: Iterable[Checkpoint]) -> list[str]:
    return [shard.model for shard in shards]

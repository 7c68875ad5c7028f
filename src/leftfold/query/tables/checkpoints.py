"""Checkpoints: up to which position each table has been folded, from which log, by which code."""

from typing import NamedTuple
from uuid import uuid4

import sqlalchemy as sa

from leftfold.query.tables.model_table import ModelTable, drop

metadata = sa.MetaData()
checkpoint = sa.Table(
    "leftfold_checkpoint",
    metadata,
    sa.Column("model", sa.String, primary_key=True),  # the table's name
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("build", sa.String, nullable=False),  # another one each time that the table is begun anew
    sa.Column("fingerprint", sa.String, nullable=False),
    sa.Column("log_id", sa.String, nullable=False),
    sa.Column("tables", sa.String, nullable=False),  # their names, with spaces between them
)


class Checkpoint(NamedTuple):
    """Where one model stands."""

    model: str
    position: int
    build: str
    fingerprint: str
    log_id: str
    tables: str


def create_checkpoints(connection: sa.Connection) -> None:
    """Make the table if it is not there."""
    metadata.create_all(connection)


def find(connection: sa.Connection, table: ModelTable) -> Checkpoint | None:
    """The checkpoint of a model, if it has been begun."""
    row = connection.execute(sa.select(checkpoint).where(checkpoint.c.model == table.definition.table)).first()
    return Checkpoint(*row) if row else None


def position_of(connection: sa.Connection, table: ModelTable) -> int:
    """The position that the model's rows stand for, in the connection's snapshot."""
    found = find(connection, table)
    return found.position if found else 0


def advance(connection: sa.Connection, at: Checkpoint, position: int) -> bool:
    """Move a checkpoint on, if it still stands where it is believed to; the row stays locked until the commit."""
    moved = connection.execute(
        sa.update(checkpoint)
        .where(checkpoint.c.model == at.model, checkpoint.c.position == at.position, checkpoint.c.build == at.build)
        .values(position=position)
    )
    return moved.rowcount == 1


def begin_anew(connection: sa.Connection, table: ModelTable, log_id: str) -> Checkpoint:
    """Empty tables of the present shape, and a checkpoint at 0."""
    former = find(connection, table)
    for name in former.tables.split() if former else ():
        drop(connection, name)
    table.create(connection)
    fingerprint, tables = table.definition.fingerprint(), " ".join(table.definition.tables)
    begun = Checkpoint(table.definition.table, 0, uuid4().hex, fingerprint, log_id, tables)
    connection.execute(sa.delete(checkpoint).where(checkpoint.c.model == begun.model))
    connection.execute(sa.insert(checkpoint).values(begun._asdict()))
    return begun


def fits(found: Checkpoint, connection: sa.Connection, table: ModelTable, log_id: str) -> bool:
    """Whether the tables are what this code makes of this log."""
    same = found.fingerprint == table.definition.fingerprint() and found.log_id == log_id
    return same and table.exists(connection)

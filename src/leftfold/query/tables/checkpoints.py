"""Checkpoints: up to which position each table has been folded, from which log, by which code."""

from typing import NamedTuple
from uuid import uuid4

import sqlalchemy as sa

from leftfold.query.tables.model_table import ModelTable, drop
from leftfold.query.tables.own_tables import checkpoint, create_own_tables
from leftfold.query.tables.parking_lot import ParkingLot


class Checkpoint(NamedTuple):
    """Where one model stands."""

    model: str
    position: int
    build: str
    fingerprint: str
    log_id: str
    tables: str
    version: int


def create_checkpoints(connection: sa.Connection) -> None:
    """Make leftfold's own tables if they are not there."""
    create_own_tables(connection)


def find(connection: sa.Connection, table: ModelTable) -> Checkpoint | None:
    """The checkpoint of a model, if it has been begun."""
    row = connection.execute(sa.select(checkpoint).where(checkpoint.c.model == table.stem)).first()
    return Checkpoint(*row) if row else None


def find_all(connection: sa.Connection) -> dict[str, Checkpoint]:
    """Every checkpoint, by the name of its table."""
    return {row.model: Checkpoint(*row) for row in connection.execute(sa.select(checkpoint))}


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


def disturb(connection: sa.Connection, table: ModelTable) -> None:
    """Let whoever follows the log find its checkpoint changed: rows have been written that it may remember."""
    of_model = checkpoint.c.model == table.stem
    connection.execute(sa.update(checkpoint).where(of_model).values(build=uuid4().hex))


def begin_anew(connection: sa.Connection, table: ModelTable, log_id: str) -> Checkpoint:
    """Empty tables of the present shape, a checkpoint at 0, and nothing parked."""
    ParkingLot(table.definition, table.stem).clear(connection)
    former = find(connection, table)
    for name in former.tables.split() if former else ():
        drop(connection, name)
    table.create(connection)
    fingerprint, tables = table.definition.fingerprint(), " ".join(table.tables)
    begun = Checkpoint(table.stem, 0, uuid4().hex, fingerprint, log_id, tables, table.definition.version)
    connection.execute(sa.delete(checkpoint).where(checkpoint.c.model == begun.model))
    connection.execute(sa.insert(checkpoint).values(begun._asdict()))
    return begun


def fits(found: Checkpoint, connection: sa.Connection, table: ModelTable, log_id: str) -> bool:
    """Whether the tables are what this code makes of this log."""
    return is_of(found, table) and found.log_id == log_id and table.exists(connection)


def is_of(found: Checkpoint, table: ModelTable) -> bool:
    """Whether the rows were made by this code, under this version."""
    return (found.fingerprint, found.version) == (table.definition.fingerprint(), table.definition.version)

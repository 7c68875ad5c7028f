"""How far read models are kept in a database, looked at from outside: nothing is created, begun anew or folded."""

from collections.abc import Iterable
from contextlib import closing

import sqlalchemy as sa

from leftfold.query.event_keys import Key
from leftfold.query.parking import ParkedKey
from leftfold.query.read_model import ReadModelDefinition
from leftfold.query.tables.checkpoints import find, fits
from leftfold.query.tables.database import Database
from leftfold.query.tables.handling import tables_for
from leftfold.query.tables.own_tables import checkpoint, parked
from leftfold.query.tables.parked import ParkingLot


def stored_positions(
    url: str, definitions: Iterable[ReadModelDefinition], log_id: str
) -> dict[ReadModelDefinition, int]:
    """The checkpoints of those models whose tables are what this code makes of this log."""
    database = Database(url)
    try:
        if not database.is_there():
            return {}
        with database.reading() as connection:
            return dict(_fitting(connection, definitions, log_id))
    finally:
        database.close()


def stored_parked(url: str, definitions: Iterable[ReadModelDefinition]) -> list[ParkedKey]:
    """Every parked key of these models."""
    database = Database(url)
    try:
        if not database.is_there():
            return []
        with database.reading() as connection:
            if not sa.inspect(connection).has_table(parked.name):
                return []
            return [key for definition in definitions for key in ParkingLot(definition).all(connection)]
    finally:
        database.close()


def stored_traceback(url: str, definition: ReadModelDefinition, key: Key) -> str | None:
    """The traceback of the error that holds up a key; None where none was kept."""
    with closing(Database(url)) as database, database.reading() as connection:
        return ParkingLot(definition).traceback(connection, key)


def stored_queue(url: str, definition: ReadModelDefinition, key: Key, limit: int) -> list[int]:
    """The positions of the first events that a parked key waits with."""
    database = Database(url)
    try:
        with database.reading() as connection:
            return ParkingLot(definition).queue(connection, key, limit)
    finally:
        database.close()


def is_there(url: str) -> bool:
    """Whether there is such a file; a server is taken to be there."""
    with closing(Database(url)) as database:
        return database.is_there()


def may_be_folded_on(url: str) -> bool:
    """Whether this user may write what is kept there."""
    with closing(Database(url)) as database:
        return database.may_write(checkpoint.name)


def _fitting(
    connection: sa.Connection, definitions: Iterable[ReadModelDefinition], log_id: str
) -> Iterable[tuple[ReadModelDefinition, int]]:
    if not sa.inspect(connection).has_table(checkpoint.name):
        return
    for definition in definitions:
        table = tables_for(definition)
        found = find(connection, table)
        if found is not None and fits(found, connection, table, log_id):
            yield definition, found.position

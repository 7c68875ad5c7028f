"""Whether a table's place is free, in a database where others keep things too."""

import sqlalchemy as sa

from leftfold.errors import InvalidModel, TableTaken
from leftfold.query.read_model import ReadModelDefinition
from leftfold.query.tables.checkpoints import Checkpoint
from leftfold.query.tables.database import Database
from leftfold.query.tables.model_table import ModelTable
from leftfold.query.tables.swap import LONGEST_ADDITION


def check_name(definition: ReadModelDefinition, database: Database) -> None:
    """`InvalidModel` when the table's name, with what a rebuild adds to it, is too long for the database."""
    longest = database.longest_name - LONGEST_ADDITION
    if len(definition.table) > longest:
        raise InvalidModel(
            f"{definition.name} is kept in the table {definition.table!r}, which is {len(definition.table)} long",
            f"at most {longest} characters, which with those that a rebuild adds are {database.longest_name}",
            "give the class a shorter name",
        )


def check_place(
    connection: sa.Connection, database: Database, table: ModelTable, found: Checkpoint | None, log_id: str
) -> None:
    """`TableTaken` when what stands in the place of a model's tables is not of this log.

    Where the database is the log's own there is nobody else: it may all be begun anew.
    """
    if database.of_one_log or (found is not None and found.log_id == log_id):
        return
    present = sa.inspect(connection)
    taken = [name for name in table.tables if present.has_table(name)]
    if taken:
        raise TableTaken(table.name, taken[0], str(database.url), found.log_id if found else None, log_id)

"""Whether a table's place is free, in a database where others keep things too."""

import sqlalchemy as sa

from leftfold.errors import InvalidModel, InvalidProjection, TableTaken
from leftfold.query.read_model import ReadModelDefinition
from leftfold.query.sql_projection import SqlProjection
from leftfold.query.tables.checkpoints import Checkpoint
from leftfold.query.tables.database import Database
from leftfold.query.tables.model_table import KeptTables
from leftfold.query.tables.own_schema import OLD
from leftfold.query.tables.replace import LONGEST_ADDITION


def check_name(definition: ReadModelDefinition, database: Database) -> None:
    """`InvalidModel` when the table's name, with what a rebuild adds to it, is too long for the database."""
    if isinstance(definition, SqlProjection):
        _check_own_names(definition, database)
        return
    longest = database.longest_name - LONGEST_ADDITION
    if len(definition.table) > longest:
        raise InvalidModel(
            f"{definition.name} is kept in the table {definition.table!r}, which is {len(definition.table)} long",
            f"at most {longest} characters, which with those that a rebuild adds are {database.longest_name}",
            "give the class a shorter name",
        )


def _check_own_names(projection: SqlProjection, database: Database) -> None:
    longest = database.longest_name - len(OLD)
    for table in projection.tables:
        if len(table) > longest:
            problem = f"the table {table!r} has a name of {len(table)} characters"
            raise InvalidProjection(projection.name, problem, f"at most {longest}: a rebuild adds {OLD!r}")


def check_place(
    connection: sa.Connection, database: Database, table: KeptTables, found: Checkpoint | None, log_id: str
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


def check_owner(table: KeptTables, found: Checkpoint | None, where: str, log_id: str) -> None:
    """`TableTaken` when a model is kept in this database for another log: of the two one would never become current."""
    if found is not None and found.log_id != log_id:
        raise TableTaken(table.name, table.tables[0], where, found.log_id, log_id)

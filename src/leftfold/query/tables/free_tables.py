"""The tables of a free-form projection in the models database, and temporary ones that stand before them."""

import sqlalchemy as sa

from leftfold.query.free_projection import FreeProjection
from leftfold.query.read_model import ReadModelDefinition
from leftfold.query.tables.model_table import ModelTable, drop

TEMPORARY = "TEMPORARY"


class FreeTables:
    """What the user has declared. For checkpoints, `stem` is the projection's name."""

    def __init__(self, definition: FreeProjection) -> None:
        self.definition = definition
        self.name = definition.name
        self.stem = definition.table
        self.checkpoints = [self.stem]
        self.tables = definition.tables
        self.schema = definition.schema
        self.form = 1  # the columns are the user's

    def __repr__(self) -> str:
        return f"<FreeTables {' and '.join(self.tables)}>"

    def create(self, connection: sa.Connection) -> None:
        """Make the tables anew, empty; what stood in their place is dropped, whatever its shape."""
        for name in self.tables:
            drop(connection, name)
        for table in self.schema:
            table.create(connection)

    def exists(self, connection: sa.Connection) -> bool:
        """Whether the tables are there."""
        present = sa.inspect(connection)
        return all(present.has_table(name) for name in self.tables)

    def answers(self, connection: sa.Connection) -> bool:
        """Whether the present tables have the columns that the code asks for."""
        if not self.exists(connection):
            return False
        present = sa.inspect(connection)
        found = {table.name: {column["name"] for column in present.get_columns(table.name)} for table in self.schema}
        return all({column.name for column in table.columns} <= found[table.name] for table in self.schema)

    def reads(self, form: int) -> bool:
        """The columns are the user's."""
        return True

    def create_temporary(self, connection: sa.Connection) -> None:
        """Make empty temporary tables of the same names: on this connection they stand before the real ones."""
        for table in copies(self.schema, prefix=TEMPORARY):
            table.create(connection)

    def drop_temporary(self, connection: sa.Connection) -> None:
        """Let the real ones be seen again."""
        quote = connection.dialect.identifier_preparer.quote
        for name in self.tables:
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {temporary_schema(connection)}.{quote(name)}")


def tables_for(definition: ReadModelDefinition) -> ModelTable | FreeTables:
    """The tables of a read model, or of a projection."""
    return FreeTables(definition) if isinstance(definition, FreeProjection) else ModelTable(definition)


def copies(tables: tuple[sa.Table, ...], *, prefix: str = "", schema: str | None = None) -> list[sa.Table]:
    """The same tables in another schema, or to be created as temporary ones."""
    metadata = sa.MetaData()
    copied = [_copy(table, metadata, schema) for table in tables]
    for table in copied if prefix else ():
        setattr(table, "_prefixes", [prefix])  # what Table(prefixes=...) sets; to_metadata has no argument for it
    return copied


def _copy(table: sa.Table, metadata: sa.MetaData, schema: str | None) -> sa.Table:
    return table.to_metadata(metadata) if schema is None else table.to_metadata(metadata, schema=schema)


def temporary_schema(connection: sa.Connection) -> str:
    """What SQL calls the schema of temporary tables."""
    return "temp" if connection.dialect.name == "sqlite" else "pg_temp"


def real_schema(connection: sa.Connection) -> str:
    """What SQL calls the schema in which the real tables are."""
    if connection.dialect.name == "sqlite":
        return "main"
    return str(connection.execute(sa.select(sa.func.current_schema())).scalar_one())

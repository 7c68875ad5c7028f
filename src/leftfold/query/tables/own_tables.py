"""The tables that are kept beside the read models: checkpoints, parked events and leases."""

import sqlalchemy as sa

from leftfold.query.tables.column_types import text

metadata = sa.MetaData()
checkpoint = sa.Table(
    "leftfold_checkpoint",
    metadata,
    sa.Column("model", sa.String, primary_key=True),  # the table's name
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("build", sa.String, nullable=False),  # changes whenever anything but a projector writes
    sa.Column("fingerprint", sa.String, nullable=False),
    sa.Column("log_id", sa.String, nullable=False),
    sa.Column("tables", sa.String, nullable=False),  # their names, with spaces between them
    sa.Column("version", sa.BigInteger, nullable=False, server_default="1"),
    sa.Column("anchor", sa.String),  # the position, and the identity of the event there: "12:4c1f…"
)
parked = sa.Table(
    "leftfold_parked",
    metadata,
    sa.Column("model", sa.String, primary_key=True),
    sa.Column("key", text(), primary_key=True),  # a JSON list
    sa.Column("position", sa.BigInteger, nullable=False),  # of the event that could not be folded
    sa.Column("problem", sa.String, nullable=False),
    sa.Column("traceback", sa.String),  # NULL if a release without this column parked the key
    sqlite_with_rowid=False,
)
waiting = sa.Table(
    "leftfold_parked_event",
    metadata,
    sa.Column("model", sa.String, primary_key=True),
    sa.Column("key", text(), primary_key=True),
    sa.Column("position", sa.BigInteger, primary_key=True),
    sqlite_with_rowid=False,
)
lease = sa.Table(
    "leftfold_lease",
    metadata,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("holder", sa.String, nullable=False),
    sa.Column("beat", sa.BigInteger, nullable=False),  # how often the lease was renewed
    sa.Column("microseconds", sa.BigInteger, nullable=False),  # when it was renewed last; for people
    sqlite_with_rowid=False,
)


def own_tables_exist(connection: sa.Connection) -> bool:
    """Return whether leftfold's own tables exist in their present form."""
    inspector = sa.inspect(connection)
    if not all(inspector.has_table(table.name) for table in (checkpoint, parked, waiting)):
        return False
    return "version" in {column["name"] for column in inspector.get_columns(checkpoint.name)}


def create_own_tables(connection: sa.Connection) -> None:
    """Create leftfold's own tables if they do not exist; add new columns to tables of a former release."""
    metadata.create_all(connection)
    found = {column["name"] for column in sa.inspect(connection).get_columns(checkpoint.name)}
    for name, kind in (("version", "BIGINT NOT NULL DEFAULT 1"), ("anchor", "VARCHAR")):
        if name not in found:
            connection.exec_driver_sql(f"ALTER TABLE {checkpoint.name} ADD COLUMN {name} {kind}")
    if not keeps_tracebacks(connection):
        connection.exec_driver_sql(f"ALTER TABLE {parked.name} ADD COLUMN traceback VARCHAR")


def keeps_tracebacks(connection: sa.Connection) -> bool:
    """Return whether the table of parked keys has the column for tracebacks."""
    return "traceback" in {column["name"] for column in sa.inspect(connection).get_columns(parked.name)}

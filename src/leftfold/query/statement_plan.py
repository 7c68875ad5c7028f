"""What is said of the plan of a statement."""

from collections.abc import Sequence

import msgspec


class StatementPlan(msgspec.Struct, frozen=True):
    """How the database runs one statement of a query.

    `steps` are the database's own words. `indexes` are the tables and indexes that it uses, as the code declares them:
    `open_order (customer, -total)`; on SQLite the key of a table is not listed. `scans` are the tables that it reads
    without an index from the beginning: to the end, unless a limit ends it.
    """

    statement: str
    steps: Sequence[str]
    indexes: Sequence[str]
    scans: Sequence[str]

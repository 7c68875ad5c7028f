"""Which free-form projections a statement reads: by the tables that occur anywhere in it."""

from collections.abc import Iterable, Iterator

import sqlalchemy as sa
from sqlalchemy.sql import ClauseElement, visitors

from leftfold.query.tables.free_tables import FreeTables


def projections_read(statement: sa.Executable, projections: Iterable[FreeTables]) -> Iterator[FreeTables]:
    """Those of the projections, each once."""
    if not isinstance(statement, ClauseElement):
        return
    names = {element.name for element in visitors.iterate(statement) if isinstance(element, sa.Table)}
    for table in projections:
        if not names.isdisjoint(table.tables):
            yield table

"""Types of columns for the tables of projections: the same values, order and sums on SQLite and on PostgreSQL."""

from leftfold.query.tables.column_types import Duration, Exact, Instant, TimeOfDay

__all__ = ["Duration", "Exact", "Instant", "TimeOfDay"]

"""Benchmarks: leftfold beside its peer `eventsourcing` and a bare sqlite3 loop, and how its costs grow with the log."""

"""The SQLite store: one file a log."""

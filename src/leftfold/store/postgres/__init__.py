"""The PostgreSQL store: a schema a log."""

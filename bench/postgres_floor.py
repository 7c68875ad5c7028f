"""The floor on PostgreSQL: bare psycopg, one row a commit, or a thousand by INSERT or by COPY."""

from collections.abc import Generator
from contextlib import contextmanager

import psycopg

from bench.callers import threads
from bench.figure import Slice
from bench.floor import ROW
from bench.postgres import DATABASE, Connection
from leftfold_torture.postgres_server import PostgresServer

CREATE = "CREATE TABLE IF NOT EXISTS floor (position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, data bytea)"
INSERT = b"INSERT INTO floor (data) VALUES (%b)"
INSERT_ARRAY = b"INSERT INTO floor (data) SELECT * FROM unnest(%b::bytea[])"
COPY = b"COPY floor (data) FROM STDIN (FORMAT binary)"
SELECT = b"SELECT position, data FROM floor ORDER BY position LIMIT %b"
DATA = ROW.encode()


@contextmanager
def opened_floor(server: PostgresServer) -> Generator[Connection]:
    with psycopg.connect(server.url(DATABASE), autocommit=True) as connection:
        connection.execute(CREATE.encode())
        yield connection


def single_rows(connection: Connection) -> Slice:
    """Commits a second, of one row each."""
    return lambda seconds: threads(1, seconds, lambda: connection.execute(INSERT, (DATA,), prepare=True))


def inserted(connection: Connection, rows: int) -> Slice:
    """Rows a second, with one INSERT of so many."""
    data = [DATA] * rows
    return lambda seconds: rows * threads(1, seconds, lambda: connection.execute(INSERT_ARRAY, (data,), prepare=True))


def copied(connection: Connection, rows: int) -> Slice:
    """Rows a second, with one COPY of so many."""

    def once() -> None:
        with connection.cursor().copy(COPY) as copy:
            copy.set_types(["bytea"])
            for _ in range(rows):
                copy.write_row((DATA,))

    return lambda seconds: rows * threads(1, seconds, once)


def read_rows(connection: Connection, count: int) -> Slice:
    """Rows a second, read in the order of their key in binary form."""
    connection.execute(INSERT_ARRAY, ([DATA] * count,))
    return lambda seconds: (
        count * threads(1, seconds, lambda: connection.execute(SELECT, (count,), binary=True).fetchall())
    )

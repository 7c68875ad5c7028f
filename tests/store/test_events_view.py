"""The view `events` of a log says the same on SQLite and PostgreSQL to whoever reads it with plain SQL."""

import json
import logging
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from leftfold.store import NewEvent, open_store
from leftfold.store.open import make_roles
from leftfold_torture.postgres_server import PostgresServer
from tests.postgres import DATABASE

COLUMNS = [
    "position",
    "time",
    "microseconds",
    "type",
    "version",
    "tags",
    "data",
    "metadata",
    "data_hex",
    "metadata_hex",
]
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
TAGS = ('quote:"', "slash:a\\b", "end:\\", "newline:\\n", "ä:ß 🐘", "comma:a,b", "null:null", "empty:")
ODD = [
    NewEvent("opened", b'{"owner": "ann"}', ("account:a", "owner:ann"), metadata=b'{"actor": "bob"}', version=3),
    NewEvent("opened", '{"owner": "ä 🐘 \\u0000"}'.encode()),
    NewEvent("odd", b"plain text", TAGS),
    NewEvent("odd", b"", metadata=b""),
    NewEvent("odd", b"\xff\xfe", ("a:b",), metadata=b"\x00"),
    NewEvent("odd", b'{"a": "\x00"}', metadata=b"\x80"),
    NewEvent("odd", b"\xed\xa0\x80"),  # a surrogate, which is no UTF-8
    NewEvent("odd", b"\\xff"),  # a text that looks like PostgreSQL's bytes
    NewEvent("odd.ü", b"null"),
]
TIMES = [
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(1999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(2024, 2, 29, 12, 30, 1, 5, tzinfo=UTC),
    NEW_YEAR,
]

numbers = count(1)


@pytest.fixture
def log() -> str:
    """The name of a log that is not there yet."""
    return f"view_{next(numbers)}"


def rows_of_sqlite(path: Path) -> tuple[list[str], list[Sequence[Any]]]:
    with closing(sqlite3.connect(path)) as connection:
        cursor = connection.execute("SELECT * FROM events ORDER BY position")
        return [column[0] for column in cursor.description], cursor.fetchall()


def rows_of_postgres(server: PostgresServer, log: str) -> tuple[list[str], list[Sequence[Any]]]:
    with psycopg.connect(server.url(DATABASE)) as connection:
        cursor = connection.execute(f"SELECT * FROM {log}.events ORDER BY position".encode())
        return [column.name for column in cursor.description or ()], list(cursor.fetchall())


async def rows_on_both(
    events: Sequence[NewEvent], tmp_path: Path, server: PostgresServer, log: str
) -> list[Sequence[Any]]:
    """The rows of the view, once it is found that both backends have the same."""
    for url in (f"sqlite:///{tmp_path}/log.db", server.url(DATABASE, log=log)):
        async with open_store(url) as store:
            await store.append(events)
    sqlite, postgres = rows_of_sqlite(tmp_path / "log.db"), rows_of_postgres(server, log)
    assert sqlite[0] == postgres[0] == COLUMNS
    assert [[*map(type, row)] for row in sqlite[1]] == [[*map(type, row)] for row in postgres[1]]
    assert sqlite[1] == postgres[1]
    return sqlite[1]


def dated(event: NewEvent, time: datetime) -> NewEvent:
    return NewEvent(event.type, event.data, event.tags, event.version, event.metadata, time)


async def test_the_view_has_the_same_columns_and_values_on_both_backends(
    tmp_path: Path, postgres: PostgresServer, log: str
) -> None:
    events = [dated(event, NEW_YEAR + timedelta(microseconds=number)) for number, event in enumerate(ODD)]

    rows = [dict(zip(COLUMNS, row, strict=True)) for row in await rows_on_both(events, tmp_path, postgres, log)]

    assert list(rows[0].values()) == [
        1,
        "2026-01-01T00:00:00.000000Z",
        1_767_225_600_000_000,
        "opened",
        3,
        '["account:a","owner:ann"]',
        '{"owner": "ann"}',
        '{"actor": "bob"}',
        None,
        None,
    ]
    assert rows[1]["time"] == "2026-01-01T00:00:00.000001Z"
    assert [tuple(json.loads(row["tags"])) for row in rows] == [event.tags for event in ODD]
    for row, event in zip(rows, ODD, strict=True):
        for column, content in (("data", event.data), ("metadata", event.metadata)):
            text, digits = row[column], row[f"{column}_hex"]
            assert (text is None) != (digits is None)
            assert (bytes.fromhex(digits) if text is None else text.encode()) == content
    assert [row["position"] for row in rows if row["data"] is None] == [5, 6, 7]


async def test_a_time_is_in_utc_with_six_digits_of_the_second(
    tmp_path: Path, postgres: PostgresServer, log: str
) -> None:
    events = [NewEvent("old", b"{}", time=time) for time in TIMES]

    rows = await rows_on_both(events, tmp_path, postgres, log)

    assert [row[1] for row in rows] == [f"{time:%Y-%m-%dT%H:%M:%S.%f}Z" for time in TIMES]
    assert [datetime.fromisoformat(row[1]) for row in rows] == TIMES


async def test_the_view_of_postgres_depends_on_no_setting_of_the_session(postgres: PostgresServer, log: str) -> None:
    async with open_store(postgres.url(DATABASE, log=log)) as store:
        await store.append([NewEvent("odd", b"\xff", time=NEW_YEAR)])

    with psycopg.connect(postgres.url(DATABASE)) as connection:
        connection.execute("SET TimeZone = 'Asia/Kolkata'; SET bytea_output = 'escape'; SET DateStyle = 'German'")
        row = connection.execute(f"SELECT time, data_hex FROM {log}.events".encode()).fetchone()

    assert row == ("2026-01-01T00:00:00.000000Z", "ff")


# --- a log in PostgreSQL that an older leftfold has made

OLDER_VIEW = """
    CREATE ROLE {log}_person;
    DROP VIEW {log}.events;
    CREATE OR REPLACE FUNCTION {log}.readable(bytes bytea) RETURNS text LANGUAGE plpgsql STABLE AS $$
    BEGIN
        RETURN convert_from(bytes, 'UTF8');
    EXCEPTION WHEN character_not_in_repertoire OR untranslatable_character THEN
        RETURN bytes::text;
    END
    $$;
    CREATE VIEW {log}.events AS
    SELECT
        event.position,
        to_timestamp(event.time / 1000000) + event.time % 1000000 * interval '1 microsecond' AS time,
        type.name AS type,
        event.version,
        string_to_array(event.tags, E'\\n') AS tags,
        {log}.readable(event.data) AS data,
        {log}.readable(event.metadata) AS metadata
    FROM {log}.event
    JOIN {log}.type ON type.id = event.type;
    GRANT SELECT ON {log}.events TO {log}_person WITH GRANT OPTION;
    GRANT SELECT ON {log}.events TO {log}_reader;
    GRANT USAGE ON SCHEMA {log} TO {log}_person;
"""


@pytest.fixture
async def older(postgres: PostgresServer, log: str) -> str:
    """The URL of a log whose view is that of 0.1, with the right to read it for its reader and for somebody else."""
    url = postgres.url(DATABASE, log=log)
    async with open_store(url) as store:
        await store.append([NewEvent("odd", b"\xff", ("a:b",), time=NEW_YEAR)])
    make_roles(url)
    with psycopg.connect(url_of_server(postgres)) as connection:
        connection.execute(OLDER_VIEW.format(log=log).encode())
    return url


def url_of_server(server: PostgresServer) -> str:
    return server.url(DATABASE)


@pytest.fixture
def connection(postgres: PostgresServer) -> Iterator["psycopg.Connection[Any]"]:
    with psycopg.connect(url_of_server(postgres), autocommit=True) as connection:
        yield connection


def columns_of(connection: "psycopg.Connection[Any]", log: str) -> list[str]:
    return [column.name for column in connection.execute(f"SELECT * FROM {log}.events".encode()).description or ()]


def lines_about_the_view(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "view events" in record.getMessage()]


async def test_the_view_of_an_older_log_is_renewed_and_who_could_read_it_still_can(
    older: str, log: str, connection: "psycopg.Connection[Any]", caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "leftfold.store"):
        for _ in range(2):
            async with open_store(older) as store:
                assert await store.head() == 1

    assert columns_of(connection, log) == COLUMNS
    assert lines_about_the_view(caplog) == [f"log {log!r}: its view events now has the current columns"]
    for role in (f"{log}_reader", f"{log}_person"):
        connection.execute(f"SET ROLE {role}".encode())
        assert connection.execute(f"SELECT data, data_hex FROM {log}.events".encode()).fetchall() == [(None, "ff")]
    for right in (f"SELECT ON {log}.events", f"EXECUTE ON FUNCTION {log}.readable"):
        connection.execute(f"GRANT {right} TO {log}_writer".encode())  # the person may pass it on


async def test_a_role_that_does_not_own_the_view_opens_the_log_and_says_that_it_is_older(
    older: str, log: str, connection: "psycopg.Connection[Any]", caplog: pytest.LogCaptureFixture
) -> None:
    connection.execute(f"CREATE ROLE app_{log} LOGIN; GRANT {log}_writer, {log}_reader TO app_{log};".encode())
    with caplog.at_level(logging.INFO, "leftfold.store"):
        async with open_store(older.replace("postgres@", f"app_{log}@", 1)) as store:
            assert (await store.append([NewEvent("odd", b"{}")])).first == 2

    assert columns_of(connection, log)[1:3] == ["time", "type"]
    [line] = lines_about_the_view(caplog)
    assert "another role owns it. Run leftfold init as its owner" in line


async def test_a_view_that_another_one_is_made_from_stays(
    older: str, log: str, connection: "psycopg.Connection[Any]", caplog: pytest.LogCaptureFixture
) -> None:
    connection.execute(f"CREATE VIEW {log}.mine AS SELECT position, tags FROM {log}.events".encode())

    with caplog.at_level(logging.INFO, "leftfold.store"):
        async with open_store(older) as store:
            assert await store.head() == 1

    assert connection.execute(f"SELECT position, tags FROM {log}.mine".encode()).fetchall() == [(1, ["a:b"])]
    [line] = lines_about_the_view(caplog)
    assert "other objects depend on it" in line


async def test_a_log_that_is_only_read_keeps_its_older_view(
    older: str, log: str, connection: "psycopg.Connection[Any]", caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "leftfold.store"):
        async with open_store(f"{older}&mode=ro") as store:
            assert await store.head() == 1

    assert columns_of(connection, log)[1:3] == ["time", "type"]
    assert lines_about_the_view(caplog) == []

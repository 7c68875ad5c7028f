"""Logs of older formats are lifted when they are opened: all of one or nothing, with its data."""

import asyncio
import json
import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from leftfold.errors import StoreCorrupt, StoreFailed
from leftfold.model.criteria import criteria
from leftfold.store import EventStore, NewEvent, SQLiteStore, StoredEvent
from leftfold.store.sqlite.format import FORMAT
from tests.store.processes import Process

FORMATS = Path(__file__).parent / "formats"
OLDER = sorted(int(path.stem) for path in FORMATS.iterdir())
COLUMNS = """
    SELECT
        entry.type,
        entry.name,
        field.name,
        field.type,
        field."notnull",
        field.pk,
        CASE WHEN entry.type IN ('view', 'trigger') THEN entry.sql END
    FROM sqlite_schema AS entry
    LEFT JOIN pragma_table_info(entry.name) AS field
    WHERE entry.name NOT LIKE 'sqlite_%'
    ORDER BY entry.type, entry.name, field.cid"""


@pytest.fixture(params=OLDER)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A log of 25 events in each older format."""
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((FORMATS / f"{request.param}.sql").read_text())
    return path


async def found(store: EventStore, *types: str, tags: list[str]) -> list[StoredEvent]:
    return [event async for batch in store.read(criteria(*types, tags=tags)) for event in batch.events]


async def check_what_the_old_log_had(store: EventStore) -> None:
    everything = [event async for batch in store.read() for event in batch.events]
    assert [event.position for event in everything] == list(range(1, 26))
    assert everything[0].tags == ("account:a-1",)
    assert (everything[21].data, everything[21].metadata) == (b"\xff\x00\x01", b"\xfe")
    assert [event.position for event in await found(store, tags=["account:a-0", "account:b-0"])] == [2, 17]
    assert [event.position for event in await found(store, "opened", tags=["account:a-1"])] == [1]
    assert [event.position for event in await found(store, tags=["ä:ß"])] == [22]
    kept = await store.lookup("k-2")
    assert kept is not None
    assert kept.first == 22


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        return version


def test_every_older_format_is_kept_with_its_data() -> None:
    assert list(range(1, FORMAT)) == OLDER


async def test_an_older_log_is_lifted_with_its_data(old: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "leftfold.store"):
        async with SQLiteStore(old) as store:
            await check_what_the_old_log_had(store)
            await store.append([NewEvent("sent", b"{}", ("account:a-0", "account:b-0"))])
            assert [event.position for event in await found(store, tags=["account:a-0", "account:b-0"])] == [2, 17, 26]
            assert await store.self_check() == []

    assert version_of(old) == FORMAT
    assert caplog.messages[-1] == f"{old}: the log now has format {FORMAT}"


async def test_a_lifted_log_has_the_schema_of_a_new_one(old: Path, tmp_path: Path) -> None:
    for path in (old, tmp_path / "new.db"):
        await SQLiteStore(path).close()

    with closing(sqlite3.connect(old)) as lifted, closing(sqlite3.connect(tmp_path / "new.db")) as new:
        assert lifted.execute(COLUMNS).fetchall() == new.execute(COLUMNS).fetchall()


async def test_a_large_append_needs_no_look_for_what_it_would_replace(tmp_path: Path) -> None:
    """Each row would cost twice as much; the file keeps what refuses replacements by others."""
    async with SQLiteStore(tmp_path / "log.db") as store:
        await store.append([NewEvent("sent", b"{}")])
        await store.append([NewEvent("sent", b"{}")] * 64)
        [writer] = [each for each in vars(store).values() if isinstance(each, sqlite3.Connection)]
        program = writer.execute("EXPLAIN INSERT INTO event VALUES (9, 1, 1, 1, '', '', '')").fetchall()
        assert b"Program" not in {step[1] for step in program}
        with closing(sqlite3.connect(tmp_path / "log.db")) as other, pytest.raises(sqlite3.IntegrityError):
            other.execute("REPLACE INTO event SELECT * FROM event WHERE position = 1")
        assert await store.self_check() == []


async def test_an_older_log_without_events_is_lifted(old: Path) -> None:
    with closing(sqlite3.connect(old)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        tags = "tag" if "tag" in tables else "segment_tag"
        trigger = connection.execute("SELECT sql FROM sqlite_schema WHERE name = 'event_is_never_deleted'").fetchone()
        connection.executescript(
            f"DROP TRIGGER event_is_never_deleted; DELETE FROM event; DELETE FROM {tags}; {trigger[0]};"
        )

    async with SQLiteStore(old) as store:
        await store.append([NewEvent("sent", b"{}", ("account:a-0",))])

        assert [event.position for event in await found(store, tags=["account:a-0"])] == [1]


async def test_a_process_killed_while_it_lifts_leaves_the_older_log(old: Path) -> None:
    version = version_of(old)
    with Process("lift", old) as process:
        assert await asyncio.to_thread(process.hear) == "half way"
        process.kill()

    assert version_of(old) == version
    async with SQLiteStore(old) as store:
        await check_what_the_old_log_had(store)
        assert await store.self_check() == []


async def test_an_older_log_is_read_as_it_is(old: Path) -> None:
    version = version_of(old)
    async with SQLiteStore(old, read_only=True) as store:
        await check_what_the_old_log_had(store)
        assert await store.self_check() == []
        file = (await store.statistics()).file

    assert file is not None
    assert (file.format, version_of(old)) == (version, version)


@pytest.mark.parametrize("old", [1], indirect=True)
async def test_a_reader_of_format_1_fails_once_another_process_has_lifted_it(old: Path) -> None:
    async with SQLiteStore(old, read_only=True) as reader:
        await check_what_the_old_log_had(reader)
        await SQLiteStore(old).close()

        with pytest.raises(StoreFailed, match="tag"):
            await found(reader, tags=["account:a-0"])


@pytest.mark.parametrize("old", [2], indirect=True)
async def test_a_reader_of_format_2_reads_on_when_another_process_has_lifted_it(old: Path) -> None:
    async with SQLiteStore(old, read_only=True) as reader:
        await check_what_the_old_log_had(reader)
        await SQLiteStore(old).close()

        await check_what_the_old_log_had(reader)


async def test_the_view_of_a_lifted_log_is_that_of_a_new_one(old: Path) -> None:
    await SQLiteStore(old).close()

    with closing(sqlite3.connect(old)) as connection:
        rows = connection.execute(
            "SELECT time, microseconds, tags, data, data_hex FROM events WHERE position IN (2, 22) ORDER BY position"
        ).fetchall()

    assert rows[0][1:] == (1767225600000000, '["account:a-0","account:b-0"]', '{"amount":0}', None)
    assert [row[0] for row in rows] == ["2026-01-01T00:00:00.000000Z"] * 2
    assert "ä:ß" in json.loads(rows[1][2])
    assert rows[1][3:] == (None, "ff0001")


async def test_a_log_of_a_newer_format_is_refused_with_both_formats(tmp_path: Path) -> None:
    await SQLiteStore(tmp_path / "new.db").close()
    with closing(sqlite3.connect(tmp_path / "new.db")) as connection:
        connection.execute(f"PRAGMA user_version = {FORMAT + 1}")

    with pytest.raises(StoreCorrupt, match=f"it has format {FORMAT + 1}; this leftfold reads up to {FORMAT}"):
        SQLiteStore(tmp_path / "new.db")

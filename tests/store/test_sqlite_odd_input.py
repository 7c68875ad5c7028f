"""Damaged, foreign, locked and read-only files, and full disks: each a named error, and nothing lost."""

import asyncio
import json
import os
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from leftfold.errors import (
    InvalidUrl,
    LeftfoldError,
    LogReplaced,
    StoreBusy,
    StoreCorrupt,
    StoreFailed,
    StoreFull,
    StoreNotFound,
    StoreReadOnly,
    StoreUnavailable,
)
from leftfold.model.criteria import criteria
from leftfold.store import Appended, EventStore, NewEvent, SQLiteStore, open_store
from tests.patience import PATIENCE
from tests.store.processes import Process

PAGE = 4096


@pytest.fixture
async def log(tmp_path: Path) -> Path:
    """A closed log of a thousand events."""
    path = tmp_path / "log.db"
    async with SQLiteStore(path) as store:
        await store.append([NewEvent("noted", b"x" * 200, (f"n:{n}",)) for n in range(1_000)], key="k")
    return path


async def read_all(store: EventStore) -> list[int]:
    return [event.position async for batch in store.read() for event in batch.events]


def has_three_parts(error: LeftfoldError, path: Path) -> bool:
    return str(path) in error.found and bool(error.expected) and bool(error.remedy)


def overwrite(path: Path, start: int, end: int | None = None) -> None:
    """Put noise in the place of part of a file."""
    with path.open("r+b") as file:
        file.seek(start)
        file.write(os.urandom((end or path.stat().st_size) - start))


def run_sql(path: Path, *commands: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for command in commands:
        connection.execute(command)
    connection.close()


DAMAGES: dict[str, Callable[[Path], object]] = {
    "text": lambda path: path.write_text("dear diary\n" * 1_000),
    "two bytes": lambda path: path.write_text("hi"),
    "noise for a header": lambda path: overwrite(path, 0, 100),
    "noise after the second page": lambda path: overwrite(path, 2 * PAGE),
    "half of it": lambda path: os.truncate(path, path.stat().st_size // 2),
    "its first page only": lambda path: os.truncate(path, PAGE),
    "no identity": lambda path: run_sql(path, "DROP TRIGGER log_is_never_deleted", "DELETE FROM log"),
    "a later format": lambda path: run_sql(path, "PRAGMA user_version = 99"),
    "another program's": lambda path: run_sql(path, "PRAGMA application_id = 0"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
async def test_a_file_that_is_no_undamaged_log_is_refused(log: Path, damage: Callable[[Path], object]) -> None:
    damage(log)
    before = log.read_bytes()

    with pytest.raises(StoreCorrupt) as caught:
        async with SQLiteStore(log) as store:
            await read_all(store)

    assert has_three_parts(caught.value, log)
    assert log.read_bytes() == before


async def test_another_program_s_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    run_sql(path, "CREATE TABLE customer (name TEXT)")

    with pytest.raises(StoreCorrupt) as caught:
        SQLiteStore(path)

    assert "another program's" in caught.value.found
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("customer",)]
    connection.close()


async def test_an_empty_file_becomes_a_log(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    path.touch()

    async with SQLiteStore(path) as store:
        assert await store.append([NewEvent("noted", b"")]) == Appended(1, 1)


async def test_damage_under_an_open_store_is_named_by_every_verb(log: Path) -> None:
    async with SQLiteStore(log) as store:
        waiting = asyncio.create_task(store.wait(1_000))
        overwrite(log, 2 * PAGE)

        for use in (read_all(store), store.head(), store.lookup("k"), store.append([NewEvent("n", b"", ("n:1",))])):
            with pytest.raises(StoreCorrupt) as caught:
                await use
            assert has_three_parts(caught.value, log)
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(StoreCorrupt):
                await waiting


@pytest.mark.parametrize("place", ["folder", "missing/log.db"])
async def test_a_path_that_cannot_be_a_file_is_named(tmp_path: Path, place: str) -> None:
    (tmp_path / "folder").mkdir()

    with pytest.raises(StoreUnavailable) as caught:
        SQLiteStore(tmp_path / place)

    assert has_three_parts(caught.value, tmp_path / place)


async def test_a_missing_file_is_not_created_for_reading_only(tmp_path: Path) -> None:
    path = tmp_path / "log.db"

    with pytest.raises(StoreNotFound) as caught:
        open_store(f"sqlite:///{path}?mode=ro")

    assert has_three_parts(caught.value, path)

    assert not path.exists()


async def test_a_log_opened_for_reading_only_refuses_appends(log: Path) -> None:
    async with open_store(f"sqlite:///{log}?mode=ro") as store:
        with pytest.raises(StoreReadOnly) as caught:
            await store.append([NewEvent("noted", b"")])

        assert has_three_parts(caught.value, log)
        assert await read_all(store) == list(range(1, 1_001))


@pytest.mark.parametrize(
    "url",
    [
        *("", "log.db", "mysql://x", "sqlite://log.db", "sqlite:///"),
        *("sqlite:///a.db?mod=ro", "sqlite:///a.db?mode=rw", "sqlite:///a.db?may_lose=everything"),
        *("sqlite:///a.db?queue=0", "sqlite:///a.db?queue=many", "sqlite:///a.db?busy_timeout=-1"),
        *("memory:?queue=1", "memory://x"),
    ],
)
async def test_a_url_that_is_not_understood_is_named(url: str) -> None:
    with pytest.raises(InvalidUrl) as caught:
        open_store(url)

    assert repr(url) in caught.value.found
    assert caught.value.expected
    assert caught.value.remedy


async def test_a_lock_that_is_held_too_long_is_named_and_passes(log: Path) -> None:
    holder = sqlite3.connect(log, isolation_level=None)
    async with open_store(f"sqlite:///{log}?busy_timeout=0.1") as store:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy) as caught:
            await store.append([NewEvent("noted", b"")])
        assert await read_all(store) == list(range(1, 1_001))
        holder.execute("ROLLBACK")

        assert has_three_parts(caught.value, log)
        assert (await store.append([NewEvent("noted", b"")])).first == 1_001
    holder.close()


@pytest.mark.parametrize("disturb", [Path.unlink, lambda path: path.rename(path.with_name("moved.db"))])
async def test_a_file_that_is_moved_or_deleted_while_open_takes_no_appends(
    log: Path, disturb: Callable[[Path], object]
) -> None:
    async with SQLiteStore(log) as store:
        disturb(log)

        with pytest.raises(StoreFailed, match="moved, replaced or deleted") as failed:
            await store.append([NewEvent("noted", b"lost?")])

        assert has_three_parts(failed.value, log)


async def test_a_file_that_is_replaced_while_an_append_waits_for_the_lock_takes_it_not(log: Path) -> None:
    async with SQLiteStore(log) as store:
        holder = sqlite3.connect(log, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        waits = threading.Event()
        store._writer.set_trace_callback(lambda sql: waits.set() if sql.startswith("BEGIN") else None)
        append = asyncio.create_task(store.append([NewEvent("noted", b"lost?")]))
        await asyncio.to_thread(waits.wait, PATIENCE)

        shutil.copy(log, log.with_name("copy.db"))
        log.with_name("copy.db").replace(log)
        holder.execute("ROLLBACK")

        with pytest.raises(LogReplaced):
            await append
        holder.close()


async def test_a_url_may_write_characters_of_the_path_as_percent_signs(tmp_path: Path) -> None:
    async with open_store(f"sqlite:///{tmp_path}/my%20log%3F.db") as store:
        await store.append([NewEvent("noted", b"")])

    assert (tmp_path / "my log?.db").exists()


async def test_stored_events_cannot_be_changed_by_sql(log: Path) -> None:
    connection = sqlite3.connect(log)
    for command in ("UPDATE event SET data = ''", "DELETE FROM event"):
        with pytest.raises(sqlite3.IntegrityError, match="events are never"):
            connection.execute(command)
    connection.close()


async def test_a_table_that_is_dropped_under_an_open_log_makes_it_a_corrupt_log(tmp_path: Path) -> None:
    async with open_store(f"sqlite:///{tmp_path}/log.db") as store:
        await store.append([NewEvent("noted", b"")])
        with closing(sqlite3.connect(tmp_path / "log.db")) as other:
            other.executescript("DROP VIEW events; DROP TABLE event;")

        for call in (store.append([NewEvent("noted", b"")]), read_all(store), store.head()):
            with pytest.raises(StoreCorrupt, match="no such table") as caught:
                await call
            assert "restore a backup" in caught.value.remedy


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ("data = 7", "the event at 900 has data or metadata that are neither text nor bytes"),
        ("type = 99", "events of a type 99 without a name"),
        ("version = 9000000000000000000, type = 99", "events of a type 99 without a name"),
    ],
)
async def test_a_damaged_event_in_a_long_read_of_data_is_named_after_the_batches_before_it(
    log: Path, damage: str, problem: str
) -> None:
    with closing(sqlite3.connect(log, isolation_level=None)) as other:
        for (trigger,) in other.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
            other.execute(f'DROP TRIGGER "{trigger}"')
        other.execute(f"UPDATE event SET {damage} WHERE position = 900")
    found: list[int] = []

    async def read_data(store: EventStore) -> None:
        async for batch in store.read(data_only=True):
            found.extend(event.position for event in batch.events)

    async with SQLiteStore(log) as store:
        with pytest.raises(StoreCorrupt, match=problem):
            await read_data(store)

    assert found == list(range(1, len(found) + 1))
    assert 0 < len(found) < 900


async def test_an_event_limit_of_its_own_holds(tmp_path: Path) -> None:
    async with open_store(f"sqlite:///{tmp_path}/log.db?event_limit=2000000") as store:
        await store.append([NewEvent("large", b"x" * 1_500_000)])

        assert await read_all(store) == [1]


# --- rights


@pytest.fixture
async def shared_log() -> AsyncIterator[Path]:
    """A log of five events in a folder that everybody may enter."""
    folder = Path(mkdtemp(prefix="leftfold-"))
    folder.chmod(0o777)
    async with SQLiteStore(folder / "log.db") as store:
        await store.append([NewEvent("noted", b"")] * 5)
    yield folder / "log.db"
    shutil.rmtree(folder)


async def tried_by_nobody(url: str) -> dict[str, Any]:
    """What came of each verb, tried by a process without rights."""
    with Process("try_out", url) as process:
        came: dict[str, Any] = json.loads(await asyncio.to_thread(process.hear))
        assert process.end() == 0
    return came


def is_read_only(came: dict[str, str]) -> bool:
    return came["error"] == "StoreReadOnly" and all((came["found"], came["expected"], came["remedy"]))


async def test_a_file_that_may_not_be_written_can_be_read(shared_log: Path) -> None:
    shared_log.chmod(0o444)

    for url in (f"sqlite:///{shared_log}", f"sqlite:///{shared_log}?mode=ro"):
        came = await tried_by_nobody(url)

        assert (came["head"], came["read"]) == (5, 5)
        assert is_read_only(came["append"])


@pytest.mark.parametrize(("folder", "file"), [(0o555, 0o444), (0o555, 0o666), (0o777, 0o000), (0o700, 0o666)])
async def test_a_folder_or_file_without_rights_is_named(shared_log: Path, folder: int, file: int) -> None:
    shared_log.chmod(file)
    shared_log.parent.chmod(folder)

    came = await tried_by_nobody(f"sqlite:///{shared_log}")

    assert is_read_only(came["open"])


async def test_a_log_cannot_be_created_in_a_folder_without_rights(shared_log: Path) -> None:
    shared_log.parent.chmod(0o555)

    came = await tried_by_nobody(f"sqlite:///{shared_log.parent}/new.db")

    assert is_read_only(came["open"])
    assert not (shared_log.parent / "new.db").exists()


async def test_refused_by_rights_nothing_is_lost(shared_log: Path) -> None:
    shared_log.chmod(0o444)
    await tried_by_nobody(f"sqlite:///{shared_log}")

    for file in shared_log.parent.iterdir():  # the files that SQLite keeps beside the log take over its rights
        file.chmod(0o666)
    came = await tried_by_nobody(f"sqlite:///{shared_log}")

    assert came == {"head": 5, "read": 5, "append": 6}


# --- full disks


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte, a third of it taken by the file `ballast`."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a disk that can be filled takes the right to mount one: {mounted.stderr.strip()}")
    (disk / "ballast").write_bytes(bytes(350_000))
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


async def fill(store: EventStore, size: int) -> tuple[list[Appended], StoreFull]:
    """Append three events at a time, with a key, until the disk is full."""
    appended: list[Appended] = []
    while True:
        tag = f"n:{len(appended)}"
        try:
            appended.append(await store.append([NewEvent("noted", os.urandom(size), (tag,))] * 3, key=tag))
        except StoreFull as full:
            return appended, full


@pytest.mark.parametrize("size", [10, 1_000, 30_000])
async def test_a_full_disk_is_named_and_nothing_is_lost(small_disk: Path, size: int) -> None:
    path = small_disk / "log.db"
    async with SQLiteStore(path) as store:
        appended, full = await fill(store, size)

        assert has_three_parts(full, path)
        assert await read_all(store) == list(range(1, 3 * len(appended) + 1))
        assert await store.lookup(f"n:{len(appended)}") is None

    async with SQLiteStore(path) as store:
        assert await read_all(store) == list(range(1, 3 * len(appended) + 1))


async def test_appends_go_on_when_space_is_freed(small_disk: Path) -> None:
    path = small_disk / "log.db"
    async with SQLiteStore(path) as store:
        appended, _ = await fill(store, 1_000)
        n = len(appended)
        assert all(one == Appended(3 * k + 1, 3 * k + 3) for k, one in enumerate(appended))

        (small_disk / "ballast").unlink()
        retried = await store.append([NewEvent("noted", b"", (f"n:{n}",))] * 3, key=f"n:{n}")
        known = await store.append([NewEvent("noted", b"")], key="other")

    assert (retried, known) == (Appended(3 * n + 1, 3 * n + 3), Appended(3 * n + 4, 3 * n + 4))
    async with SQLiteStore(path) as store:
        for k in range(n + 1):
            found = [event async for batch in store.read(criteria(tags=[f"n:{k}"])) for event in batch.events]
            assert len(found) == 3


async def test_appends_at_once_on_a_full_disk_are_each_there_or_refused(small_disk: Path) -> None:
    async with SQLiteStore(small_disk / "log.db") as store:
        await fill(store, 3_000)
        start = await store.head()

        outcomes = await asyncio.gather(
            *(store.append([NewEvent("noted", bytes(n * 500))]) for n in range(40)), return_exceptions=True
        )

        made = [outcome for outcome in outcomes if isinstance(outcome, Appended)]
        assert {type(outcome) for outcome in outcomes} <= {Appended, StoreFull}
        assert await store.head() == start + len(made)


async def test_a_log_is_not_created_on_a_full_disk(small_disk: Path) -> None:
    fill_up(small_disk)

    with pytest.raises(StoreFull) as caught:
        SQLiteStore(small_disk / "log.db")
    (small_disk / "ballast").unlink()

    assert has_three_parts(caught.value, small_disk / "log.db")
    async with SQLiteStore(small_disk / "log.db") as store:
        assert await store.append([NewEvent("noted", b"")]) == Appended(1, 1)


@pytest.mark.parametrize("size", [10, 1_000, 3_000])
async def test_a_log_on_a_disk_without_a_byte_left_is_readable_or_says_why(small_disk: Path, size: int) -> None:
    path = small_disk / "log.db"
    async with SQLiteStore(path) as store:
        appended, _ = await fill(store, size)
    fill_up(small_disk)

    with suppress(StoreFull):
        async with SQLiteStore(path) as store:
            assert await store.head() == 3 * len(appended)
    (small_disk / "ballast").unlink()

    async with SQLiteStore(path) as store:
        assert await read_all(store) == list(range(1, 3 * len(appended) + 1))
        assert await store.append([NewEvent("noted", b"")]) == Appended(3 * len(appended) + 1, 3 * len(appended) + 1)


def fill_up(disk: Path) -> None:
    """Leave no byte."""
    with (disk / "rest").open("wb", buffering=0) as rest:
        try:
            while True:
                rest.write(bytes(PAGE))
        except OSError:
            pass

"""The file of an SQLite log and those that SQLite has beside it belong together: anything else is refused by name."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from leftfold.errors import LogReplaced, StoreCopied, StoreCorrupt
from leftfold.store import EventStore, NewEvent, SQLiteStore
from leftfold.store.sqlite.store import Newest

EVENT = NewEvent("noted", b"x" * 400, ("note:1",))
Change = Callable[[Path], object]


async def fill(path: Path, events: int) -> None:
    """Append one by one what makes more pages than a few, and leave a file that has all of it."""
    async with SQLiteStore(path) as store:
        for number in range(events):
            await store.append([NewEvent("noted", b"%d" % number * 200, (f"note:{number % 7}", f"n:{number}"))])


async def positions(store: EventStore) -> list[int]:
    return [event.position async for batch in store.read() for event in batch.events]


def beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def renew(path: Path) -> None:
    """Put a copy in its place."""
    copy = path.with_name("copy")
    shutil.copy(path, copy)
    copy.replace(path)


CHANGES: dict[str, Change] = {
    "the -wal deleted": lambda path: beside(path, "-wal").unlink(),
    "the -wal renewed": lambda path: renew(beside(path, "-wal")),
    "the -shm deleted": lambda path: beside(path, "-shm").unlink(),
    "the -shm renewed": lambda path: renew(beside(path, "-shm")),
    "the file deleted": lambda path: path.unlink(),
    "the file renewed": renew,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("link", [False, True])
@pytest.mark.parametrize("quiet", [False, True])
async def test_a_log_whose_files_are_changed_under_it_is_refused_from_then_on(
    tmp_path: Path, change: Change, link: bool, quiet: bool
) -> None:
    path = opened = tmp_path / "log.db"
    if link:
        opened = tmp_path / "link.db"
        opened.symlink_to(path)
    async with SQLiteStore(path):
        pass
    calls: list[Callable[[EventStore], object]] = [
        lambda store: store.append([EVENT]),
        lambda store: store.append([EVENT], key="k"),
        positions,
        lambda store: store.head(),
        lambda store: store.lookup("k"),  # type: ignore[attr-defined]
    ]
    for call in calls:
        async with SQLiteStore(opened) as store:
            if quiet:  # nothing has changed in the folder for long
                os.utime(tmp_path, (1, 1))
            await store.append([EVENT])
            change(path)

            with pytest.raises(LogReplaced, match="was moved, replaced or deleted while it was open"):
                await call(store)  # type: ignore[misc]
            with pytest.raises(LogReplaced):
                await store.append([EVENT])
        for each in tmp_path.glob("log.db*"):
            each.unlink()
        async with SQLiteStore(path):
            pass


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
async def test_what_is_committed_to_a_file_that_is_gone_is_not_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    path = tmp_path / "log.db"
    look = Newest.look

    def delete_and_go_on(newest: Newest, connection: sqlite3.Connection) -> tuple[int, int]:
        beside(path, suffix).unlink()
        return look(newest, connection)

    async with SQLiteStore(path) as store:
        await store.append([EVENT])
        monkeypatch.setattr(Newest, "look", delete_and_go_on)

        with pytest.raises(LogReplaced, match="what was just appended is not in it") as caught:
            await store.append([EVENT])

    assert "nothing was written" not in str(caught.value)


async def test_a_store_that_has_not_read_yet_does_not_read_from_another_log(tmp_path: Path) -> None:
    path, other = tmp_path / "log.db", tmp_path / "other.db"
    await fill(other, 9)
    async with SQLiteStore(path) as store:
        await store.append([EVENT])
        reading = store.read()
        other.replace(path)

        with pytest.raises(LogReplaced):
            await anext(aiter(reading))
        with pytest.raises(LogReplaced):
            await store.statistics()


async def crashed(path: Path, into: Path, events: int) -> Path:
    """The files as they are found after a crash: with commits in the -wal that are not in the file."""
    into.mkdir()
    async with SQLiteStore(path) as store:
        for _ in range(events):
            await store.append([EVENT])
        for suffix in ("", "-wal"):
            shutil.copy(beside(path, suffix), beside(into / path.name, suffix))
    return into / path.name


def content(path: Path) -> dict[str, bytes]:
    return {suffix: beside(path, suffix).read_bytes() for suffix in ("", "-wal")}


async def test_what_a_crash_leaves_is_opened_with_all_of_it(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    await fill(path, 30)
    for round in (1, 2, 3):
        found = await crashed(path, tmp_path / f"{round}", 5)

        async with SQLiteStore(found) as store:
            assert await positions(store) == list(range(1, 31 + 5 * round))
            assert await store.self_check() == []


async def test_a_backup_beside_the_commits_of_a_crash_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path, backup, other, newer = (tmp_path / name for name in ("log.db", "backup.db", "other.db", "newer.db"))
    await fill(path, 200)
    shutil.copy(path, backup)
    await fill(path, 300)
    found = await crashed(path, tmp_path / "crash", 5)
    await fill(path, 300)
    shutil.copy(path, newer)
    await fill(other, 500)
    for file in (backup, newer, other):
        shutil.copy(file, found)
        before = content(found)

        for read_only in (True, False):
            with pytest.raises(StoreCopied, match="mixes data from different moments"):
                SQLiteStore(found, read_only=read_only)
        assert content(found) == before

        beside(found, "-wal").rename(tmp_path / "wal")
        beside(found, "-shm").unlink(missing_ok=True)
        async with SQLiteStore(found) as store:
            assert len(await positions(store)) == (await store.head()) in (200, 500, 805)
        (tmp_path / "wal").rename(beside(found, "-wal"))


@pytest.mark.parametrize("sizes", [(20, 20, 20), (50, 1, 30), (3, 3, 3), (10, 200, 1), (40, 10, 100)], ids=str)
async def test_a_vacuumed_backup_of_a_short_log_is_not_mixed_with_the_commits_of_a_crash(
    tmp_path: Path, sizes: tuple[int, int, int]
) -> None:
    path, backup = tmp_path / "log.db", tmp_path / "backup.db"
    await fill(path, sizes[0])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("VACUUM INTO ?", (str(backup),))
    await fill(path, sizes[1])
    found = await crashed(path, tmp_path / "crash", sizes[2])
    shutil.copy(backup, found)
    before = content(found)

    for read_only in (True, False):
        with pytest.raises(StoreCopied):
            SQLiteStore(found, read_only=read_only)
    assert content(found) == before


async def test_a_copy_of_a_file_that_is_being_written_is_found(tmp_path: Path) -> None:
    """A checkpoint moves pages into the file while `cp` reads it: one part is from before, the other from after."""
    path, torn = tmp_path / "log.db", tmp_path / "torn.db"
    await fill(path, 150)
    before = path.read_bytes()
    await fill(path, 60)
    after = path.read_bytes()
    found = {"by name": 0, "at opening": 0, "by the check": 0}
    for cut in range(4_096, len(before), 4_096):
        for first, second in ((before, after), (after, before)):
            torn.write_bytes(first[:cut] + second[cut:])
            if torn.read_bytes() in (before, after):
                continue
            try:
                store = SQLiteStore(torn)
            except StoreCopied:
                found["by name"] += 1
            except StoreCorrupt:
                found["at opening"] += 1
            else:
                async with store:
                    assert await store.self_check() != [], f"cut at {cut}"
                found["by the check"] += 1
            for suffix in ("-wal", "-shm"):
                beside(torn, suffix).unlink(missing_ok=True)

    assert found["by name"] > 0
    assert found["by name"] + found["at opening"] > found["by the check"]


async def test_processes_that_have_a_log_open_do_not_hinder_others_to_open_it(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    async with SQLiteStore(path) as first:
        for number in range(40):
            await first.append([EVENT] * 20)
            async with SQLiteStore(path) as other, SQLiteStore(path, read_only=True) as reader:
                await other.append([EVENT])
                assert await reader.head() == 21 * (number + 1)
    assert os.path.exists(path)

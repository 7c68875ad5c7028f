"""Looking into a store: the same figures by the indexes of SQLite as by reading every event."""

from pathlib import Path

from leftfold.model.clock import from_microseconds
from leftfold.store import MemoryStore, NewEvent, SQLiteStore
from leftfold.store.inspection import Inspectable, StoreFile, TypeCount, statistics_of
from leftfold.store.sqlite.format import FORMAT
from leftfold.testing import FakeClock

EVENTS = [NewEvent(type, b"{}", ("a:1", f"n:{n}")) for n, type in enumerate(["seen", "done", "seen", "an", "seen"])]
COUNTS = (TypeCount("an", 1, 4, 4), TypeCount("done", 1, 2, 2), TypeCount("seen", 3, 1, 5))


async def test_a_store_that_cannot_be_looked_into_is_read() -> None:
    async with MemoryStore() as store:
        await store.append(EVENTS)

        found = await statistics_of(store)

    assert not isinstance(store, Inspectable)
    assert (found.types, found.keys, found.file) == (COUNTS, None, None)


async def test_sqlite_counts_by_its_indexes(tmp_path: Path) -> None:
    clock = FakeClock()
    async with SQLiteStore(tmp_path / "log.db", clock=clock, durable=False) as store:
        await store.append(EVENTS, key="k")

        found = await statistics_of(store)

    assert isinstance(store, Inspectable)
    assert (found.types, found.keys, found.created) == (COUNTS, 1, clock.now())
    assert found.file is not None
    assert (found.file.path, found.file.format, found.file.durable) == (tmp_path / "log.db", FORMAT, False)
    assert found.file.pending > 0


async def test_an_empty_log_has_no_figures(tmp_path: Path) -> None:
    async with SQLiteStore(tmp_path / "log.db") as store:
        found = await statistics_of(store)

        assert (found.types, found.keys) == ((), 0)
        assert isinstance(found.file, StoreFile)
        assert found.created is not None
        assert found.created > from_microseconds(0)
        assert await store.self_check() == []


async def test_a_sound_file_has_no_problems_whatever_its_tags(tmp_path: Path) -> None:
    async with SQLiteStore(tmp_path / "log.db") as store:
        odd = ("a:%", "a:_", "a:'", 'a:"', "a:\\n", "ä:ß", "a:1", "a:11", "a:1 ", "a:" + "x" * 500)
        await store.append([NewEvent("t", b"", odd), NewEvent("t", b"", odd[:1]), NewEvent("u", b"")], key="k'")

        assert await store.self_check() == []

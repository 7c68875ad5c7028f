"""What SQLite itself may report at each step of a commit: what is certain is said, what is not is `OutcomeUnknown`."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from leftfold.errors import OutcomeUnknown, StoreBusy, StoreFailed, StoreFull
from leftfold.store import Appended, EventStore, NewEvent, SQLiteStore
from leftfold.store.sqlite.store import SELECT_WHOLE
from tests.patience import PATIENCE

Moment = Literal["before", "after"]


class Faulty(sqlite3.Connection):
    """A connection that reports an error once, before or after it has run a statement that begins with a word."""

    fault: ClassVar[tuple[str, Moment, int] | None] = None

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        return self._with_fault(sql, partial(super().execute, sql, parameters))

    def executemany(self, sql: str, parameters: Any, /) -> sqlite3.Cursor:
        return self._with_fault(sql, partial(super().executemany, sql, parameters))

    def _with_fault(self, sql: str, run: "partial[sqlite3.Cursor]") -> sqlite3.Cursor:
        if Faulty.fault is None or not sql.strip().startswith(Faulty.fault[0]):
            return run()
        statement, moment, code = Faulty.fault
        Faulty.fault = None
        if moment == "after":
            run()
        error = sqlite3.OperationalError(f"reported {moment} {statement}")
        error.sqlite_errorcode = code
        raise error


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Faulty))
    yield tmp_path / "log.db"
    Faulty.fault = None


async def positions(store: EventStore) -> list[int]:
    return [event.position async for batch in store.read() for event in batch.events]


PAIR = [NewEvent("noted", b"1", ("n:1",)), NewEvent("noted", b"2", ("n:2",))]


@pytest.mark.parametrize(("moment", "duplicate"), [("before", False), ("after", True)])
async def test_a_commit_that_fails_on_its_way_to_disk_is_settled_by_a_retry(
    path: Path, moment: Moment, duplicate: bool
) -> None:
    async with SQLiteStore(path) as store:
        Faulty.fault = ("COMMIT", moment, sqlite3.SQLITE_IOERR)

        with pytest.raises(OutcomeUnknown) as caught:
            await store.append(PAIR, key="k")

        assert "idempotency key" in caught.value.remedy
        assert await store.append(PAIR, key="k") == Appended(1, 2, duplicate=duplicate)
        assert await positions(store) == [1, 2]


async def test_an_unknown_outcome_is_unknown_to_all_that_share_the_commit(path: Path) -> None:
    async with SQLiteStore(path) as store:
        Faulty.fault = ("COMMIT", "before", sqlite3.SQLITE_IOERR)

        outcomes = await asyncio.gather(*(store.append(PAIR, key=f"{n}") for n in range(20)), return_exceptions=True)
        unknown = [n for n, outcome in enumerate(outcomes) if isinstance(outcome, OutcomeUnknown)]
        retried = [await store.append(PAIR, key=f"{n}") for n in unknown]

        assert unknown
        assert {type(outcome) for outcome in outcomes} <= {Appended, OutcomeUnknown}
        assert not any(one.duplicate for one in retried)
        assert await positions(store) == list(range(1, 41))


@pytest.mark.parametrize(
    ("code", "error"), [(sqlite3.SQLITE_BUSY, StoreBusy), (sqlite3.SQLITE_FULL, StoreFull)], ids=["busy", "full"]
)
async def test_a_commit_that_certainly_did_not_happen_is_no_unknown_outcome(
    path: Path, code: int, error: type[Exception]
) -> None:
    async with SQLiteStore(path) as store:
        Faulty.fault = ("COMMIT", "before", code)

        with pytest.raises(error):
            await store.append(PAIR, key="k")

        assert await positions(store) == []
        assert await store.append(PAIR, key="k") == Appended(1, 2)


BEFORE_COMMIT: list[tuple[str, Moment]] = [("BEGIN", "before")]
BEFORE_COMMIT += [("PRAGMA data_version", "before"), ("PRAGMA data_version", "after")]
BEFORE_COMMIT += [("INSERT INTO type", "after"), ("INSERT INTO event", "before"), ("INSERT INTO event", "after")]


@pytest.mark.parametrize(("statement", "moment"), BEFORE_COMMIT)
async def test_a_failure_before_the_commit_writes_nothing(path: Path, statement: str, moment: Moment) -> None:
    async with SQLiteStore(path) as store:
        Faulty.fault = (statement, moment, sqlite3.SQLITE_IOERR)

        with pytest.raises(StoreFailed):
            await store.append(PAIR, key="k")

        assert await positions(store) == []
        assert await store.append(PAIR, key="k") == Appended(1, 2)
        assert [event.type async for batch in store.read() for event in batch.events] == ["noted", "noted"]


@pytest.mark.parametrize("statement", ["INSERT INTO segment_tag", "INSERT INTO idempotency_key"])
async def test_a_failure_between_the_tables_leaves_nothing_half_there(path: Path, statement: str) -> None:
    async with SQLiteStore(path) as store:
        Faulty.fault = (statement, "after", sqlite3.SQLITE_IOERR)

        with pytest.raises(StoreFailed):
            await store.append(PAIR, key="k")

    async with SQLiteStore(path) as store:
        assert (await positions(store), await store.lookup("k")) == ([], None)


async def test_a_failing_read_is_named_and_the_next_one_works(path: Path) -> None:
    async with SQLiteStore(path) as store:
        await store.append(PAIR)
        Faulty.fault = ("SELECT event.position", "before", sqlite3.SQLITE_IOERR)

        with pytest.raises(StoreFailed):
            await positions(store)

        assert await positions(store) == [1, 2]


async def test_those_who_wait_are_told_when_looking_for_news_fails(path: Path) -> None:
    async with SQLiteStore(path) as store:
        waiting = asyncio.create_task(store.wait(0))
        await asyncio.sleep(0)
        Faulty.fault = ("SELECT max(position)", "before", sqlite3.SQLITE_IOERR)

        async with asyncio.timeout(PATIENCE):
            with pytest.raises(StoreFailed):
                await waiting

        await store.append(PAIR)
        assert await store.wait(0, timeout=PATIENCE) == 2


class Meanwhile(sqlite3.Connection):
    """A connection that lets something else happen once, while a commit looks for the newest event that was known."""

    happens: ClassVar[Callable[[], object] | None] = None

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        found = super().execute(sql, parameters)
        happens = Meanwhile.happens
        if happens is not None and sql == SELECT_WHOLE and self.in_transaction:
            Meanwhile.happens = None
            happens()
        return found


async def test_an_event_that_a_reader_finds_while_a_commit_looks_is_no_sign_of_another_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Meanwhile))
    path, loop = tmp_path / "log.db", asyncio.get_running_loop()
    async with SQLiteStore(path) as store, SQLiteStore(path) as other:
        await other.append(PAIR)
        await store.head()
        await other.append(PAIR)
        monkeypatch.setattr(
            Meanwhile, "happens", lambda: asyncio.run_coroutine_threadsafe(store.head(), loop).result(PATIENCE)
        )

        assert await store.append(PAIR) == Appended(5, 6)
        assert Meanwhile.happens is None

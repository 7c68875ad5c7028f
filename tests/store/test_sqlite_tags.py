"""The tag index in segments: however they are merged, every search finds what the events have, in order."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest

from leftfold.errors import Conflict
from leftfold.model.criteria import Criteria, criteria
from leftfold.store import AppendCondition, NewEvent, SQLiteStore, StoredEvent
from leftfold.store.admission import AppendRequest
from leftfold.store.sqlite import tags as sqlite_tags
from leftfold.store.sqlite.errors import Transaction
from leftfold.store.sqlite.file import Use
from leftfold.store.sqlite.tags import LAST_POSITION, merge_tags, next_step

TAGS = [f"n:{n}" for n in range(7)]
SEARCHES = [
    criteria(tags=["n:1"]),
    criteria(tags=["n:1", "n:2"]),
    criteria("odd", tags=["n:3"]),
    criteria(tags=["n:1"]) | criteria("odd", tags=["n:3"]) | criteria(tags=["n:1", "n:5"]),
    criteria("odd") | criteria(tags=["n:2"]),
]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments that are full, and merged, after a few events."""
    monkeypatch.setattr(sqlite_tags, "EVENTS_PER_SEGMENT", 8)
    monkeypatch.setattr(sqlite_tags, "SEGMENTS_PER_MERGE", 3)
    monkeypatch.setattr(sqlite_tags, "POSITIONS_PER_UPKEEP", 4)
    monkeypatch.setattr(sqlite_tags, "TAGS_PER_STEP", 5)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SQLiteStore]:
    async with SQLiteStore(tmp_path / "log.db", durable=False) as store:
        yield store


def some(random: Random, number: int) -> list[NewEvent]:
    """Events with none to three tags; one in three has a tag that all of these have."""
    return [
        NewEvent(random.choice(["odd", "even"]), b"{}", tuple(random.sample(TAGS, random.randrange(4))))
        for _ in range(number)
    ]


async def found(store: SQLiteStore, wanted: Criteria, **options: Any) -> list[int]:
    return [event.position async for batch in store.read(wanted, **options) for event in batch.events]


def segments(path: Path) -> list[tuple[int, int, int]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT level, first, last FROM segment ORDER BY first").fetchall()


def merge_once(path: Path) -> bool:
    """What the store does between commits, done from outside; whether there may be more."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.text_factory = bytes
        with Transaction(connection):
            return merge_tags(connection)


def commit(store: SQLiteStore, events: list[NewEvent]) -> None:
    """What the store does in its own thread, done here."""
    request = AppendRequest(events, None, None)
    request.check()
    store._commit(Use.COMMIT, [request])


def matching(events: list[StoredEvent], wanted: Criteria) -> list[int]:
    return [event.position for event in events if wanted.matches(event.type, event.tags)]


@pytest.mark.parametrize("together", [1, 3, 30])
async def test_searches_find_all_that_match_at_every_stage_of_merging(store: SQLiteStore, together: int) -> None:
    random = Random(together)
    for _ in range(60 if together < 30 else 20):
        await store.append(some(random, together))
        events = [event async for batch in store.read() for event in batch.events]

        for wanted in SEARCHES:
            expected = matching(events, wanted)
            assert await found(store, wanted) == expected
            assert await found(store, wanted, reverse=True) == expected[::-1]
            assert await found(store, wanted, after=20, limit=5) == [p for p in expected if p > 20][:5]
            assert (
                await found(store, wanted, upto=30, limit=5, reverse=True) == [p for p in expected if p <= 30][:-6:-1]
            )
        assert await store.self_check() == []


@pytest.mark.parametrize("together", [1, 5, 50])
async def test_segments_are_few_and_the_older_the_larger(store: SQLiteStore, tmp_path: Path, together: int) -> None:
    random = Random(0)
    for _ in range(3_000 // together):
        await store.append(some(random, together))

    levels = [level for level, _, _ in segments(tmp_path / "log.db")]

    assert levels == sorted(levels, reverse=True)
    assert max(levels.count(level) for level in levels) <= 12
    assert max(levels) >= 2


async def test_what_has_been_merged_is_deleted(store: SQLiteStore, tmp_path: Path) -> None:
    random = Random(0)
    for _ in range(1_000):
        await store.append(some(random, 1))
    events = [event async for batch in store.read() for event in batch.events]

    with closing(sqlite3.connect(tmp_path / "log.db")) as connection:
        (rows,) = connection.execute("SELECT count(*) FROM segment_tag").fetchone()

    assert rows < 2 * sum(len(event.tags) for event in events)


async def test_a_tag_that_every_event_has_is_merged_bit_by_bit(store: SQLiteStore, tmp_path: Path) -> None:
    for _ in range(200):
        await store.append([NewEvent("noted", b"", ("all:1",))])

        assert await found(store, criteria(tags=["all:1"])) == list(range(1, await store.head() + 1))

    assert len(segments(tmp_path / "log.db")) < 12


async def test_events_without_tags_leave_nothing_to_merge(store: SQLiteStore, tmp_path: Path) -> None:
    for _ in range(100):
        await store.append([NewEvent("noted", b"")])
    await store.append([NewEvent("noted", b"", ("n:1",))])

    assert await found(store, criteria(tags=["n:1"])) == [101]
    assert segments(tmp_path / "log.db")[-1][2] == LAST_POSITION
    assert len(segments(tmp_path / "log.db")) < 12


async def test_two_processes_take_turns_in_merging(store: SQLiteStore, tmp_path: Path) -> None:
    random = Random(0)
    async with SQLiteStore(tmp_path / "log.db", durable=False) as other:
        for turn in range(200):
            await (store, other)[turn % 2].append(some(random, 2))

        assert await found(other, SEARCHES[3]) == await found(store, SEARCHES[3])
    assert await store.self_check() == []
    assert len(segments(tmp_path / "log.db")) < 30


async def test_merging_between_commits_changes_nothing_that_is_found_and_comes_to_an_end(
    store: SQLiteStore, tmp_path: Path
) -> None:
    random = Random(0)
    for _ in range(10):
        await store.append(some(random, 30))
    events = [event async for batch in store.read() for event in batch.events]

    while merge_once(tmp_path / "log.db"):
        for wanted in SEARCHES:
            assert await found(store, wanted) == matching(events, wanted)
        assert await store.self_check() == []

    levels = [level for level, _, last in segments(tmp_path / "log.db") if last != LAST_POSITION]
    with closing(sqlite3.connect(tmp_path / "log.db")) as connection:
        (rows,) = connection.execute("SELECT count(*) FROM segment_tag").fetchone()
    assert max(levels.count(level) for level in levels) < 3
    assert rows == sum(len(event.tags) for event in events)


@pytest.mark.parametrize("in_turn", [1, 40, 1_000])
async def test_tags_that_grow_with_time_are_merged_with_few_copies(
    store: SQLiteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_turn: int
) -> None:
    monkeypatch.setattr(sqlite_tags, "TAGS_PER_STEP", 12)
    for first in range(0, 240, 8):
        await store.append([NewEvent("noted", b"", (f"n:{n // in_turn:04}",)) for n in range(first, first + 8)])

    steps = 0
    while merge_once(tmp_path / "log.db"):
        steps += 1

    assert steps < 120  # 240 tags, copied up to three times and deleted, some of it by the store itself
    assert await found(store, criteria(tags=["n:0000"])) == list(range(1, min(in_turn, 240) + 1))
    assert await store.self_check() == []


async def test_a_commit_after_merging_is_as_durable_and_patient_as_before(tmp_path: Path) -> None:
    async with SQLiteStore(tmp_path / "log.db", busy_timeout=7.5) as store:
        await store.append(some(Random(0), 8))
        await store._commits.close()  # this test merges in its place
        store._unmerged = True

        assert store._merge() is False  # there is nothing to merge
        commit(store, some(Random(1), 8))

        assert store._writer.execute("PRAGMA synchronous").fetchone() == (2,)
        assert store._writer.execute("PRAGMA busy_timeout").fetchone() == (7_500,)


async def test_merging_between_commits_waits_for_no_other_process(tmp_path: Path) -> None:
    async with SQLiteStore(tmp_path / "log.db", busy_timeout=600.0) as store:
        await store.append(some(Random(0), 8))
        await store._commits.close()
        store._unmerged = True

        with closing(sqlite3.connect(tmp_path / "log.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert store._merge() is False
            other.execute("ROLLBACK")

        assert store._unmerged


async def test_a_step_that_another_process_has_done_already_does_nothing(store: SQLiteStore, tmp_path: Path) -> None:
    random = Random(0)
    await store._commits.close()  # this test commits, and merges, in its place
    for _ in range(20):
        commit(store, some(random, 8))
    events = [event async for batch in store.read() for event in batch.events]
    tried = 0

    with closing(sqlite3.connect(tmp_path / "log.db", isolation_level=None)) as slow:
        slow.text_factory = bytes
        late = next_step(slow)
        while merge_once(tmp_path / "log.db"):
            if late is not None:
                assert slow.execute(*late).rowcount == 0
                tried += 1
            late = next_step(slow)

        for wanted in SEARCHES:
            assert await found(store, wanted) == matching(events, wanted)
    assert tried > 10
    assert await store.self_check() == []


async def test_merged_tags_lie_at_the_right_end_of_the_tree_and_new_ones_do_not(
    store: SQLiteStore, tmp_path: Path
) -> None:
    random = Random(0)
    for _ in range(40):
        await store.append(some(random, 8))
    while merge_once(tmp_path / "log.db"):
        pass

    with closing(sqlite3.connect(tmp_path / "log.db")) as connection:
        merged = connection.execute("SELECT min(id) FROM segment WHERE level > 0").fetchone()
        new = connection.execute("SELECT max(id) FROM segment WHERE level = 0").fetchone()
    assert merged > new


async def test_an_append_is_synced_however_much_there_is_to_merge(tmp_path: Path) -> None:
    async with SQLiteStore(tmp_path / "log.db") as store:
        await store._commits.close()  # nobody merges between the commits of this test
        for _ in range(4):
            commit(store, some(Random(0), 8))
        said: list[str] = []
        assert store._writer.execute("PRAGMA synchronous").fetchone() == (1,)  # a merge is to follow
        store._writer.set_trace_callback(said.append)

        commit(store, some(Random(1), 8))

        assert said.index("PRAGMA synchronous = FULL") < said.index("BEGIN IMMEDIATE")
        assert "PRAGMA synchronous = NORMAL" not in said[said.index("BEGIN IMMEDIATE") : said.index("COMMIT")]


async def test_many_events_of_one_append_come_back_as_they_went_in(tmp_path: Path) -> None:
    random = Random(0)
    alike = [NewEvent("noted", b"{}", ("n:1",), metadata=b"{}")] * 700
    various = [
        NewEvent(random.choice(["odd", "even"]), random.randbytes(3), event.tags, metadata=b"%d" % number)
        for number, event in enumerate(some(random, 700))
    ]
    async with SQLiteStore(tmp_path / "log.db", durable=False) as store:
        for events in (alike, various):
            await store.append(events)

        stored = [event async for batch in store.read() for event in batch.events]

        assert [(event.type, event.data, event.tags, event.metadata) for event in stored] == [
            (event.type, event.data, event.tags, event.metadata) for event in [*alike, *various]
        ]
        assert await found(store, criteria("noted", tags=["n:1"])) == list(range(1, 701))
        assert await store.self_check() == []


async def test_tags_go_to_the_newest_segment_also_after_a_commit_that_wrote_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_tags, "EVENTS_PER_SEGMENT", 8)
    noted = NewEvent("noted", b"", ("n:1",))
    async with SQLiteStore(tmp_path / "log.db") as store, SQLiteStore(tmp_path / "log.db") as other:
        await store.append([noted])
        await other.append([noted] * 8)  # which ends the segment
        with pytest.raises(Conflict):
            await store.append([noted], condition=AppendCondition(criteria(tags=["n:1"]), 0))
        for _ in range(8):
            await store.append([noted])

        assert await found(store, criteria(tags=["n:1"])) == list(range(1, 18))
        assert await store.self_check() == []

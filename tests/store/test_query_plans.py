"""Every SELECT that the SQLite store runs, explained: a test fails when an index stops being used.

The plans are kept in `plans/`. When a plan changes on purpose, delete its file, run the test, and look at the new one.
"""

import re
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest

from leftfold.errors import Conflict
from leftfold.model.criteria import ALL, EVERYTHING, Criteria, criteria
from leftfold.store import AppendCondition, EventStore, NewEvent, SQLiteStore
from leftfold.store.sqlite import loop_reads

PLANS = Path(__file__).parent / "plans"
EVENTS = 6_000
VERIFYING = "(SELECT max(position) FROM event) FROM event"
OPENING = "SELECT count(*) FROM sqlite_schema"  # once for each connection, whenever that is made
SORT_OF_A_LIMITED_ARM = re.compile(r"SCAN \(subquery-\d+\)\n *USE TEMP B-TREE FOR ORDER BY")


class Explaining(sqlite3.Connection):
    """A connection that notes the plan of each SELECT before it runs it, once it is open."""

    plans: ClassVar[list[str]] = []
    of_verifying: ClassVar[list[str]] = []  # that the log was not replaced: once for each thread that reads

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        if sql.lstrip().startswith("SELECT"):
            if sql == OPENING:
                return super().execute(sql, parameters)
            steps = super().execute(f"EXPLAIN QUERY PLAN {sql}", parameters).fetchall()
            plans = self.of_verifying if VERIFYING in sql else self.plans
            plans.append("\n".join([" ".join(sql.split()), *drawn(steps)]))
        return super().execute(sql, parameters)


def drawn(steps: list[tuple[int, int, int, str | bytes]]) -> list[str]:
    """The steps of a plan as an indented tree."""
    depth = {0: 0}
    lines: list[str] = []
    for step, parent, _, detail in steps:
        depth[step] = depth[parent] + 1
        lines.append("    " * depth[step] + (detail if isinstance(detail, str) else detail.decode()))
    return lines


@pytest.fixture
async def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[EventStore]:
    """A log with common and rare types and tags, whose statements are explained."""
    async with SQLiteStore(tmp_path / "log.db") as filling:
        await filling.append([shaped(n) for n in range(EVENTS)], key="k")
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Explaining))
    monkeypatch.setattr(loop_reads, "MAX_STEPS_ON_LOOP", 2**30)  # a read that is given up would be explained twice
    async with SQLiteStore(tmp_path / "log.db") as store:
        await store.head()
        yield store


def shaped(n: int) -> NewEvent:
    """Types and tags that occur always, often (one in two) and rarely (one in a thousand)."""
    often = ("often:1",) if n % 2 else ("often:2",)
    rarely = ("rarely:1", "rarely:2") if n % 1_000 == 0 else ()
    return NewEvent("rare" if n % 1_000 == 1 else "common", b"{}", ("always:1", *often, *rarely))


async def read(store: EventStore, meant: Criteria, **options: Any) -> None:
    async for _ in store.read(meant, **options):
        break


async def conflict(store: EventStore, meant: Criteria) -> None:
    with pytest.raises(Conflict):
        await store.append([NewEvent("common", b"")], condition=AppendCondition(meant, 0))


Use = Callable[[EventStore], Coroutine[Any, Any, object]]

READS: dict[str, Criteria] = {
    "everything": EVERYTHING,
    "all of users": ALL,
    "one type": criteria("common"),
    "a rare type": criteria("rare"),
    "two types": criteria("common", "rare"),
    "one tag": criteria(tags=["always:1"]),
    "a rare tag": criteria(tags=["rarely:1"]),
    "a type with a tag": criteria("common", tags=["always:1"]),
    "a rare type with a common tag": criteria("rare", tags=["always:1"]),
    "a common type with a rare tag": criteria("common", tags=["rarely:1"]),
    "two types with a tag": criteria("common", "rare", tags=["often:1"]),
    "two common tags": criteria(tags=["always:1", "often:1"]),
    "a rare and a common tag": criteria(tags=["always:1", "rarely:1"]),
    "three tags with a type": criteria("common", tags=["always:1", "often:2", "rarely:2"]),
    "a dozen tags with a type": criteria("common", tags=["always:1", *(f"other:{n}" for n in range(11))]),
    "several items": criteria("rare") | criteria(tags=["rarely:1"]) | criteria("common", tags=["often:1"]),
}

OTHERS: dict[str, Use] = {
    "head": lambda store: store.head(),
    "lookup": lambda store: store.lookup("k"),
    "read on backwards": lambda store: read(store, READS["several items"], after=10, upto=5_000, reverse=True),
    "condition on a tag": lambda store: conflict(store, criteria(tags=["always:1"])),
    "condition on a type": lambda store: conflict(store, criteria("common")),
    "condition on a type with two tags": lambda store: conflict(store, READS["three tags with a type"]),
    "append with a key": lambda store: store.append([NewEvent("new type", b"", ("new:1",))], key="new"),
}


@pytest.mark.parametrize("name", READS)
async def test_reads_keep_their_query_plans(store: EventStore, name: str) -> None:
    await keeps_its_plans(store, f"read {name}", lambda store: read(store, READS[name], limit=100))


async def test_a_long_read_of_data_keeps_its_query_plans(store: EventStore) -> None:
    async def read_on(store: EventStore) -> None:
        async for _ in store.read(READS["a type with a tag"], data_only=True, limit=200):
            pass

    await keeps_its_plans(store, "read data in columns", read_on)


@pytest.mark.parametrize("name", OTHERS)
async def test_other_verbs_keep_their_query_plans(store: EventStore, name: str) -> None:
    await keeps_its_plans(store, name, OTHERS[name])


async def test_verifying_that_the_log_is_the_same_keeps_its_query_plan(store: EventStore) -> None:
    async def verified(store: EventStore) -> None:
        Explaining.plans = Explaining.of_verifying[-1:]

    await keeps_its_plans(store, "verifying", verified)


async def keeps_its_plans(store: EventStore, name: str, use: Use) -> None:
    Explaining.plans = []
    await use(store)
    found = "\n\n".join(Explaining.plans) + "\n"

    golden = PLANS / f"{name.replace(' ', '_')}.txt"
    if not golden.exists():
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(found)
        pytest.fail(f"{golden.name} was missing and has been written: look at it, then run the test again")
    assert found == golden.read_text()
    assert "SCAN segment_tag" not in found
    assert "TEMP B-TREE" not in SORT_OF_A_LIMITED_ARM.sub("", found)

"""Reads on PostgreSQL by many tags and items: one short statement whatever their number, along the indexes alone."""

from collections.abc import AsyncIterator, Callable, Mapping

import pytest

from leftfold.model.criteria import Criteria, CriteriaItem, criteria
from leftfold.store import NewEvent, open_store
from leftfold.store.postgres.driver import run
from leftfold.store.postgres.select import Statement, count_ways, scans_for, select_events
from leftfold.store.reading import ReadOptions
from leftfold_torture.postgres_server import PostgresServer
from tests.postgres import DATABASE

EVENTS = 6_000
LOG = "plans_of_many"
NUMBERS: Mapping[str, int] = {"common": 1, "rare": 2}


@pytest.fixture
async def filled(postgres: PostgresServer) -> AsyncIterator[PostgresServer]:
    """A log of events that have a tag of their own and some that all have."""
    async with open_store(postgres.url(DATABASE, log=LOG)) as store:
        if not await store.head():
            all_have = tuple(f"all:{n}" for n in range(100))
            await store.append([NewEvent("common", b"{}", (f"n:{n}", "all:0")) for n in range(EVENTS)])
            await store.append([NewEvent("rare", b"{}", all_have)] * 50)
        yield postgres


def many_tags(number: int) -> Criteria:
    return criteria("common", "rare", tags=[f"all:{n}" for n in range(number)])


def many_items(number: int) -> Criteria:
    return Criteria(*(CriteriaItem(["common"], [f"n:{n}", "all:0"]) for n in range(number)))


def statements(wanted: Criteria, counted: int = 1) -> tuple[Statement, Statement]:
    """What is asked first, and what then reads."""
    tags = {tag for item in wanted.items for tag in item.tags}
    scans = scans_for(wanted, NUMBERS, [[counted] * len(tags)])
    return count_ways(wanted, NUMBERS, 0), select_events(scans, ReadOptions(0, EVENTS, None), 1_000)


@pytest.mark.parametrize("of", [many_tags, many_items])
def test_a_statement_does_not_grow_with_the_number_of_tags_and_items(of: Callable[[int], Criteria]) -> None:
    [few, many] = [[len(each.sql) for each in statements(of(number))] for number in (70, 100)]

    assert few == many


@pytest.mark.parametrize("wanted", [many_tags(12), many_tags(100), many_items(100), many_items(1_000)])
async def test_a_read_by_many_goes_along_the_indexes_alone(filled: PostgresServer, wanted: Criteria) -> None:
    store = open_store(filled.url(DATABASE, log=LOG))
    connection = store._connect(reading=True)  # type: ignore[attr-defined]
    try:
        for sql, parameters in statements(wanted):
            explained = run(connection, f"EXPLAIN {sql.format(log=LOG, same='true')}", parameters)
            plan = "\n".join(line for (line,) in explained)

            assert "Seq Scan" not in plan
            assert "Hash" not in plan
            assert "Merge Join" not in plan
            assert "Index Only Scan" in plan
    finally:
        connection.close()
        await store.close()


async def test_a_rare_tag_among_a_hundred_is_the_one_that_is_followed(filled: PostgresServer) -> None:
    wanted = criteria(tags=[*(f"all:{n}" for n in range(50)), "n:7"])
    tags = sorted({tag for item in wanted.items for tag in item.tags})

    [scan] = scans_for(wanted, {}, [[1 if tag == "n:7" else 6_000 for tag in tags]])

    assert scan.search is not None
    assert scan.search[0] == "n:7"

"""The store without await: the verbs of the async one, on a loop thread of its own."""

import inspect
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from leftfold import AppendCondition, Appended, EventStore, NewEvent, SyncStore, criteria, open_store_sync
from leftfold.errors import Conflict, InsideRunningLoop, InvalidUrl, StoreClosed
from leftfold_torture.postgres_server import PostgresServer
from tests.postgres import DATABASE

numbers = count(1)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "memory":
        return "memory:"
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/log.db"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.url(DATABASE, log=f"sync_{next(numbers)}")


def loop_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "leftfold loop"]


def test_every_verb_answers_without_await(url: str) -> None:
    with open_store_sync(url) as store:
        assert store.append([NewEvent("a", b"1", ("x:1",)), NewEvent("b", b"2")], key="k") == Appended(1, 2)
        with pytest.raises(Conflict):
            store.append([NewEvent("a", b"3")], condition=AppendCondition(criteria(tags=["x:1"]), 0))
        assert [event.data for batch in store.read(criteria("b")) for event in batch.events] == [b"2"]
        assert (store.head(), store.wait(1), store.wait(2, timeout=0), store.lookup("k")) == (2, 2, 2, Appended(1, 2))
        followed = store.subscribe(after=1)
        assert [event.data for event in next(followed).events] == [b"2"]
        followed.close()  # type: ignore[attr-defined]
        assert len(store.log_id) == 32


def test_it_has_every_verb_of_the_store_with_its_parameters() -> None:
    for name, verb in vars(EventStore).items():
        if callable(verb) and not name.startswith("_"):
            assert list(inspect.signature(getattr(SyncStore, name)).parameters) == list(
                inspect.signature(verb).parameters
            )


def test_a_read_may_be_left_before_its_end(url: str) -> None:
    with open_store_sync(url) as store:
        for first in range(0, 10_000, 2_000):
            store.append([NewEvent("a", b"%d" % n) for n in range(first, first + 2_000)])
        for _ in store.read():
            break
        assert store.head() == 10_000


def test_what_it_opened_is_closed_with_it() -> None:
    before = loop_threads()

    with open_store_sync("memory:") as store:
        assert len(loop_threads()) == len(before) + 1

    assert loop_threads() == before
    with pytest.raises(StoreClosed):
        store.head()


def test_a_store_that_cannot_be_opened_leaves_nothing_behind() -> None:
    before = loop_threads()

    with pytest.raises(InvalidUrl), open_store_sync("mysql://somewhere"):
        pass

    assert loop_threads() == before


USES: list[Callable[[SyncStore], object]] = [
    lambda store: store.append([NewEvent("a", b"")]),
    lambda store: list(store.read()),
    lambda store: next(store.subscribe()),
    lambda store: store.head(),
    lambda store: store.wait(0),
    lambda store: store.lookup("k"),
]


async def test_inside_a_running_loop_it_is_refused_with_the_fix_in_the_message() -> None:
    with pytest.raises(InsideRunningLoop, match=r"async with open_store\(url\) as store"), open_store_sync("memory:"):
        pass


@pytest.mark.parametrize("use", USES)
def test_a_use_inside_a_running_loop_is_refused(use: Callable[[SyncStore], object]) -> None:
    import asyncio

    async def within(store: SyncStore) -> None:
        with pytest.raises(InsideRunningLoop, match="open_store"):
            use(store)

    with open_store_sync("memory:") as store:
        asyncio.run(within(store))


def test_threads_may_share_it(tmp_path: Path) -> None:
    with open_store_sync(f"sqlite:///{tmp_path}/log.db") as store:
        threads = [threading.Thread(target=store.append, args=([NewEvent("a", b"")],)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert store.head() == 8

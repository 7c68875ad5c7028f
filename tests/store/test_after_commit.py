"""An error after a commit is not taken for a failed commit: nothing is stored twice, and nobody is told it was not."""

import asyncio
from pathlib import Path
from typing import Any, NoReturn

import pytest

from leftfold.errors import OutcomeUnknown, StoreFailed
from leftfold.store import Appended, EventStore, NewEvent, SQLiteStore, open_store
from leftfold.store.head import Head
from leftfold.store.postgres.batch import AppendCall
from leftfold.store.recent_tags import RecentTags
from leftfold.store.sqlite.store import Newest
from leftfold_torture.postgres_server import PostgresServer
from tests.postgres import DATABASE

CALLERS = 20


def fault(*arguments: Any, **named: Any) -> NoReturn:
    raise RuntimeError("a fault")


async def appended_at_once(store: EventStore, **named: Any) -> list[Appended | BaseException]:
    calls = [store.append([NewEvent("noted", b"", (f"n:{n}",))], **named) for n in range(CALLERS)]
    return await asyncio.gather(*calls, return_exceptions=True)


async def stored(store: EventStore) -> list[str]:
    return [tag for batch in [each async for each in store.read()] for event in batch.events for tag in event.tags]


@pytest.mark.parametrize(
    "broken", [(RecentTags, "done"), (Newest, "committed"), (SQLiteStore, "_prepare_merge"), (Head, "advance")]
)
async def test_what_fails_after_a_commit_to_sqlite_changes_no_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: tuple[type, str]
) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    async with SQLiteStore(tmp_path / "log.db") as store:
        with monkeypatch.context() as patch:
            patch.setattr(*broken, fault)
            outcomes = await appended_at_once(store)
        more = await store.append([NewEvent("noted", b"", ("n:more",))])

        assert all(isinstance(each, Appended) for each in outcomes)
        assert await stored(store) == [*(f"n:{n}" for n in range(CALLERS)), "n:more"]
        assert more == Appended(CALLERS + 1, CALLERS + 1)


@pytest.mark.parametrize("broken", [(AppendCall, "outcomes"), (Head, "advance")])
async def test_what_fails_after_a_commit_to_postgresql_is_no_failed_commit(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, broken: tuple[type, str]
) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    async with open_store(postgres.url(DATABASE, log=f"after_{broken[1]}")) as store:
        with monkeypatch.context() as patch:
            patch.setattr(*broken, fault)
            outcomes = await appended_at_once(store)

        assert {type(each) for each in outcomes} <= {Appended, OutcomeUnknown}
        assert sorted(await stored(store)) == sorted(f"n:{n}" for n in range(CALLERS))


async def test_an_answer_that_cannot_be_read_leaves_the_outcome_unknown(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_store(postgres.url(DATABASE, log="after_unread")) as store:
        event = [NewEvent("noted", b"", ("n:1",))]
        with monkeypatch.context() as patch:
            patch.setattr("leftfold.store.postgres.driver.Transformer", fault)
            with pytest.raises(OutcomeUnknown):
                await store.append(event, key="k")

        assert await store.append(event, key="k") == Appended(1, 1, duplicate=True)


async def test_a_call_that_fails_does_not_repeat_those_of_its_batch_that_are_committed(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = AppendCall.columns

    def columns(call: AppendCall) -> Any:
        if any("n:bad" in event.tags for request in call._requests for event in request.events):
            raise RuntimeError("this one cannot be sent")
        return whole(call)

    async with open_store(postgres.url(DATABASE, log="after_one_call")) as store:
        monkeypatch.setattr(AppendCall, "columns", columns)
        same = [NewEvent("noted", b"", ("n:same",))]  # a key that comes twice begins a call of its own
        bad = [NewEvent("noted", b"", ("n:bad",))]
        others = [store.append([NewEvent("noted", b"", (f"n:{n}",))]) for n in range(3)]
        outcomes = await asyncio.gather(
            *others,
            store.append(same, key="k"),
            store.append(same, key="k"),
            store.append(bad, key="bad"),
            return_exceptions=True,
        )

        assert [type(each) for each in outcomes] == [*[Appended] * 5, StoreFailed]
        assert sorted(await stored(store)) == ["n:0", "n:1", "n:2", "n:same"]

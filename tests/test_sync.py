"""The sync facade: the same names without await, on a loop thread of its own."""

import asyncio
import inspect
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import pytest

from leftfold import Metadata, Rejected, Ticket, recording
from leftfold.errors import InsideRunningLoop, InvalidUrl, StoreClosed
from leftfold.live import LiveApp
from leftfold.live_sync import SyncLive, SyncTicket
from tests.accounts import Account, Deposit, Deposited, Withdraw, accounts_app
from tests.patience import PATIENCE
from tools import sync_twin


def loop_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "leftfold loop"]


def test_commands_states_and_explanations_are_answered_without_await() -> None:
    with accounts_app().open_sync("memory:") as live:
        receipt = live.execute(Deposit("a", 5), key="k")
        again = live.execute(Deposit("a", 5), key="k")
        many = live.execute_many([Withdraw("a", 1), Withdraw("a", 9)])

        assert (receipt.events, again.duplicate, len(many.rejections)) == ((Deposited("a", 5),), True, 1)
        assert live.state(Account, "a") == Account("a", 4)
        assert live.state(Account, "a", as_of=1) == Account("a", 5)
        assert [step.position for step in live.explain(Account, "a")] == [1, 2]
        assert all(verified.ok for verified in live.verify(snapshots=True))
        assert repr(live) == "<SyncLive on <MemoryStore at 2>>"


@pytest.mark.parametrize(("twin", "original"), [(SyncLive, LiveApp), (SyncTicket, Ticket)])
def test_it_has_every_public_name_with_the_same_parameters(twin: type, original: type) -> None:
    def public(owner: type) -> dict[str, Any]:
        return {
            name: inspect.signature(value).parameters if callable(value) else value.__doc__
            for name, value in vars(owner).items()
            if not name.startswith("_") and name != "close"
        }

    assert public(twin).keys() == public(original).keys()
    for name, value in public(original).items():
        assert isinstance(value, str) or list(public(twin)[name]) == list(value)


def test_the_facade_is_what_the_tool_writes_from_the_live_app() -> None:
    assert sync_twin.TWIN.read_text(encoding="utf-8") == sync_twin.twin(), "run: make sync-twin"


def test_errors_come_as_they_are() -> None:
    with accounts_app().open_sync("memory:") as live, pytest.raises(Rejected) as rejection:
        live.execute(Withdraw("a", 1))

    assert rejection.value.details == {"balance": 0}


def test_what_it_opened_is_closed_with_it() -> None:
    before = loop_threads()

    with accounts_app().open_sync("memory:") as live:
        assert len(loop_threads()) == len(before) + 1

    assert loop_threads() == before
    with pytest.raises(StoreClosed):
        live.execute(Deposit("a", 1))


def test_calls_of_other_threads_end_when_it_is_closed(tmp_path: Path) -> None:
    executed = threading.Semaphore(0)

    def execute_for_ever(live: SyncLive) -> NoReturn:
        while True:
            live.execute(Deposit("a", 1))
            executed.release()

    with ThreadPoolExecutor(4) as threads, accounts_app().open_sync(f"sqlite:///{tmp_path}/log.db") as live:
        calling = [threads.submit(execute_for_ever, live) for _ in range(4)]
        for _ in range(20):
            executed.acquire()

    assert [type(future.exception(timeout=PATIENCE)) for future in calling] == [StoreClosed] * 4


def test_an_app_that_cannot_be_opened_leaves_no_thread_behind() -> None:
    before = loop_threads()

    with pytest.raises(InvalidUrl), accounts_app().open_sync("nowhere://"):
        raise AssertionError("it is open")

    assert loop_threads() == before


def test_the_file_can_be_opened_again(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    with accounts_app().open_sync(url) as live:
        live.execute(Deposit("a", 5))

    with accounts_app().open_sync(url) as live:
        assert live.state(Account, "a").balance == 5


async def test_opening_inside_a_running_loop_says_what_to_do_instead() -> None:
    before = loop_threads()

    with pytest.raises(InsideRunningLoop, match=r"async with app\.open"), accounts_app().open_sync("memory:"):
        raise AssertionError("it is open")

    assert loop_threads() == before


def test_calling_inside_a_running_loop_says_what_to_do_instead() -> None:
    async def call(live: SyncLive) -> None:
        live.execute(Deposit("a", 1))

    with accounts_app().open_sync("memory:") as live:
        with pytest.raises(InsideRunningLoop):
            asyncio.run(call(live))
        assert live.state(Account, "a") == Account("a")


async def test_threads_of_an_async_program_may_use_it() -> None:
    def work() -> int:
        with accounts_app().open_sync("memory:") as live:
            return live.execute(Deposit("a", 1)).position

    assert await asyncio.to_thread(work) == 1


def test_several_threads_share_one_live_app(tmp_path: Path) -> None:
    with accounts_app().open_sync(f"sqlite:///{tmp_path}/log.db") as live, ThreadPoolExecutor(8) as threads:
        receipts = list(threads.map(lambda number: live.execute(Deposit(f"a-{number % 3}", 1)), range(60)))

        assert sorted(receipt.position for receipt in receipts) == list(range(1, 61))
        assert [live.state(Account, f"a-{number}").balance for number in range(3)] == [20, 20, 20]


def test_metadata_of_the_callers_thread_is_recorded() -> None:
    def deposit(account: str) -> None:
        with recording(actor=account, tenant="north"):
            live.execute(Deposit(account, 1), metadata=Metadata(reason="salary"))
            live.execute_many([Deposit(account, 1)])

    with accounts_app().open_sync("memory:") as live:
        with ThreadPoolExecutor(3) as threads:
            list(threads.map(deposit, "abc"))

        for account in "abc":
            first, second = live.explain(Account, account)
            assert (first.actor, first.reason, first.metadata.extra) == (account, "salary", {"tenant": "north"})
            assert (second.actor, second.reason) == (account, None)


def test_an_import_says_when_it_happened() -> None:
    then = datetime(2020, 1, 1, tzinfo=UTC)
    with accounts_app().open_sync("memory:") as live:
        live.execute(Deposit("a", 1), time=then)

        assert live.explain(Account, "a")[0].time == then

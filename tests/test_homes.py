"""A store and a live app belong to one process and one event loop; anywhere else each verb says so at once."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager
from inspect import iscoroutinefunction
from itertools import count
from pathlib import Path
from typing import Any, cast
from urllib.request import urlopen

import pytest

import examples.bank as example
from leftfold import ProcessManager, Ticket, open_store, open_store_sync
from leftfold.errors import StoreClosed, WrongLoop
from leftfold.live import LiveApp
from leftfold.store import EventStore, NewEvent
from leftfold_torture.postgres_server import PostgresServer
from tests.accounts import Account, accounts_app
from tests.postgres import DATABASE

ROOT = Path(__file__).parents[1]
numbers = count(1)

FORKING = """
import os, sys
from leftfold.errors import ForkedStore
from tests.accounts import Account, Deposit, accounts_app

url, end = sys.argv[1:]
live = accounts_app().open_sync(url)
live.execute(Deposit("before", 1))
child = os.fork()
if not child:
    uses = [lambda: live.execute(Deposit("child", 1)), lambda: live.state(Account, "before"), live.status, live.leases,
            lambda: live.submit(Deposit("child", 1)), live.ticket("1").state, live.ticket("1").result, live.parked]
    for use in uses:
        try:
            use()
        except ForkedStore as error:
            assert error.used_in == os.getpid()
        else:
            os._exit(9)
    if end == "_exit":
        os._exit(0)
    if end == "close":
        live.close()
    if end == "exception":
        sys.stderr.close()
        raise ValueError
    sys.exit(0)
_, status = os.waitpid(child, 0)
live.execute(Deposit("after", 1))
assert [live.state(Account, each) != Account(each) for each in ("before", "child", "after")] == [True, False, True]
assert all(each.ok for each in live.verify())
live.close()
live.close()
sys.exit(os.waitstatus_to_exitcode(status))
"""
FORKED_STORES = """
import asyncio, os, sys
from leftfold import open_store, open_store_sync
from leftfold.errors import ForkedStore
from leftfold.store import NewEvent

url, opened = sys.argv[1:]
store = open_store(url) if opened == "store" else open_store_sync(url)

async def read():
    async for batch in store.read():
        return batch

def uses():
    yield lambda: store.append([NewEvent("noted", b"")])
    yield lambda: store.head()
    yield lambda: store.wait(0)
    yield lambda: store.lookup("key")
    yield read if opened == "store" else lambda: next(store.read())

loop = asyncio.new_event_loop()
do = loop.run_until_complete if opened == "store" else lambda done: done
do(store.append([NewEvent("noted", b"")]))
if opened == "sync":
    reading = store.read()
    next(reading)
child = os.fork()
if not child:
    in_child = asyncio.run if opened == "store" else lambda done: done
    for use in uses():
        try:
            in_child(use())
        except ForkedStore as error:
            assert error.used_in == os.getpid()
        else:
            os._exit(9)
    sys.exit(0)
_, status = os.waitpid(child, 0)
do(store.append([NewEvent("noted", b"")]))
assert do(store.head()) == 2
do(store.close())
loop.close()
sys.exit(os.waitstatus_to_exitcode(status))
"""
FORKED_LOOP = """
import asyncio, faulthandler, os, sys
from leftfold.errors import ForkedStore
from tests.accounts import Account, Deposit, accounts_app

url, end = sys.argv[1:]
loop = asyncio.new_event_loop()
opening = accounts_app().open(url)
live = loop.run_until_complete(opening.__aenter__())
loop.run_until_complete(live.execute(Deposit("a", 1)))
child = os.fork()
if not child:
    faulthandler.dump_traceback_later(40, exit=True)
    for use in (lambda: live.execute(Deposit("child", 1)), lambda: live.state(Account, "a"), live.status):
        try:
            loop.run_until_complete(use())
        except ForkedStore as error:
            assert error.used_in == os.getpid()
        else:
            os._exit(9)
    loop.run_until_complete(asyncio.sleep(0.01))  # so what was under way in it goes on too
    if end == "leave":
        loop.run_until_complete(opening.__aexit__(None, None, None))
    if end == "close the loop":
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
    os._exit(0) if end == "_exit" else sys.exit(0)
_, status = os.waitpid(child, 0)
for _ in range(5):
    loop.run_until_complete(live.execute(Deposit("after", 1)))
loop.run_until_complete(live.run_until_quiet())
assert loop.run_until_complete(live.state(Account, "child")) == Account("child")
assert all(each.ok for each in loop.run_until_complete(live.verify()))
loop.run_until_complete(opening.__aexit__(None, None, None))
loop.close()
sys.exit(os.waitstatus_to_exitcode(status))
"""
FORK_IN_A_COROUTINE = """
import asyncio, faulthandler, os, sys
from leftfold.errors import ForkedStore
from tests.accounts import Account, Deposit, accounts_app

url, end = sys.argv[1:]

async def main():
    async with accounts_app().open(url) as live:
        await live.execute(Deposit("a", 1))
        child = os.fork()
        if not child:
            faulthandler.dump_traceback_later(40, exit=True)
            try:
                await live.execute(Deposit("child", 1))
            except ForkedStore as error:
                assert error.used_in == os.getpid()
            else:
                os._exit(9)
            if end == "return":
                return 0
            if end == "exception":
                raise ValueError
            sys.exit(0)
        _, status = await asyncio.to_thread(os.waitpid, child, 0)
        for _ in range(5):
            await live.execute(Deposit("after", 1))
        await live.run_until_quiet()
        assert await live.state(Account, "child") == Account("child")
        return os.waitstatus_to_exitcode(status)

sys.exit(asyncio.run(main()))
"""
OPEN_ASYNC = """
import asyncio, sys
from leftfold import NewEvent, open_store
from tests.accounts import Deposit, accounts_app

async def begin():
    global opened
    if sys.argv[2] == "app":
        opened = accounts_app().open(sys.argv[1])
        await (await opened.__aenter__()).execute(Deposit("a", 1))
    else:
        opened = open_store(sys.argv[1])
        await opened.append([NewEvent("noted", b"")])
        waiting = asyncio.create_task(opened.wait(1))
        await opened.head()

asyncio.run(begin())
"""
NOT_CLOSED = """
import sys
from leftfold.store.sqlite.store import SQLiteStore
from tests.accounts import accounts_app

closed = SQLiteStore.close

async def close(store):
    await closed(store)
    raise OSError("the disk is gone")

SQLiteStore.close = close
live = accounts_app().open_sync(sys.argv[1])
"""
STORE_LEFT_OPEN = """
import sys
from leftfold import NewEvent, open_store_sync

store = open_store_sync(sys.argv[1])
store.append([NewEvent("noted", b"")])
batches = store.read()
next(batches)
"""
LEFT_OPEN = """
import os, signal, sys
from tests.accounts import Deposit, accounts_app

live = accounts_app().open_sync(sys.argv[1])
live.execute(Deposit("a", 1))
print("acknowledged", flush=True)
match sys.argv[2]:
    case "exit":
        sys.exit(3)
    case "interrupted":
        signal.signal(signal.SIGINT, lambda *_: sys.exit(3))
        os.kill(os.getpid(), signal.SIGINT)
"""


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A log that is not in memory."""
    return made_url(request, tmp_path)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def any_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A log of any backend."""
    return made_url(request, tmp_path)


def made_url(request: pytest.FixtureRequest, folder: Path) -> str:
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        return server.url(DATABASE, log=f"home_{next(numbers)}")
    return "memory:" if request.param == "memory" else f"sqlite:///{folder}/log.db"


def run(script: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


USES: dict[str, Callable[[EventStore], Awaitable[object]]] = {
    "append": lambda store: store.append([NewEvent("noted", b"")]),
    "head": lambda store: store.head(),
    "wait": lambda store: store.wait(0),
    "lookup": lambda store: store.lookup("key"),
    "read": lambda store: anext(store.read()),
    "close": lambda store: store.close(),
}


def test_every_verb_of_a_store_says_at_once_that_its_loop_is_closed(url: str) -> None:
    store = open_store(url)
    asyncio.run(_use(store, "append"))

    for name in USES.keys() - {"close"}:
        with pytest.raises(WrongLoop) as caught:
            asyncio.run(_use(store, name))
        assert caught.value.closed

    asyncio.run(store.close())


async def test_every_verb_of_a_store_says_at_once_that_it_is_used_from_another_loop(any_url: str) -> None:
    async with open_store(any_url) as store:
        await _use(store, "append")

        for name in (*USES, "close"):
            with pytest.raises(WrongLoop) as caught:
                await asyncio.to_thread(asyncio.run, _use(store, name))
            assert not caught.value.closed
        assert await store.head() == 1


def test_a_log_in_memory_goes_on_in_another_loop_when_its_own_is_closed() -> None:
    store = open_store("memory:")
    asyncio.run(_use(store, "append"))

    asyncio.run(_use(store, "append"))

    assert asyncio.run(store.head()) == 2
    asyncio.run(store.close())


async def _use(store: EventStore, name: str) -> None:
    async with asyncio.timeout(30):
        await USES[name](store)


def uses(live: LiveApp) -> dict[str, Awaitable[object]]:
    """Every verb of a live app that is awaited, of a ticket of it, and of a live query."""
    ticket, watch = live.ticket("1"), live.watch(example.Richest())
    return {
        "execute": live.execute(example.Deposit("a", 1)),
        "execute_many": live.execute_many([example.Deposit("a", 1)]),
        "submit": live.submit(example.Deposit("a", 1)),
        "commands": live.commands(),
        "process": live.process(ProcessManager, "a"),
        "processes": live.processes(),
        "reactors": live.reactors(),
        "query": live.query(example.Richest()),
        "plan": live.plan(example.Richest()),
        "state": live.state(example.Account, "a"),
        "explain": live.explain(example.Account, "a"),
        "trace": live.trace(1),
        "changes": live.changes(example.Balance),
        "count_by_time": live.count_by_time(),
        "verify": live.verify(),
        "read_models": live.read_models(),
        "leases": live.leases(),
        "attention": live.attention(),
        "status": live.status(),
        "run_until_quiet": live.run_until_quiet(),
        "parked": live.parked(),
        "parked_events": live.parked_events(example.Balance, "a"),
        "parked_traceback": live.parked_traceback(example.Balance, "a"),
        "retry": live.retry(example.Balance, "a"),
        "skip": live.skip(example.Balance, "a", reason="test"),
        "cancel": live.cancel("commands", "1", reason="test"),
        "ticket.result": ticket.result(),
        "ticket.state": ticket.state(),
        "ticket.retry": ticket.retry(),
        "ticket.cancel": ticket.cancel(),
        "watch": anext(watch),
    }


def test_the_verbs_that_are_tried_are_all_that_there_are() -> None:
    async def names() -> set[str]:
        async with example.bank.open("memory:") as live:
            tried = uses(live)
            for each in tried.values():
                cast("Coroutine[Any, Any, object]", each).close()
            return set(tried)

    awaited = {name for name, verb in vars(LiveApp).items() if iscoroutinefunction(verb) and not name.startswith("_")}
    awaited |= {f"ticket.{name}" for name, verb in vars(Ticket).items() if iscoroutinefunction(verb)} - {
        "ticket._completed"
    }
    assert asyncio.run(names()) == awaited | {"watch"}


async def test_every_verb_of_a_live_app_says_at_once_that_it_is_used_from_another_loop(any_url: str) -> None:
    async with example.bank.open(any_url) as live:
        for _ in range(8):  # as many as begin to be decided together
            with pytest.raises(WrongLoop):
                await asyncio.to_thread(asyncio.run, _within(live.execute(example.Deposit("a", 1))))
        for use in uses(live).values():
            with pytest.raises(WrongLoop):
                await asyncio.to_thread(asyncio.run, _within(use))
        assert (await live.execute(example.Open("a", "ann"))).position == await live.store.head()


async def _within(work: Awaitable[object]) -> None:
    async with asyncio.timeout(30):
        await work


@pytest.mark.parametrize("end", ["_exit", "exit", "close", "exception"])
def test_a_forked_child_is_told_so_and_leaves_the_log_of_its_parent_alone(url: str, end: str) -> None:
    ran = run(FORKING, url, end)

    assert (ran.returncode, ran.stdout) == (int(end == "exception"), ""), ran.stderr


@pytest.mark.parametrize("end", ["_exit", "exit", "leave", "close the loop"])
def test_a_child_that_runs_the_loop_of_its_parent_is_told_so_and_the_parent_goes_on(url: str, end: str) -> None:
    ran = run(FORKED_LOOP, url, end)

    assert (ran.returncode, ran.stdout) == (0, ""), ran.stderr


@pytest.mark.parametrize("end", ["return", "exit", "exception"])
def test_a_child_that_is_forked_in_a_coroutine_is_told_so_and_ends_and_the_parent_goes_on(url: str, end: str) -> None:
    ran = run(FORK_IN_A_COROUTINE, url, end)

    assert (ran.returncode, ran.stdout) == (int(end == "exception"), ""), ran.stderr
    # beside what asyncio may say of the tasks of the parent, which the child has at whatever point they are
    assert ("ValueError" in ran.stderr.splitlines()) == (end == "exception")


def quiet(stderr: str) -> list[str]:
    """What was said beside what asyncio says of tasks and loops that a child leaves behind when it exits."""
    left = ("Task was destroyed but it is pending", "task: ")
    return [line for line in stderr.splitlines() if not line.startswith(left)]


@pytest.mark.parametrize(("end", "code"), [("return", 0), ("exit", 3), ("interrupted", 3)])
def test_a_program_that_leaves_its_app_open_ends_and_loses_nothing(url: str, end: str, code: int) -> None:
    ran = run(LEFT_OPEN, url, end)

    assert (ran.returncode, ran.stdout, ran.stderr) == (code, "acknowledged\n", "")
    with accounts_app().open_sync(url) as live:
        assert live.state(Account, "a") != Account("a")


def test_an_app_that_cannot_be_closed_at_the_end_of_its_program_is_an_error(tmp_path: Path) -> None:
    ran = run(NOT_CLOSED, f"sqlite:///{tmp_path}/bank.db")

    assert ran.returncode == 0
    assert "could not be closed at the end of the program" in ran.stderr
    assert "OSError: the disk is gone" in ran.stderr


@contextmanager
def gunicorn(url: str, opened: str) -> Generator[tuple[str, int]]:
    """Serve with preloading: where, and the process that forks. Each request is answered by another worker."""
    options = ["--preload", "--workers=1", "--max-requests=1", "--bind=127.0.0.1:0", "--config=python:tests.served"]
    with subprocess.Popen(
        [sys.executable, "-m", "gunicorn", *options, "tests.served:program"],
        cwd=ROOT,
        env={**os.environ, "ACCOUNTS_LOG": url, "OPENED": opened},
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stderr is not None
        said = ""
        try:
            while not (listening := re.search(r"Listening at: (\S+)", said)):
                line = server.stderr.readline()
                assert line, said
                said += line
            yield listening[1], server.pid
        finally:
            server.terminate()
            said += server.stderr.read()
    assert (server.returncode, "Traceback" in said) == (0, False), said


def deposited(url: str, *accounts: str) -> list[bool]:
    with accounts_app().open_sync(url) as live:
        assert all(each.ok for each in live.verify())
        return [live.state(Account, each) != Account(each) for each in accounts]


@pytest.mark.parametrize("opened", ["after the fork", "at first use"])
def test_each_worker_of_a_preloading_server_opens_the_app_after_the_fork(url: str, opened: str) -> None:
    with gunicorn(url, opened) as (address, parent):
        answers = [urlopen(f"{address}/{account}").read().decode() for account in ("a", "b")]

    assert len({*answers, str(parent)}) == 3
    assert deposited(url, "a", "b") == [True, True]


def test_a_worker_of_a_preloading_server_is_told_that_the_app_was_opened_before_the_fork(url: str) -> None:
    with gunicorn(url, "before the fork") as (address, _):
        answers = [urlopen(f"{address}/{account}").read().decode() for account in ("a", "b")]

    assert all("open it in each worker after the fork" in answer for answer in answers)
    assert deposited(url, "before", "a", "b") == [True, False, False]


POOL = """
import multiprocessing, sys
from tests.served import deposit, live

if __name__ == "__main__":
    live()
    with multiprocessing.get_context(sys.argv[1]).Pool(1) as pool:
        said = pool.map(deposit, ["a", "b"])
        pool.close()
        pool.join()
    print(deposit("parent").isdigit(), *(each.isdigit() or "after the fork" in each and "told" for each in said))
"""


@pytest.mark.parametrize(
    ("method", "said"), [("fork", "True told told"), ("spawn", "True True True"), ("forkserver", "True True True")]
)
def test_a_pool_of_processes_has_an_app_of_its_own_or_is_told(
    url: str, method: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCOUNTS_LOG", url)

    ran = run(POOL, method)

    assert (ran.returncode, ran.stdout.strip(), ran.stderr) == (0, said, "")
    assert deposited(url, "parent", "a", "b") == [True, method != "fork", method != "fork"]


@pytest.mark.parametrize("opened", ["store", "sync"])
def test_a_store_by_itself_tells_a_forked_child_so(any_url: str, opened: str) -> None:
    ran = run(FORKED_STORES, any_url, opened)

    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


@pytest.mark.parametrize("opened", ["app", "store"])
def test_what_an_async_program_leaves_open_does_not_keep_it_from_its_end(url: str, opened: str) -> None:
    ran = run(OPEN_ASYNC, url, opened)

    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    with open_store_sync(url) as store:
        assert store.head() == 1


def test_a_store_without_an_event_loop_that_is_left_open_ends_with_its_program(url: str) -> None:
    ran = run(STORE_LEFT_OPEN, url)

    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    with open_store_sync(url) as store:
        assert store.head() == 1


def test_a_store_without_an_event_loop_is_closed_by_close_and_closing_twice_is_fine(tmp_path: Path) -> None:
    store = open_store_sync(tmp_path / "log.db")
    store.append([NewEvent("noted", b"")])
    reading = store.read()
    next(reading)

    store.close()
    store.close()

    with pytest.raises(StoreClosed):
        store.head()
    reading.close()
    assert [each.name for each in tmp_path.iterdir()] == ["log.db"]

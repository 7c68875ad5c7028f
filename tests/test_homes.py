"""A store and a live app belong to one process and one event loop; anywhere else each verb says so at once."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from urllib.request import urlopen

import pytest

from leftfold import App, open_store
from leftfold.errors import WrongLoop
from leftfold.store import EventStore, NewEvent
from leftfold.testing.postgres_server import PostgresServer
from tests.accounts import Account, Deposit, accounts_app
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
    uses = [lambda: live.execute(Deposit("child", 1)), lambda: live.state(Account, "before"), live.status, live.leases]
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
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/log.db"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.url(DATABASE, log=f"home_{next(numbers)}")


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
}


def test_every_verb_of_a_store_says_at_once_that_its_loop_is_closed(url: str) -> None:
    store = open_store(url)
    asyncio.run(_use(store, "append"))

    for name in USES:
        with pytest.raises(WrongLoop) as caught:
            asyncio.run(_use(store, name))
        assert caught.value.closed

    asyncio.run(store.close())


async def test_a_store_says_at_once_that_it_is_used_from_another_loop(url: str) -> None:
    async with open_store(url) as store:
        await _use(store, "append")

        with pytest.raises(WrongLoop) as caught:
            await asyncio.to_thread(asyncio.run, _use(store, "append"))
        assert not caught.value.closed
        assert await store.head() == 1


async def _use(store: EventStore, name: str) -> None:
    async with asyncio.timeout(30):
        await USES[name](store)


async def test_a_live_app_says_at_once_that_it_is_used_from_another_loop(url: str) -> None:
    app: App = accounts_app()
    async with app.open(url) as live:
        for _ in range(8):  # as many as begin to be decided together
            with pytest.raises(WrongLoop):
                await asyncio.to_thread(asyncio.run, _within(live.execute(Deposit("a", 1))))
            await live.execute(Deposit(f"{next(numbers)}", 1))
        for use in (live.state(Account, "a"), live.status(), live.submit(Deposit("a", 1)), live.explain(Account, "a")):
            with pytest.raises(WrongLoop):
                await asyncio.to_thread(asyncio.run, _within(use))


async def _within(work: Awaitable[object]) -> None:
    async with asyncio.timeout(30):
        await work


@pytest.mark.parametrize("end", ["_exit", "exit", "close", "exception"])
def test_a_forked_child_is_told_so_and_leaves_the_log_of_its_parent_alone(url: str, end: str) -> None:
    ran = run(FORKING, url, end)

    assert (ran.returncode, ran.stdout) == (int(end == "exception"), ""), ran.stderr


@pytest.mark.parametrize(("end", "code"), [("return", 0), ("exit", 3), ("interrupted", 3)])
def test_a_program_that_leaves_its_app_open_ends_and_loses_nothing(url: str, end: str, code: int) -> None:
    ran = run(LEFT_OPEN, url, end)

    assert (ran.returncode, ran.stdout, ran.stderr) == (code, "acknowledged\n", "")
    with accounts_app().open_sync(url) as live:
        assert live.state(Account, "a") != Account("a")


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

    assert all("open it in each worker, after the fork" in answer for answer in answers)
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

"""A lone caller of a sync facade runs the event loop itself; others, and the work of the app, lose nothing by it."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from leftfold import App, Rejected, open_store_sync, recording
from leftfold.errors import StoreClosed
from leftfold.live_sync import SyncLive
from leftfold.signals import DelayedInterrupt
from tests.accounts import Account, Deposit, Opened, Withdraw, accounts_app
from tests.patience import PATIENCE

ROOT = Path(__file__).parents[1]
LOOP_THREAD = "leftfold loop"
SUMS = sa.MetaData()
sa.Table("sums", SUMS, sa.Column("account", sa.String, primary_key=True))
CALLS = 50  # one after the other: many more than it takes until a lone caller runs the loop


class Deciding:
    """An app that is open, and the names of the threads in which its commands were decided."""

    def __init__(self, live: SyncLive, threads: list[str]) -> None:
        self.live = live
        self.threads = threads

    def until_run_here(self) -> None:
        """Execute commands until this thread runs the loop."""
        here = threading.current_thread().name
        while not self.threads or self.threads[-1] != here:
            self.live.execute(Deposit("a", 1))


@contextmanager
def deciding(url: str, define: Callable[[App], object] = lambda _: None) -> Iterator[Deciding]:
    threads: list[str] = []
    app = accounts_app(lambda *_: threads.append(threading.current_thread().name))
    define(app)
    with app.open_sync(url) as live:
        yield Deciding(live, threads)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/log.db"


def alone(work: Callable[[], object]) -> None:
    """Run it in a thread, where no signal handlers run: pytest has one of its own in the main thread."""
    with ThreadPoolExecutor(1, "caller") as thread:
        thread.submit(work).result(timeout=PATIENCE)


def script(text: str, url: str) -> str:
    """Run a program whose main thread is the caller, and return what it prints."""
    command = [sys.executable, "-c", text, url]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=PATIENCE).stdout


def test_calls_one_after_the_other_run_in_the_thread_of_the_caller(url: str) -> None:
    def work() -> None:
        with deciding(url) as app:
            app.until_run_here()
            with recording(actor="ann"):
                receipt = app.live.execute(Deposit("b", 5))
            assert app.live.explain(Account, "b")[0].actor == "ann"
            assert app.live.state(Account, "b").balance == 5
            assert receipt.position == app.live.execute(Deposit("b", 1)).position - 1
            with pytest.raises(Rejected):
                app.live.execute(Withdraw("b", 100))
        with pytest.raises(StoreClosed):
            app.live.execute(Deposit("b", 1))

    alone(work)


def test_the_work_of_the_app_goes_on_while_nobody_calls(url: str) -> None:
    def work() -> None:
        with deciding(url) as app, open_store_sync(url) as other:
            app.until_run_here()
            ticket = app.live.submit(Deposit("b", 5))
            app.live.state(Account, "a")

            head = other.head()
            while not any("leftfold.command.handled" in event.type for batch in other.read() for event in batch.events):
                head = other.wait(head, 1.0)
            assert ticket.result().position <= other.head()

    alone(work)


def test_several_callers_each_get_their_own_results(url: str) -> None:
    with deciding(url) as app, ThreadPoolExecutor(4) as threads:
        alone(app.until_run_here)
        before = app.live.state(Account, "a").balance

        positions = list(threads.map(lambda number: app.live.execute(Deposit("a", number)).position, [1] * 400))

        assert len(set(positions)) == 400
        assert app.live.state(Account, "a").balance == before + 400
        alone(app.until_run_here)


def test_a_call_that_waits_lets_those_of_other_threads_through(url: str) -> None:
    with open_store_sync(url) as waiting, ThreadPoolExecutor(1) as thread, deciding(url) as app:
        for _ in range(CALLS):
            waiting.head()
        future = thread.submit(lambda: [waiting.head(), waiting.head(), waiting.wait(0)])
        while waiting.head() == 0 and not future.done():
            app.live.execute(Deposit("a", 1))

        assert future.result(timeout=PATIENCE)[-1] >= 1


def test_closing_ends_the_calls_of_a_lone_caller(url: str) -> None:
    started = threading.Event()

    def call_for_ever() -> None:
        app.until_run_here()
        started.set()
        while True:
            app.live.execute(Deposit("a", 1))

    with ThreadPoolExecutor(1, "caller") as thread, deciding(url) as app:
        future = thread.submit(call_for_ever)
        assert started.wait(PATIENCE)

    assert isinstance(future.exception(timeout=PATIENCE), StoreClosed)


def test_a_caller_with_a_deep_stack_does_not_run_the_loop(url: str) -> None:
    def deep(depth: int, work: Callable[[], object]) -> None:
        if depth:
            deep(depth - 1, work)
        else:
            work()

    def work() -> None:
        with deciding(url) as app:
            app.until_run_here()
            before = len(app.threads)
            deep(450, lambda: [app.live.execute(Deposit("a", 1)) for _ in range(CALLS)])
            assert set(app.threads[before:]) == {LOOP_THREAD}

    alone(work)


async def mail(event: Opened) -> None:
    raise AssertionError(event)


def mail_in_a_thread(event: Opened) -> None:
    raise AssertionError(event)


async def add_up(event: Opened, connection: AsyncConnection) -> None:
    raise AssertionError(event)


@pytest.mark.parametrize(
    "define",
    [
        lambda app: app.reactor("mail", start="from_now")(mail),
        lambda app: app.reactor("mail", start="from_now")(mail_in_a_thread),
        lambda app: app.projection("sums", tables=SUMS)(add_up),
    ],
    ids=["reactor", "reactor in a thread", "async projection"],
)
def test_an_app_with_async_code_of_users_keeps_its_loop_in_one_thread(
    url: str, define: Callable[[App], object]
) -> None:
    def work() -> None:
        with deciding(url, define) as app:
            for _ in range(CALLS):
                app.live.execute(Deposit("a", 1))
            assert set(app.threads) == {LOOP_THREAD}

    alone(work)


HEAD = """
import os, signal, sys, threading
from leftfold import open_store_sync
from tests.accounts import Account, Deposit, accounts_app
threads, armed = [], []
def called(*_):
    threads.append(threading.current_thread().name)
    if armed:
        armed.clear()
        signal.raise_signal(signal.SIGINT)
        print("the handler went on")
app = accounts_app(called)
"""


def test_ctrl_c_interrupts_the_caller_and_nothing_that_runs_on_the_loop(url: str) -> None:
    interrupted = """
with app.open_sync(sys.argv[1]) as live:
    while not threads or threads[-1] != "MainThread":
        live.execute(Deposit("a", 1))
    armed.append(True)
    try:
        live.execute(Deposit("a", 1))
    except KeyboardInterrupt:
        print("interrupted in", threads[-1])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    head = live.execute(Deposit("a", 1)).position
    assert live.state(Account, "a").balance == head
"""
    assert script(HEAD + interrupted, url).splitlines() == ["the handler went on", "interrupted in MainThread"]


def test_ctrl_c_ends_a_call_that_would_wait_for_ever(url: str) -> None:
    waiting = """
with open_store_sync(sys.argv[1]) as store:
    for _ in range(50):
        store.head()
    begun = threading.Event()
    threading.Thread(target=lambda: (begun.wait(), os.kill(os.getpid(), signal.SIGINT))).start()
    try:
        begun.set()
        store.wait(0)
    except KeyboardInterrupt:
        print("interrupted at", store.head())
"""
    assert script(HEAD + waiting, url) == "interrupted at 0\n"


def test_ctrl_c_cancels_what_the_caller_waited_for(url: str) -> None:
    cancelled = """
import asyncio
from leftfold.loop_thread import LoopThread
async def wait():
    try:
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        print("cancelled")
        raise
async def is_here():
    return threading.current_thread() is threading.main_thread()
loop = LoopThread()
while not loop.run(is_here()):
    pass
try:
    loop.run(wait())
except KeyboardInterrupt:
    print("interrupted")
for _ in range(50):
    loop.run(is_here())
print("closing")
loop.close()
"""
    assert script(HEAD + cancelled, url).splitlines() == ["interrupted", "cancelled", "closing"]


def test_a_main_thread_with_other_signal_handlers_does_not_run_the_loop(url: str) -> None:
    handled = """
signal.signal(signal.SIGUSR1, lambda *_: None)
with app.open_sync(sys.argv[1]) as live:
    for _ in range(50):
        live.execute(Deposit("a", 1))
print(set(threads))
"""
    assert script(HEAD + handled, url) == "{'leftfold loop'}\n"


def test_a_delayed_interrupt_is_raised_at_the_end() -> None:
    steps: list[str] = []

    def work() -> None:
        with DelayedInterrupt(lambda: steps.append("stop")) as interrupt:
            signal.raise_signal(signal.SIGINT)
            steps.append(repr(interrupt))

    with pytest.raises(KeyboardInterrupt):
        work()

    assert steps == ["stop", "<DelayedInterrupt, it came>"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_interrupt_is_raised_at_once() -> None:
    steps: list[str] = []

    def work() -> None:
        with DelayedInterrupt(lambda: steps.append("stop")):
            signal.raise_signal(signal.SIGINT)
            steps.append("went on")
            signal.raise_signal(signal.SIGINT)
            steps.append("went on")

    with pytest.raises(KeyboardInterrupt):
        work()

    assert steps == ["stop", "went on"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_delayed_interrupt_leaves_a_handler_of_the_user_in_place() -> None:
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        with DelayedInterrupt(lambda: None) as interrupt:
            signal.raise_signal(signal.SIGINT)
        assert (came, interrupt.came) == ([signal.SIGINT], False)
    finally:
        signal.signal(signal.SIGINT, before)

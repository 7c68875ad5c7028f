"""`leftfold copy`: what it tells, what it refuses, and how it goes on after it was stopped."""

import asyncio
import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from examples.bank import Deposit, Richest, bank
from leftfold import NewEvent, open_store
from leftfold_torture.postgres_server import PostgresServer
from tests.cli.conftest import BANK, Run
from tests.patience import PATIENCE
from tests.postgres import DATABASE

EVENTS = 20_000
COPY = "sqlite:///copy.db"
STOPS = """
import asyncio
from leftfold.cli import main
from leftfold.store.sqlite.store import SQLiteStore

append = SQLiteStore.append

async def append_and_stop(store, *arguments, **options):
    await append(store, *arguments, **options)
    await asyncio.Event().wait()

SQLiteStore.append = append_and_stop
main()
"""
"""The command line, which goes no further once it has appended something, so that a signal meets it there."""


@contextmanager
def copying(source: str, target: str) -> Iterator[subprocess.Popen[str]]:
    """A copy in a process of its own that stops after its first batch; one that still runs in the end is killed."""
    command = [sys.executable, "-c", STOPS, "copy", source, target]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


@pytest.fixture
async def long_log(folder: Path) -> str:
    """A log of many batches, with a key for each append."""
    async with open_store("sqlite:///long.db?may_lose=recent-commits") as store:
        for first in range(0, EVENTS, 1_000):
            events = [NewEvent("counted", b"%d" % n, (f"n:{n % 100}",)) for n in range(first, first + 1_000)]
            await store.append(events, key=f"from {first}")
    return "sqlite:///long.db"


async def test_a_log_is_copied_and_compared(run: Run, log: str) -> None:
    ended = await asyncio.to_thread(run, "copy", log, COPY)

    async with open_store(COPY) as copied:
        identity = copied.log_id
    assert (ended.code, ended.err) == (0, "")
    assert ended.lines == [
        "6 events copied, through position 6",
        "6 events and 6 idempotency keys compared: positions, times, bytes, tags and keys are the same",
        f"the copy is the log {identity}; rebuild the read models from it",
    ]


def test_programs_are_told_in_json(run: Run, log: str) -> None:
    [first] = run("copy", log, COPY, "--json").objects
    [second] = run("copy", log, COPY, "--json").objects

    assert {**first, "source": "", "target": ""} == {
        "source": "",
        "target": "",
        "position": 6,
        "copied": 6,
        "keys": 6,
        "difference": None,
    }
    assert first["source"] != first["target"]
    assert second == {**first, "copied": 0}


def test_there_and_back_through_postgresql(run: Run, log: str, postgres: PostgresServer) -> None:
    there = postgres.url(DATABASE, log="copied_by_command")

    assert run("copy", log, there).code == 0
    assert run("copy", there, COPY).code == 0

    assert run("copy", log, COPY, "--verify-only").code == 0
    assert run("verify", COPY).code == 0
    assert run("events", COPY, "--json").objects == run("events", log, "--json").objects


def test_the_source_is_not_written(run: Run, log: str) -> None:
    before = hashlib.sha256(Path("bank.db").read_bytes()).hexdigest()

    assert run("copy", log, COPY).code == 0

    assert hashlib.sha256(Path("bank.db").read_bytes()).hexdigest() == before


def test_read_models_are_folded_anew_from_the_copy(run: Run, log: str) -> None:
    run("copy", log, COPY)

    with bank.open_sync(log) as old, bank.open_sync(COPY) as new:
        receipt = new.execute(Deposit("a-1", 1))
        balances = new.query(Richest(), after=receipt)
        expected = old.query(Richest(), after=6)

    assert receipt.position == 7
    assert {row.account: row.amount for row in balances} == {
        row.account: row.amount + (row.account == "a-1") for row in expected
    }


def test_an_empty_log_is_copied(run: Run) -> None:
    run("init", "sqlite:///empty.db")

    ended = run("copy", "sqlite:///empty.db", COPY)

    assert ended.code == 0
    assert ended.lines[0].startswith("0 events and 0 idempotency keys compared")


# --- refused


def test_a_source_that_is_not_there_is_an_error_and_makes_no_target(run: Run) -> None:
    ended = run("copy", "sqlite:///nowhere.db", COPY)

    assert ended.code == 3
    assert "nowhere.db" in ended.err
    assert not Path("nowhere.db").exists()
    assert not Path("copy.db").exists()


@pytest.mark.parametrize("target", ["sqlite:///bank.db", "sqlite:///link.db", "sqlite:///bank.db?busy_timeout=5"])
def test_a_log_is_not_copied_onto_itself(run: Run, log: str, target: str) -> None:
    Path("link.db").symlink_to("bank.db")

    ended = run("copy", log, target)

    assert ended.code == 3
    assert "error: the source and the target are the same log, " in ended.err


@pytest.mark.parametrize("place", [0, 1])
def test_a_log_in_memory_is_refused(run: Run, log: str, place: int) -> None:
    urls = [log, log]
    urls[place] = "memory:"

    ended = run("copy", *urls)

    assert ended.code == 3
    assert "a log in memory ends with this command" in ended.err


async def test_a_target_with_events_of_its_own_is_refused_and_left_as_it_is(run: Run, log: str) -> None:
    async with open_store("sqlite:///other.db") as other:
        await other.append([NewEvent("other", b"")])

    ended = await asyncio.to_thread(run, "copy", log, "sqlite:///other.db")

    assert ended.code == 3
    assert "error: the target log differs from the source at position 1: its time is " in ended.err
    async with open_store("sqlite:///other.db") as other:
        assert await other.head() == 1


# --- comparing alone


async def test_a_difference_is_shown_with_exit_code_1_and_nothing_is_written(run: Run, log: str) -> None:
    async with open_store(COPY):
        pass

    ended = await asyncio.to_thread(run, "copy", log, COPY, "--verify-only")

    assert (ended.code, ended.err) == (1, "")
    assert ended.lines == ["✗ the logs differ at position 1: the target ends at 0, the source at 6"]
    async with open_store(COPY) as copied:
        assert await copied.head() == 0


def test_comparing_makes_no_target(run: Run, log: str) -> None:
    assert run("copy", log, COPY, "--verify-only").code == 3
    assert not Path("copy.db").exists()


# --- stopped


async def test_a_copy_that_is_killed_again_and_again_goes_on_each_time(run: Run, long_log: str) -> None:
    head = 0
    async with open_store(COPY) as target:
        for _ in range(3):
            with copying(long_log, COPY) as process:
                assert await target.wait(head, PATIENCE) > head
                os.kill(process.pid, signal.SIGKILL)
                assert await asyncio.to_thread(process.wait) == -signal.SIGKILL
            head = await target.head()
    ended = await asyncio.to_thread(run, "copy", long_log, COPY, "--json")

    [found] = ended.objects
    assert found["copied"] == EVENTS - head > 0
    assert (found["position"], found["keys"], found["difference"]) == (EVENTS, EVENTS // 1_000, None)
    assert (await asyncio.to_thread(run, "verify", COPY)).code == 0


async def test_ctrl_c_ends_a_copy_that_can_go_on(run: Run, long_log: str) -> None:
    async with open_store(COPY) as target:
        with copying(long_log, COPY) as process:
            assert await target.wait(0, PATIENCE) > 0
            os.kill(process.pid, signal.SIGINT)
            said, told = await asyncio.to_thread(process.communicate)
        reached = await target.head()

    [found] = (await asyncio.to_thread(run, "copy", long_log, COPY, "--json")).objects
    assert (process.returncode, said, told) == (130, "", "interrupted; run the same command again to finish\n")
    assert 0 < reached < EVENTS
    assert (found["copied"], found["difference"]) == (EVENTS - reached, None)


def test_the_progress_on_a_terminal_leaves_only_the_result(run_on_terminal: Run, log: str) -> None:
    ended = run_on_terminal("copy", log, COPY)

    assert ended.code == 0
    assert "6/6" in ended.err
    assert ended.out.startswith("6 events copied, through position 6\n")


def test_a_copy_is_retagged_by_the_classes_of_an_app(run: Run, log: str, folder: Path) -> None:
    connection = sqlite3.connect(folder / "bank.db", isolation_level=None)
    connection.execute("DROP TRIGGER event_is_never_updated")
    connection.execute("UPDATE event SET tags = '' WHERE position = 1")
    connection.close()
    found = run("verify", *BANK, log)
    assert (found.code, "events of type 'account.opened' lack the tags account:" in found.out) == (1, True)
    assert run("status", *BANK, log).code == 1

    ended = run("copy", log, COPY, "--retag", *BANK)

    assert ended.code == 0
    assert "the tags are those of the app's classes" in ended.lines[1]
    assert run("verify", *BANK, COPY).code == 0
    assert run("copy", log, COPY, "--verify-only", "--retag", *BANK).code == 0
    assert run("copy", log, COPY, "--verify-only").code == 1


@pytest.mark.parametrize("options", [("--retag",), BANK])
def test_retag_needs_an_app_and_an_app_needs_retag(run: Run, log: str, options: tuple[str, ...]) -> None:
    ended = run("copy", log, COPY, *options)

    assert ended.code == 2
    assert "--retag and --app go together" in ended.err

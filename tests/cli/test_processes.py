"""The command in a process of its own: pipes, Ctrl-C, and other processes that write meanwhile."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.bank import Deposit, Open, bank
from tests.cli.conftest import BANK
from tests.patience import PATIENCE

LEFTFOLD = (sys.executable, "-c", "from leftfold.cli import main; main()")
ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "PYTHONWARNINGS": "error"}


def begin(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*LEFTFOLD, *arguments],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.fixture
def following(log: str) -> Iterator[subprocess.Popen[str]]:
    process = begin("events", log, "--follow", "--json")
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def next_position(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    position: int = json.loads(process.stdout.readline())["position"]
    return position


def test_follow_catches_up_goes_on_live_and_ends_with_ctrl_c(log: str, following: subprocess.Popen[str]) -> None:
    assert [next_position(following) for _ in range(6)] == [1, 2, 3, 4, 5, 6]
    with bank.open_sync(log) as live:
        live.execute(Deposit("a-1", 1))
        assert next_position(following) == 7
        live.execute(Deposit("b-2", 1))
        assert next_position(following) == 8

    following.send_signal(signal.SIGINT)
    out, err = following.communicate(timeout=PATIENCE)

    assert (following.returncode, out, err) == (130, "", "interrupted\n")


def test_a_closed_pipe_is_no_error(log: str, folder: Path) -> None:
    with bank.open_sync(log) as live:
        live.execute_many([Deposit("a-1", 1)] * 5_000)

    for options in (("events", log), ("events", log, "--json"), ("explain", log, "Account", "a-1", *BANK)):
        process = begin(*options)
        assert process.stdout is not None
        first = process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert (process.stderr.read(), process.wait(timeout=PATIENCE)) == ("", 141)
        assert "2026-01-01T10:01:00Z" in first
        process.stderr.close()


def test_a_log_can_be_read_while_another_process_writes(log: str) -> None:
    with bank.open_sync(log) as live:
        live.execute(Deposit("a-1", 1))

        process = begin("state", log, "Account", "a-1", "--json", *BANK)
        out, err = process.communicate(timeout=PATIENCE)

        assert (process.returncode, err) == (0, "")
        assert json.loads(out)["balance"] == 7_301
        assert live.execute(Deposit("a-1", 1)).position == 8


@pytest.fixture
def asked(log: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A cancel on a terminal that has asked its question, and the terminal's other end."""
    terminal, stdin = pty.openpty()
    process = subprocess.Popen(
        [*LEFTFOLD, "cancel", log, "commands", "5f2c", "--reason", "sent twice", *BANK],
        env=ENVIRONMENT,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    question = ""
    while not question.endswith("[y/N]:"):
        question += process.stderr.read(1)
    assert question == "Cancel commands 5f2c, for good? [y/N]:"
    yield process, terminal
    process.kill()
    process.communicate()
    os.close(terminal)
    os.close(stdin)


def test_no_changes_nothing(asked: tuple[subprocess.Popen[str], int]) -> None:
    process, terminal = asked

    os.write(terminal, b"n\n")

    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out.strip(), err.strip()) == (1, "", "nothing was changed")


def test_yes_goes_on(asked: tuple[subprocess.Popen[str], int]) -> None:
    process, terminal = asked

    os.write(terminal, b"y\n")

    _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err.strip().partition(":")[0]) == (3, "error")


def test_ctrl_c_at_a_question_prints_one_line(asked: tuple[subprocess.Popen[str], int]) -> None:
    process, _ = asked

    process.send_signal(signal.SIGINT)

    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out.strip(), err.strip()) == (130, "", "interrupted")


WRITE_AND_CRASH = """
import asyncio, os
from leftfold import NewEvent, open_store
async def main():
    store = open_store("sqlite:///crashed.db")
    await store.append([NewEvent("noted", b"{}")])
    os._exit(1)
asyncio.run(main())
"""


def test_what_was_committed_before_a_crash_is_read(folder: Path) -> None:
    subprocess.run([sys.executable, "-c", WRITE_AND_CRASH], env=ENVIRONMENT, check=False)
    assert (folder / "crashed.db-wal").stat().st_size > 0

    process = begin("events", "sqlite:///crashed.db", "--json")
    out, err = process.communicate(timeout=PATIENCE)

    assert (process.returncode, err, json.loads(out)["position"]) == (0, "", 1)
    with bank.open_sync("sqlite:///crashed.db") as live:
        assert live.execute(Open("a-1", "Ann")).position == 2

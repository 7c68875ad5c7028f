"""The demo of orders in one process and in four."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from leftfold_torture.postgres_server import PostgresServer
from tests.patience import PATIENCE
from tests.postgres import DATABASE

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-u", "-m", "examples.orders_workers"]


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("backend", ["sqlite", "postgres"])
def test_one_process_and_four_bring_the_same_fates_though_one_is_killed(
    backend: str, request: pytest.FixtureRequest
) -> None:
    where: list[str] = []
    if backend == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        where = ["--database", server.url(DATABASE)]

    ended = subprocess.run(
        [*COMMAND, "30", *where], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "kill -9: the worker of processes" in ended.stdout
    assert ended.stdout.count("exit code 0") == 3
    *_, one, four, verdict = ended.stdout.splitlines()
    assert (one.split()[2:3], one.split()[4:]) == (["30"], ["3", "3", "24"])
    assert (four.split()[2:3], four.split()[4:]) == (["30"], ["3", "3", "24"])
    assert verdict == "each order has exactly one fate, the same both ways"


STAYS = """
import asyncio, runpy
from leftfold import LiveApp

query = LiveApp.query

async def wait_for_ever_when_workers_run(live, question, **options):
    if not options:
        await asyncio.Event().wait()
    return await query(live, question, **options)

LiveApp.query = wait_for_ever_when_workers_run
runpy.run_module("examples.orders_workers", run_name="__main__")
"""
"""The demo, which goes no further once its workers run, so that the signal meets it there."""


def test_ctrl_c_leaves_no_process_behind() -> None:
    command = [sys.executable, "-u", "-c", STAYS, "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        workers: list[int] = []
        while len(workers) < 3:
            line = demo.stdout.readline()
            assert line, "the demo ended by itself"
            workers += [int(pid) for pid in re.findall(r"leftfold work .* process (\d+), healthy", line)]
        assert all(map(is_running, workers))
        demo.send_signal(signal.SIGINT)
        demo.communicate(timeout=PATIENCE)

    assert demo.returncode == 130
    assert not any(map(is_running, workers))

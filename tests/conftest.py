"""Fixtures and options for every test."""

import os
import signal
import sys

import pytest

from tests.commands_forked import forked
from tests.patience import patient_defaults
from tests.postgres import binaries, mortal, postgres, pytest_addoption, stoppable_server

__all__ = [
    "binaries",
    "forked",
    "mortal",
    "patient_defaults",
    "postgres",
    "pytest_addoption",
    "stoppable_server",
]

LONGEST_FIRST = (
    "tests/test_restored.py",
    "tests/test_docs.py",
    "tests/test_snapshots.py",
    "tests/examples/test_flights.py",
    "tests/testing/test_history.py",
    "tests/test_homes.py",
    "tests/examples/test_orders_workers.py",
    "tests/query/test_killed.py",
    "tests/typing/test_typing.py",
    "tests/query/test_sql_killed.py",
    "tests/test_leases_of_processes.py",
    "tests/endurance/test_recovery.py",
    "tests/endurance/test_memory.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest: at the end one of them would keep one process while others are idle."""
    order = {file: place for place, file in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: order.get(item.nodeid.partition("::")[0], len(order)))


# A shell has its background jobs ignore Ctrl-C, and so would every program that a test starts and stops by it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Most of a program's start is the compiling of its modules, unless it finds them compiled, and tests start hundreds.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

"""Fixtures and options for every test."""

import os
import signal
import sys

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

# A shell has its background jobs ignore Ctrl-C, and so would every program that a test starts and stops by it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Most of a program's start is the compiling of its modules, unless it finds them compiled, and tests start hundreds.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

"""Fixtures and options for every test."""

import signal

from tests.patience import patient_defaults
from tests.postgres import binaries, postgres, pytest_addoption

__all__ = ["binaries", "patient_defaults", "postgres", "pytest_addoption"]

# A shell has its background jobs ignore Ctrl-C, and so would every program that a test starts and stops by it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

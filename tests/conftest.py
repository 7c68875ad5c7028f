"""Fixtures and options for every test."""

from tests.patience import patient_defaults
from tests.postgres import binaries, postgres, pytest_addoption

__all__ = ["binaries", "patient_defaults", "postgres", "pytest_addoption"]

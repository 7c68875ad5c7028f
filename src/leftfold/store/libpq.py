"""What libpq takes from its surroundings and leftfold's settings would hide: the `options` of a connection."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path


def asked_options(given: Mapping[str, object]) -> str:
    """The `options` that a user wants: of the URL, else of the service that it or PGSERVICE names, else PGOPTIONS."""
    if "options" in given:
        return str(given["options"])
    service = str(given.get("service") or os.environ.get("PGSERVICE", ""))
    found = _options_of(service) if service else None
    return os.environ.get("PGOPTIONS", "") if found is None else found


def _options_of(service: str) -> str | None:
    """As libpq reads it: the first file that has the service counts, and what is missing is libpq's to complain of."""
    for file in _service_files():
        if file.is_file() and (found := _section(file.read_text("utf-8", "replace").splitlines(), service)) is not None:
            return found.get("options")
    return None


def _service_files() -> Iterable[Path]:
    own = os.environ.get("PGSERVICEFILE")
    yield Path(own) if own else Path.home() / ".pg_service.conf"
    if folder := os.environ.get("PGSYSCONFDIR"):
        yield Path(folder, "pg_service.conf")


def _section(lines: Iterable[str], service: str) -> dict[str, str] | None:
    found: dict[str, str] | None = None
    for line in map(str.strip, lines):
        if line.startswith("["):
            if found is not None:
                break
            found = {} if line == f"[{service}]" else None
        elif found is not None and not line.startswith("#") and "=" in line:
            name, _, value = line.partition("=")
            found.setdefault(name, value)
    return found

"""What libpq makes of a URL and takes from its surroundings: where a password ends, the `options` of a connection."""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

PORTS = re.compile("[0-9]*(,[0-9]*)*")
USER_IN_PATH = re.compile("[^?]*:///+[^?]*:[^?]*@")


def misread_password(url: str, host: str, port: str) -> str:
    """Return what is wrong with a URL of whose password a part was taken for the host, the port or the database."""
    if "@" in host:
        return "an @ in a user name or a password is written %40"
    if not PORTS.fullmatch(port):
        return "its port is no number; a / in a password is written %2F"
    if not host and USER_IN_PATH.match(url):
        return "after three slashes comes the name of a database; user and host come after two"
    return ""


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

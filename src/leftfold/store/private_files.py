"""Files that only their owner, or also a group, may read and write: the file of a log, and those beside it."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Literal
from uuid import uuid4

Group = Literal["read", "write"]
MODES: dict[Group | None, int] = {None: 0o600, "read": 0o640, "write": 0o660}


def create_private(path: Path, *, group: Group | None = None, like: Path | None = None) -> None:
    """Create an empty file unless it exists, with the permissions of the file `like`, or those for `group`.

    SQLite gives its files beside a database the same permissions. The file is made under another name, because closing
    a file that SQLite has open in this process would release SQLite's locks on it. If this fails, SQLite creates the
    file, or says why it cannot.
    """
    if os.path.lexists(path) or not os.path.isdir(path.parent):
        return
    mode = MODES[group] if like is None or not os.path.isfile(like) else like.stat().st_mode & 0o666
    new = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
    with suppress(OSError):
        descriptor = os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            os.fchmod(descriptor, mode)
        finally:
            os.close(descriptor)
        try:
            os.link(new, path)  # does not replace a file that was made meanwhile
        finally:
            new.unlink()

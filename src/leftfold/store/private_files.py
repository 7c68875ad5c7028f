"""Files that only their owner may read and write, or a group too: the file of a log, and those beside it."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Literal
from uuid import uuid4

Group = Literal["read", "write"]
MODES: dict[Group | None, int] = {None: 0o600, "read": 0o640, "write": 0o660}


def create_private(path: Path, *, group: Group | None = None, like: Path | None = None) -> None:
    """Create an empty file, if there is none, with the permissions of the file that it is to be `like`, or with these.

    SQLite gives its own files beside a database the database's permissions. The file is made under another name, so
    that nobody in this process has it open when it is closed here: that would free the locks that SQLite has on it.
    Where this cannot be done, it is left to SQLite to create the file, or to say why it cannot be.
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
            os.link(new, path)  # which does not replace what somebody else has made meanwhile
        finally:
            new.unlink()

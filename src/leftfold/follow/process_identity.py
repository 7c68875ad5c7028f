"""Process identities: which process holds a lease, and whether it has certainly ended."""

import os
from pathlib import Path
from urllib.parse import quote, unquote
from uuid import uuid4

import msgspec

PROC = Path("/proc")
ENDED = ("Z", "X")
LARGEST_PID = 2**31 - 1  # that a system accepts in a question
LARGEST_NUMBER = 2**63 - 1


class ProcessIdentity(msgspec.Struct, frozen=True):
    """One opening of an app by one process. As text it is the holder of a lease.

    `boot`, `namespace` and `started` distinguish the process from any other that has, or will have, its id. They are
    empty if the system does not tell them, and then nothing is known of the process. `app` is the name of the app, and
    `types` the number of event types that its code takes for the work of the lease; 0 if that is not counted.
    """

    pid: int
    host: str = ""
    boot: str = ""
    namespace: str = ""
    started: str = ""
    nonce: str = ""
    app: str = ""
    types: int = 0

    def __str__(self) -> str:
        parts = (f"{self.pid}@{self.host}", self.boot, self.namespace, self.started, self.nonce)
        return " ".join(
            (*parts, quote(self.app, safe="", errors="surrogatepass"), str(self.types)) if self.app else parts
        )

    @classmethod
    def present(cls, app: str = "") -> "ProcessIdentity":
        """Return the identity of this process; a different one at each call."""
        host = os.uname().nodename.replace(" ", "-")
        pid = os.getpid()
        return cls(pid, host, _boot(), _namespace(), _started(pid), uuid4().hex, app)

    @classmethod
    def parse(cls, text: str) -> "ProcessIdentity | None":
        """Return the identity in a text; None if there is none, since anybody may have written the text."""
        process, *parts = text.split(" ")
        pid, _, host = process.partition("@")
        if len(parts) not in (4, 6):
            return None
        boot, namespace, started, nonce, app, types = (*parts, "", "0")[:6]
        number, count = _number(pid, LARGEST_PID), _number(types, LARGEST_NUMBER)
        if not number or count is None:
            return None
        try:
            return cls(number, host, boot, namespace, started, nonce, unquote(app, errors="surrogatepass"), count)
        except UnicodeDecodeError:
            return None

    def is_dead(self, as_seen_by: "ProcessIdentity") -> bool:
        """Whether the process has certainly ended; never true of one on another machine or in another container."""
        where = (as_seen_by.boot, as_seen_by.namespace)
        return all(where) and where == (self.boot, self.namespace) and not self._lives()

    def _lives(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except OSError:
            return True  # the process is another user's, and its start may be hidden
        return _started(self.pid) == self.started


def _number(text: str, largest: int) -> int | None:
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(largest))):
        return None
    number = int(text)
    return number if number <= largest else None


def _boot() -> str:
    return _read(PROC / "sys/kernel/random/boot_id").strip()


def _namespace() -> str:
    try:
        return str((PROC / "self/ns/pid").readlink())
    except OSError:
        return ""


def _started(pid: int) -> str:
    """Return when a process began, in ticks since the machine started; empty if there is none or it has ended."""
    fields = _read(PROC / str(pid) / "stat").rpartition(")")[2].split()  # the name before may have any character
    return fields[19] if len(fields) > 19 and fields[0] not in ENDED else ""


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""

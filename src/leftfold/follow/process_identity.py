"""Holders: which process has a lease, and whether it certainly lives no more."""

import os
from pathlib import Path
from urllib.parse import quote, unquote
from uuid import uuid4

import msgspec

PROC = Path("/proc")
ENDED = ("Z", "X")
LARGEST_PID = 2**31 - 1  # that a system can be asked about
LARGEST_NUMBER = 2**63 - 1


class ProcessIdentity(msgspec.Struct, frozen=True):
    """One opening of an app by one process. As text it is what a lease says of its holder.

    `boot`, `namespace` and `started` tell the process from any other that has, or will have, its id; where the
    system does not say them they are empty, and then nothing can be known of it. `app` is the name of the app, and
    `types` the number of event types that its code takes for the work of the lease; 0 where that is not counted.
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
        """This process; another holder at each call."""
        host = os.uname().nodename.replace(" ", "-")
        pid = os.getpid()
        return cls(pid, host, _boot(), _namespace(), _started(pid), uuid4().hex, app)

    @classmethod
    def parse(cls, text: str) -> "ProcessIdentity | None":
        """The holder that a text stands for; None when it is none: anybody may have written it."""
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
        """Whether the process has certainly ended; never so for one on another machine, or of another container."""
        where = (as_seen_by.boot, as_seen_by.namespace)
        return all(where) and where == (self.boot, self.namespace) and not self._lives()

    def _lives(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except OSError:
            return True  # it is another user's, and its start may be hidden
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
    """When a process began, in ticks since the machine did; empty when there is none, or it has ended."""
    fields = _read(PROC / str(pid) / "stat").rpartition(")")[2].split()  # the name before may have any character
    return fields[19] if len(fields) > 19 and fields[0] not in ENDED else ""


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""

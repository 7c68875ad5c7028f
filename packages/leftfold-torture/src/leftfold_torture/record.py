"""What a history is made of: one record a line on disk, so that a client that is killed leaves what it did.

Times are nanoseconds of CLOCK_MONOTONIC, which all processes of one machine share.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from time import monotonic_ns

import msgspec

from leftfold.model.criteria import Criteria, CriteriaItem
from leftfold.model.record import NewEvent, StoredEvent


class Wanted(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One alternative of a criteria, as in `CriteriaItem`."""

    types: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


Items = tuple[Wanted, ...]

COUNTED = "history.counted"  # the types of the events that commands decide
COUNTED_TOGETHER = "history.counted-together"


class Condition(msgspec.Struct, frozen=True, gc=False):
    """An append condition: no event that one of the items means lies after `after`."""

    items: Items
    after: int


class Append(msgspec.Struct, frozen=True, tag=True):
    """A call of `append`."""

    events: tuple[NewEvent, ...]
    conditions: tuple[Condition, ...] = ()
    key: str | None = None


class Read(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """A call of `read`."""

    items: Items
    after: int = 0
    upto: int | None = None
    limit: int | None = None
    reverse: bool = False


class Lookup(msgspec.Struct, frozen=True, tag=True):
    """A call of `lookup`."""

    key: str


class Follow(msgspec.Struct, frozen=True, tag=True):
    """A subscription that begins."""

    items: Items
    after: int


class Execute(msgspec.Struct, frozen=True, tag=True):
    """A command on a counter, executed through an app; with `others` one decision on all of them."""

    counter: str
    id: str
    picky: bool = False
    key: str | None = None
    others: tuple[str, ...] = ()


class Head(msgspec.Struct, frozen=True, tag=True):
    """A call of `head`."""


class Wait(msgspec.Struct, frozen=True, tag=True):
    """A call of `wait`, with a timeout in seconds."""

    after: int
    timeout: float


class Hostile(msgspec.Struct, frozen=True, tag=True):
    """A request that no store may take, by its name, and the errors one of which it has to be refused with."""

    request: str
    errors: tuple[str, ...]


Call = Append | Read | Lookup | Follow | Execute | Head | Wait | Hostile


class Placed(msgspec.Struct, frozen=True, gc=False, tag=True):
    """The append was acknowledged; or a lookup found one."""

    first: int
    last: int
    duplicate: bool = False


class Refused(msgspec.Struct, frozen=True, gc=False, tag=True, omit_defaults=True):
    """An error that says that nothing was written; `positions` are those that a `Conflict` names."""

    error: str
    positions: tuple[int, ...] = ()
    said: str = ""


class Unknown(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Nobody knows: `OutcomeUnknown`, or the caller was cancelled."""

    why: str


CANCELLED = Unknown("cancelled")


class Broken(msgspec.Struct, frozen=True, gc=False, tag=True):
    """What a store must never do: an error without a name, or no answer at all."""

    how: str


class Found(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A read's events: their positions, one digest of all they hold, and how far reading is complete."""

    positions: tuple[int, ...]
    content: str
    through: int


class Absent(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A lookup found nothing."""


class Left(msgspec.Struct, frozen=True, gc=False, tag=True):
    """The subscriber ended its subscription itself."""


class Stood(msgspec.Struct, frozen=True, gc=False, tag=True):
    """The newest position, as `head` or `wait` answered it."""

    position: int


class Taken(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A hostile request was not refused, but answered like this."""

    like: str


Answer = Placed | Refused | Unknown | Broken | Found | Absent | Left | Stood | Taken


class Invoked(msgspec.Struct, frozen=True, tag=True):
    """A call begins; written before it does. Without a `Returned` its outcome is unknown."""

    client: str
    number: int
    at: int
    call: Call


class Returned(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A call's answer."""

    client: str
    number: int
    at: int
    answer: Answer


class Delivered(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A batch that a subscription yielded."""

    client: str
    number: int
    at: int
    positions: tuple[int, ...]
    content: str
    through: int


class Awaited(msgspec.Struct, frozen=True, gc=False, tag=True):
    """With all faults over, a subscriber was given time to reach `head`, and came to `through`."""

    client: str
    number: int
    at: int
    head: int
    through: int


class Harmed(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A fault that had begun, or was about to end: it lasted for at least the time in between."""

    fault: str
    at: int
    began: bool
    what: str = ""


class Ended(msgspec.Struct, frozen=True, gc=False, tag=True):
    """The run is over, at this time of the machine's clock, in microseconds since 1970."""

    microseconds: int


Record = Ended | Invoked | Returned | Delivered | Awaited | Harmed

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder[Record](Record).decode
_decode_event = msgspec.json.Decoder(StoredEvent).decode


class Journal:
    """The file that one client writes its records to, each at once: what is written survives a kill."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def __repr__(self) -> str:
        return f"<Journal {self._path}>"

    def write(self, record: Record) -> None:
        """Add a record."""
        os.write(self._file, _encode(record) + b"\n")

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def now() -> int:
    """The present moment on the clock of histories."""
    return monotonic_ns()


def records_of(path: Path) -> Iterator[Record]:
    """The records of a journal; the line that a killed client was writing is left out."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield _decode(line)


def write_log(path: Path, events: Iterable[StoredEvent]) -> None:
    """Keep the log as it was read at the end, one event a line."""
    with path.open("wb") as file:
        file.writelines(_encode(event) + b"\n" for event in events)


def read_log(path: Path) -> list[StoredEvent]:
    """The log that `write_log` kept."""
    with path.open("rb") as file:
        return [_decode_event(line) for line in file]


def criteria_of(items: Items) -> Criteria:
    """The criteria that recorded items stand for."""
    return Criteria(*(CriteriaItem(item.types, item.tags) for item in items))


def digest_of(event: StoredEvent) -> bytes:
    """Eight bytes that stand for all that an event holds, position and time included."""
    parts = (str(event.position), str(event.microseconds), event.type, str(event.version), *event.tags)
    text = "\0".join(parts).encode()
    sizes = f"\0{len(text)}\0{len(event.data)}\0".encode()
    return blake2b(text + sizes + event.data + event.metadata, digest_size=8).digest()


def content_of(digests: Iterable[bytes]) -> str:
    """One digest of several events, in their order."""
    return blake2b(b"".join(digests), digest_size=8).hexdigest()


def content_of_events(events: Sequence[StoredEvent]) -> str:
    """The same, of the events themselves."""
    return content_of(map(digest_of, events))

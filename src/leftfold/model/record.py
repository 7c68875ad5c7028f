"""Raw records: an event as the log takes it, and as the log gives it back."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cached_property
from itertools import chain
from typing import overload

import msgspec

from leftfold.model.clock import from_microseconds


class NewEvent(msgspec.Struct, frozen=True, gc=False):
    """An event to append. `data` and `metadata` are kept byte for byte; `time` is for imports only."""

    type: str
    data: bytes
    tags: tuple[str, ...] = ()
    version: int = 1
    metadata: bytes = b"{}"
    time: datetime | None = None


class CopiedEvent(NewEvent, frozen=True, gc=False):
    """An event that another log has accepted. Bounds that are newer than that log do not keep it from being copied."""


class StoredEvent(msgspec.Struct, frozen=True, gc=False):
    """An event of the log. `microseconds` is the commit time since 1970 in UTC, `time` the same as a datetime."""

    position: int
    microseconds: int
    type: str
    version: int
    data: bytes
    metadata: bytes
    tags: tuple[str, ...]

    @property
    def time(self) -> datetime:
        """When the event was committed, in UTC."""
        return from_microseconds(self.microseconds)


Form = tuple[str, int]
"""The stored type of an event, and its version."""


class StoredColumns(Sequence[StoredEvent]):
    """Events that were read for their data alone, column by column, with the data of each on a line of `lines`.

    A database fills the columns without an object for each event, while other threads run, and a codec decodes many
    lines with one call. A record is made only for an event that somebody asks for; it has no time, metadata or tags.
    """

    def __init__(self, positions: Sequence[int], forms: Sequence[Form], lines: bytes) -> None:
        self.positions = positions
        self.forms = forms
        self.lines = lines

    def __repr__(self) -> str:
        return f"<StoredColumns of {len(self)} events>"

    @cached_property
    def data(self) -> Sequence[bytes]:
        """The data of each event."""
        return self.lines.split(b"\n") if self.positions else []

    @property
    def size(self) -> int:
        """How many bytes of data the events have."""
        return len(self.lines) - max(len(self) - 1, 0)

    def lines_by_form(self) -> "dict[Form, list[bytes]]":
        """Return the data of the events of each form, in order."""
        found: defaultdict[Form, list[bytes]] = defaultdict(list)
        for form, data in zip(self.forms, self.data, strict=True):
            found[form].append(data)
        return found

    @property
    def form(self) -> Form | None:
        """The form that all the events have; None if they have several."""
        first = next(iter(self.forms), None)
        return first if first is not None and self.forms.count(first) == len(self.forms) else None

    @overload
    def __getitem__(self, at: int) -> StoredEvent: ...
    @overload
    def __getitem__(self, at: slice) -> "StoredColumns": ...
    def __getitem__(self, at: int | slice) -> "StoredEvent | StoredColumns":
        if isinstance(at, slice):
            return StoredColumns(self.positions[at], self.forms[at], b"\n".join(self.data[at]))
        type, version = self.forms[at]
        return StoredEvent(self.positions[at], 0, type, version, self.data[at], b"", ())

    def __len__(self) -> int:
        return len(self.positions)

    def __iter__(self) -> Iterator[StoredEvent]:
        for position, (type, version), data in zip(self.positions, self.forms, self.data, strict=True):
            yield StoredEvent(position, 0, type, version, data, b"", ())


def bytes_of_data(events: Sequence[StoredEvent]) -> int:
    """Return how many bytes of data and metadata some events have."""
    if isinstance(events, StoredColumns):
        return events.size
    return sum(len(event.data) + len(event.metadata) for event in events)


def joined(parts: Sequence[Sequence[StoredEvent]]) -> Sequence[StoredEvent]:
    """Return the events of some batches as one sequence; as columns if all of them are columns."""
    if len(parts) == 1:
        return parts[0]
    columns = [part for part in parts if isinstance(part, StoredColumns)]
    if not parts or len(columns) < len(parts):
        return list(chain.from_iterable(parts))
    positions = list(chain.from_iterable(part.positions for part in columns))
    forms = list(chain.from_iterable(part.forms for part in columns))
    return StoredColumns(positions, forms, b"\n".join(part.lines for part in columns if part))

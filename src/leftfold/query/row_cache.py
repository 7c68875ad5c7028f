"""Rows that were read or written lately, so that a busy key is not read back for every batch."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

import msgspec

from leftfold.query.event_keys import Key
from leftfold.sizes import size_of

ROWS_KEPT = 20_000
BYTES_KEPT = 67_108_864
MEASURED = 16  # one row of so many


class Row(msgspec.Struct, frozen=True, gc=False):
    """A row as the fold sees it: its state, or None when there is none, and the position since which it is so."""

    state: Any
    since: int


class RowCache:
    """Keeps the rows used last: between one and two times `size` of them, of about `most_bytes` to twice as many.

    Two generations instead of an order of use: what is found among the old is moved to the young, and when the young
    are too many they become the old.
    """

    def __init__(self, size: int = ROWS_KEPT, most_bytes: int = BYTES_KEPT) -> None:
        self._size = size
        self._most_bytes = most_bytes
        self._bytes = 0
        self._young: dict[Key, Row] = {}
        self._old: dict[Key, Row] = {}

    def __repr__(self) -> str:
        return f"<RowCache {len(self._young)} young, {len(self._old)} old>"

    def among(self, keys: Iterable[Key]) -> tuple[dict[Key, Row], list[Key]]:
        """The rows that are known, and the keys of those that are not."""
        young, old = self._young, self._old
        found = {key: young.get(key) or old.get(key) for key in keys}
        known = {key: row for key, row in found.items() if row is not None}
        return known, [] if len(known) == len(found) else [key for key in found if key not in known]

    def keep(self, rows: Mapping[Key, Row]) -> None:
        """Take rows that are committed."""
        self._young.update(rows)
        self._bytes += MEASURED * sum(size_of(row.state) for row in islice(rows.values(), 0, None, MEASURED))
        if len(self._young) > self._size or self._bytes > self._most_bytes:
            self._old, self._young, self._bytes = self._young, {}, 0

    def clear(self) -> None:
        """Forget everything: someone else has written."""
        self._young, self._old, self._bytes = {}, {}, 0

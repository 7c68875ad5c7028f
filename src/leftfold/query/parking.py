"""Parking: an event that cannot be folded holds up its key, and the key's later events queue behind it."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import msgspec

from leftfold import trouble
from leftfold.query.event_keys import Key

NOTHING_HELD: AbstractSet[Key] = frozenset()


class Unread(msgspec.Struct, frozen=True, gc=False):
    """Stands for an event that could not be decoded; its keys are known by its tags."""

    problem: Exception


class Parking(msgspec.Struct, frozen=True):
    """An event that a key waits with: the one that could not be folded, or, without a problem, one behind it.

    `error` is the problem as it was raised, for its traceback.
    """

    key: Key
    position: int
    problem: str | None
    error: BaseException | None = None


class ParkedKey(msgspec.Struct, frozen=True):
    """A key of a read model that is held up by the event at `position`; `queued` events wait, that one included."""

    model: str
    table: str
    key: Key
    position: int
    problem: str
    queued: int


def in_words(problem: BaseException) -> str:
    """What went wrong, on one line where the error is one of ours or of Python."""
    original = getattr(problem, "orig", None) or problem  # SQLAlchemy tells the statement too, with all its rows
    primary = getattr(getattr(original, "diag", None), "message_primary", None)  # PostgreSQL's, without details
    return f"{type(original).__name__}: {primary}" if primary else trouble.in_words(original)


class Held:
    """The keys that are held up in one replay: it parks for itself, and writes nothing of it."""

    def __init__(self) -> None:
        self.keys: set[Key] = set()

    def held(self, connection: Any, keys: AbstractSet[Key]) -> AbstractSet[Key]:
        """Those of the keys that are held up."""
        return self.keys & keys

    def park(self, connection: Any, parkings: Sequence[Parking]) -> None:
        """Hold these keys up from now on."""
        self.keys.update(parking.key for parking in parkings)

"""The report of a rebuild: how the new rows differ from the former ones."""

from typing import Any

import msgspec

SAMPLES = 5
Fields = dict[str, Any]


class Differences(msgspec.Struct, frozen=True):
    """How many rows were added, removed and changed, with samples as they are stored, before and after a change."""

    added: int
    removed: int
    changed: int
    added_samples: tuple[Fields, ...] = ()
    removed_samples: tuple[Fields, ...] = ()
    changed_samples: tuple[tuple[Fields, Fields], ...] = ()

    @property
    def none(self) -> bool:
        """Whether the rows are the same."""
        return not (self.added or self.removed or self.changed)


class Rebuilt(msgspec.Struct, frozen=True):
    """A finished rebuild: the rows up to `position`, folded in `seconds`, compared with the former ones."""

    model: str
    position: int
    seconds: float
    swapped: bool
    differences: Differences

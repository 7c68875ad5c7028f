"""What a rebuild found: how the rows differ from those that were there."""

from typing import Any

import msgspec

SAMPLES = 5
Fields = dict[str, Any]


class Differences(msgspec.Struct, frozen=True):
    """How many rows came, went and changed, with samples as they are stored; of a changed row before and after."""

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
    """A rebuild that is done: the rows through `position`, folded in `seconds`, compared with those before."""

    model: str
    position: int
    seconds: float
    swapped: bool
    differences: Differences

"""What came of a command."""

from typing import Any

import msgspec

from leftfold.errors import Rejected


class Receipt(msgspec.Struct, frozen=True):
    """An executed command: its events and where they are.

    `position` is the position of the last event, or, when the handler decided that nothing had to happen, the
    position that this was decided at. Pass the receipt as `after=` to a query to read your own writes.
    """

    position: int
    events: tuple[Any, ...]
    command_id: str
    duplicate: bool = False


class BatchReceipt(msgspec.Struct, frozen=True):
    """Commands that were decided one after the other and committed in one append.

    `outcomes` has a receipt or the rejection for each command in order; it is empty when the batch's key had been
    used before (`duplicate`): nothing was decided then.
    """

    position: int
    outcomes: tuple[Receipt | Rejected, ...]
    duplicate: bool = False

    @property
    def rejections(self) -> tuple[Rejected, ...]:
        """The rejections among the outcomes."""
        return tuple(outcome for outcome in self.outcomes if isinstance(outcome, Rejected))

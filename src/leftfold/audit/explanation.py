"""How a state came about: each event that made it, with the state before and after, who, why and caused by what."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from leftfold.audit.difference import Change, changes
from leftfold.criteria import Criteria
from leftfold.fold import Fold
from leftfold.metadata import Metadata, decode_metadata
from leftfold.registry import Registry
from leftfold.store.contract import EventStore


class Step(msgspec.Struct, frozen=True):
    """One event in the making of a state."""

    position: int
    time: datetime
    event: Any
    before: Any
    after: Any
    metadata: Metadata

    @property
    def changes(self) -> list[Change]:
        """What the event changed in the state; nothing when it left it as it was."""
        return changes(self.before, self.after)

    @property
    def actor(self) -> str | None:
        """Who."""
        return self.metadata.actor

    @property
    def reason(self) -> str | None:
        """Why."""
        return self.metadata.reason

    @property
    def command(self) -> str | None:
        """The id of the command that decided the event."""
        return self.metadata.command

    @property
    def cause(self) -> int | str | None:
        """The position of the event, or the id of the command, that led to it."""
        return self.metadata.cause


async def explain(
    store: EventStore,
    registry: Registry,
    fold: Fold,
    start: Any,
    criteria: Criteria,
    *,
    upto: int,
    concerns: Callable[[Any], bool] | None = None,
) -> list[Step]:
    """Every event that made a model's state up to a position, oldest first.

    A state of None, that of a deleted row, begins anew with the next event. `concerns` leaves out events that match
    the criteria and are still not meant.
    """
    steps: list[Step] = []
    deletes = concerns is not None
    before = start
    async for batch in store.read(criteria, upto=upto):
        for stored in batch.events:
            event = registry.decode(stored)
            if event is None or (concerns is not None and not concerns(event)):
                continue
            after = fold.step(start if before is None else before, event, stored.position, deletes=deletes)
            steps.append(Step(stored.position, stored.time, event, before, after, decode_metadata(stored.metadata)))
            before = after
    return steps

"""The event types that a process or reactor takes, and how many events the code before it passed over."""

import logging
from collections.abc import Collection, Iterable, Mapping

from leftfold.follow.journal import Journal
from leftfold.model.criteria import Criteria, CriteriaItem
from leftfold.model.registry import Registry

MAX_COUNTED_EVENTS = 10_000  # of a type that were passed over; more are not counted


def names_taken(registry: Registry, wires: Iterable[str]) -> list[str]:
    """Return the wire names that a checkpoint lists, with former ones, which code from before a renaming knows."""
    return sorted(frozenset[str]().union(*map(registry.names_of, wires)))


class TakenTypes:
    """Compares the types that the present code takes with those that the checkpoints of one process or reactor list.

    With `begins_with_checkpoint`, the first checkpoint of other code tells where the code before it ended.
    """

    def __init__(
        self, journal: Journal, checkpoints: Criteria, wires: Collection[str], *, begins_with_checkpoint: bool = False
    ) -> None:
        self._store = journal.store
        self._registry = journal.registry
        self._journal = journal
        self._checkpoints = checkpoints
        self._wires = wires
        self._begins_with_checkpoint = begins_with_checkpoint
        self.names = names_taken(journal.registry, wires)
        self.are_noted = False  # whether the newest checkpoint lists them

    def __repr__(self) -> str:
        return f"<TakenTypes {', '.join(self._wires)}>"

    async def compare(self) -> list[str]:
        """Return the types that the newest checkpoint does not list; none if it lists no types."""
        [checkpoint] = await self._journal.newest(self._checkpoints) or [None]
        noted: list[str] = [] if checkpoint is None else checkpoint.types  # an older leftfold noted none
        self.are_noted = noted == self.names
        return [wire for wire in self._wires if noted and self._registry.names_of(wire).isdisjoint(noted)]

    async def passed_over(self, wires: Collection[str], upto: int) -> dict[str, int]:
        """Count the events of each type that were passed over: those since a checkpoint that lists the type, if any."""
        if not wires:
            return {}
        since = await self._last_listed(wires)
        counts = {wire: await self._count(wire, since.get(wire, 0), upto) for wire in wires}
        return {wire: count for wire, count in counts.items() if count}

    async def _last_listed(self, wires: Collection[str]) -> dict[str, int]:
        """Find up to where each type was taken: by code that an older version had replaced for a time."""
        found: dict[str, int] = {}
        end: int | None = None  # of what the code of a checkpoint took, where that is known
        async for batch in self._store.read(self._checkpoints, reverse=True):
            for event in self._registry.decode_all(batch.events):
                for wire in set(wires) - found.keys():
                    if not self._registry.names_of(wire).isdisjoint(event.types):
                        found[wire] = event.position if end is None else end
                end = event.position if self._begins_with_checkpoint and event.types else None
            if len(found) == len(wires):
                break
        return found

    async def _count(self, wire: str, after: int, upto: int) -> int:
        if upto <= after:
            return 0
        wanted, count = Criteria(CriteriaItem(self._registry.names_of(wire))), 0
        async for batch in self._store.read(wanted, after=after, upto=upto, limit=MAX_COUNTED_EVENTS, data_only=True):
            count += len(batch.events)
        return count


def warn_of_passed_over(log: logging.Logger, follower: str, passed_over: Mapping[str, int], consequence: str) -> None:
    """Log how many events of each type the code before passed over, and what that means for them."""
    counts = ", ".join(
        f"{MAX_COUNTED_EVENTS:,} or more of {wire}" if count >= MAX_COUNTED_EVENTS else f"{count:,} of {wire}"
        for wire, count in sorted(passed_over.items())
    )
    what = "%s handles event types that earlier code did not handle. Events that it had already passed %s: %s"
    log.warning(what, follower, consequence, counts)

"""Verification: the log's own invariants, checked event by event, and every snapshot computed again."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

import msgspec

from leftfold.clock import from_microseconds
from leftfold.errors import LeftfoldError
from leftfold.fold import Fold
from leftfold.registry import Registry
from leftfold.store.contract import EventStore, StoredEvent


class Finding(msgspec.Struct, frozen=True):
    """Something that is not as it must be."""

    position: int
    problem: str


class Verification(msgspec.Struct, frozen=True):
    """What was checked and what was found; `ok` when nothing was."""

    checked: int
    types: dict[str, int]
    unknown: dict[str, int]
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether everything is as it must be."""
        return not self.findings


class KeptStates(Protocol):
    """Where snapshots are kept."""

    async def of_model(self, fold: Fold) -> list[Any]:
        """Every snapshot of a model, with key, position and value."""
        ...


Compute = Callable[[Fold, tuple[Any, ...], int], AsyncIterator[Any]]


async def verify_log(
    store: EventStore, registry: Registry | None = None, progress: Callable[[int, int], None] | None = None
) -> Verification:
    """Check that positions are gapless from 1, times never decrease, tags are whole and, with a registry, data decodes.

    `progress` is called with the position reached and the head.
    """
    head = await store.head()
    types: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    findings: list[Finding] = []
    expected, newest = 1, 0
    async for batch in store.read(upto=head):
        for stored in batch.events:
            types[stored.type] += 1
            findings += _order(stored, expected, newest)
            if registry is not None:
                findings += _content(stored, registry, unknown)
            expected, newest = stored.position + 1, stored.microseconds
        if progress is not None:
            progress(batch.through, head)
    if expected != head + 1:
        findings.append(Finding(expected, f"the log ends at {expected - 1}, its head is {head}"))
    return Verification(sum(types.values()), dict(types), dict(unknown), tuple(findings))


def _order(stored: StoredEvent, expected: int, newest: int) -> list[Finding]:
    found: list[Finding] = []
    if stored.position != expected:
        found.append(Finding(stored.position, f"follows position {expected - 1}: positions must have no gaps"))
    if stored.microseconds < newest:
        earlier = from_microseconds(newest).isoformat()
        found.append(Finding(stored.position, f"has time {stored.time.isoformat()}, its predecessor {earlier}"))
    return found


def _content(stored: StoredEvent, registry: Registry, unknown: Counter[str]) -> list[Finding]:
    try:
        if registry.decode(stored) is None:
            unknown[stored.type] += 1
    except LeftfoldError as error:
        return [Finding(stored.position, error.found)]
    return []


async def verify_snapshots(
    snapshots: KeptStates, folds: list[Fold], recompute: Callable[[Fold, tuple[Any, ...], int], Any]
) -> Verification:
    """Compute every snapshot again from the events alone and compare.

    `recompute(fold, key, position)` awaits the state that the log gives.
    """
    checked: Counter[str] = Counter()
    findings: list[Finding] = []
    for fold in folds:
        for snapshot in await snapshots.of_model(fold):
            checked[fold.name] += 1
            right = await recompute(fold, snapshot.key, snapshot.position)
            if right != snapshot.value:
                problem = f"the snapshot of {fold.name}{snapshot.key} is {snapshot.value!r}, the log gives {right!r}"
                findings.append(Finding(snapshot.position, problem))
    return Verification(sum(checked.values()), dict(checked), {}, tuple(findings))

"""Verification: checks the log's invariants event by event, and recomputes every snapshot."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any, Protocol

import msgspec

from leftfold.errors import LeftfoldError
from leftfold.model.clock import Clock, SystemClock, from_microseconds, to_microseconds
from leftfold.model.criteria import EVERYTHING
from leftfold.model.fold import Fold
from leftfold.model.metadata import decode_metadata
from leftfold.model.record import StoredEvent
from leftfold.model.registry import Registry
from leftfold.store.contract import EventStore

PLAUSIBLE = timedelta(hours=1)  # allowed difference between clocks
AHEAD = "its time is more than an hour ahead of the clock; see copy --latest"


class Finding(msgspec.Struct, frozen=True):
    """A problem and the position where it was found."""

    position: int
    problem: str


class Verification(msgspec.Struct, frozen=True):
    """What was checked and what was found; `ok` if there are no findings."""

    checked: int
    types: dict[str, int]
    unknown: dict[str, int]
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether no problem was found."""
        return not self.findings


class KeptStates(Protocol):
    """Where snapshots are kept."""

    async def of_model(self, fold: Fold) -> list[Any]:
        """Yield every snapshot of a model, with key, position and value."""
        ...


Compute = Callable[[Fold, tuple[Any, ...], int], AsyncIterator[Any]]


async def verify_log(
    store: EventStore,
    registry: Registry | None = None,
    progress: Callable[[int, int], None] | None = None,
    clock: Clock | None = None,
) -> Verification:
    """Check that positions are gapless from 1, that times fit, and that corrections are of earlier events.

    Times never decrease, nor lie ahead of the clock.

    With a registry also that all types are known or ignored, that data decodes, and that no event lacks a tag which its
    class gives today.
    `progress` is called with the position reached and the head.
    """
    head = await store.head()
    types: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    typed = TypeFindings()
    findings: list[Finding] = []
    expected, newest = 1, 0
    latest = to_microseconds((clock or SystemClock()).now() + PLAUSIBLE)
    async for batch in store.read(EVERYTHING, upto=head):
        for stored in batch.events:
            types[stored.type] += 1
            findings += _order(stored, expected, newest)
            if b'"corrects"' in stored.metadata:
                findings += _correction(stored)
            if stored.microseconds > latest:
                typed.add(AHEAD, stored.position)
            if registry is not None:
                findings += _content(stored, registry, unknown, typed)
            expected, newest = stored.position + 1, stored.microseconds
        if progress is not None:
            progress(batch.through, head)
    if expected != head + 1:
        findings.append(Finding(expected, f"the log ends at {expected - 1}, its head is {head}"))
    return Verification(sum(types.values()), dict(types), dict(unknown), (*findings, *typed.findings()))


class TypeFindings:
    """Problems of the events of each type: one finding a kind, with first position and number of events."""

    def __init__(self) -> None:
        self._seen: dict[str, list[int]] = {}

    def add(self, problem: str, position: int) -> None:
        """Record a problem of one event."""
        self._seen.setdefault(problem, [position, 0])[1] += 1

    def findings(self) -> list[Finding]:
        """Return one finding for each problem, by position."""
        found = (Finding(first, f"{problem}: {count:,} in all") for problem, (first, count) in self._seen.items())
        return sorted(found, key=lambda finding: finding.position)


def _order(stored: StoredEvent, expected: int, newest: int) -> list[Finding]:
    found: list[Finding] = []
    if stored.position != expected:
        found.append(Finding(stored.position, f"follows position {expected - 1}: positions must have no gaps"))
    if stored.microseconds < newest:
        earlier = from_microseconds(newest).isoformat()
        found.append(Finding(stored.position, f"has time {stored.time.isoformat()}, its predecessor {earlier}"))
    return found


def _correction(stored: StoredEvent) -> list[Finding]:
    corrects = decode_metadata(stored.metadata).corrects
    if corrects is None or corrects < stored.position:
        return []
    return [Finding(stored.position, f"corrects position {corrects}, which is not before it")]


def _content(stored: StoredEvent, registry: Registry, unknown: Counter[str], typed: TypeFindings) -> list[Finding]:
    if registry.of_wire(stored.type) is None:
        unknown[stored.type] += 1
        if registry.lacks(stored.type):
            typed.add(
                f"the app does not know events of type {stored.type!r}, and does not ignore them", stored.position
            )
        return []
    try:
        present = registry.present_tags(stored)
    except LeftfoldError as error:
        return [Finding(stored.position, error.found)]
    lacking = sorted({tag.partition(":")[0] for tag in set(present) - set(stored.tags)})
    if lacking:
        names = " and ".join(f"{name}:" for name in lacking)
        typed.add(
            f"events of type {stored.type!r} lack the tags {names} of today's class; see copy --retag", stored.position
        )
    return []


async def verify_snapshots(
    snapshots: KeptStates, folds: list[Fold], recompute: Callable[[Fold, tuple[Any, ...], int], Any]
) -> Verification:
    """Recompute every snapshot from the events alone and compare.

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

"""How a state came about: each event that made it, with the state before and after, who, why and caused by what."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from datetime import datetime
from typing import Any, cast

import msgspec
from msgspec.structs import replace

from leftfold.errors import UnknownName
from leftfold.model.criteria import Criteria
from leftfold.model.fold import Fold
from leftfold.model.metadata import Metadata, decode_metadata
from leftfold.model.registry import Registry
from leftfold.model.tag import hints_of
from leftfold.store.contract import EventStore

ABSENT = msgspec.UNSET
SCALARS = (str, bytes, bytearray)
_field_name = re.compile(r"[.\[]")
Parts = Mapping[str, Any]


class Change(msgspec.Struct, frozen=True):
    """One part of a state that changed; `ABSENT` if there was, or is, no such part.

    `path` names it: a field, `seats[12A]` in a mapping, `lines[0].amount` deeper down; empty for the whole state.
    """

    path: str
    before: Any
    after: Any


def changes(before: Any, after: Any, path: str = "") -> list[Change]:
    """Return the smallest parts that differ, in order of appearance."""
    return [] if before is after else list(_changes(before, after, path))


def _changes(before: Any, after: Any, path: str) -> Iterator[Change]:
    if type(before) is type(after):
        old, new = fields_of(before), fields_of(after)
        if old is not None and new is not None:
            yield from _between(old, new, f"{path}." if path else "", "")
            return
        if isinstance(before, Mapping):
            yield from _between(_by_text(before), _by_text(after), f"{path}[", "]")
            return
        if isinstance(before, Set):
            yield from _between_sets(before, after, path)
            return
        if isinstance(before, Sequence) and not isinstance(before, SCALARS):
            yield from _between(_by_place(before), _by_place(after), f"{path}[", "]")
            return
    if before != after:
        yield Change(path, before, after)


def _between(before: Parts, after: Parts, opening: str, closing: str) -> Iterator[Change]:
    for name in dict.fromkeys((*before, *after)):
        path = f"{opening}{name}{closing}"
        if name in before and name in after:
            yield from changes(before[name], after[name], path)
        else:
            yield Change(path, before.get(name, ABSENT), after.get(name, ABSENT))


def _between_sets(before: Any, after: Any, path: str) -> Iterator[Change]:
    yield from (Change(path, element, ABSENT) for element in sorted(before - after, key=repr))
    yield from (Change(path, ABSENT, element) for element in sorted(after - before, key=repr))


def fields_of(value: Any) -> Parts | None:
    """Return the fields of a struct, dataclass, attrs class or pydantic model; None for anything else."""
    owner: Any = type(cast("object", value))
    for names in ("__struct_fields__", "__dataclass_fields__", "__pydantic_fields__"):
        if hasattr(owner, names):
            return {name: getattr(value, name) for name in getattr(owner, names)}
    if hasattr(owner, "__attrs_attrs__"):
        return {each.name: getattr(value, each.name) for each in owner.__attrs_attrs__}
    return None


def _by_text(value: Any) -> Parts:
    return {str(name): each for name, each in value.items()}


def _by_place(value: Any) -> Parts:
    return {str(place): each for place, each in enumerate(value)}


def setting(steps: "Sequence[ExplainedEvent]", field: str) -> "list[ExplainedEvent]":
    """Return the newest event that changed a part of the state, in a list; nothing if no event did."""
    for step in reversed(steps):
        if any(_is_part(change.path, field) or _is_part(field, change.path) for change in step.changes):
            return [step]
    return []


def check_field(model: type[Any], field: str) -> None:
    """Raise `UnknownName` unless the path begins with a field of the model."""
    name, known = _field_name.split(field)[0], hints_of(model)
    if name not in known:
        raise UnknownName(f"field of {model.__qualname__}", name, sorted(known))


def _is_part(path: str, of: str) -> bool:
    """Return whether a path is, or lies in, another one; the empty path is the whole state."""
    return not of or path == of or path.startswith((f"{of}.", f"{of}["))


class ExplainedEvent(msgspec.Struct, frozen=True):
    """One event in the history of a state.

    `corrected_by` are the positions of those later events in this history that correct it.
    """

    position: int
    time: datetime
    event: Any
    before: Any
    after: Any
    metadata: Metadata
    corrected_by: tuple[int, ...] = ()

    @property
    def changes(self) -> list[Change]:
        """What the event changed in the state; empty if it changed nothing."""
        return changes(self.before, self.after)

    @property
    def actor(self) -> str | None:
        """The actor of the command, if recorded."""
        return self.metadata.actor

    @property
    def reason(self) -> str | None:
        """The reason given for the command, if recorded."""
        return self.metadata.reason

    @property
    def command(self) -> str | None:
        """The id of the command that decided the event."""
        return self.metadata.command

    @property
    def cause(self) -> int | str | None:
        """The position of the event, or the id of the command, that led to it."""
        return self.metadata.cause

    @property
    def corrects(self) -> int | None:
        """The position of the wrong event that this one makes good, if it was said."""
        return self.metadata.corrects


async def explain(
    store: EventStore,
    registry: Registry,
    fold: Fold,
    start: Any,
    criteria: Criteria,
    *,
    upto: int,
    concerns: Callable[[Any], bool] | None = None,
) -> list[ExplainedEvent]:
    """List every event in a model's state up to a position, oldest first.

    After None, the state of a deleted row, the next event starts a new state. `concerns` filters out events that match
    the criteria but do not concern the state.
    """
    steps: list[ExplainedEvent] = []
    deletes = concerns is not None
    before = start
    async for batch in store.read(criteria, upto=upto):
        for stored in batch.events:
            event = registry.decode(stored)
            if event is None or (concerns is not None and not concerns(event)):
                continue
            after = fold.step(start if before is None else before, event, stored, deletes=deletes)
            if fold.change is not None and after is not None and (after is not before or not steps):
                after = fold.change.noted(after, stored)
            steps.append(
                ExplainedEvent(stored.position, stored.time, event, before, after, decode_metadata(stored.metadata))
            )
            before = after
    return _with_corrections(steps)


def _with_corrections(steps: list[ExplainedEvent]) -> list[ExplainedEvent]:
    """Return the same, each with the positions of the events that correct it."""
    found: dict[int, list[int]] = {}
    for step in steps:
        if step.corrects is not None:
            found.setdefault(step.corrects, []).append(step.position)
    return [
        replace(step, corrected_by=tuple(found[step.position])) if step.position in found else step for step in steps
    ]

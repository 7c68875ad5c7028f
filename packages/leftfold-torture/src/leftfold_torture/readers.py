"""The rules of what readers saw: each a pure function from a history to what contradicts the rule."""

from collections.abc import Iterator

from leftfold_torture.evidence import History, Operation
from leftfold_torture.record import (
    Absent,
    Append,
    Broken,
    Follow,
    Found,
    Head,
    Lookup,
    Placed,
    Read,
    Stood,
    Wait,
)

EARLY = 0.8  # of its timeout, before which a wait may not end in vain


def reads_are_final(history: History) -> Iterator[str]:
    """What a read returned is what the log has up to where the read was complete: nothing came later in between."""
    for operation in history.operations:
        if isinstance(operation.call, Read) and isinstance(operation.answer, Found):
            yield from _read_is_final(history, operation, operation.call, operation.answer)


def _read_is_final(history: History, operation: Operation, call: Read, found: Found) -> Iterator[str]:
    if found.through > max(history.head, call.after):
        yield f"{operation} was complete through position {found.through}; the log ends at {history.head}"
    after, upto = (found.through, call.upto) if call.reverse else (call.after, found.through)
    expected = history.matching(call.items, after, history.head if upto is None else upto)
    if call.reverse:
        if found.positions and found.positions[-1] == after:  # the limit cut it short
            expected = [after, *expected]
        expected.reverse()
    if list(found.positions) != expected:
        yield f"{operation} {_difference(list(found.positions), expected)}"
    elif found.content != history.content(found.positions):
        yield f"{operation} saw other events at positions {_some(expected)} than the log has"


def reads_see_what_was_acknowledged(history: History) -> Iterator[str]:
    """A read of everything that is there sees every append that was acknowledged before the read was begun."""
    for operation in history.operations:
        call, answer = operation.call, operation.answer
        if isinstance(call, Read) and isinstance(answer, Found) and call.upto is None and call.limit is None:
            acknowledged = history.acknowledged.before(operation.invoked)
            if not call.reverse and answer.through < acknowledged:
                yield f"{operation} was complete through {answer.through}, when {acknowledged} was acknowledged"


def heads_are_true(history: History) -> Iterator[str]:
    """The newest position is the log's, with all that was acknowledged; no wait ends early and in vain."""
    for operation in history.operations:
        if not isinstance(operation.answer, Stood):
            continue
        call, position = operation.call, operation.answer.position
        if position > history.head:
            yield f"{operation}: the newest event was said to be at {position}; the log ends at {history.head}"
        if isinstance(call, Head) and position < (least := history.acknowledged.before(operation.invoked)):
            yield f"{operation}: the newest event was said to be at {position}, when {least} was acknowledged"
        if isinstance(call, Wait) and position <= call.after and _seconds(operation) < EARLY * call.timeout:
            yield f"{operation}: nothing had come after {call.after}, and the wait ended before its {call.timeout:g} s"


def _seconds(operation: Operation) -> float:
    return ((operation.returned or 0) - operation.invoked) / 1e9


def lookups_tell_the_truth(history: History) -> Iterator[str]:
    """A key is found where it is stored, once its append was acknowledged."""
    places: dict[str, tuple[int, int]] = {}
    since: dict[str, int] = {}
    for attempt in history.attempts:
        key, answer, returned = attempt.call.key, attempt.answer, attempt.operation.returned
        if key is not None and isinstance(answer, Placed) and returned is not None:
            places[key] = (answer.first, answer.last)
            since[key] = min(returned, since.get(key, returned))
    for operation in history.operations:
        if isinstance(operation.call, Lookup):
            key = operation.call.key
            known = places.get(key)
            if isinstance(operation.answer, Placed) and known not in (
                None,
                (operation.answer.first, operation.answer.last),
            ):
                yield f"{operation} found key {key!r} at {operation.answer.first}, it lies at {known}"
            if isinstance(operation.answer, Absent) and key in since and since[key] < operation.invoked:
                yield f"{operation} did not find key {key!r}, which was acknowledged before"


def subscriptions_deliver_each_event_once(history: History) -> Iterator[str]:
    """A subscription delivers what matches, in order, once; its checkpoint never passes what was not delivered."""
    for operation in history.operations:
        if isinstance(operation.call, Follow):
            yield from _deliveries_are_right(history, operation, operation.call)


def _deliveries_are_right(history: History, operation: Operation, call: Follow) -> Iterator[str]:
    before = call.after
    for delivered in history.deliveries.get((operation.client, operation.number), ()):
        if delivered.through <= before:
            yield f"{operation}: the checkpoint went from {before} to {delivered.through}"
        if delivered.through > history.head:
            yield f"{operation}: the checkpoint {delivered.through} lies beyond the log, which ends at {history.head}"
        expected = history.matching(call.items, before, delivered.through)
        if list(delivered.positions) != expected:
            difference = _difference(list(delivered.positions), expected)
            yield f"{operation}, between {before} and {delivered.through}, {difference}"
        elif delivered.content != history.content(delivered.positions):
            yield f"{operation} delivered other events at positions {_some(expected)} than the log has"
        before = delivered.through


def subscriptions_deliver_everything(history: History) -> Iterator[str]:
    """Once all is quiet, every subscription reaches the head of the log."""
    for awaited in history.awaited:
        if awaited.through < awaited.head:
            yield (
                f"{awaited.client}#{awaited.number} was not delivered what is committed: "
                f"it stands at {awaited.through}, the log ended at {awaited.head}"
            )


def every_call_is_answered(history: History) -> Iterator[str]:
    """A call returns, or raises one of leftfold's own errors."""
    for operation in history.operations:
        if isinstance(operation.answer, Broken):
            kind = "append" if isinstance(operation.call, Append) else type(operation.call).__name__.lower()
            yield f"{operation}: the answer to {kind} was {operation.answer.how}"


def _difference(found: list[int], expected: list[int]) -> str:
    missed = sorted(set(expected) - set(found))
    extra = sorted(set(found) - set(expected))
    if missed or extra:
        parts = [f"missed {_some(missed)}"] if missed else []
        return " and ".join(parts + ([f"saw {_some(extra)}, which does not match or is not there"] if extra else []))
    return f"saw the right events, but not each once and in order: {_some(found)}"


def _some(positions: list[int]) -> str:
    shown = ", ".join(map(str, positions[:5]))
    return f"{shown} and {len(positions) - 5} more" if len(positions) > 5 else shown or "nothing"

"""What a run of the history checker tells."""

from collections import Counter
from typing import Any

import msgspec

from leftfold_torture.check import Violation
from leftfold_torture.evidence import History
from leftfold_torture.record import Append, Execute, Found, Placed, Refused


class Report(msgspec.Struct):
    """What was done, what came of it, and whether every rule holds. `skipped` are faults, with why."""

    backend: str
    seed: int
    seconds: float
    clients: int
    events: int
    operations: dict[str, int]
    outcomes: dict[str, int]
    delivered: int
    faults: dict[str, int]
    skipped: dict[str, str]
    slowest: dict[str, float]
    violations: list[Violation]
    notes: list[str]

    @property
    def sound(self) -> bool:
        """Whether every rule holds."""
        return not self.violations


def operations_of(history: History) -> dict[str, int]:
    """How often each kind of call was made."""
    return dict(sorted(Counter(_kind(each.call) for each in history.operations).items()))


def outcomes_of(history: History) -> dict[str, int]:
    """How the calls ended: by kind and outcome."""
    return dict(sorted(Counter(f"{_kind(each.call)}: {_outcome(each.answer)}" for each in history.operations).items()))


def slowest_of(history: History) -> dict[str, float]:
    """The seconds that the slowest answered call of each kind took."""
    found: dict[str, float] = {}
    for each in history.operations:
        if each.returned is not None and _kind(each.call) != "follow":
            took = (each.returned - each.invoked) / 1e9
            found[_kind(each.call)] = round(max(took, found.get(_kind(each.call), 0)), 3)
    return found


def delivered_in(history: History) -> int:
    """How many events subscriptions have delivered."""
    return sum(len(each.positions) for deliveries in history.deliveries.values() for each in deliveries)


def _kind(call: Any) -> str:
    if isinstance(call, Execute):
        kind = "command on many" if call.others else "command"
        return f"{kind} with a key" if call.key else kind
    if isinstance(call, Append):
        kind = "append with a condition" if call.conditions else "append"
        return f"{kind} and a key" if call.key and call.conditions else f"{kind} with a key" if call.key else kind
    return type(call).__name__.lower()


def _outcome(answer: Any) -> str:
    match answer:
        case Placed(duplicate=True):
            return "duplicate"
        case Placed() | Found():
            return "done"
        case Refused():
            return answer.error
        case _:
            return type(answer).__name__.lower()

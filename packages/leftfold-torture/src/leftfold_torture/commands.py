"""The rules of what commands have decided: each a pure function from a history to what contradicts the rule."""

from collections import defaultdict
from collections.abc import Iterator

import msgspec

from leftfold_torture.evidence import History, Operation
from leftfold_torture.record import COUNTED, COUNTED_TOGETHER, Execute, Placed, Refused


class Number(msgspec.Struct, frozen=True):
    """What an event of the counting app holds."""

    counter: str
    number: int
    id: str


class Numbers(msgspec.Struct, frozen=True):
    """What an event on several counters holds."""

    counters: tuple[str, ...]
    numbers: tuple[int, ...]
    id: str


def decisions_saw_everything_before_them(history: History) -> Iterator[str]:
    """Each number follows the one before: the decision had seen every event of its counter that lies before its own."""
    reached: defaultdict[str, int] = defaultdict(int)
    for position, counted in _numbers(history):
        expected = reached[counted.counter] + 1
        if counted.number != expected:
            yield f"position {position}: {counted.counter} was counted to {counted.number}, after {expected - 1}"
        reached[counted.counter] = counted.number


def commands_are_carried_out_once(history: History) -> Iterator[str]:
    """A command is in the log once, at the place that its callers were told, and not at all where it was refused."""
    stored: defaultdict[str, list[int]] = defaultdict(list)
    for position, counted in _numbers(history):
        if stored[counted.id][-1:] != [position]:  # one event may count several counters
            stored[counted.id].append(position)
    executed = executions(history)
    for id in stored.keys() - executed.keys():
        yield f"position {stored[id][0]} holds the decision on {id}, which nobody executed"
    for id, operations in executed.items():
        yield from _carried_out(id, operations, stored.get(id, []))


def _carried_out(id: str, operations: list[Operation], stored: list[int]) -> Iterator[str]:
    if len(stored) > 1:
        yield f"{id} is decided at positions {', '.join(map(str, stored))}"
    if stored and all(isinstance(each.answer, Refused) for each in operations):
        yield f"{id} is decided at position {stored[0]}, but all its callers were told that it was refused"
    for each in operations:
        if isinstance(each.answer, Placed) and each.answer.last not in stored:
            yield f"{each}: {id} was acknowledged at position {each.answer.last}, and lies at {stored or 'none'}"
    firsts = [each for each in operations if isinstance(each.answer, Placed) and not each.answer.duplicate]
    if len(firsts) > 1:
        yield f"{id} was new to {len(firsts)} callers: {', '.join(map(str, firsts))}"


def executions(history: History) -> dict[str, list[Operation]]:
    """The calls that executed a command, by its id."""
    found: defaultdict[str, list[Operation]] = defaultdict(list)
    for operation in history.operations:
        if isinstance(operation.call, Execute):
            found[operation.call.id].append(operation)
    return found


def _numbers(history: History) -> Iterator[tuple[int, Number]]:
    for event in history.log:
        if event.type == COUNTED:
            yield event.position, msgspec.json.decode(event.data, type=Number)
        elif event.type == COUNTED_TOGETHER:
            found = msgspec.json.decode(event.data, type=Numbers)
            for counter, number in zip(found.counters, found.numbers, strict=True):
                yield event.position, Number(counter, number, found.id)

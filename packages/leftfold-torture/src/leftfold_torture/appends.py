"""The rules of what is in the log: each a pure function from a history to what contradicts the rule."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from operator import itemgetter

from leftfold.model.record import NewEvent, StoredEvent
from leftfold_torture.commands import executions
from leftfold_torture.evidence import Attempt, History, Operation, Payload
from leftfold_torture.record import (
    CANCELLED,
    COUNTED,
    COUNTED_TOGETHER,
    Append,
    Broken,
    Condition,
    Follow,
    Hostile,
    Placed,
    Refused,
    Unknown,
    criteria_of,
)

FAILING_DISK = "failing-disk"
HOSTILE_REQUESTS = "hostile-requests"
LEAP_CLOCK = "leap-clock"
AHEAD = 3_600_000_000  # microseconds by which a store may be wrong in the time of an event
AFTERMATH = 5_000_000_000  # nanoseconds within which a call may be answered that met a fault
FAIR = ("Conflict", "TooManyConflicts", "KeyReused", "Rejected")  # what an honest request is refused for
OUT_OF_REACH = ("StoreBusy", "StoreUnreachable")


def positions_are_gapless(history: History) -> Iterator[str]:
    """The log has positions 1, 2, 3 …, in the order in which it is read."""
    for expected, event in enumerate(history.log, 1):
        if event.position != expected:
            yield f"position {event.position} where {expected} was expected"
            return


def time_never_decreases(history: History) -> Iterator[str]:
    """A later event never has an earlier time."""
    for earlier, later in pairwise(history.log):
        if later.microseconds < earlier.microseconds:
            back = earlier.microseconds - later.microseconds
            yield f"the time at position {later.position} lies {back} µs before that of position {earlier.position}"


def no_event_is_dated_by_a_clock_that_leaps(history: History) -> Iterator[str]:
    """However far a clock jumps, no event lies further ahead than a store may be wrong."""
    for event in history.log:
        if history.ended and event.microseconds > history.ended + AHEAD:
            ahead = (event.microseconds - history.ended) / 1_000_000
            yield f"position {event.position} has a time that lies {ahead:.0f} s after the end of the run"


def clocks_are_doubted_only_when_they_leap(history: History) -> Iterator[str]:
    """What would be dated is refused for its time only while the clock has jumped by years."""
    spans = list(history.spans_of(LEAP_CLOCK))
    for operation in history.operations:
        if isinstance(operation.answer, Refused) and operation.answer.error == "ClockJumped":
            returned = operation.returned or 0
            met = (began <= returned and operation.invoked <= ended + AFTERMATH for began, ended in spans)
            if not any(met):
                yield f"{operation} was refused with {operation.answer.said}, when the clock was nearly right"


def nothing_acknowledged_is_lost(history: History) -> Iterator[str]:
    """What was acknowledged lies where the answer said, as it was given."""
    for attempt in history.attempts:
        if isinstance(attempt.answer, Placed):
            first, last = attempt.answer.first, attempt.answer.last
            if last - first + 1 != len(attempt.call.events):
                yield f"{attempt}: {len(attempt.call.events)} events were answered with positions {first} to {last}"
            for position, event in zip(range(first, last + 1), attempt.call.events, strict=False):
                stored = history.event_at.get(position)
                if stored is None:
                    yield f"{attempt}: the event acknowledged at position {position} is not in the log"
                elif not _same(stored, event):
                    yield f"{attempt}: position {position} holds {_shown(stored)}, acknowledged was {event.data[:60]!r}"


def nothing_is_acknowledged_without_a_sync(history: History) -> Iterator[str]:
    """While every fsync fails, no append can be begun and acknowledged: what it wrote would not be safe."""
    for began, ended in history.spans_of(FAILING_DISK):
        for attempt in history.attempts:
            placed = isinstance(attempt.answer, Placed) and not attempt.answer.duplicate
            if placed and began <= attempt.operation.invoked and (attempt.operation.returned or 0) <= ended:
                yield f"{attempt} was begun and acknowledged while every fsync failed"


def nothing_is_stored_that_nobody_asked_for(history: History) -> Iterator[str]:
    """Every stored event belongs to an append that is there in full, and that was not refused."""
    covered: set[int] = set()
    for payload in history.payloads.values():
        for index in history.places.get(payload.events[0].data, ()):
            stored = history.log[index : index + len(payload.events)]
            covered.update(event.position for event in stored)
            yield from _stored_as_asked(payload, stored)
    for event in history.log:
        if event.position not in covered and event.type not in (COUNTED, COUNTED_TOGETHER):
            yield f"position {event.position} holds {_shown(event)}, which no append that is there in full asked for"


def _stored_as_asked(payload: Payload, stored: Sequence[StoredEvent]) -> Iterator[str]:
    where = f"the append of {payload.events[0].data[:60]!r} at position {stored[0].position}"
    if len(stored) < len(payload.events) or not all(map(_same, stored, payload.events)):
        yield f"{where} is not there as it was asked for, in full"
    if all(isinstance(attempt.answer, Refused) for attempt in payload.attempts):
        told = {attempt.answer.error for attempt in payload.attempts if isinstance(attempt.answer, Refused)}
        yield f"{where} is in the log, but callers were told that it was refused: {', '.join(sorted(told))}"


def nothing_is_stored_twice(history: History) -> Iterator[str]:
    """One append is in the log once, and so is one key, however often it was tried."""
    for payload in history.payloads.values():
        places = history.places.get(payload.events[0].data, ())
        if len(places) > 1:
            positions = [history.log[index].position for index in places]
            yield f"{payload.events[0].data[:60]!r} is stored at positions {', '.join(map(str, positions))}"
    for key, payloads in _by_key(history).items():
        stored = [place for payload in payloads if (place := history.place_of(payload)) is not None]
        if len(stored) > 1:
            yield f"key {key!r} is stored with several payloads, at positions {', '.join(map(str, stored))}"


def commit_order_is_position_order(history: History) -> Iterator[str]:
    """What was acknowledged before something else was begun lies before it."""
    stored = [(place, each.operations) for each in history.payloads.values() if (place := history.place_of(each))]
    stored += [
        (told.last, operations)
        for operations in executions(history).values()
        for told in [each.answer for each in operations if isinstance(each.answer, Placed)][:1]
    ]
    latest = (0, "")  # of those at lower positions, which was begun last
    for place, operations in sorted(stored, key=itemgetter(0)):
        answered = [
            each.returned for each in operations if each.returned is not None and isinstance(each.answer, Placed)
        ]
        if answered and min(answered) < latest[0]:
            yield f"position {place} was acknowledged before {latest[1]} was begun, which lies before it"
        latest = max(latest, (min(each.invoked for each in operations), f"{operations[0]}"))


def accepted_conditions_held(history: History) -> Iterator[str]:
    """Between a condition's position and the append that was accepted on it lies nothing that it excludes."""
    for payload in history.payloads.values():
        place = history.place_of(payload)
        if place is None:
            continue
        accepted = _accepted(payload)
        if accepted and all(_excluded(history, each, place) for each in accepted):
            attempt = accepted[0]
            found = _excluded(history, attempt, place)
            yield f"{attempt} was accepted at position {place}, but its condition excludes {found}"


def _accepted(payload: Payload) -> list[Attempt]:
    """Which attempts may have been the one that was stored."""
    first = [each for each in payload.attempts if isinstance(each.answer, Placed) and not each.answer.duplicate]
    return first or [each for each in payload.attempts if isinstance(each.answer, Unknown | Broken)]


def _excluded(history: History, attempt: Attempt, place: int) -> list[int]:
    return [
        position for each in attempt.call.conditions for position in history.matching(each.items, each.after, place - 1)
    ]


def conflicts_are_real(history: History) -> Iterator[str]:
    """A conflict names events that are in the log and that the condition excludes."""
    for attempt in history.attempts:
        answer = attempt.answer
        if isinstance(answer, Refused) and answer.error == "Conflict":
            if not answer.positions:
                yield f"{attempt} was refused for a conflict with nothing"
            for position in answer.positions:
                if not any(_excludes(history, each, position) for each in attempt.call.conditions):
                    yield f"{attempt} was refused for position {position}, which its conditions do not exclude"


def _excludes(history: History, condition: Condition, position: int) -> bool:
    event = history.event_at.get(position)
    if event is None or position <= condition.after:
        return False
    return criteria_of(condition.items).matches(event.type, event.tags)


def keys_are_answered_alike(history: History) -> Iterator[str]:
    """All answers to one key agree; one of them is the first, all others are marked as duplicates."""
    for key, payloads in _by_key(history).items():
        attempts = [attempt for payload in payloads for attempt in payload.attempts]
        placed = [(each, each.answer) for each in attempts if isinstance(each.answer, Placed)]
        if len({(answer.first, answer.last) for _, answer in placed}) > 1:
            shown = ", ".join(f"{each} at {answer.first}" for each, answer in placed)
            yield f"key {key!r} was answered with several places: {shown}"
        firsts = [each for each, answer in placed if not answer.duplicate]
        if len(firsts) > 1:
            yield f"key {key!r} was new to {len(firsts)} callers: {', '.join(map(str, firsts))}"
        yield from _reused(history, key, payloads)
        yield from _untrue_duplicates(attempts)


def _untrue_duplicates(attempts: list[Attempt]) -> Iterator[str]:
    for attempt in attempts:
        if isinstance(attempt.answer, Placed) and attempt.answer.duplicate:
            returned = attempt.operation.returned or 0
            if not any(each is not attempt and each.operation.invoked < returned for each in attempts):
                yield f"{attempt} was answered as a duplicate, and nobody else had begun to append with its key"


def _reused(history: History, key: str, payloads: list[Payload]) -> Iterator[str]:
    for payload in payloads:
        for attempt in payload.attempts:
            if isinstance(attempt.answer, Refused) and attempt.answer.error == "KeyReused":
                others = [each for each in payloads if each is not payload and history.place_of(each) is not None]
                if not others:
                    yield f"{attempt}: key {key!r} was called reused, but nothing else is stored with it"


def _by_key(history: History) -> dict[str, list[Payload]]:
    found: defaultdict[str, list[Payload]] = defaultdict(list)
    for payload in history.payloads.values():
        key = payload.attempts[0].call.key
        if key is not None:
            found[key].append(payload)
    return found


def hostile_requests_are_refused_by_name(history: History) -> Iterator[str]:
    """What no store may take is refused with the error that says what is wrong, whatever else goes on."""
    for operation in history.operations:
        call, answer = operation.call, operation.answer
        if isinstance(call, Hostile) and not isinstance(answer, Unknown):
            if isinstance(answer, Refused) and answer.error in {*call.errors, *OUT_OF_REACH}:
                continue
            yield f"{operation}: {call.request} was answered with {answer}, not with {' or '.join(call.errors)}"


def honest_requests_do_not_fail_for_hostile_ones(history: History) -> Iterator[str]:
    """While some send what no store may take, all others are served."""
    spans = list(history.spans_of(HOSTILE_REQUESTS))
    for operation in history.operations:
        if _is_honest(operation) and isinstance(operation.answer, Refused | Unknown):
            for began, ended in spans:
                begun = isinstance(operation.call, Follow) or began <= operation.invoked
                if begun and operation.returned is not None and began <= operation.returned <= ended:
                    yield f"{operation} was answered with {operation.answer}, beside hostile requests"


def _is_honest(operation: Operation) -> bool:
    call, answer = operation.call, operation.answer
    if isinstance(call, Hostile) or (isinstance(call, Append) and not _valid(call)):
        return False
    fair = isinstance(answer, Refused) and answer.error in {*FAIR, *OUT_OF_REACH}
    return not (fair or (isinstance(answer, Unknown) and answer == CANCELLED))


def invalid_appends_are_refused(history: History) -> Iterator[str]:
    """An append without events, or with what no log takes, is refused."""
    for operation in history.operations:
        if isinstance(operation.call, Append) and isinstance(operation.answer, Placed) and not _valid(operation.call):
            yield f"{operation} was accepted"


def _valid(call: Append) -> bool:
    return bool(call.events) and all(
        event.type and event.version > 0 and not any("\n" in tag for tag in event.tags) for event in call.events
    )


def _same(stored: StoredEvent, asked: NewEvent) -> bool:
    kept = (stored.type, stored.version, stored.data, stored.metadata, stored.tags)
    return kept == (asked.type, asked.version, asked.data, asked.metadata, asked.tags)


def _shown(event: StoredEvent) -> str:
    return f"{event.type} {event.data[:60]!r}"

"""The rules of the history checker, on histories written by hand: what is right passes, what is wrong is told."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from leftfold.store import NewEvent, StoredEvent
from leftfold_torture import History, check
from leftfold_torture.appends import (
    accepted_conditions_held,
    clocks_are_doubted_only_when_they_leap,
    commit_order_is_position_order,
    conflicts_are_real,
    honest_requests_do_not_fail_for_hostile_ones,
    hostile_requests_are_refused_by_name,
    invalid_appends_are_refused,
    keys_are_answered_alike,
    no_event_is_dated_by_a_clock_that_leaps,
    nothing_is_acknowledged_without_a_sync,
    nothing_is_stored_that_nobody_asked_for,
    positions_are_gapless,
)
from leftfold_torture.commands import commands_are_carried_out_once, decisions_saw_everything_before_them
from leftfold_torture.evidence import NO_ANSWER, history_in
from leftfold_torture.readers import (
    every_call_is_answered,
    heads_are_true,
    lookups_tell_the_truth,
    reads_are_final,
    reads_see_what_was_acknowledged,
    subscriptions_deliver_each_event_once,
)
from leftfold_torture.record import (
    CANCELLED,
    COUNTED,
    COUNTED_TOGETHER,
    Absent,
    Answer,
    Append,
    Broken,
    Call,
    Condition,
    Delivered,
    Ended,
    Execute,
    Follow,
    Found,
    Harmed,
    Head,
    Hostile,
    Invoked,
    Journal,
    Lookup,
    Placed,
    Read,
    Record,
    Refused,
    Returned,
    Stood,
    Taken,
    Unknown,
    Wait,
    Wanted,
    content_of_events,
    write_log,
)

Rule = Callable[[History], Iterator[str]]
A, B, C = (NewEvent("opened", name.encode(), (f"entity:{name}",)) for name in "abc")
ABOUT_A = (Wanted((), ("entity:a",)),)
ALL = (Wanted(),)


def stored(*events: NewEvent) -> list[StoredEvent]:
    return [
        StoredEvent(position, 1_000 + position, event.type, event.version, event.data, event.metadata, event.tags)
        for position, event in enumerate(events, 1)
    ]


def dated(microseconds: int) -> list[StoredEvent]:
    return [StoredEvent(1, microseconds, A.type, A.version, A.data, A.metadata, A.tags)]


def called(number: int, call: Call, answer: Answer | None, begun: int, ended: int = 0) -> list[Record]:
    invoked = Invoked("c", number, begun, call)
    return [invoked] if answer is None else [invoked, Returned("c", number, ended, answer)]


def appended(number: int, event: NewEvent, answer: Answer | None, begun: int, ended: int = 0) -> list[Record]:
    return called(number, Append((event,)), answer, begun, ended)


def found(*events: StoredEvent, through: int) -> Found:
    return Found(tuple(event.position for event in events), content_of_events(events), through)


def counted(number: int, id: str) -> NewEvent:
    return NewEvent(COUNTED, f'{{"counter":"c","number":{number},"id":"{id}"}}'.encode(), ("counter:c",))


def counted_together(numbers: list[int], id: str) -> NewEvent:
    data = f'{{"counters":["c","d"],"numbers":{numbers},"id":"{id}"}}'.encode()
    return NewEvent(COUNTED_TOGETHER, data, ("counter:c", "counter:d"))


X, Y = Execute("c", "x"), Execute("c", "y")
TOGETHER = Execute("c", "x", others=("d",))
X_TOGETHER_THEN_Y = [*called(1, TOGETHER, Placed(1, 1), 10, 20), *called(2, Y, Placed(2, 2), 30, 40)]
X_THEN_Y = [*called(1, X, Placed(1, 1), 10, 20), *called(2, Y, Placed(2, 2), 30, 40)]
A_THEN_B = [*appended(1, A, Placed(1, 1), 10, 20), *appended(2, B, Placed(2, 2), 30, 40)]
LOG = stored(A, B)
ON_A = Append((B,), (Condition(ABOUT_A, 0),))
KEYED = Append((A,), (), "k")
OTHER = Append((B,), (), "k")

LONG_KEY = Hostile("a key that is too long", ("InvalidIdempotencyKey",))
ATTACKED = [Harmed("hostile-requests", 5, True), Harmed("hostile-requests", 100, False)]
LEAPT = [Harmed("leap-clock", 15, True), Harmed("leap-clock", 100, False)]

WRONG: dict[str, tuple[Rule, list[Record], list[StoredEvent]]] = {
    "a gap": (positions_are_gapless, [], stored(A, B)[1:]),
    "an earlier append behind a later one": (commit_order_is_position_order, A_THEN_B, stored(B, A)),
    "an excluded event before the append": (
        accepted_conditions_held,
        [*appended(1, A, Placed(1, 1), 10, 20), *called(2, ON_A, Placed(2, 2), 30, 40)],
        LOG,
    ),
    "the same with an unknown outcome": (
        accepted_conditions_held,
        [*appended(1, A, Placed(1, 1), 10, 20), *called(2, ON_A, None, 30)],
        LOG,
    ),
    "a conflict with what does not match": (
        conflicts_are_real,
        [*appended(1, C, Placed(1, 1), 10, 20), *called(2, ON_A, Refused("Conflict", (1,)), 30, 40)],
        stored(C),
    ),
    "a conflict with nothing": (conflicts_are_real, called(1, ON_A, Refused("Conflict"), 30, 40), []),
    "a key at two places": (
        keys_are_answered_alike,
        [*called(1, KEYED, Placed(1, 1), 10, 20), *called(2, KEYED, Placed(2, 2, True), 30, 40)],
        stored(A, A),
    ),
    "a key that is new twice": (
        keys_are_answered_alike,
        [*called(1, KEYED, Placed(1, 1), 10, 20), *called(2, KEYED, Placed(1, 1), 30, 40)],
        stored(A),
    ),
    "a duplicate of nothing": (keys_are_answered_alike, called(1, KEYED, Placed(1, 1, True), 10, 20), stored(A)),
    "a key reused by nobody": (keys_are_answered_alike, called(1, KEYED, Refused("KeyReused"), 10, 20), []),
    "half an append": (
        nothing_is_stored_that_nobody_asked_for,
        called(1, Append((A, B)), NO_ANSWER, 10, 20),
        stored(A),
    ),
    "an acknowledgement without a sync": (
        nothing_is_acknowledged_without_a_sync,
        [*appended(1, A, Placed(1, 1), 10, 20), Harmed("failing-disk", 5, True), Harmed("failing-disk", 30, False)],
        stored(A),
    ),
    "an event of nobody": (nothing_is_stored_that_nobody_asked_for, [], stored(A)),
    "an event whose append was refused": (
        nothing_is_stored_that_nobody_asked_for,
        appended(1, A, Refused("StoreBusy"), 10, 20),
        stored(A),
    ),
    "an invalid append": (invalid_appends_are_refused, called(1, Append(()), Placed(1, 0), 10, 20), []),
    "an event that came later below the head": (
        reads_are_final,
        [*A_THEN_B, *called(3, Read(ALL), found(LOG[1], through=2), 50, 60)],
        LOG,
    ),
    "a read that is behind": (
        reads_see_what_was_acknowledged,
        [*A_THEN_B, *called(3, Read(ALL), found(LOG[0], through=1), 50, 60)],
        LOG,
    ),
    "a read of other bytes": (
        reads_are_final,
        [*A_THEN_B, *called(3, Read(ALL), found(*stored(A, C), through=2), 50, 60)],
        LOG,
    ),
    "a key that is not found": (
        lookups_tell_the_truth,
        [*called(1, KEYED, Placed(1, 1), 10, 20), *called(2, Lookup("k"), Absent(), 30, 40)],
        stored(A),
    ),
    "a key that is found elsewhere": (
        lookups_tell_the_truth,
        [*called(1, KEYED, Placed(1, 1), 10, 20), *called(2, Lookup("k"), Placed(2, 2), 30, 40)],
        stored(A, B),
    ),
    "an event that was passed over": (
        subscriptions_deliver_each_event_once,
        [*A_THEN_B, *called(3, Follow(ALL, 0), None, 5), Delivered("c", 3, 50, (2,), content_of_events(LOG[1:]), 2)],
        LOG,
    ),
    "an event that came twice": (
        subscriptions_deliver_each_event_once,
        [
            *A_THEN_B,
            *called(3, Follow(ALL, 0), None, 5),
            Delivered("c", 3, 50, (1,), content_of_events(LOG[:1]), 1),
            Delivered("c", 3, 60, (1, 2), content_of_events(LOG), 2),
        ],
        LOG,
    ),
    "a checkpoint beyond the log": (
        subscriptions_deliver_each_event_once,
        [*called(3, Follow(ALL, 0), None, 5), Delivered("c", 3, 50, (), content_of_events([]), 7)],
        [],
    ),
    "a decision that had not seen the one before": (
        decisions_saw_everything_before_them,
        X_THEN_Y,
        stored(counted(1, "x"), counted(1, "y")),
    ),
    "a command that is carried out twice": (
        commands_are_carried_out_once,
        X_THEN_Y[:2],
        stored(counted(1, "x"), counted(2, "x")),
    ),
    "a command that is lost": (commands_are_carried_out_once, X_THEN_Y, stored(counted(1, "x"))),
    "a command that was refused": (
        commands_are_carried_out_once,
        called(1, X, Refused("TooManyConflicts"), 10, 20),
        stored(counted(1, "x")),
    ),
    "a decision on many that had not seen one of them": (
        decisions_saw_everything_before_them,
        X_TOGETHER_THEN_Y,
        stored(counted_together([1, 2], "x"), counted(2, "y")),
    ),
    "a decision that had not seen one on many": (
        decisions_saw_everything_before_them,
        X_TOGETHER_THEN_Y,
        stored(counted_together([1, 1], "x"), counted(1, "y")),
    ),
    "a decision on many that is there twice": (
        commands_are_carried_out_once,
        X_TOGETHER_THEN_Y,
        stored(counted_together([1, 1], "x"), counted_together([2, 2], "x"), counted(3, "y")),
    ),
    "a command of nobody": (commands_are_carried_out_once, [], stored(counted(1, "x"))),
    "an earlier command behind a later append": (
        commit_order_is_position_order,
        [*called(1, X, Placed(2, 2), 10, 20), *appended(2, A, Placed(1, 1), 30, 40)],
        stored(A, counted(1, "x")),
    ),
    "a head beyond the log": (heads_are_true, called(1, Head(), Stood(3), 10, 20), LOG),
    "a head that is behind what was acknowledged": (
        heads_are_true,
        [*A_THEN_B, *called(3, Head(), Stood(1), 50, 60)],
        LOG,
    ),
    "a wait that ends with a position that there is not": (
        heads_are_true,
        called(1, Wait(2, 1.0), Stood(999_999_999), 10, 20),
        LOG,
    ),
    "a wait that ends at once and in vain": (heads_are_true, called(1, Wait(2, 1.0), Stood(2), 10, 20), LOG),
    "a hostile request that is taken": (
        hostile_requests_are_refused_by_name,
        called(1, LONG_KEY, Taken("Appended(1, 1)"), 10, 20),
        [],
    ),
    "a hostile request that is refused for something else": (
        hostile_requests_are_refused_by_name,
        called(1, LONG_KEY, Refused("StoreFailed"), 10, 20),
        [],
    ),
    "an append that fails beside hostile requests": (
        honest_requests_do_not_fail_for_hostile_ones,
        [*appended(1, A, Refused("StoreFailed"), 10, 20), *ATTACKED],
        [],
    ),
    "a subscription that fails beside hostile requests": (
        honest_requests_do_not_fail_for_hostile_ones,
        [*called(1, Follow(ALL, 0), Refused("StoreFailed"), 1, 20), *ATTACKED],
        [],
    ),
    "a time after the end of the run": (no_event_is_dated_by_a_clock_that_leaps, [Ended(1)], dated(3_600_000_002)),
    "a clock that is doubted when it is right": (
        clocks_are_doubted_only_when_they_leap,
        [*appended(1, A, Refused("ClockJumped"), 10**11, 10**11), *LEAPT],
        [],
    ),
    "an error without a name": (every_call_is_answered, appended(1, A, Broken("KeyError('x')"), 10, 20), []),
}

RIGHT: dict[str, tuple[list[Record], list[StoredEvent]]] = {
    "two appends, one after the other": (A_THEN_B, LOG),
    "a command after one on many": (X_TOGETHER_THEN_Y, stored(counted_together([1, 1], "x"), counted(2, "y"))),
    "two commands, one after the other": (X_THEN_Y, stored(counted(1, "x"), counted(2, "y"))),
    "two appends at once, in either order": (
        [*appended(1, A, Placed(2, 2), 10, 40), *appended(2, B, Placed(1, 1), 20, 30)],
        stored(B, A),
    ),
    "an append of a killed client that is there": (appended(1, A, None, 10), stored(A)),
    "an append of a killed client that is not there": (appended(1, A, None, 10), []),
    "an unknown outcome, settled by its key": (
        [*called(1, KEYED, Unknown("the connection broke"), 10, 20), *called(2, KEYED, Placed(1, 1, True), 30, 40)],
        stored(A),
    ),
    "another payload for a key": (
        [*called(1, KEYED, Placed(1, 1), 10, 20), *called(2, OTHER, Refused("KeyReused"), 30, 40)],
        stored(A),
    ),
    "a condition that held": (
        [*called(1, ON_A, Placed(1, 1), 10, 20), *appended(2, A, Placed(2, 2), 30, 40)],
        stored(B, A),
    ),
    "an acknowledgement after syncs had failed": (
        [*appended(1, A, Placed(1, 1), 10, 40), Harmed("failing-disk", 5, True), Harmed("failing-disk", 30, False)],
        stored(A),
    ),
    "a conflict": (
        [*appended(1, A, Placed(1, 1), 10, 20), *called(2, ON_A, Refused("Conflict", (1,)), 30, 40)],
        stored(A),
    ),
    "heads and waits": (
        [
            *A_THEN_B,
            *called(3, Head(), Stood(1), 25, 60),
            *called(4, Wait(1, 1.0), Stood(2), 25, 60),
            *called(5, Wait(2, 1.0), Stood(2), 10, 10**9),
        ],
        LOG,
    ),
    "a hostile request that is refused by its name, and honest ones beside it": (
        [
            *A_THEN_B,
            *called(3, LONG_KEY, Refused("InvalidIdempotencyKey"), 10, 20),
            *called(4, ON_A, Refused("Conflict", (1,)), 30, 40),
            *called(5, Append((NewEvent("", b""),)), Refused("InvalidType"), 10, 20),
            *called(6, Append((C,)), CANCELLED, 10, 20),
            *ATTACKED,
        ],
        LOG,
    ),
    "a failure while nobody was hostile": ([*appended(1, A, Refused("StoreFailed"), 10, 110), *ATTACKED], []),
    "a clock that is doubted while it leaps": (
        [*appended(1, A, Refused("ClockJumped"), 10, 20), *LEAPT, Ended(1)],
        [],
    ),
    "reads from both ends": (
        [
            *A_THEN_B,
            *called(3, Read(ALL), found(*LOG, through=2), 50, 60),
            *called(4, Read(ALL, 0, 2, 1, True), found(LOG[1], through=2), 50, 60),
            *called(5, Read(ABOUT_A, 0, 2, None, True), found(LOG[0], through=0), 50, 60),
            *called(6, Read(ALL, 0, None, 1), found(LOG[0], through=1), 50, 60),
        ],
        LOG,
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told(name: str) -> None:
    rule, records, log = WRONG[name]

    assert list(rule(History(records, log)))


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_passes(name: str) -> None:
    records, log = RIGHT[name]

    assert check(History(records, log)) == []


def test_the_line_that_a_killed_client_was_writing_is_left_out(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "client.jsonl")
    for record in A_THEN_B:
        journal.write(record)
    journal.close()
    with (tmp_path / "client.jsonl").open("r+b") as file:
        file.truncate(file.seek(0, 2) - 5)
    write_log(tmp_path / "log.json", LOG)

    history = history_in(tmp_path)

    assert [operation.answer for operation in history.operations] == [Placed(1, 1), NO_ANSWER]
    assert history.log == LOG

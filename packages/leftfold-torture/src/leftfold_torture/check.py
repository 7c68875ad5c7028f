"""Whether a history keeps the store's promises: every rule, and what contradicts it."""

from collections.abc import Callable, Iterator
from itertools import islice

import msgspec

from leftfold_torture import appends, commands, readers
from leftfold_torture.evidence import History

Rule = Callable[[History], Iterator[str]]

RULES: tuple[Rule, ...] = (
    appends.positions_are_gapless,
    appends.time_never_decreases,
    appends.no_event_is_dated_by_a_clock_that_leaps,
    appends.clocks_are_doubted_only_when_they_leap,
    appends.nothing_acknowledged_is_lost,
    appends.nothing_is_acknowledged_without_a_sync,
    appends.nothing_is_stored_that_nobody_asked_for,
    appends.nothing_is_stored_twice,
    appends.commit_order_is_position_order,
    appends.accepted_conditions_held,
    appends.conflicts_are_real,
    appends.keys_are_answered_alike,
    appends.invalid_appends_are_refused,
    appends.hostile_requests_are_refused_by_name,
    appends.honest_requests_do_not_fail_for_hostile_ones,
    commands.decisions_saw_everything_before_them,
    commands.commands_are_carried_out_once,
    readers.reads_are_final,
    readers.reads_see_what_was_acknowledged,
    readers.heads_are_true,
    readers.lookups_tell_the_truth,
    readers.subscriptions_deliver_each_event_once,
    readers.subscriptions_deliver_everything,
    readers.every_call_is_answered,
)
SHOWN = 20


class Violation(msgspec.Struct, frozen=True):
    """A rule that does not hold, and what contradicts it."""

    rule: str
    found: str


def check(history: History) -> list[Violation]:
    """What contradicts the promises of a store; of each rule the first few."""
    return [Violation(name_of(rule), found) for rule in RULES for found in islice(rule(history), SHOWN)]


def name_of(rule: Rule) -> str:
    """A rule in words."""
    return getattr(rule, "__name__", repr(rule)).replace("_", " ")

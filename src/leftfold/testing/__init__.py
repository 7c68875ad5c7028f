"""Tools for tests of apps: given-when-then, laws of models, a clock that stands still.

Two more modules are imported by their own names, because they need pytest and Hypothesis (`leftfold[testing]`): the
store conformance suite, `leftfold.testing.conformance`, and the state machine, `leftfold.testing.state_machine`.
"""

from leftfold.testing.clock import FakeClock
from leftfold.testing.laws import (
    any_batch_size_gives_the_same_table,
    as_of_is_the_fold_of_exactly_so_many,
    check_laws,
    replay_equals_incremental,
    snapshot_and_tail_equal_replay,
)
from leftfold.testing.scenario import Answered, Decided, Given, given

__all__ = [
    "Answered",
    "Decided",
    "FakeClock",
    "Given",
    "any_batch_size_gives_the_same_table",
    "as_of_is_the_fold_of_exactly_so_many",
    "check_laws",
    "given",
    "replay_equals_incremental",
    "snapshot_and_tail_equal_replay",
]

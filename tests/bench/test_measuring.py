"""What the benchmark counts, how it judges targets, and that its bare loop writes what leftfold writes."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from bench.bank import Account, bank
from bench.figure import LEFTFOLD, PEER, Figure, Target
from bench.own_rows import EVENTS_PER_SEGMENT, opened_own_rows
from bench.rounds import rows_of
from bench.work import Work, together
from leftfold import ALL, Tag, criteria, open_store_sync

FIGURE = Figure("name", "title", "commands/s", lambda _: nullcontext({}), (Target(2, PEER), Target(300)), most_cpu=50)


def test_rows_of_the_bare_loop_are_a_sound_log_that_leftfold_goes_on_with(tmp_path: Path) -> None:
    path = tmp_path / "own.db"
    with opened_own_rows(path, ["a", "b"]) as own:
        for _ in range(3):
            own.commit_one()
        own.commit(EVENTS_PER_SEGMENT)
        own.commit_one()

    with open_store_sync(f"sqlite:///{path}") as store:
        assert store.head() == EVENTS_PER_SEGMENT + 4
        found = [event.tags for batch in store.read(criteria(tags=[Tag("account")("a")])) for event in batch.events]
        assert found == [("account:a",)] * (EVENTS_PER_SEGMENT // 2 + 2)
        assert sum(len(batch.events) for batch in store.read(ALL)) == EVENTS_PER_SEGMENT + 4
    with bank.open_sync(f"sqlite:///{path}") as live:
        assert all(verified.ok for verified in live.verify())
        assert live.state(Account, "b").balance == EVENTS_PER_SEGMENT // 2 + 2


@pytest.mark.parametrize(
    ("ours", "met"),
    [(Work(400, 1, 0.012), [True, True, True]), (Work(200, 1, 0.02), [False, False, False])],
)
def test_targets_are_judged_by_rate_by_cpu_time_and_by_ratio(ours: Work, met: list[bool]) -> None:
    rows = list(rows_of(FIGURE, {LEFTFOLD: [ours], PEER: [Work(200, 1, 0.1)]}))

    assert [row.met for row in rows] == met
    assert [row.wanted for row in rows] == ["≥ 300 commands/s", "≤ 50 µs of CPU", "≥ 2 ×"]


def test_work_is_counted_in_its_units_with_the_cpu_time_of_each() -> None:
    bulk = 1_000 * Work(2, 4.0, 0.5)

    assert (bulk.rate, bulk.cpu_each) == (500, 250)


def test_the_rates_of_processes_at_the_same_time_are_added() -> None:
    both = together([Work(100, 1.0, 0.2), Work(300, 2.0, 0.2)])

    assert (both.rate, both.cpu_each) == (pytest.approx(250), pytest.approx(1_000))

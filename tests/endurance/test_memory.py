"""Going through a log in each way, in small; and too much memory is noticed."""

import pytest

from bench.endurance.memory import BACKENDS, BOUND, WAYS, Load, Passage, problems_of, run


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_way_through_a_log_sees_all_of_it_in_little_memory(backend: str) -> None:
    load = Load(events=10_000, accounts=1_000)

    passages = list(run(load, [backend]))

    assert [passage.way for passage in passages] == list(WAYS)
    assert [problem for passage in passages for problem in problems_of(passage, load)] == []
    assert all(passage.megabytes > 10 for passage in passages)


def test_too_much_memory_and_missed_events_are_noticed() -> None:
    passage = Passage("sqlite", "read", 9_999, 1.0, BOUND + 0.0)

    assert problems_of(passage, Load(10_000, 1)) == [
        "sqlite read saw 9,999 of 10,000 events",
        "sqlite read had 300 MB, not under 300",
    ]

"""Appending after a crash, in small; and a loss is noticed."""

from bench.endurance.recovery import Load, Recovery, problems_of, run


def test_after_each_kind_of_crash_the_first_append_comes_behind_what_was_acknowledged() -> None:
    found = dict(run(Load(events=5_000, rounds=1, appends=50)))

    assert list(found) == ["SQLite, process killed", "PostgreSQL, client killed", "PostgreSQL, server stopped"]
    for crash, recoveries in found.items():
        assert problems_of(crash, recoveries) == []
        assert all(each.acknowledged >= 5_050 and each.total > 0 for each in recoveries)


def test_an_acknowledged_append_that_was_lost_is_noticed() -> None:
    lost = Recovery(0.0, 0.1, 0.1, 0.1, acknowledged=8, position=8)

    assert problems_of("a crash", [lost]) == ["a crash: position 8 was acknowledged, the next append came to 8"]

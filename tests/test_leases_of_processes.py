"""Processes on one log are paused past their leases, and killed: a small run of `python -m bench.endurance leases`."""

from pathlib import Path

from bench.endurance.leases import leases, run


async def test_nothing_is_done_twice_and_others_take_over(tmp_path: Path) -> None:
    report = await run(tmp_path, processes=3, rounds=2, lease=0.5)

    assert report.problems == []
    assert report.events >= 3 * report.commands / 2 > 0
    assert report.ledger > 0
    assert [takeover.kind for takeover in report.takeovers] == ["paused", "killed"]
    assert all(1 <= takeover.leases <= len(leases()) for takeover in report.takeovers)

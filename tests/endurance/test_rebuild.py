"""A rebuild by changed code while others append and query, in small."""

from pathlib import Path

from bench.endurance.rebuild import Load, run


async def test_a_rebuild_under_load_loses_nothing_and_fails_no_query(tmp_path: Path) -> None:
    outcome = await run(Load(events=5_000, accounts=200, rate=500, patience=600), tmp_path)

    assert outcome.problems == []
    assert outcome.rebuilt["swapped"]
    assert outcome.appended > 0
    assert outcome.queries["answered"] > 0

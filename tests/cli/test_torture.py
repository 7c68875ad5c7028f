"""`leftfold torture`: what it tells, and what it refuses."""

from tests.cli.conftest import Run


def test_a_run_tells_what_was_done_and_whether_every_rule_holds(run: Run) -> None:
    ended = run("torture", "memory:", "--seconds", "1", "--clients", "1", "--seed", "3", "--nemesis", "none", "--json")

    [report] = ended.objects
    assert ended.code == 0
    assert (report["seed"], report["violations"], report["faults"]) == (3, [], {})
    assert report["events"] > 0


def test_a_log_that_holds_events_is_refused(run: Run, log: str) -> None:
    ended = run("torture", log, "--seconds", "0.5")

    assert ended.code == 3
    assert "an empty log" in ended.err

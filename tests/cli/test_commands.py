"""`leftfold commands`: what waits and what failed; retry and cancel of submitted commands."""

from datetime import time, timedelta
from pathlib import Path

import pytest

from examples.bank import Deposit, bank
from leftfold import Daily
from tests.cli.conftest import BANK, Run


@pytest.fixture
def tickets(log: str) -> list[str]:
    """One command that waits to be handled, one that is scheduled."""
    with bank.open_sync(log, work=False) as live:
        return [
            live.submit(Deposit("a-1", 100)).id,
            live.submit(Deposit("a-1", 200), delay=timedelta(days=1)).id,
        ]


def test_commands_lists_what_is_not_done_with(run: Run, log: str, tickets: list[str]) -> None:
    ended = run("commands", *BANK, log)

    assert [line.split()[0] for line in ended.lines[2:4]] == tickets
    assert "Deposit" in ended.out


def test_commands_of_one_state_in_json(run: Run, log: str, tickets: list[str]) -> None:
    [scheduled] = run("commands", *BANK, log, "--state", "scheduled", "--json").objects

    assert (scheduled["ticket"], scheduled["data"]) == (tickets[1], {"account": "a-1", "amount": 200})


def test_a_command_is_cancelled_with_a_reason(run: Run, log: str, tickets: list[str]) -> None:
    ended = run("cancel", *BANK, log, "commands", tickets[1], "--reason", "not wanted")

    assert (ended.code, ended.out) == (0, f"commands {tickets[1]}: cancelled\n")
    [event] = run("events", log, "--type", "leftfold.command.cancelled", "--json").objects
    assert event["metadata"] == {"reason": "not wanted"}


def test_what_cannot_be_retried_is_told(run: Run, log: str, tickets: list[str]) -> None:
    ended = run("retry", *BANK, log, "commands", tickets[0])

    assert ended.code == 3
    assert "is pending" in ended.err


def test_one_command_is_shown_by_its_ticket(run: Run, log: str, tickets: list[str]) -> None:
    [shown] = run("commands", *BANK, log, tickets[0], "--json").objects

    assert (shown["ticket"], shown["state"]) == (tickets[0], "pending")
    assert run("commands", *BANK, log, tickets[0], "--state", "failed").code == 2


def test_no_log_is_made_by_a_wrong_url(run: Run, folder: Path) -> None:
    assert run("retry", *BANK, "sqlite:///gone.db", "commands", "x").code == 3
    assert list(folder.iterdir()) == []


def test_commands_tells_what_recurs_and_how_often(run: Run, log: str) -> None:
    with bank.open_sync(log, work=False) as live:
        live.submit(Deposit("a-1", 1), key="hourly", every=timedelta(hours=1))
        live.submit(Deposit("a-1", 1), key="nightly", every=Daily(time(3), zone="Europe/Vienna"))

    ended = run("commands", *BANK, log)

    assert "1:00:00" in ended.out
    assert "day at 03:00 Europe/Vienna" in " ".join(ended.out.split())
    recurrences = [row["recurrence"]["every"] for row in run("commands", *BANK, log, "--json").objects]
    assert recurrences == ["PT3600S", {"at": "03:00:00", "zone": "Europe/Vienna"}]


def test_a_listing_says_the_state_that_was_asked_for_and_leaves_cells_without_a_value_empty(
    run: Run, log: str, tickets: list[str]
) -> None:
    ended = run("commands", *BANK, log, "--state", "scheduled")

    assert ended.lines[2].split()[:2] == [tickets[1], "scheduled"]
    assert "null" not in ended.out
    [scheduled] = run("commands", *BANK, log, "--state", "scheduled", "--json").objects
    assert scheduled["state"] == "scheduled"


def test_events_can_leave_out_what_leftfold_appends(run: Run, log: str, tickets: list[str]) -> None:
    everything = run("events", log, "--json").objects
    shown = run("events", log, "--json", "--hide-system").objects

    assert (
        len([each for each in everything if each["type"].startswith("leftfold.")]) == len(everything) - len(shown) > 0
    )
    assert run("events", log, "--json", "--hide-system", "--reverse", "--limit", "1").objects == shown[-1:]


def test_a_state_without_events_says_so_and_ends_with_1(run: Run, log: str) -> None:
    for name in ("Account", "Balance"):
        ended = run("state", *BANK, log, name, "nope")
        assert (ended.code, ended.out) == (1, "")
        assert ended.err.startswith(f"{name} nope has no events up to position")
        assert run("state", *BANK, log, name, "nope", "--json").objects == [None]

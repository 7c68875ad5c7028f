"""`leftfold verify`: sound logs, and what is found in logs that were damaged by hand."""

import sqlite3
from pathlib import Path

import pytest

from examples.bank import Account, Deposit, Open, bank
from leftfold.command.states import LONG_HISTORY
from tests.cli.conftest import BANK, Run

GUARDS = ("DROP TRIGGER event_is_never_updated", "DROP TRIGGER event_is_never_deleted")


def damage(folder: Path, *commands: str, guards: bool = True) -> None:
    """Change the file behind leftfold's back; the guards are put back, so that only the damage is to be seen."""
    connection = sqlite3.connect(folder / "bank.db", isolation_level=None)
    made = connection.execute("SELECT sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
    for command in (*GUARDS, *commands):
        connection.execute(command)
    for (guard,) in made if guards else ():
        connection.execute(guard)
    connection.close()


def test_a_sound_log_is_said_to_be_sound(run: Run, log: str) -> None:
    ended = run("verify", log)

    assert ended.code == 0
    assert ended.lines == [
        "✓ what is stored is undamaged, its indexes fit the events",
        "✓ 6 events, positions without gaps, times in order",
        "sound",
    ]


def test_with_an_app_every_event_is_read(run: Run, log: str, strange_log: str) -> None:
    assert "every event can be read" in run("verify", *BANK, log).out


def test_types_that_the_app_does_not_know_are_found(run: Run, strange_log: str) -> None:
    ended = run("verify", *BANK, strange_log)

    assert ended.code == 1
    assert "the app does not know events of type 'raw', and does not ignore them: 3 in all" in ended.out


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("DELETE FROM event WHERE position = 3", "position 4: follows position 2"),
        ("DELETE FROM event WHERE position = 1", "position 2: follows position 0"),
        ("UPDATE event SET time = 1 WHERE position = 4", "position 4: has time 1970-01-01T00:00:00.000001+00:00"),
        ("UPDATE event SET tags = 'account:c-3' WHERE position = 2", "has 'account:b-2' at 2, the event there has not"),
        ("DELETE FROM segment_tag WHERE position = 5", "does not have the tags of the event at 5"),
        ("INSERT INTO segment_tag VALUES (1, 'x:1', 99, 1)", "has 'x:1' at 99, the event there has not"),
        ("UPDATE segment_tag SET segment = 7 WHERE position = 5", "has tags of a segment 7 that it does not know"),
        ("UPDATE segment SET first = 2", "has a segment from 2 to 9223372036854775807 that does not follow the one"),
        ("UPDATE segment SET last = 5", "has no segment for new events"),
        ("UPDATE event SET type = 77 WHERE position = 2", "event at 2 has a type that the log does not name"),
        ("UPDATE idempotency_key SET last_position = 70 WHERE first_position = 6", "names positions 6 to 70"),
        ("DROP INDEX event_type", "the index event_type is missing"),
    ],
)
def test_damage_is_found(run: Run, log: str, folder: Path, command: str, problem: str) -> None:
    damage(folder, command)

    ended = run("verify", log)

    assert ended.code == 1
    assert problem in ended.out
    assert "problem" in ended.lines[-1]


def test_a_missing_guard_is_found(run: Run, log: str, folder: Path) -> None:
    damage(folder, guards=False)

    ended = run("verify", log)

    assert ended.code == 1
    assert "the trigger event_is_never_deleted is missing" in ended.out
    assert ended.lines[-1] == "2 problems"


def test_data_that_cannot_be_read_is_found_with_the_app(run: Run, log: str, folder: Path) -> None:
    damage(folder, """UPDATE event SET data = '{"account": 7}' WHERE position = 1""")

    assert run("verify", log).code == 0
    ended = run("verify", *BANK, log)
    assert ended.code == 1
    assert "position 1: account.opened v1 at position 1 cannot be read" in ended.out


def test_noise_in_the_file_is_found_by_sqlite_s_own_check(run: Run, log: str, folder: Path) -> None:
    connection = sqlite3.connect(folder / "bank.db")
    (page,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'event_type'").fetchone()
    connection.close()
    with (folder / "bank.db").open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xa5" * 4096)

    ended = run("verify", log)

    assert ended.code == 1
    assert ended.lines[0].startswith("✗ log: SQLite's integrity check: ")
    assert ended.lines[1] == "✓ 6 events, positions without gaps, times in order"


def test_findings_in_json(run: Run, log: str, folder: Path) -> None:
    assert run("verify", log, "--json").objects[0]["sound"] is True
    damage(folder, "DELETE FROM event WHERE position = 6")

    ended = run("verify", log, "--json")

    assert ended.code == 1
    [said] = ended.objects
    assert said["sound"] is False
    assert any("names positions 6 to 6" in problem for check in said["checks"] for problem in check["problems"])


def test_a_snapshot_that_the_events_do_not_make_is_found(run: Run, folder: Path) -> None:
    with bank.open_sync("sqlite:///bank.db") as live:
        live.execute(Open("a-1", "Ann"))
        live.execute_many([Deposit("a-1", 1)] * LONG_HISTORY)
        live.state(Account, "a-1")
    sound = run("verify", *BANK, "--snapshots", "sqlite:///bank.db")
    connection = sqlite3.connect(folder / "bank.snapshots.db", isolation_level=None)
    connection.execute("UPDATE snapshot SET state = json_set(state, '$.balance', 7)")
    connection.close()

    ended = run("verify", *BANK, "--snapshots", "sqlite:///bank.db")

    assert (sound.code, ended.code) == (0, 1)
    assert "1 snapshot as the events make them" in sound.out
    assert "snapshots: position 1001: the snapshot of Account('a-1',) is" in ended.out


def test_snapshots_are_those_of_an_app(run: Run, log: str) -> None:
    ended = run("verify", log, "--snapshots")

    assert ended.code == 2
    assert "--snapshots needs --app" in ended.err

"""`leftfold verify`: sound logs, and what is found in logs that were damaged by hand."""

import asyncio
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from examples.bank import Account, Deposit, Open, bank
from leftfold import NewEvent, open_store
from leftfold.command.states import LONG_HISTORY
from leftfold.testing import FakeClock
from tests.cli.conftest import BANK, Run

CHANGED_TRIGGER = "CREATE TRIGGER event_is_never_touched AFTER INSERT ON event BEGIN SELECT 1; END"


def damage(folder: Path, *commands: str, guards: bool = True) -> None:
    """Change the file behind leftfold's back; the guards are put back, so that only the damage is to be seen."""
    connection = sqlite3.connect(folder / "bank.db", isolation_level=None)
    made = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
    for name, _ in made:
        connection.execute(f"DROP TRIGGER {name}")
    for command in commands:
        connection.execute(command)
    for _, guard in made if guards else ():
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


async def log_of_a_wrong_clock() -> None:
    clock = FakeClock(datetime(2026, 6, 1, tzinfo=UTC))
    async with open_store("sqlite:///bank.db", clock=clock) as store:
        await store.append([NewEvent("noted", b"")])
        clock.set(datetime(2098, 1, 1, tzinfo=UTC))
        await store.append([NewEvent("noted", b"")])
        await store.append([NewEvent("noted", b"")])


def test_times_ahead_of_the_clock_are_found_and_repaired_by_a_copy(run: Run, folder: Path) -> None:
    asyncio.run(log_of_a_wrong_clock())

    found = run("verify", "sqlite:///bank.db")
    copied = run("copy", "sqlite:///bank.db", "sqlite:///repaired.db", "--latest", "2026-06-02T00:00:00Z")

    assert found.code == 1
    assert "position 2: its time is more than an hour ahead of the clock; see copy --latest: 2 in all" in found.out
    assert copied.code == 0
    assert "later times are now 2026-06-02T00:00:00+00:00" in copied.out
    assert run("verify", "sqlite:///repaired.db").code == 0


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
        (
            "UPDATE event SET tags = 'account:c-3' WHERE position = 2",
            "has 'account:b-2' at 2, but the event there does not have it",
        ),
        ("DELETE FROM segment_tag WHERE position = 5", "does not have the tags of the event at 5"),
        ("INSERT INTO segment_tag VALUES (1, 'x:1', 99, 1)", "has 'x:1' at 99, but the event there does not have it"),
        ("UPDATE segment_tag SET segment = 7 WHERE position = 5", "has tags of a segment 7 that it does not know"),
        ("UPDATE segment SET first = 2", "has a segment from 2 to 9223372036854775807 that does not follow the one"),
        ("UPDATE segment SET last = 5", "has no segment for new events"),
        ("UPDATE event SET type = 77 WHERE position = 2", "event at 2 has a type that the log does not name"),
        ("UPDATE idempotency_key SET last_position = 70 WHERE first_position = 6", "names positions 6 to 70"),
        ("DROP INDEX event_type", "the index event_type is missing"),
        (CHANGED_TRIGGER, "the trigger event_is_never_touched does not belong to leftfold"),
        (
            "UPDATE segment_tag SET tag = 'account:b-3' WHERE position = 2",
            "has 'account:b-3' at 2, but the event there",
        ),
        (
            "UPDATE segment_tag SET type = type + 1 WHERE position = 2",
            "has 'account:b-2' at 2, but the event there does not have it",
        ),
        ("UPDATE segment_tag SET tag = CAST(x'ff' AS TEXT) WHERE position = 2", r"has '\\xff' at 2, but the event"),
        ("UPDATE event SET tags = CAST(x'61ff' AS TEXT) WHERE position = 2", "at 2 has tags that are not UTF-8"),
        ("UPDATE type SET name = CAST(x'61ff' AS TEXT) WHERE id = 1", r"the name of the type 'a\\xff' is not UTF-8"),
        (
            "UPDATE idempotency_key SET key = CAST(x'61ff' AS TEXT) WHERE first_position = 6",
            r"the idempotency key 'a\\xff' is not UTF-8",
        ),
        ("UPDATE event SET data = 7 WHERE position = 2", "at 2 has data or metadata that are neither text nor bytes"),
        ("UPDATE event SET metadata = 1.5 WHERE position = 2", "at 2 has data or metadata that are neither text nor"),
        ("UPDATE event SET time = 9223372036854775807 WHERE position = 2", "position 3: has time 20"),
        ("UPDATE event SET time = -9223372036854775808 WHERE position = 2", "position 2: has time 0001-01-01"),
        ("UPDATE event SET position = -2 WHERE position = 2", "there is an event at -2, before the first position"),
        ("INSERT INTO log SELECT * FROM log", "the log has 2 identities"),
        ("UPDATE event SET version = 0 WHERE position = 2", "the event at 2 has version 0, which no event can have"),
        ("INSERT INTO segment_merge VALUES (9, 3, 5, 1)", "has a merge 9 from 3 to 5, where there are no segments"),
        ("UPDATE idempotency_key SET digest = x'00'", "has a digest of 1 byte(s), too few to tell one payload from"),
        (
            "INSERT INTO idempotency_key VALUES ('x', 1, 6, x'')",
            "the idempotency key 'x' names positions 1 to 6, some of which the key",
        ),
    ],
)
def test_damage_is_found(run: Run, log: str, folder: Path, command: str, problem: str) -> None:
    damage(folder, command)

    ended = run("verify", log)

    assert ended.code == 1
    assert problem in ended.out
    assert "problem" in ended.lines[-1]


@pytest.mark.parametrize("command", ["info", "events"])
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE event SET tags = CAST(x'61ff' AS TEXT) WHERE position = 2",
        "UPDATE type SET name = CAST(x'61ff' AS TEXT) WHERE id = 1",
        "UPDATE event SET data = 7 WHERE position = 2",
        "UPDATE event SET time = 9223372036854775807 WHERE position = 6",
        "UPDATE log SET created = 9223372036854775807",
    ],
)
def test_other_commands_name_what_is_damaged(run: Run, log: str, folder: Path, command: str, change: str) -> None:
    damage(folder, change)

    ended = run(command, log)  # any other error than leftfold's would be raised here

    assert ended.code == 0 or "damaged" in ended.err or "file" in ended.err


REPLACEMENTS = (
    "INSERT OR REPLACE INTO event SELECT position, time, type, version, tags, 'x', metadata FROM event",
    "REPLACE INTO event SELECT * FROM event",
    "INSERT OR REPLACE INTO type SELECT id, 'x' FROM type",
    "INSERT OR REPLACE INTO type SELECT id + 9, name FROM type",
    "UPDATE OR REPLACE type SET name = 'x'",
    "DELETE FROM type",
    "INSERT OR REPLACE INTO idempotency_key SELECT key, 1, 1, digest FROM idempotency_key",
    "UPDATE idempotency_key SET digest = x'00'",
    "DELETE FROM idempotency_key",
    "UPDATE OR REPLACE event SET position = 2 WHERE position = 1",
    "INSERT OR REPLACE INTO log SELECT * FROM log",
    "UPDATE log SET id = 'x'",
    "DELETE FROM log",
)


@pytest.mark.parametrize("command", REPLACEMENTS)
def test_another_program_cannot_replace_what_was_written(log: str, folder: Path, command: str) -> None:
    connection = sqlite3.connect(folder / "bank.db", isolation_level=None)

    with pytest.raises(sqlite3.IntegrityError, match=r"never|one identity"):
        connection.execute(command)

    connection.close()


def test_a_guard_and_an_index_that_were_made_otherwise_are_found(run: Run, log: str, folder: Path) -> None:
    toothless = "CREATE TRIGGER event_is_never_deleted BEFORE DELETE ON event BEGIN SELECT 1; END"
    changed = (
        "DROP INDEX event_type",
        "CREATE INDEX event_type ON event (version)",
        "DROP TRIGGER event_is_never_deleted",
    )
    connection = sqlite3.connect(folder / "bank.db", isolation_level=None)
    for command in (*changed, toothless):
        connection.execute(command)
    connection.close()

    ended = run("verify", log)

    assert "the index event_type is not as leftfold makes it" in ended.out
    assert "the trigger event_is_never_deleted is not as leftfold makes it" in ended.out


def test_a_missing_guard_is_found(run: Run, log: str, folder: Path) -> None:
    damage(folder, guards=False)

    ended = run("verify", log)

    assert ended.code == 1
    assert "the trigger event_is_never_deleted is missing" in ended.out
    assert ended.lines[-1] == "12 problems"


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
    assert "1 snapshot as computed from the events" in sound.out
    assert "snapshots: position 1001: the snapshot of Account('a-1',) is" in ended.out


def test_snapshots_are_those_of_an_app(run: Run, log: str) -> None:
    ended = run("verify", log, "--snapshots")

    assert ended.code == 2
    assert "--snapshots needs --app" in ended.err

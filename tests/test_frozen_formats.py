"""What this code has stored stays usable: a log with everything in it, its tables, snapshots and leases.

`tests/formats/depot.*.sql` are opened as they are, in SQLite and in PostgreSQL. Only the public surface, SQL and the
command line are used, so that the code may be arranged in another way.
"""

import json
import logging
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count as counting
from pathlib import Path
from time import sleep
from typing import Any, Protocol

import psycopg
import pytest

from leftfold import Rejected, StoredEvent, SyncLive, open_store_sync
from leftfold.errors import AlreadyEnded, KeyReused, TicketCancelled, TicketFailed
from leftfold.testing import FakeClock
from leftfold_torture.postgres_server import PostgresServer
from tests.commands_forked import ForkedCommands
from tests.formats.depot import (
    BACKOFF,
    BATCH,
    BROKEN,
    FROZEN,
    Account,
    Accounts,
    Book,
    Booked,
    Count,
    Counted,
    Customer,
    Deliver,
    Farewell,
    Lines,
    Parcel,
    Shelf,
    Shelves,
    Size,
    Stops,
    Transport,
    Weight,
    Weights,
    bells_rung,
    depot,
    letters_sent,
)
from tests.patience import PATIENCE

FORMATS = Path(__file__).parent / "formats"
ROOT = Path(__file__).parent.parent
FILES = {"log": "depot.db", "models": "depot.models.db", "snapshots": "depot.snapshots.db", "leases": "depot.leases.db"}
STATES = ("pending", "scheduled", "handled", "rejected", "failed", "cancelled")
HEAD = 136
BAD, WORSE, LATE = "bad scales letters van", "worse scales letters transport", "bad letters late"
OPEN, RECURRING = "9d50a2335dae2173ee04117182c80e44", "a6835ef51a3c7286a74f2d5211ad1fb6"
HANDLED, REJECTED = "c56f5e0286c85cd7c572f343f234d398", "998092253def4a38a12b2b8f30b17d0b"
FAILED, CANCELLED = "5387f61376c448ae87321cc007b37e14", "4b4d8474a3ea484dbbd0334684e55160"
FAILED_SEND, SCHEDULED = "eb3ccaee209a309672bf49f4b6d42a46", "320094ead7a94ded97491e2370c6a5b8"
POSTPONED = "6822a6b247354f1ca7a1149075139237"
SIX = FROZEN + timedelta(hours=1)
NOON = FROZEN + timedelta(hours=7)
THREE_IN_VIENNA = datetime(2025, 3, 1, 2, tzinfo=UTC)
LATER = datetime(2025, 3, 5, tzinfo=UTC)
numbers = counting(1)
Row = tuple[Any, ...]


class Place(Protocol):
    """Where the stored things are: a log with what lies beside it."""

    url: str
    events: str
    """SQL for the columns of all events, as they are stored."""

    def run(self, part: str, *statements: str) -> list[Row]:
        """Run statements on the log, the models, the snapshots or the leases; the rows of the last one."""
        ...


class Folder:
    """SQLite files."""

    events = """
        SELECT position, time, name, version, CAST(data AS BLOB), CAST(metadata AS BLOB), tags
        FROM event JOIN type ON type.id = event.type ORDER BY position"""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"sqlite:///{path}/depot.db"
        for part, file in FILES.items():
            with closing(sqlite3.connect(path / file)) as connection:
                connection.executescript((FORMATS / f"depot.{part}.sql").read_text())

    def run(self, part: str, *statements: str) -> list[Row]:
        with closing(sqlite3.connect(self.path / FILES[part])) as connection, connection:
            return [connection.execute(statement) for statement in statements][-1].fetchall()


class Database:
    """A database with two schemas, that of the log and that of the models."""

    events = """
        SELECT position, time, name, version, data, metadata, tags
        FROM event JOIN type ON type.id = event.type ORDER BY position"""

    def __init__(self, server: PostgresServer) -> None:
        name = f"frozen_{next(numbers)}"
        server.create(name)
        self.database = server.url(name)
        self.url = server.url(name, log="depot")
        with psycopg.connect(self.database, autocommit=True) as connection:
            connection.execute((FORMATS / "depot.postgres.sql").read_bytes())

    def run(self, part: str, *statements: str) -> list[Row]:
        schema = "depot_models" if part == "models" else "depot"
        with psycopg.connect(self.database) as connection:
            for statement in (f"SET search_path TO {schema}", *statements):
                cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []


@pytest.fixture(params=["sqlite", "postgres"])
def frozen(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Everything as it was stored; the workers that died still have their leases."""
    return Folder(tmp_path) if request.param == "sqlite" else Database(request.getfixturevalue("postgres"))


@pytest.fixture
def place(frozen: Place) -> Place:
    """The same without the leases of dead workers, for which others wait."""
    frozen.run("leases", "DELETE FROM lease WHERE holder LIKE '%@depot-1 %'")
    frozen.run("models", "DELETE FROM leftfold_lease")
    return frozen


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(FROZEN)


@pytest.fixture(autouse=True)
def outside() -> Iterator[None]:
    """Nothing was sent or rung yet, and what was broken is."""
    letters_sent.clear()
    bells_rung.clear()
    yield
    BROKEN.update(("bad", "worse"))


def opened(place: Place, clock: FakeClock, **options: Any) -> SyncLive:
    return depot.open_sync(place.url, **{"clock": clock, "backoff": BACKOFF, "work": ("projections",), **options})


def until_parked(live: SyncLive, count: int) -> list[Any]:
    """What is parked, once so much is."""
    while len(live.parked()) < count:
        sleep(0.01)
    return live.parked()


def events(place: Place, *types: str) -> list[StoredEvent]:
    with open_store_sync(place.url) as store:
        return [event for batch in store.read() for event in batch.events if not types or event.type in types]


def counted(place: Place) -> list[tuple[str, datetime]]:
    """What was counted after the files were made, and when."""
    return [
        (json.loads(event.data)["name"], event.time)
        for event in events(place, "depot.counted")
        if event.position > HEAD
    ]


# --- the log


def test_every_event_is_read_back_byte_for_byte(place: Place, clock: FakeClock) -> None:
    stored = place.run("log", place.events)
    with opened(place, clock, work=False):
        pass  # an app that works on the log has opened it

    found = [
        (each.position, each.microseconds, each.type, each.version, each.data, each.metadata, "\n".join(each.tags))
        for each in events(place)
    ]

    assert len(stored) == HEAD
    assert found == [(*row[:4], bytes(row[4]), bytes(row[5]), row[6]) for row in stored]
    assert found[4][4:] == (b"\xff\x00\x01", b"\xfe", "zoll:Köln")


def test_events_of_older_versions_and_names_and_with_metadata_are_understood(place: Place, clock: FakeClock) -> None:
    with opened(place, clock) as live:
        [imported, *_] = live.explain(Shelf, "imported")
        [booked, dispatched, _] = live.explain(Parcel, "v1")
        [by_phone, *_] = live.explain(Parcel, "p1")

    assert imported.time == datetime(2024, 12, 31, tzinfo=UTC)
    assert (booked.event, booked.actor) == (Booked("v1", "ann", 3_000), "former")
    assert dispatched.after.sent == datetime(2025, 2, 26, 12, tzinfo=UTC)
    said = by_phone.metadata
    assert (said.actor, said.reason, said.correlation, said.extra) == ("eve", "by phone", "call-7", {"tenant": "north"})


def test_keys_are_still_recognised(place: Place, clock: FakeClock) -> None:
    with opened(place, clock, work=False) as live:
        executed = live.execute(Book("imported", "ann", 900), key="book imported")
        together = live.execute_many(BATCH, key="batch")
        submitted = live.submit(Count("once"), key="count once")
        recurring = live.submit(
            Count("hourly"), key="hourly", every=timedelta(hours=6), at=datetime(2025, 2, 27, 18, tzinfo=UTC)
        )
        with pytest.raises(KeyReused):
            live.execute(Deliver("p2"), key="deliver p1")

        assert (executed.position, executed.events, executed.duplicate) == (2, (Booked("imported", "ann", 900),), True)
        assert (together.position, together.outcomes, together.duplicate) == (12, (), True)
        assert (submitted.id, recurring.id) == (HANDLED, RECURRING)
    assert len(events(place)) == HEAD


def test_the_log_is_sound_and_so_are_the_snapshots(place: Place, forked: ForkedCommands) -> None:
    found = json.loads(leftfold(forked, "verify", place.url, "--snapshots", "--json"))

    assert found["sound"]
    assert [each["problems"] for each in found["checks"]] == [[], [], []]


def leftfold(forked: ForkedCommands, command: str, *arguments: str) -> str:
    """What the command line says of the log; it must be fine."""
    code, said = forked.run([command, *arguments, "--app", "tests.formats.depot:depot"])
    assert code == 0, said
    return said


# --- submitted commands


def test_each_submitted_command_is_in_its_state_and_has_its_outcome(place: Place, clock: FakeClock) -> None:
    with opened(place, clock, work=False) as live:
        states = Counter({state: len(live.commands(state)) for state in STATES})
        assert states == {"pending": 1, "scheduled": 10, "handled": 14, "rejected": 1, "failed": 2, "cancelled": 4}

        assert live.ticket(OPEN).state().state == "open"
        postponed = live.ticket(POSTPONED).state()
        assert (postponed.state, postponed.attempts) == ("open", 1)
        assert postponed.error == "ValueError: bad count late does not go through the count"
        handled = live.ticket(HANDLED).result()
        assert (handled.position, handled.events, handled.command_id) == (85, (Counted("once"),), HANDLED)
        with pytest.raises(Rejected) as rejected:
            live.ticket(REJECTED).result()
        assert (rejected.value.reason, rejected.value.details) == ("not sent", {"parcel": "nowhere", "since": None})
        with pytest.raises(TicketFailed, match="bad count does not go through the count"):
            live.ticket(FAILED).result()
        assert "ValueError: bad count" in (live.ticket(FAILED).state().traceback or "")
        with pytest.raises(TicketCancelled):
            live.ticket(CANCELLED).result()
        assert live.ticket(SCHEDULED).state().due == LATER


def test_what_is_due_is_handled_once_and_recurs(place: Place, clock: FakeClock) -> None:
    with opened(place, clock) as live:
        live.run_until_quiet()
        for moment in (SIX, NOON, THREE_IN_VIENNA, LATER):
            clock.set(moment)
            live.run_until_quiet()
            live.run_until_quiet()
        with pytest.raises(AlreadyEnded):
            live.ticket(OPEN).cancel()
        live.ticket(RECURRING).cancel()
        scheduled = [each.data["name"] for each in live.commands("scheduled") if each.command == "depot.count"]

    assert Counter(counted(place)) == Counter(
        [
            ("open", FROZEN),
            *(("hourly", moment) for moment in (SIX, NOON, THREE_IN_VIENNA, LATER)),
            *(("daily", moment) for moment in (THREE_IN_VIENNA, LATER)),
            ("later", LATER),
        ]
    )
    assert scheduled == ["daily"]


def test_commands_that_failed_or_were_postponed_can_be_retried_and_cancelled(place: Place, clock: FakeClock) -> None:
    with opened(place, clock) as live:
        BROKEN.clear()
        live.ticket(FAILED).retry()
        live.ticket(POSTPONED).retry()
        live.ticket(FAILED_SEND).cancel()
        live.run_until_quiet()

        assert live.ticket(FAILED).result().events == (Counted("bad count"),)
        assert live.ticket(FAILED_SEND).state().state == "cancelled"
    assert sorted(name for name, _ in counted(place)) == ["bad count", "bad count late", "open"]


# --- processes


def test_processes_go_on_from_where_they_were_and_answer_nothing_twice(place: Place, clock: FakeClock) -> None:
    reacted = "leftfold.process.reacted"
    with opened(place, clock) as live:
        before = {each.instance: each for each in live.processes()}
        live.run_until_quiet()
        answered = [json.loads(each.data) for each in events(place, reacted) if each.position > HEAD]
        clock.set(NOON)
        live.run_until_quiet()
        p2 = live.process(Transport, "p2")
        last = live.process(Transport, "last")
        p1 = live.process(Transport, "p1")
        live.execute(Deliver("p2"))
        live.run_until_quiet()
        [p2_ended, farewell] = live.process(Transport, "p2"), live.process(Farewell, "p2")

    assert [(each["instance"], each["position"]) for each in answered] == [("depot.transport/last", 135)]
    assert {name.partition("/")[2]: each.standing for name, each in before.items() if "transport/" in name} == {
        **dict.fromkeys(("imported", "v1", "p2", BAD, WORSE, LATE), "running"),
        **dict.fromkeys(("p1", "bad stops"), "done"),
        "cancelled": "cancelled",
        "bad transport": "parked",
    }
    assert (p2.state.reminders, len(p2.progress.tickets), len(last.progress.tickets)) == (1, 3, 2)
    assert (p1.progress.standing, p1.progress.reacted) == ("done", 72)
    assert (p2_ended.progress.standing, len(farewell.progress.tickets)) == ("done", 1)
    every = [(each["instance"], each["position"]) for each in map(json.loads, data_of(place, reacted))]
    assert len(set(every)) == len(every)


def data_of(place: Place, kind: str) -> Sequence[bytes]:
    return [each.data for each in events(place, kind)]


def test_a_parked_instance_goes_on_when_it_is_retried(place: Place, clock: FakeClock) -> None:
    with opened(place, clock) as live:
        parked = live.process(Transport, "bad transport").progress
        assert (parked.parked, parked.error, parked.retries) == (
            11,
            "ValueError: bad transport does not go through the transport",
            1,
        )
        assert "in react" in (parked.traceback or "")
        BROKEN.clear()
        live.retry(Transport, "bad transport")
        live.run_until_quiet()

        now = live.process(Transport, "bad transport").progress
        assert (now.standing, now.reacted, len(now.tickets)) == ("running", 11, 2)
        assert live.state(Parcel, "bad transport").sent == FROZEN


def test_an_instance_can_be_skipped_and_cancelled(place: Place, clock: FakeClock) -> None:
    with opened(place, clock) as live:
        assert live.process(Transport, WORSE).progress.skipped == {10}
        live.skip(Transport, "bad transport", reason="is lost")
        live.cancel(Transport, "p2", reason="is lost")
        with pytest.raises(AlreadyEnded):
            live.cancel(Transport, "cancelled", reason="again")
        clock.set(NOON)
        live.run_until_quiet()

        assert live.process(Transport, "bad transport").progress.skipped == {11}
        assert live.process(Transport, "p2").state.reminders == 0
    assert [each.tags for each in events(place, "depot.reminded") if "parcel:p2" in each.tags] == []


# --- reactors


def test_reactors_do_not_repeat_what_they_have_done(place: Place, clock: FakeClock) -> None:
    with opened(place, clock) as live:
        live.run_until_quiet()
        assert (letters_sent, bells_rung) == (["letters/135"], [])

        clock.set(datetime(2025, 3, 1, 5, tzinfo=UTC))
        BROKEN.clear()
        live.execute(Deliver("p2"))
        live.run_until_quiet()

        delivered = events(place, "depot.delivered")[-1].position
        assert (letters_sent, bells_rung) == (["letters/135", "letters/120"], [f"bells/{delivered}"])


def test_events_that_reactors_parked_or_postponed_are_listed_and_can_be_retried_and_skipped(
    place: Place, clock: FakeClock
) -> None:
    with opened(place, clock) as live:
        letters, bells = sorted(live.reactors(), key=lambda each: each.name, reverse=True)
        [parked], [waiting] = letters.parked, letters.waiting
        assert (bells.name, bells.position, bells.outstanding) == ("bells", 73, ())
        assert (parked.position, parked.attempts, waiting.position, waiting.attempts) == (9, 2, 120, 1)
        assert parked.error == f"ValueError: {BAD} does not go through the letters"
        assert "in send_letter" in (parked.traceback or "")

        BROKEN.clear()
        live.skip("reactor letters", 120, reason="moved away")
        assert live.retry("reactor letters") == []
        live.run_until_quiet()

        assert sorted(letters_sent) == ["letters/135", "letters/9"]
        assert [each.outstanding for each in live.reactors()] == [(), ()]


# --- decision models


def test_states_are_taken_from_the_snapshots(place: Place, clock: FakeClock) -> None:
    at = place.run("snapshots", "SELECT position FROM snapshot WHERE key = '[\"ann\"]'")
    with opened(place, clock, work=False) as live:
        sound = live.verify(snapshots=True)
        state = live.state(Customer, "ann")
    place.run("snapshots", "UPDATE snapshot SET state = replace(state, '12.50', '99.50')")

    with opened(place, clock, work=False) as live:
        assert live.state(Customer, "ann", as_of=12).fees == Decimal("99.50")
        assert live.state(Customer, "ann", as_of=7).fees == Decimal("10.00")
    assert at == [(12,)]
    assert [(each.checked, each.findings) for each in sound] == [(HEAD, ()), (2, ())]
    assert state == Customer("ann", ("imported", "v1", "cancelled", "p1", "p2", LATE, "last"), Decimal("17.50"))


# --- read models and projections

MARKS = {
    "account": "UPDATE account SET grams = -1 WHERE customer = 'bob'",
    "shelf": "UPDATE shelf SET customer = 'former' WHERE parcel = 'p1'",
    "shelf_history": "UPDATE shelf_history SET customer = 'former' WHERE parcel = 'p1'",
    "weight": "UPDATE weight SET grams = -1 WHERE parcel = 'p1'",
    "lines": "UPDATE lines SET actor = 'former' WHERE position = 2",
    "stops": "UPDATE stops SET parcel = 'former' WHERE parcel = 'p1'",
    "leftfold_parked": "UPDATE leftfold_parked SET problem = 'former'",
    "leftfold_parked_event": "UPDATE leftfold_parked_event SET position = position",
}
"""What no rebuild would leave."""


def rows(place: Place) -> dict[str, set[Row]]:
    return {table: {_hashable(row) for row in place.run("models", f"SELECT * FROM {table}")} for table in MARKS}


def _hashable(row: Row) -> Row:
    return tuple(str(value) if isinstance(value, list) else value for value in row)


def test_tables_are_taken_over_as_they_are_and_folded_on(
    place: Place, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    place.run("models", *MARKS.values())
    checkpoints = "SELECT model, fingerprint, log_id, tables, version FROM leftfold_checkpoint ORDER BY model"
    marks, before = place.run("models", checkpoints), rows(place)

    with caplog.at_level(logging.INFO), opened(place, clock) as live:
        for query in (Accounts(), Shelves(), Weights(), Lines()):
            live.query(query, after=HEAD)
        *going_on, stuck = live.read_models()
        assert [(each.name, each.lag, each.problem, each.parked) for each in going_on] == [
            ("Shelf", 0, None, 0),
            ("Weight", 0, None, 1),
            ("Account", 0, None, 0),
            ("lines", 0, None, 0),
        ]
        assert (stuck.name, stuck.position, stuck.parked) == ("stops", 72, 1)

    assert [each for each in caplog.records if each.name in ("leftfold.models", "leftfold.history")] == []
    assert place.run("models", checkpoints) == marks
    after = rows(place)
    assert {table: found - after[table] for table, found in before.items() if found - after[table]} == {
        "account": {("ann", 6, 6_550)}
    }
    assert {table: len(after[table] - found) for table, found in before.items()} == {
        **dict.fromkeys(("account", "shelf", "shelf_history", "weight", "lines"), 1),
        **dict.fromkeys(("stops", "leftfold_parked", "leftfold_parked_event"), 0),
    }


def test_tables_equal_those_that_the_present_code_makes_of_the_log(
    place: Place, clock: FakeClock, tmp_path: Path
) -> None:
    queries = (Accounts(), Shelves(), Weights(), Lines())
    found: list[list[Any]] = []
    for options in ({}, {"models": f"sqlite:///{tmp_path}/made_today.db"}):
        with opened(place, clock, **options) as live:
            answers: list[Any] = [live.query(query, after=HEAD) for query in queries]
            answers += [live.query(query, as_of=moment) for query in queries[:2] for moment in (8, 60, 72)]
            parked = until_parked(live, 2)
            found.append([*answers, live.query(Stops()), parked])

    assert found[0] == found[1]
    assert [each.parcels for each in found[0][0]] == [7, 4]
    [shelf] = [each for each in found[0][1] if each.parcel == "p2"]
    sent = datetime(2025, 2, 26, 12, tzinfo=UTC)
    assert shelf == Shelf("p2", "ann", Size.LARGE, Decimal("2.50"), sent, False)


def test_parked_keys_are_listed_and_can_be_retried(place: Place, clock: FakeClock) -> None:
    with opened(place, clock) as live:
        weight, stop = (each for each in live.parked() if each.name.startswith("projection "))
        assert (weight.name, weight.key, weight.position, weight.queued) == ("projection Weight", (BAD,), 9, 2)
        assert weight.problem == f"ValueError: {BAD} does not go through the scales"
        assert (stop.name, stop.key, stop.position) == ("projection stops", (), 73)
        assert [each.position for each in live.parked_events(Weight, BAD)] == [9, 74]
        assert "in evolve" in (live.parked_traceback(Weight, BAD) or "")
        assert "in write_stop" in (live.parked_traceback("stops") or "")

        BROKEN.clear()
        assert [*live.retry(Weight, BAD), *live.retry("stops")] == []

        answer = {each.parcel: each for each in live.query(Weights(), after=HEAD)}
        assert answer[BAD] == Weight(BAD, 2_100, [0])
        assert WORSE not in answer  # its only event was skipped
        assert live.query(Stops(), after=HEAD) == ["bad stops", "p1"]
        assert [each for each in live.parked() if each.name.startswith("projection ")] == []


def test_parked_keys_can_be_skipped(place: Place, clock: FakeClock) -> None:
    with opened(place, clock) as live:
        assert [each.position for each in live.skip(Weight, BAD, reason="no scales")] == [74]
        assert list(live.skip("stops", reason="no stop")) == []
        BROKEN.clear()
        live.retry(Weight, BAD)

        assert [each.reminders for each in live.query(Weights(), after=HEAD) if each.parcel == BAD] == [[0]]
        assert live.query(Stops(), after=HEAD) == ["p1"]


@pytest.mark.parametrize("model", ["Shelf", "Weight"])
def test_a_rebuild_finds_the_same_rows(place: Place, model: str, forked: ForkedCommands) -> None:
    rebuilt = json.loads(leftfold(forked, "rebuild", place.url, model, "--json"))

    differences = rebuilt["differences"]
    assert [differences[name] for name in ("added", "removed", "changed")] == [0, 0, 0]


# --- leases


def test_leases_of_workers_that_died_are_shown_and_taken_over(frozen: Place, clock: FakeClock) -> None:
    with opened(frozen, clock, work=False) as live:
        before = live.leases()
    with opened(frozen, clock, work=True, lease=timedelta(seconds=1)) as live:
        receipt = live.ticket(OPEN).result(PATIENCE)
        live.execute(Book("newest", "ann", 1), wait=[Account, Shelf, Weight])
        after = {each.name: each.holder for each in live.leases()}

    dead = {each.name for each in before if "@depot-1 " in each.holder}
    taken = {name for name in dead if "@depot-1 " not in after[name]}
    replaced = [json.loads(each.data) for each in events(frozen, "leftfold.worker.replaced") if each.position > HEAD]
    assert len(dead) == 11
    assert taken >= {name for name in dead if name.startswith(("commands", "projection account", "projection shelf"))}
    assert any("@depot-1 " in each["former"] for each in replaced if each["worker"].startswith("commands"))
    assert receipt.events == (Counted("open"),)

"""Snapshots: taken without being asked for, used only while they are right, and never needed."""

import logging
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, closing
from itertools import count as counting_from
from pathlib import Path
from typing import Annotated, Any, Protocol, Self

import psycopg
import pytest

from leftfold import App, Command, DecisionModel, Event, LiveApp, ReadModel, Tag, replace
from leftfold.errors import StoreUnreachable
from leftfold.health import health_of, work_of
from leftfold.store.identity import identity_at
from leftfold.store.open import snapshot_table
from leftfold.store.snapshot_store import SnapshotRow, SnapshotStore
from leftfold.store.sqlite.snapshots import SQLiteSnapshots
from leftfold_torture.postgres_server import PostgresServer
from tests.postgres import DATABASE

CounterId = Annotated[str, Tag("counter")]
LONG = 1_000


class Counted(Event):
    counter: CounterId
    number: int


class Count(Command):
    counter: CounterId
    number: int


def counting_app(step: int = 1) -> App:
    """An app with a model that counts in steps; another step is other code."""

    class Counter(DecisionModel):
        counter: CounterId
        count: int = 0
        numbers: frozenset[int] = frozenset()

        def evolve(self, event: Counted) -> Self:
            return replace(self, count=self.count + step, numbers=self.numbers | {event.number % 3})

    app = App("counting")

    @app.handles
    def count(command: Count, counter: Counter) -> Counted:
        return Counted(command.counter, command.number)

    return app


def model_of(app: App) -> Any:
    [fold] = app.decision_models
    return fold.owner


class Place(Protocol):
    """Where a log is kept, with its snapshots beside it."""

    url: str

    def change(self, *statements: str) -> None:
        """What a wrong program, or a wrong hand, could do to the snapshots."""
        ...

    def select(self, query: str) -> list[tuple[Any, ...]]:
        """Rows about the snapshots."""
        ...

    def another(self) -> "Place":
        """A place for another log."""
        ...

    def take_snapshots_of(self, other: "Place") -> None:
        """Have the snapshots of another log in place of its own."""
        ...

    def save(self, head: int) -> None:
        """Take a backup of the log alone, which is at this position."""
        ...

    def restore(self) -> None:
        """Bring it back."""
        ...

    def store(self) -> SnapshotStore:
        """The snapshots by themselves."""
        ...


class Folder:
    """SQLite files."""

    def __init__(self, path: Path) -> None:
        path.mkdir(exist_ok=True)
        self.path = path
        self.url = f"sqlite:///{path}/log.db"

    def change(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.path / "log.snapshots.db")) as connection, connection:
            for statement in statements:
                connection.execute(statement)

    def select(self, query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path / "log.snapshots.db")) as connection:
            return connection.execute(query).fetchall()

    def another(self) -> "Folder":
        return Folder(self.path / "another")

    def take_snapshots_of(self, other: Place) -> None:
        assert isinstance(other, Folder)
        (self.path / "log.snapshots.db").write_bytes((other.path / "log.snapshots.db").read_bytes())

    def save(self, head: int) -> None:
        (self.path / "saved").write_bytes((self.path / "log.db").read_bytes())

    def restore(self) -> None:
        (self.path / "log.db").write_bytes((self.path / "saved").read_bytes())

    def store(self) -> SQLiteSnapshots:
        return SQLiteSnapshots(str(self.path / "log.snapshots.db"), "log")


class Schema:
    """A schema of a PostgreSQL database."""

    numbers = counting_from(1)

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self.log = f"counting_{next(self.numbers)}"
        self.url = server.url(DATABASE, log=self.log)
        self._saved = 0

    def change(self, *statements: str) -> None:
        with psycopg.connect(self._server.url(DATABASE)) as connection:
            connection.execute(f"SET search_path = {self.log}".encode())
            for statement in statements:
                connection.execute(statement.encode())

    def select(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self._server.url(DATABASE)) as connection:
            connection.execute(f"SET search_path = {self.log}".encode())
            return connection.execute(query.encode()).fetchall()

    def another(self) -> "Schema":
        return Schema(self._server)

    def take_snapshots_of(self, other: Place) -> None:
        assert isinstance(other, Schema)
        self.change("DELETE FROM snapshot", f"INSERT INTO snapshot SELECT * FROM {other.log}.snapshot")

    def save(self, head: int) -> None:
        self._saved = head

    def restore(self) -> None:
        """Take the tail away, as a replica lacks it that had not received it when it was promoted."""
        self.change(
            "SET LOCAL session_replication_role = replica",
            f"DELETE FROM event WHERE position > {self._saved}",
            f"DELETE FROM tag WHERE position > {self._saved}",
        )

    def store(self) -> SnapshotStore:
        table = snapshot_table(self.url)
        assert table is not None
        return table


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return Folder(tmp_path) if request.param == "sqlite" else Schema(request.getfixturevalue("postgres"))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture
async def live(place: Place) -> AsyncIterator[LiveApp]:
    """The app on a log with 2,500 events of one counter and 10 of another."""
    async with opened(place) as live:
        await count_up(live)
        yield live


async def count_up(live: LiveApp) -> None:
    for counter, events in (("long", LONG), ("long", LONG), ("long", LONG // 2), ("short", 10)):
        await live.execute_many([Count(counter, number) for number in range(events)])


def opened(place: Place, app: App | None = None) -> AbstractAsyncContextManager[LiveApp]:
    return (app or counting_app()).open(place.url)


def snapshots_in(place: Place) -> list[tuple[Any, ...]]:
    """The key and position of each snapshot."""
    return place.select("SELECT key, position FROM snapshot ORDER BY key")


class EventsRead:
    """Counts the events that a live app reads from its log."""

    def __init__(self, live: LiveApp, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self._read: Any = live.store.read
        monkeypatch.setattr(live.store, "read", self._counted)

    async def _counted(self, *arguments: Any, **options: Any) -> AsyncIterator[Any]:
        async for batch in self._read(*arguments, **options):
            self.count += len(batch.events)
            yield batch


SHIFT = """UPDATE snapshot SET state = replace(state, '"count":2000', '"count":1999')"""


# --- taken


async def test_a_snapshot_is_taken_after_each_thousand_events_and_none_of_short_histories(
    live: LiveApp, place: Place
) -> None:
    assert snapshots_in(place) == [('["long"]', 2 * LONG)]


async def test_a_snapshot_is_taken_by_one_event_at_a_time_too(place: Place) -> None:
    async with opened(place) as live:
        await live.execute_many([Count("c", number) for number in range(LONG - 1)])
        assert snapshots_in(place) == []

        await live.execute(Count("c", 0))

    assert snapshots_in(place) == [('["c"]', LONG)]


async def test_a_snapshot_is_taken_when_a_long_history_is_read_for_the_first_time(live: LiveApp, place: Place) -> None:
    place.change("DELETE FROM snapshot")

    app = counting_app()
    async with opened(place, app) as reader:
        await reader.state(model_of(app), "long")

    assert snapshots_in(place) == [('["long"]', 2 * LONG + LONG // 2 + 10)]


# --- used


async def test_a_state_goes_on_from_its_snapshot(live: LiveApp, place: Place) -> None:
    place.change(SHIFT)  # a wrong snapshot shows that it was used

    app = counting_app()
    async with opened(place, app) as reader:
        assert (await reader.state(model_of(app), "long")).count == 2_499
        assert (await reader.state(model_of(app), "long", as_of=2_100)).count == 2_099
        assert (await reader.state(model_of(app), "long", as_of=1_999)).count == 1_999


async def test_another_process_goes_on_from_a_snapshot_and_reads_no_older_events_than_it_must(
    live: LiveApp, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = counting_app()
    async with opened(place, app) as reader:
        events = EventsRead(reader, monkeypatch)
        assert (await reader.state(model_of(app), "long")).count == 2_500

    beginning, identity, tail = LONG, 1, LONG // 2  # that the history is long is known after its first thousand
    assert events.count == beginning + identity + tail


async def test_a_snapshot_of_a_log_that_was_restored_and_grew_beyond_it_is_not_used(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(place) as live:
        await live.execute(Count("other", 0))
        head = await live.store.head()
    place.save(head)
    async with opened(place) as live:
        await live.execute_many([Count("long", 0) for _ in range(LONG)])
    place.change("CREATE TABLE kept AS SELECT * FROM snapshot")
    place.restore()
    async with opened(place) as live:
        await live.execute_many([Count("long" if number % 2 else "other", number) for number in range(3 * LONG)])
    place.change("DELETE FROM snapshot", "INSERT INTO snapshot SELECT * FROM kept")

    app = counting_app()
    async with opened(place, app) as live:
        assert (await live.state(model_of(app), "long", as_of=1_500)).count == 749
        assert (await live.state(model_of(app), "long")).count == 1_500
    assert "to another history" in caplog.text


async def test_snapshots_from_before_identities_were_kept_are_dropped_and_taken_again(folder: Folder) -> None:
    app = counting_app()
    async with opened(folder, app) as live:
        await live.execute_many([Count("long", number) for number in range(LONG)])
    folder.change("ALTER TABLE snapshot DROP COLUMN identity")
    folder.change(SHIFT.replace("2000", "1000").replace("1999", "1"))

    async with opened(folder, app) as live:
        assert snapshots_in(folder) == []
        assert (await live.state(model_of(app), "long")).count == LONG

    assert snapshots_in(folder) == [('["long"]', LONG)]


async def test_the_state_from_a_snapshot_is_the_state_from_the_events(live: LiveApp, place: Place) -> None:
    app = counting_app()
    async with opened(place, app) as reader:
        with_snapshot = await reader.state(model_of(app), "long")
    place.change("DELETE FROM snapshot")
    async with opened(place, app) as reader:
        without = await reader.state(model_of(app), "long")

    assert with_snapshot == without == model_of(app)("long", 2_500, frozenset({0, 1, 2}))


async def test_a_snapshot_of_other_code_is_not_used(live: LiveApp, place: Place) -> None:
    app = counting_app(step=2)
    async with opened(place, app) as reader:
        assert (await reader.state(model_of(app), "long")).count == 5_000
        [_, verified] = await reader.verify(snapshots=True)

    assert (verified.ok, verified.checked) == (True, 1)


async def test_a_snapshot_of_other_fields_is_not_used(live: LiveApp, place: Place) -> None:
    class Counter(DecisionModel):
        counter: CounterId
        count: int = 0
        highest: int = 0

        def evolve(self, event: Counted) -> Self:
            return replace(self, count=self.count + 1, highest=max(self.highest, event.number))

    async with opened(place) as reader:
        assert await reader.state(Counter, "long") == Counter("long", 2_500, 999)


async def test_a_snapshot_of_another_log_is_not_used(live: LiveApp, place: Place) -> None:
    place.change(SHIFT)
    elsewhere = place.another()
    app = counting_app()
    async with opened(elsewhere, app) as other:
        await other.execute_many([Count("long", number) for number in range(LONG + 1)])
    elsewhere.take_snapshots_of(place)

    async with opened(elsewhere, app) as other:
        assert (await other.state(model_of(app), "long")).count == LONG + 1
        assert (await other.verify(snapshots=True))[1].checked == 1


async def test_a_snapshot_beyond_the_head_is_forgotten_when_the_log_is_an_older_copy(place: Place) -> None:
    app = counting_app()
    async with opened(place, app) as live:
        await live.execute_many([Count("c", number) for number in range(LONG + 500)])
    place.save(LONG + 500)
    async with opened(place, app) as live:
        await live.execute_many([Count("c", 1) for _ in range(LONG)])
    assert snapshots_in(place) == [('["c"]', 2 * LONG + 500)]

    place.restore()
    async with opened(place, app) as live:
        assert snapshots_in(place) == []
        assert (await live.state(model_of(app), "c")).count == LONG + 500
        await live.execute_many([Count("c", 2) for _ in range(10)] + [Count("d", 2) for _ in range(2_000)])

    async with opened(place, app) as live:
        assert (await live.state(model_of(app), "c")).count == LONG + 510
        assert (await live.verify(snapshots=True))[1].ok


# --- restored: the log, its snapshots, or both


async def numbered(place: Place, events: int, number: int) -> None:
    async with opened(place) as live:
        await live.execute_many([Count("long", number) for _ in range(events)])


KEEP, BRING_BACK = "CREATE TABLE kept AS SELECT * FROM snapshot", "INSERT INTO snapshot SELECT * FROM kept"


async def log_older(place: Place) -> None:
    place.restore()


async def log_older_and_grown(place: Place) -> None:
    place.change("DELETE FROM kept", "INSERT INTO kept SELECT * FROM snapshot")
    place.restore()
    await numbered(place, 3 * LONG, 2)
    place.change("DELETE FROM snapshot", BRING_BACK)


async def snapshots_older(place: Place) -> None:
    place.change("DELETE FROM snapshot", BRING_BACK)


async def all_older(place: Place) -> None:
    await log_older(place)
    await snapshots_older(place)


async def all_older_and_grown(place: Place) -> None:
    await all_older(place)
    await numbered(place, 3 * LONG, 2)


async def snapshots_of_another_log(place: Place) -> None:
    another = place.another()
    await numbered(another, LONG, 2)
    place.take_snapshots_of(another)


@pytest.mark.parametrize("work", [True, False], ids=["worker", "server"])
@pytest.mark.parametrize(
    "case",
    [log_older, log_older_and_grown, snapshots_older, all_older, all_older_and_grown, snapshots_of_another_log],
)
async def test_no_state_is_of_another_history_than_the_log(
    place: Place, case: Callable[[Place], Awaitable[None]], *, work: bool
) -> None:
    await numbered(place, LONG + 500, 0)
    place.save(LONG + 500)
    place.change(KEEP)
    await numbered(place, 2 * LONG, 1)

    await case(place)

    app = counting_app()
    async with app.open(place.url, work=work) as first:
        state = await first.state(model_of(app), "long")
        earlier = await first.state(model_of(app), "long", as_of=LONG + 100)
        decided = await first.execute(Count("long", 5))
    place.change("DELETE FROM snapshot")
    async with opened(place, app) as other:
        assert state == await other.state(model_of(app), "long", as_of=decided.position - 1)
        assert earlier == await other.state(model_of(app), "long", as_of=LONG + 100)


# --- kept by several processes


def row(position: int, fingerprint: str = "code", key: str = '["c"]') -> SnapshotRow:
    return SnapshotRow("Counter", key, fingerprint, position, f"state at {position}", f"event {position}")


@pytest.fixture
async def two_stores(place: Place) -> AsyncIterator[tuple[SnapshotStore, SnapshotStore]]:
    """The place's snapshots as two processes have them open."""
    async with opened(place):
        one, two = place.store(), place.store()
    yield one, two
    await one.close()
    await two.close()


@pytest.mark.parametrize("positions", [(1_000, 2_000), (2_000, 1_000), (2_000, 2_000)])
async def test_of_two_snapshots_of_a_key_the_one_at_the_newer_position_stays(
    two_stores: tuple[SnapshotStore, SnapshotStore], positions: tuple[int, int]
) -> None:
    one, two = two_stores
    await one.keep(row(positions[0]))
    await two.keep(row(positions[1]))

    for store in two_stores:
        assert await store.find("Counter", '["c"]', "code", upto=9_000) == row(2_000)
        assert await store.find("Counter", '["c"]', "code", upto=1_999) is None
        assert await store.of_model("Counter", "code") == [row(2_000)]


async def test_a_snapshot_of_newer_code_takes_the_place_of_one_that_other_code_made(
    two_stores: tuple[SnapshotStore, SnapshotStore],
) -> None:
    one, two = two_stores
    await one.keep(row(2_000))
    await two.keep(row(1_000, "newer"))

    assert await one.find("Counter", '["c"]', "code", upto=9_000) is None
    assert await one.find("Counter", '["c"]', "newer", upto=9_000) == row(1_000, "newer")


async def test_what_was_replaced_meanwhile_is_not_forgotten(two_stores: tuple[SnapshotStore, SnapshotStore]) -> None:
    one, two = two_stores
    await one.keep(row(1_000))
    await two.keep(row(2_000))

    await one.forget(row(1_000))
    assert await one.of_model("Counter", "code") == [row(2_000)]
    await one.forget(row(2_000))
    assert await one.of_model("Counter", "code") == []


async def test_keys_of_any_length_and_number_have_snapshots(two_stores: tuple[SnapshotStore, SnapshotStore]) -> None:
    one, two = two_stores
    long = "".join(chr(0x10000 + number * 7919 % 60_000) for number in range(4_096))  # nothing to compress
    rows = sorted(row(number, key=f"{long}{number}" if number % 100 == 0 else f"{number}") for number in range(1, 350))
    for each in rows:
        await one.keep(each)

    assert await two.of_model("Counter", "code") == rows
    assert [await two.find(each.model, each.key, each.fingerprint, upto=each.position) for each in rows] == rows


# --- verified


async def test_right_snapshots_are_verified(live: LiveApp) -> None:
    log, snapshots = await live.verify(snapshots=True)

    assert (log.ok, log.checked) == (True, 2_510)
    assert (snapshots.ok, snapshots.checked, snapshots.types) == (True, 1, {"Counter": 1})


async def test_a_wrong_snapshot_is_found(live: LiveApp, place: Place) -> None:
    place.change(SHIFT)

    _, snapshots = await live.verify(snapshots=True)

    [finding] = snapshots.findings
    assert finding.position == 2 * LONG
    assert "Counter('long',)" in finding.problem
    assert "count=1999" in finding.problem
    assert "count=2000" in finding.problem


@pytest.mark.parametrize("state", ["{}", "not json", '{"counter":"long","count":"many"}', '{"counter":"short"}'])
async def test_a_snapshot_that_is_not_a_state_of_its_key_is_not_used_and_is_found(
    live: LiveApp, place: Place, state: str
) -> None:
    place.change(f"UPDATE snapshot SET state = '{state}'")

    app = counting_app()
    async with opened(place, app) as reader:
        _, snapshots = await reader.verify(snapshots=True)
        assert (await reader.state(model_of(app), "long")).count == 2_500

    assert [finding.position for finding in snapshots.findings] == [2 * LONG]


# --- never needed


async def test_a_state_that_does_not_come_back_equal_has_no_snapshot(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    class Forgetful(DecisionModel):
        counter: CounterId
        counts: dict[tuple[int, int], int] = {}  # noqa: RUF012 msgspec gives each state its own

        def evolve(self, event: Counted) -> Self:
            return replace(self, counts={(1, 2): event.number})

    async with opened(place) as live:
        await live.execute_many([Count("c", number) for number in range(LONG)])
        state = await live.state(Forgetful, "c")

    assert state.counts == {(1, 2): LONG - 1}
    assert snapshots_in(place) == [('["c"]', LONG)]  # that of the handler's model
    assert "no snapshot of Forgetful" in caplog.text


@pytest.mark.parametrize("damage", [b"not a database at all" * 500, b""])
async def test_a_file_that_cannot_be_used_costs_no_answer(
    folder: Folder, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    app = counting_app()
    elsewhere = folder.another()
    (elsewhere.path / "log.snapshots.db").write_bytes(damage)

    async with opened(elsewhere, app) as live:
        await live.execute_many([Count("c", number) for number in range(LONG)])
        assert (await live.state(model_of(app), "c")).count == LONG
        trouble = (await live.status()).snapshots

    assert ("cannot be used" in caplog.text) == bool(trouble) == bool(damage)


async def test_a_snapshot_that_cannot_be_kept_does_not_fail_the_command_and_is_in_the_status(
    live: LiveApp, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await live.status()).snapshots is None
    place.change("ALTER TABLE snapshot RENAME TO lost")
    caplog.set_level(logging.INFO, "leftfold.snapshots")

    first = await live.execute_many([Count("long", number) for number in range(LONG)])
    second = await live.execute_many([Count("long", number) for number in range(LONG)])
    status, health = await live.status(), health_of(await work_of(live))

    assert (first.position, second.position) == (3_510, 4_510)
    assert "snapshot" in (status.snapshots or "")
    assert (health.status, health.problems, health.warnings) == ("degraded", (), (f"snapshots: {status.snapshots}",))

    place.change("ALTER TABLE lost RENAME TO snapshot")
    await live.execute_many([Count("long", number) for number in range(LONG)])

    assert snapshots_in(place) == [('["long"]', 5_510)]
    assert (await live.status()).snapshots is None
    assert [record.levelname for record in caplog.records if record.name == "leftfold.snapshots"] == ["WARNING", "INFO"]


async def test_a_snapshot_that_cannot_be_found_costs_no_answer(live: LiveApp, place: Place) -> None:
    app = counting_app()
    async with opened(place, app) as reader:
        place.change("DROP TABLE snapshot")
        assert (await reader.state(model_of(app), "long")).count == 2_500
        assert (await reader.state(model_of(app), "long", as_of=1_500)).count == 1_500
        assert (await reader.verify(snapshots=True))[1].checked == 0
        assert reader.snapshot_trouble


async def test_a_command_whose_snapshot_is_lost_with_the_log_s_reads_was_committed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*arguments: Any, **options: Any) -> AsyncIterator[Any]:
        raise StoreUnreachable("log", "the line is cut")

    async with opened(place) as live:
        await live.execute_many([Count("c", number) for number in range(LONG - 1)])
        monkeypatch.setattr(live.store, "read", read)
        assert (await live.execute(Count("c", 0))).position == LONG


async def test_a_log_that_is_only_read_uses_the_snapshots_and_keeps_none(
    live: LiveApp, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.change(SHIFT)
    place.change(f"UPDATE snapshot SET position = 1500, identity = '{await identity_at(live.store, 1_500)}'")
    app = counting_app()

    async with app.open(f"{place.url}{'&' if '?' in place.url else '?'}mode=ro") as reader:
        assert (await reader.state(model_of(app), "long")).count == 1_999 + 1_000

    assert snapshots_in(place) == [('["long"]', 1_500)]
    assert caplog.text == ""


async def test_a_log_in_memory_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    async with counting_app().open("memory:") as live:
        await live.execute_many([Count("c", number) for number in range(LONG)])

    assert list(tmp_path.iterdir()) == []


async def test_an_app_whose_url_is_relative_stays_where_it_was_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    app = counting_app()

    @app.read_model
    class Counts(ReadModel):
        counter: CounterId
        count: int = 0

        def evolve(self, event: Counted) -> Self:
            return replace(self, count=self.count + 1)

    async with app.open("sqlite:///counts.db", models="sqlite:///tables.db") as live:
        monkeypatch.chdir("elsewhere")
        await live.execute_many([Count("c", number) for number in range(LONG)])
        await live.state(model_of(app), "c")

    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert {"counts.leases.db", "counts.snapshots.db", "tables.db"} <= {each.name for each in tmp_path.iterdir()}

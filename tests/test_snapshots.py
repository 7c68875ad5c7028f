"""Snapshots: taken without being asked for, used only while they are right, and never needed."""

import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path
from typing import Annotated, Any, Self

import pytest

from leftfold import App, Command, DecisionModel, Event, LiveApp, Tag, replace
from leftfold.store.identity import identity_at

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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
async def live(folder: Path) -> AsyncIterator[LiveApp]:
    """The app on a log with 2,500 events of one counter and 10 of another."""
    async with opened(folder) as live:
        for counter, events in (("long", LONG), ("long", LONG), ("long", LONG // 2), ("short", 10)):
            await live.execute_many([Count(counter, number) for number in range(events)])
        yield live


def opened(folder: Path, app: App | None = None) -> AbstractAsyncContextManager[LiveApp]:
    return (app or counting_app()).open(f"sqlite:///{folder}/log.db")


def snapshots_in(folder: Path) -> list[tuple[str, int]]:
    """The key and position of each snapshot."""
    with closing(sqlite3.connect(folder / "log.snapshots.db")) as connection:
        return connection.execute("SELECT key, position FROM snapshot ORDER BY key").fetchall()


def change(folder: Path, statement: str) -> None:
    """What a wrong program, or a wrong hand, could do to the file."""
    with closing(sqlite3.connect(folder / "log.snapshots.db")) as connection, connection:
        connection.execute(statement)


SHIFT = """UPDATE snapshot SET state = replace(state, '"count":2000', '"count":1999')"""


# --- taken


async def test_a_snapshot_is_taken_after_each_thousand_events_and_none_of_short_histories(
    live: LiveApp, folder: Path
) -> None:
    assert snapshots_in(folder) == [('["long"]', 2 * LONG)]


async def test_a_snapshot_is_taken_by_one_event_at_a_time_too(folder: Path) -> None:
    async with opened(folder) as live:
        await live.execute_many([Count("c", number) for number in range(LONG - 1)])
        assert snapshots_in(folder) == []

        await live.execute(Count("c", 0))

    assert snapshots_in(folder) == [('["c"]', LONG)]


async def test_a_snapshot_is_taken_when_a_long_history_is_read_for_the_first_time(live: LiveApp, folder: Path) -> None:
    change(folder, "DELETE FROM snapshot")

    app = counting_app()
    async with opened(folder, app) as reader:
        await reader.state(model_of(app), "long")

    assert snapshots_in(folder) == [('["long"]', 2 * LONG + LONG // 2 + 10)]


# --- used


async def test_a_state_goes_on_from_its_snapshot(live: LiveApp, folder: Path) -> None:
    change(folder, SHIFT)  # a wrong snapshot shows that it was used

    app = counting_app()
    async with opened(folder, app) as reader:
        assert (await reader.state(model_of(app), "long")).count == 2_499
        assert (await reader.state(model_of(app), "long", as_of=2_100)).count == 2_099
        assert (await reader.state(model_of(app), "long", as_of=1_999)).count == 1_999


async def test_a_snapshot_of_a_log_that_was_restored_and_grew_beyond_it_is_not_used(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(folder) as live:
        await live.execute(Count("other", 0))
    backup = (folder / "log.db").read_bytes()
    async with opened(folder) as live:
        await live.execute_many([Count("long", 0) for _ in range(LONG)])
    (folder / "log.snapshots.db").rename(folder / "kept")
    (folder / "log.db").write_bytes(backup)
    async with opened(folder) as live:
        await live.execute_many([Count("long" if number % 2 else "other", number) for number in range(3 * LONG)])
    for leftover in folder.glob("log.snapshots.db*"):
        leftover.unlink()
    (folder / "kept").rename(folder / "log.snapshots.db")

    app = counting_app()
    async with opened(folder, app) as live:
        assert (await live.state(model_of(app), "long", as_of=1_500)).count == 749
        assert (await live.state(model_of(app), "long")).count == 1_500
    assert "of another history" in caplog.text


async def test_snapshots_from_before_identities_were_kept_are_dropped_and_taken_again(folder: Path) -> None:
    app = counting_app()
    async with opened(folder, app) as live:
        await live.execute_many([Count("long", number) for number in range(LONG)])
    change(folder, "ALTER TABLE snapshot DROP COLUMN identity")
    change(folder, SHIFT.replace("2000", "1000").replace("1999", "1"))

    async with opened(folder, app) as live:
        assert snapshots_in(folder) == []
        assert (await live.state(model_of(app), "long")).count == LONG

    assert snapshots_in(folder) == [('["long"]', LONG)]


async def test_the_state_from_a_snapshot_is_the_state_from_the_events(live: LiveApp, folder: Path) -> None:
    app = counting_app()
    async with opened(folder, app) as reader:
        with_snapshot = await reader.state(model_of(app), "long")
    (folder / "log.snapshots.db").unlink()
    async with opened(folder, app) as reader:
        without = await reader.state(model_of(app), "long")

    assert with_snapshot == without == model_of(app)("long", 2_500, frozenset({0, 1, 2}))


async def test_a_snapshot_of_other_code_is_not_used(live: LiveApp, folder: Path) -> None:
    app = counting_app(step=2)
    async with opened(folder, app) as reader:
        assert (await reader.state(model_of(app), "long")).count == 5_000
        [_, verified] = await reader.verify(snapshots=True)

    assert (verified.ok, verified.checked) == (True, 1)


async def test_a_snapshot_of_other_fields_is_not_used(live: LiveApp, folder: Path) -> None:
    class Counter(DecisionModel):
        counter: CounterId
        count: int = 0
        highest: int = 0

        def evolve(self, event: Counted) -> Self:
            return replace(self, count=self.count + 1, highest=max(self.highest, event.number))

    async with opened(folder) as reader:
        assert await reader.state(Counter, "long") == Counter("long", 2_500, 999)


async def test_a_snapshot_of_another_log_is_not_used(live: LiveApp, folder: Path, tmp_path_factory: Any) -> None:
    change(folder, SHIFT)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    app = counting_app()
    async with opened(elsewhere, app) as other:
        await other.execute_many([Count("long", number) for number in range(LONG + 1)])
    (elsewhere / "log.snapshots.db").write_bytes((folder / "log.snapshots.db").read_bytes())

    async with opened(elsewhere, app) as other:
        assert (await other.state(model_of(app), "long")).count == LONG + 1
        assert (await other.verify(snapshots=True))[1].checked == 1


async def test_a_snapshot_beyond_the_head_is_forgotten_when_the_log_is_an_older_copy(folder: Path) -> None:
    app = counting_app()
    async with opened(folder, app) as live:
        await live.execute_many([Count("c", number) for number in range(LONG + 500)])
    older = (folder / "log.db").read_bytes()
    async with opened(folder, app) as live:
        await live.execute_many([Count("c", 1) for _ in range(LONG)])
    assert snapshots_in(folder) == [('["c"]', 2 * LONG + 500)]

    (folder / "log.db").write_bytes(older)
    async with opened(folder, app) as live:
        assert (await live.state(model_of(app), "c")).count == LONG + 500
        await live.execute_many([Count("c", 2) for _ in range(10)] + [Count("d", 2) for _ in range(2_000)])

    async with opened(folder, app) as live:
        assert (await live.state(model_of(app), "c")).count == LONG + 510
        assert (await live.verify(snapshots=True))[1].ok


# --- verified


async def test_right_snapshots_are_verified(live: LiveApp) -> None:
    log, snapshots = await live.verify(snapshots=True)

    assert (log.ok, log.checked) == (True, 2_510)
    assert (snapshots.ok, snapshots.checked, snapshots.types) == (True, 1, {"Counter": 1})


async def test_a_wrong_snapshot_is_found(live: LiveApp, folder: Path) -> None:
    change(folder, SHIFT)

    _, snapshots = await live.verify(snapshots=True)

    [finding] = snapshots.findings
    assert finding.position == 2 * LONG
    assert "Counter('long',)" in finding.problem
    assert "count=1999" in finding.problem
    assert "count=2000" in finding.problem


@pytest.mark.parametrize("state", ["{}", "not json", '{"counter":"long","count":"many"}', '{"counter":"short"}'])
async def test_a_snapshot_that_is_not_a_state_of_its_key_is_not_used_and_is_found(
    live: LiveApp, folder: Path, state: str
) -> None:
    change(folder, f"UPDATE snapshot SET state = '{state}'")

    app = counting_app()
    async with opened(folder, app) as reader:
        _, snapshots = await reader.verify(snapshots=True)
        assert (await reader.state(model_of(app), "long")).count == 2_500

    assert [finding.position for finding in snapshots.findings] == [2 * LONG]


# --- never needed


async def test_a_state_that_does_not_come_back_equal_has_no_snapshot(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Forgetful(DecisionModel):
        counter: CounterId
        counts: dict[tuple[int, int], int] = {}  # noqa: RUF012 msgspec gives each state its own

        def evolve(self, event: Counted) -> Self:
            return replace(self, counts={(1, 2): event.number})

    async with opened(folder) as live:
        await live.execute_many([Count("c", number) for number in range(LONG)])
        state = await live.state(Forgetful, "c")

    assert state.counts == {(1, 2): LONG - 1}
    assert snapshots_in(folder) == [('["c"]', LONG)]  # that of the handler's model
    assert "no snapshot of Forgetful" in caplog.text


@pytest.mark.parametrize("damage", [b"not a database at all" * 500, b""])
async def test_a_file_that_cannot_be_used_costs_no_answer(
    live: LiveApp, folder: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    app = counting_app()
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "log.snapshots.db").write_bytes(damage)

    async with opened(elsewhere, app) as live:
        await live.execute_many([Count("c", number) for number in range(LONG)])
        assert (await live.state(model_of(app), "c")).count == LONG

    assert ("cannot be used" in caplog.text) == bool(damage)


async def test_a_snapshot_that_cannot_be_kept_does_not_fail_the_command(
    live: LiveApp, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    change(folder, "DROP TABLE snapshot")
    caplog.set_level(logging.WARNING)

    receipt = await live.execute_many([Count("long", number) for number in range(LONG)])

    assert receipt.position == 3_510
    assert "the snapshots cannot be used: no such table: snapshot" in caplog.text


async def test_a_log_that_is_only_read_uses_the_snapshots_and_keeps_none(
    live: LiveApp, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    change(folder, SHIFT)
    change(folder, f"UPDATE snapshot SET position = 1500, identity = '{await identity_at(live.store, 1_500)}'")
    app = counting_app()

    async with app.open(f"sqlite:///{folder}/log.db?mode=ro") as reader:
        assert (await reader.state(model_of(app), "long")).count == 1_999 + 1_000

    assert snapshots_in(folder) == [('["long"]', 1_500)]
    assert caplog.text == ""


async def test_a_log_in_memory_leaves_no_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)

    async with counting_app().open("memory:") as live:
        await live.execute_many([Count("c", number) for number in range(LONG)])

    assert list(folder.iterdir()) == []

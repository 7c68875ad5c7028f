"""When the server of a log is gone, or its lock is: bounded waits, named errors, and what goes on by itself."""

import asyncio
import logging
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing, closing
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from leftfold.errors import LeftfoldError, OutcomeUnknown, StoreBusy, StoreUnavailable, StoreUnreachable
from leftfold.store import Appended, EventStore, NewEvent, open_store, subscribe
from leftfold.store.postgres import schema as postgres_schema
from leftfold.store.postgres import store as postgres_store
from leftfold.store.postgres.driver import Connection
from leftfold_torture.postgres_server import Mode, PostgresServer
from tests.patience import PATIENCE
from tests.postgres import hold_append_lock
from tests.store.cutting import CuttingProxy, Moment
from tests.store.processes import Process
from tests.store.test_postgres import connected, sql_append, until_someone_waits_for_the_lock

EVENT = NewEvent("opened", b"{}", ("account:a",))
numbers = count(1)


@pytest.fixture(scope="module")
def server(binaries: Path | None) -> Iterator[PostgresServer]:
    with PostgresServer(binaries=binaries) as server:
        yield server


@pytest.fixture
def log() -> str:
    return f"outage_{next(numbers)}"


@pytest.fixture
async def store(server: PostgresServer, log: str) -> AsyncIterator[EventStore]:
    """The log by a direct connection: what it really holds."""
    async with open_store(server.url(log=log)) as store:
        yield store


@pytest.fixture
def proxy(server: PostgresServer, tmp_path: Path) -> Iterator[CuttingProxy]:
    with CuttingProxy(server.directory, tmp_path) as proxy:
        yield proxy


@pytest.fixture
async def far(store: EventStore, server: PostgresServer, log: str, proxy: CuttingProxy, tmp_path: Path) -> Any:
    """The same log through the proxy."""
    async with open_store(server.url(log=log, host=str(tmp_path))) as far:
        yield far


async def positions_of(store: EventStore) -> list[int]:
    return [event.position async for batch in store.read() for event in batch.events]


async def outcomes_of(store: EventStore, keys: Sequence[str]) -> list[Appended | LeftfoldError]:
    """Append an event with each key at once."""

    async def append(key: str) -> Appended | LeftfoldError:
        try:
            return await store.append([EVENT], key=key)
        except LeftfoldError as error:
            return error

    return await asyncio.gather(*map(append, keys))


def terminate(server: PostgresServer, which: str) -> int:
    """End the server's connections that are meant, and return once they are gone; how many there were."""
    with connected(server) as connection:
        sql = (
            f"SELECT pg_terminate_backend(pid, 600000) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND {which}"
        )
        return len(connection.execute(sql.encode()).fetchall())


# --- a connection that is lost


@pytest.mark.parametrize(("moment", "written"), [("request", False), ("half a request", False), ("answer", True)])
async def test_an_append_whose_connection_is_lost_on_the_way_is_settled_by_its_key(
    store: EventStore, far: EventStore, proxy: CuttingProxy, moment: Moment, written: bool
) -> None:
    proxy.cut(moment)
    with pytest.raises(OutcomeUnknown):
        await far.append([EVENT], key="k")

    appended = await far.append([EVENT], key="k")

    assert appended == Appended(1, 1, duplicate=written)
    assert await positions_of(store) == [1]


@pytest.mark.parametrize(("moment", "written"), [("request", False), ("answer", True)])
async def test_neighbours_in_one_group_commit_get_the_same_honest_answer(
    server: PostgresServer, log: str, store: EventStore, far: Any, proxy: CuttingProxy, moment: Moment, written: bool
) -> None:
    keys = [f"k-{n}" for n in range(50)]
    for n in range(2):  # the second time a statement is prepared; then a call is one exchange
        await far.append([EVENT], key=f"before-{n}")
    with connected(server) as holder:
        holder.execute("BEGIN")
        holder.execute(sql_append(log))
        first = asyncio.create_task(far.append([EVENT], key="first"))
        await asyncio.to_thread(until_someone_waits_for_the_lock, server)
        together = asyncio.create_task(outcomes_of(far, keys))
        await asyncio.sleep(0)
        holder.execute("ROLLBACK")
        await first
        proxy.cut(moment)
        outcomes = await together

    known = {key: one for key, one in zip(keys, outcomes, strict=True) if isinstance(one, Appended)}
    unknown = [key for key, one in zip(keys, outcomes, strict=True) if isinstance(one, OutcomeUnknown)]
    assert len(known) + len(unknown) == 50
    assert (await store.head() == 53) == (written or not unknown)
    retried = await outcomes_of(far, unknown)
    assert {one.duplicate for one in retried if isinstance(one, Appended)} <= {written}
    assert await positions_of(store) == list(range(1, 54))


async def test_an_append_whose_preparation_is_lost_was_not_sent_and_nothing_is_in_doubt(
    store: EventStore, far: EventStore, proxy: CuttingProxy
) -> None:
    await far.append([EVENT])
    proxy.cut("answer")  # the second time the statement is prepared first

    with pytest.raises(StoreUnreachable):
        await far.append([EVENT])

    assert await positions_of(store) == [1]


async def test_a_connection_that_is_lost_before_an_append_is_replaced_and_nothing_is_in_doubt(
    store: EventStore, far: EventStore, proxy: CuttingProxy
) -> None:
    await far.append([EVENT])
    proxy.cut_all()

    assert await far.append([EVENT]) == Appended(2, 2)
    assert await far.head() == 2


async def test_a_server_that_takes_no_connections_is_named_and_nothing_is_written(
    store: EventStore, far: EventStore, proxy: CuttingProxy
) -> None:
    await far.append([EVENT])
    proxy.deaf = True
    proxy.cut_all()

    outcomes = await outcomes_of(far, [f"k-{n}" for n in range(20)])
    with pytest.raises(StoreUnreachable):
        await far.head()
    proxy.deaf = False

    assert {type(outcome) for outcome in outcomes} == {StoreUnreachable}
    assert await positions_of(store) == [1]
    assert await far.append([EVENT]) == Appended(2, 2)


async def test_an_append_that_the_server_ends_while_it_waits_for_the_lock_has_written_nothing(
    server: PostgresServer, log: str, store: EventStore
) -> None:
    with connected(server) as holder:
        holder.execute("BEGIN")
        holder.execute(sql_append(log))
        waiting = asyncio.create_task(outcomes_of(store, ["k"]))
        await asyncio.to_thread(until_someone_waits_for_the_lock, server)
        assert terminate(server, "wait_event = 'relation'") == 1
        [outcome] = await waiting
        holder.execute("COMMIT")

    assert isinstance(outcome, StoreUnreachable)
    assert "terminating connection due to administrator command" in outcome.found
    assert await store.lookup("k") is None
    assert await store.append([EVENT], key="k") == Appended(2, 2)


async def test_a_connection_that_the_server_ends_between_two_appends_is_not_noticed(
    server: PostgresServer, store: EventStore
) -> None:
    await store.append([EVENT])
    terminate(server, "application_name = 'leftfold'")

    assert await store.append([EVENT]) == Appended(2, 2)
    assert await positions_of(store) == [1, 2]


@pytest.mark.parametrize("mode", ["fast", "immediate", "kill"])
@pytest.mark.parametrize("used_before", [True, False])
async def test_a_restart_between_two_appends_is_not_noticed(
    mortal: PostgresServer, log: str, mode: Mode, used_before: bool
) -> None:
    async with open_store(mortal.url(log=log)) as store:
        if used_before:
            await store.append([EVENT])
        mortal.stop(mode)  # while nothing here can look
        mortal.start()

        appended = await store.append([EVENT])

        assert appended.first == (2 if used_before else 1)


@pytest.mark.parametrize("mode", ["fast", "immediate", "kill"])
async def test_an_append_that_waits_while_the_server_goes_down_is_settled_when_it_is_back(
    mortal: PostgresServer, log: str, mode: Mode
) -> None:
    async with open_store(mortal.url(log=log)) as store:
        with closing(connected(mortal)) as holder:
            holder.execute("BEGIN")
            holder.execute(sql_append(log))
            waiting = asyncio.create_task(outcomes_of(store, ["k"]))
            await asyncio.to_thread(until_someone_waits_for_the_lock, mortal)
            await asyncio.to_thread(mortal.stop, mode)
            [outcome] = await waiting
            refused = await outcomes_of(store, ["other"])
            await asyncio.to_thread(mortal.start)

        assert isinstance(outcome, OutcomeUnknown | StoreUnavailable)
        assert isinstance(outcome, OutcomeUnknown) == (mode != "fast")  # the others leave the server no time for a word
        assert [type(one) for one in refused] == [StoreUnreachable]
        assert await store.append([EVENT], key="k") == Appended(1, 1)
        assert await positions_of(store) == [1]


async def test_a_server_that_is_silent_is_given_up(
    server: PostgresServer, log: str, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_store(server.url(log=log, application_name="silenced")) as silenced:
        for _ in range(2):  # the second time a statement is prepared; then a call is one exchange
            await silenced.append([EVENT])
        with connected(server) as connection:
            pids = connection.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'silenced'").fetchall()
        monkeypatch.setattr(Connection, "patience", 0.5)
        for (pid,) in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(OutcomeUnknown, match=r"has not answered for 0\.5 s"):
                await silenced.append([EVENT], key="k")
        finally:
            monkeypatch.undo()
            for (pid,) in pids:
                os.kill(pid, signal.SIGCONT)

        appended = await silenced.append([EVENT], key="k")

    assert (appended.first, appended.last) == (3, 3)
    assert await positions_of(store) == [1, 2, 3]


# --- the log's lock


async def test_appends_behind_a_stuck_holder_of_the_lock_end_within_the_bound_and_write_nothing(
    server: PostgresServer, log: str, store: EventStore
) -> None:
    async with open_store(server.url(log=log, busy_timeout="0.5")) as impatient:
        with connected(server) as holder:
            holder.execute("BEGIN")
            hold_append_lock(holder, log)
            began = time.monotonic()
            timed = [
                impatient.append([NewEvent("timed", b"", time=datetime(2026, 1, 1, tzinfo=UTC))]) for _ in range(20)
            ]
            outcomes = await asyncio.gather(*timed, return_exceptions=True)
            seconds = time.monotonic() - began
            assert await impatient.head() == 0  # readers wait for nobody
            holder.execute("ROLLBACK")

        assert {type(outcome) for outcome in outcomes} == {StoreBusy}
        assert seconds < 20 * 0.5  # two batches at most wait, though no two of these fit in one call
        assert await impatient.append([EVENT]) == Appended(1, 1)


@pytest.mark.parametrize("through", [{}, {"through": "pgbouncer"}])
async def test_the_wait_for_the_lock_is_bounded_without_settings_of_the_connection_too(
    server: PostgresServer, log: str, store: EventStore, through: dict[str, str]
) -> None:
    async with open_store(server.url(log=log, busy_timeout="0.2", **through)) as impatient:
        with connected(server) as holder:
            holder.execute("BEGIN")
            holder.execute(sql_append(log))

            with pytest.raises(StoreBusy, match="lock timeout"):
                await impatient.append([EVENT])


async def test_whoever_appends_by_plain_sql_neither_waits_nor_holds_the_lock_for_ever(
    server: PostgresServer, log: str, store: EventStore
) -> None:
    bounds = {"lock_timeout": "10s", "idle_in_transaction_session_timeout": "10s", "statement_timeout": "1min"}
    with connected(server) as connection:
        if connection.info.server_version >= 170_000:
            bounds["transaction_timeout"] = "1min"
        connection.execute("BEGIN")
        connection.execute(sql_append(log))
        found = {name: connection.execute(f"SHOW {name}".encode()).fetchone() for name in bounds}
        connection.execute("COMMIT")
        after = {connection.execute(f"SHOW {name}".encode()).fetchone() for name in bounds}

    assert found == {name: (value,) for name, value in bounds.items()}
    assert after == {("0",)}


async def test_a_holder_that_idles_is_ended_by_the_server_and_those_behind_it_go_on(
    server: PostgresServer, log: str, store: EventStore
) -> None:
    with closing(connected(server)) as holder:
        holder.execute("BEGIN")
        holder.execute(sql_append(log))
        holder.execute("SET LOCAL idle_in_transaction_session_timeout = '300ms'")

        appended = await store.append([EVENT])

        with pytest.raises(psycopg.Error):
            holder.execute("COMMIT")
    assert appended == Appended(1, 1)  # what the holder had appended was never committed


async def test_a_paused_client_of_ours_holds_nothing(server: PostgresServer, log: str, store: EventStore) -> None:
    """An append is one round trip: whenever its process stops, the server ends the transaction without it."""
    url = server.url(log=log, busy_timeout="600")
    chance = random.Random(1)
    async with open_store(url) as impatient:
        with Process("write", url, "paused", 8) as writer:
            await asyncio.to_thread(writer.hear)
            for n in range(20):
                await asyncio.sleep(chance.uniform(0, 0.01))
                writer.signal(signal.SIGSTOP)
                await impatient.append([EVENT], key=f"k-{n}")
                writer.signal(signal.SIGCONT)
            writer.kill()


# --- connections that cannot be had


async def test_a_server_without_a_free_connection_is_named_and_used_again_when_it_has_one(
    binaries: Path | None, log: str
) -> None:
    with PostgresServer(binaries=binaries, max_connections="8", max_wal_senders="0") as crowded:
        url = crowded.url(log=log, readers="1")
        async with open_store(url) as store:
            await store.append([EVENT])
            others = [connected(crowded) for _ in range(7)]
            began = time.monotonic()

            with pytest.raises(StoreUnreachable, match="too many clients"):
                await store.head()  # the first read: its connection is opened now
            with pytest.raises(StoreUnreachable, match="too many clients"):
                open_store(url)
            assert await store.append([EVENT]) == Appended(2, 2)  # what has a connection goes on
            seconds = time.monotonic() - began
            for other in others:
                other.close()

            async with asyncio.timeout(PATIENCE):
                while await patiently(store) != 2:
                    pass
        assert seconds < 10  # nobody has waited for a connection as long as for a lock


async def patiently(store: EventStore) -> int | None:
    """The head, or None while the server has no connection for us: closed ones are free a moment later."""
    try:
        return await store.head()
    except StoreUnreachable:
        return None


# --- who follows the log


async def test_those_who_wait_are_told_each_time_and_never_forgotten(mortal: PostgresServer, log: str) -> None:
    async def wait_and_wait(store: EventStore) -> None:
        for _ in range(5):
            with pytest.raises(StoreUnreachable):
                await store.wait(0)

    async with open_store(mortal.url(log=log)) as store:
        waiting = asyncio.gather(*(wait_and_wait(store) for _ in range(3)))
        await asyncio.sleep(0)
        await asyncio.to_thread(mortal.stop, "immediate")

        async with asyncio.timeout(PATIENCE):
            await waiting


@pytest.mark.parametrize("mode", ["fast", "kill"])
async def test_a_subscription_goes_on_by_itself_and_delivers_each_event_once(
    mortal: PostgresServer, log: str, mode: Mode, caplog: pytest.LogCaptureFixture
) -> None:
    delivered: list[int] = []
    caught_up, enough = asyncio.Event(), asyncio.Event()

    async def follow(store: EventStore) -> None:
        async for batch in subscribe(store):
            delivered.extend(event.position for event in batch.events)
            caught_up.set()
            if batch.through >= 5:
                enough.set()

    async with open_store(mortal.url(log=log)) as store, open_store(mortal.url(log=log)) as other:
        following = asyncio.create_task(follow(store))
        await other.append([EVENT, EVENT])
        await caught_up.wait()
        with caplog.at_level(logging.WARNING, "leftfold.subscription"):
            await asyncio.to_thread(mortal.stop, mode)
            await asyncio.to_thread(warned, caplog)
            await asyncio.to_thread(mortal.start)
            await other.append([EVENT, EVENT, EVENT])
            async with asyncio.timeout(PATIENCE):
                await enough.wait()
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)

    assert delivered == [1, 2, 3, 4, 5]
    first, last = caplog.records[0].getMessage(), caplog.records[-1].getMessage()
    assert first.startswith("cannot read the log beyond position 2; trying again: the server of")
    assert last.startswith("the log can be read again, after ")


def warned(caplog: pytest.LogCaptureFixture) -> None:
    while not caplog.records:
        time.sleep(0.001)


async def test_a_subscription_with_patience_ends_by_name_when_that_is_over(mortal: PostgresServer, log: str) -> None:
    async with open_store(mortal.url(log=log)) as store, aclosing(subscribe(store, patience=0.3)) as batches:
        await store.append([EVENT])
        assert (await anext(batches)).through == 1
        await asyncio.to_thread(mortal.stop, "immediate")

        began = time.monotonic()
        with pytest.raises(StoreUnreachable):
            await anext(batches)
        assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize("is_new", [True, False])
async def test_a_connection_that_is_lost_at_any_statement_of_opening_is_an_error_of_leftfold(
    server: PostgresServer, log: str, monkeypatch: pytest.MonkeyPatch, is_new: bool
) -> None:
    async def cut(statement: int) -> int:
        """Open the log while the server ends its connection before this statement; return how many there were."""
        run, asked = postgres_store.run, count(1)

        def run_or_lose(connection: Connection, *arguments: Any) -> Any:
            if next(asked) == statement:
                with psycopg.connect(server.url(), autocommit=True) as other:
                    other.execute("SELECT pg_terminate_backend(%s, 60000)", [connection.info.backend_pid])
            return run(connection, *arguments)

        with monkeypatch.context() as patch:
            for module in (postgres_store, postgres_schema):
                patch.setattr(module, "run", run_or_lose)
            async with open_store(server.url(log=log)):
                return next(asked) - 1

    if not is_new:
        await cut(0)
    statement = 1
    while True:
        try:
            reached = await cut(statement)
        except StoreUnreachable:
            statement += 1
        else:
            break
    assert reached < statement
    assert statement > 4

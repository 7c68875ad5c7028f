"""An app on a log in PostgreSQL: its workers' leases are in the log's schema, its read models in a schema beside it."""

import os
import signal
from collections import Counter
from itertools import count
from pathlib import Path

import psycopg
import pytest

from examples.orders import OrdersByStanding, Pay, Place, PutInStock, orders
from examples.worker_process import WorkerProcess
from leftfold import EventStore, LiveApp
from leftfold.command import lease_name
from leftfold.follow.lease_store import LeaseEntry
from leftfold.follow.process_identity import ProcessIdentity
from leftfold.store import open_store
from leftfold.store.open import make_roles
from leftfold_torture.postgres_server import PostgresServer
from tests.patience import PATIENCE
from tests.postgres import DATABASE

COMMANDS = lease_name("orders", (handler.command for handler in orders.command_handlers.values()))
WORK = {COMMANDS, "process Fulfilment", "projection order_status v1"}
numbers = count(1)


@pytest.fixture
def log() -> str:
    """The name of a log that is not there yet."""
    return f"shop_{next(numbers)}"


@pytest.fixture
def url(postgres: PostgresServer, log: str) -> str:
    return postgres.url(DATABASE, log=log)


async def place(live: LiveApp, *names: str) -> None:
    """Submit orders and their payments, and wait until they are handled."""
    tickets = [await live.submit(command) for name in names for command in (Place(name, "lamp", 40), Pay(name, 40))]
    for ticket in tickets:
        await ticket.result(PATIENCE)


def opening_of(entry: LeaseEntry) -> str | None:
    """The opening of an app that holds a lease."""
    holder = ProcessIdentity.parse(entry.holder)
    return None if holder is None else holder.nonce


async def handled(store: EventStore) -> Counter[str]:
    """How often each submitted command was handled."""
    events = [event async for batch in store.read() for event in batch.events]
    return Counter(tag for event in events if event.type == "leftfold.command.handled" for tag in event.tags)


async def test_the_work_is_one_app_s_until_it_closes(url: str) -> None:
    async with orders.open(url) as two:
        async with orders.open(url) as one:
            await one.execute(PutInStock("lamp", 1))
            await place(one, "o-1")
            held = await one.leases()

        await place(two, "o-2")
        answer = await two.query(OrdersByStanding(), after=await two.store.head(), wait_timeout=PATIENCE)

    assert ({entry.name for entry in held}, len(set(map(opening_of, held)))) == (WORK, 1)
    assert sum(answer.values()) == 2


async def test_a_process_that_is_paused_is_replaced_and_does_nothing_twice_when_it_wakes_up(
    url: str, tmp_path: Path
) -> None:
    async with orders.open(url, work=False) as live:
        await live.execute(PutInStock("lamp", 9))
    with WorkerProcess(tmp_path / "worker.txt", "--app", "examples.orders:orders", url) as worker:
        worker.wait_until_healthy()
        os.kill(worker.pid, signal.SIGSTOP)
        async with orders.open(url) as live:
            await place(live, "o-1", "o-2")
            os.kill(worker.pid, signal.SIGCONT)
            await place(live, "o-3", "o-4")
            store = live.store
            replaced = [
                event.type async for batch in store.read() for event in batch.events if "replaced" in event.type
            ]
            times = await handled(store)
            answer = await live.query(OrdersByStanding(), after=await store.head(), wait_timeout=PATIENCE)
        assert worker.stop() == 0

    assert "leftfold.worker.replaced" in replaced
    assert set(times.values()) == {1}
    assert sum(answer.values()) == 4


async def test_a_program_that_has_both_roles_works_and_the_writer_alone_touches_no_lease(
    postgres: PostgresServer, url: str, log: str
) -> None:
    async with open_store(url):
        writer, reader = make_roles(url)
    with psycopg.connect(postgres.url(DATABASE), autocommit=True) as owner:
        owner.execute(f"CREATE ROLE app_{log} LOGIN; GRANT {writer}, {reader} TO app_{log}".encode())
        owner.execute(f"CREATE SCHEMA {log}_models AUTHORIZATION app_{log}".encode())

    async with orders.open(url.replace("postgres@", f"app_{log}@", 1)) as live:
        await live.execute(PutInStock("lamp", 1))
        await place(live, "o-1")
        held = {entry.name for entry in await live.leases()}

    assert held == WORK
    with psycopg.connect(postgres.url(DATABASE), autocommit=True) as connection:
        connection.execute(f"SET ROLE {writer}".encode())
        for statement in ("DELETE FROM {}.lease", "UPDATE {}.lease SET beat = 1", "SELECT FROM {}.lease"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.format(log).encode())


@pytest.mark.parametrize("older", [False, True])
async def test_a_temporary_table_of_the_caller_is_not_taken_for_the_leases(
    postgres: PostgresServer, url: str, log: str, older: bool
) -> None:
    async with open_store(url):
        writer, _ = make_roles(url)
    with psycopg.connect(postgres.url(DATABASE), autocommit=True) as owner:
        if older:
            for function in ("take_lease", "beat_leases", "release_leases"):
                owner.execute(f"ALTER FUNCTION {log}.{function} SET search_path = {log}, pg_catalog".encode())
            async with open_store(url):
                pass
        owner.execute(f"CREATE ROLE caller_{log}; GRANT {writer} TO caller_{log}; SET ROLE caller_{log}".encode())
        owner.execute("CREATE TEMP TABLE lease (name text PRIMARY KEY, holder text, beat bigint, microseconds bigint)")
        owner.execute("GRANT ALL ON lease TO postgres")
        for call in ("take_lease('w', NULL, NULL, 'h')", "beat_leases('h', ARRAY['w'])"):
            owner.execute(f"SELECT {log}.{call}".encode())
        taken = owner.execute("SELECT FROM lease").fetchall()
        owner.execute("RESET ROLE")
        beats = owner.execute(f"SELECT name, beat FROM {log}.lease".encode()).fetchall()
        owner.execute(f"SELECT {log}.release_leases('h', ARRAY['w'])".encode())
        left = owner.execute(f"SELECT FROM {log}.lease".encode()).fetchall()

    assert (taken, beats, left) == ([], [("w", 2)], [])

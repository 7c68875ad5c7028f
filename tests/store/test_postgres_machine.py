"""The state machine drives the PostgreSQL store too: interleavings, retries, reopening, connections that are ended."""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import ClassVar

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from leftfold.model.clock import Clock
from leftfold.store.contract import EventStore
from leftfold.store.postgres.store import PostgresStore
from leftfold.testing.model import Request
from leftfold.testing.state_machine import StoreMachine
from leftfold_torture.postgres_server import PostgresServer
from tests.patience import examples
from tests.postgres import hold_append_lock

WALKS = settings(
    max_examples=examples(20), stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


class PostgresMachine(StoreMachine):
    crashes = True
    server: ClassVar[PostgresServer]
    numbers = count(1)

    def __init__(self) -> None:
        self.log = f"machine_{next(self.numbers)}"
        super().__init__()

    def open_store(self, clock: Clock) -> EventStore:
        return PostgresStore(self.server.url(application_name=self.log), self.log, clock=clock, readers=1)

    async def crash(self, groups: Sequence[Sequence[Request]], point: float) -> int:
        """End every connection of the store's: while the appends wait for the lock, or when they are committed.

        In between it would be chance what is left, and a walk has to be the same each time that it is gone.
        """
        waiting = point < 0.5
        with psycopg.connect(self.server.url()) as holder:
            if waiting:
                hold_append_lock(holder, self.log)
            working = asyncio.create_task(self.outcomes_of([one for group in groups for one in group]))
            while waiting and not working.done():
                await asyncio.to_thread(self.terminate, "wait_event = 'relation'")
            await working
        await asyncio.to_thread(self.terminate, "true")
        await self.store.close()
        return 0 if waiting else len(groups)

    def terminate(self, which: str) -> None:
        sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s AND "
        with psycopg.connect(self.server.url()) as connection:
            connection.execute((sql + which).encode(), [self.log])

    def teardown(self) -> None:
        super().teardown()
        self.server.execute(f'DROP SCHEMA "{self.log}" CASCADE')


class TestPostgresMachine(PostgresMachine.TestCase):
    settings = WALKS

    @pytest.fixture(scope="class", autouse=True)
    @staticmethod
    def server(binaries: Path | None) -> Iterator[None]:
        with PostgresServer(binaries=binaries) as server:
            PostgresMachine.server = server
            yield

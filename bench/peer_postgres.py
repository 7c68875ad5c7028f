"""The peer on PostgreSQL: its `ProjectionRunner`, with a view that records its tracking with each row."""

from time import sleep
from typing import Any
from uuid import UUID

from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresDatastore, PostgresTrackingRecorder
from eventsourcing.projection import ProjectionRunner
from psycopg.sql import SQL, Identifier

from bench.peer import Bank
from bench.peer_projection import BalanceProjection
from bench.work import Stopwatch, Work
from leftfold_torture.postgres_server import ADMIN, PostgresServer

CREATE = "CREATE TABLE IF NOT EXISTS {}.balance (account text PRIMARY KEY, owner text NOT NULL, amount bigint NOT NULL)"
OPENED = "INSERT INTO {}.balance (account, owner, amount) VALUES (%s, %s, 0)"
DEPOSITED = "UPDATE {}.balance SET amount = amount + %s WHERE account = %s"


class PostgresBalances(PostgresTrackingRecorder):
    done = 0

    def __init__(self, datastore: PostgresDatastore, **options: Any) -> None:
        super().__init__(datastore, **options)
        schema = Identifier(datastore.schema)
        self.sql_create_statements.append(SQL(CREATE).format(schema))
        self._opened, self._deposited = SQL(OPENED).format(schema), SQL(DEPOSITED).format(schema)

    def opened(self, account: UUID, owner: str, tracking: Tracking) -> None:
        self._record(self._opened, (account.hex, owner), tracking)

    def deposited(self, account: UUID, amount: int, tracking: Tracking) -> None:
        self._record(self._deposited, (amount, account.hex), tracking)

    def _record(self, statement: Any, parameters: tuple[Any, ...], tracking: Tracking) -> None:
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(statement, parameters, prepare=True)
        self.done += 1


def environment(server: PostgresServer, database: str, schema: str = "public") -> dict[str, str]:
    """The settings of an application that keeps everything in one schema."""
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": database,
        "POSTGRES_HOST": str(server.directory),
        "POSTGRES_USER": ADMIN,
        "POSTGRES_PASSWORD": "none",
        "POSTGRES_SCHEMA": schema,
    }


def run_projection(server: PostgresServer, database: str, schema: str, seconds: float) -> Work:
    """Let the runner process events for a while, into a view in a new schema."""
    server.execute(f"CREATE SCHEMA {schema}", database)
    name = BalanceProjection.name.upper()
    settings = {**environment(server, database), f"{name}_POSTGRES_SCHEMA": schema}
    with ProjectionRunner(
        application_class=Bank,
        projection_class=BalanceProjection,  # type: ignore[type-var]  # its view is made by the runner
        view_class=PostgresBalances,
        env=settings,
    ) as runner:
        while not runner.view.done:
            sleep(0.001)
        before, watch = runner.view.done, Stopwatch()
        sleep(seconds)
        work = watch.work(runner.view.done - before)
    runner.view.datastore.close()
    return work

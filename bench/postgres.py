"""PostgreSQL for a figure: a server of its own with fsync on, and every contestant in a schema of one database."""

from collections.abc import Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import psycopg

from bench import durability
from bench.figure import PEER
from bench.ours import Ours, opened_ours
from bench.peer import Bank
from bench.peer_postgres import environment
from leftfold_torture.postgres_server import PostgresServer

DATABASE = "bench"
PEER_FUNCTIONS = f"{PEER}, functions on"
Connection = psycopg.Connection[Any]


@contextmanager
def opened_server() -> Generator[PostgresServer]:
    """A server as it is by default: every commit is synced."""
    with PostgresServer() as server:
        server.create(DATABASE)
        yield server


def ours_on(server: PostgresServer, log: str = "ours") -> AbstractContextManager[Ours]:
    """The bank, its log in a schema."""
    return opened_ours(log_url(server, log))


def log_url(server: PostgresServer, log: str) -> str:
    return server.url(DATABASE, log=log)


def peers_on(server: PostgresServer, opened: ExitStack) -> dict[str, Bank]:
    """The peer as it is by default, and with the function that it inserts by when told to."""
    peers = {
        PEER: Bank(schema_of(server, "peer")),
        PEER_FUNCTIONS: Bank({**schema_of(server, "peer_functions"), "POSTGRES_ENABLE_DB_FUNCTIONS": "y"}),
    }
    for peer in peers.values():
        opened.enter_context(peer)
        durability.check(peer)
    return peers


def schema_of(server: PostgresServer, schema: str) -> dict[str, str]:
    """The settings of an application of the peer's, in a new schema."""
    server.execute(f"CREATE SCHEMA {schema}", DATABASE)
    return environment(server, DATABASE, schema)

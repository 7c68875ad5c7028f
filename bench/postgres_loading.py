"""Loading one entity from all its events on PostgreSQL, with neither snapshot nor cache."""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench import durability
from bench.callers import threads
from bench.figure import LEFTFOLD, PEER, Figure, Slices, Target
from bench.loading import EVENTS, loads_of
from bench.peer import save_in_parts
from bench.postgres import opened_server, ours_on, peers_on
from bench.postgres_floor import opened_floor, read_rows

FLOOR = "psycopg, rows by their key"


@contextmanager
def all_events(_: Path) -> Generator[Slices]:
    """As on SQLite: leftfold is asked for the state as of the head."""
    with ExitStack() as opened:
        server = opened.enter_context(opened_server())
        ours = opened.enter_context(ours_on(server))
        floor = opened.enter_context(opened_floor(server))
        peer = peers_on(server, opened)[PEER]  # it reads without its function
        durability.check(ours, floor)
        account = save_in_parts(peer, EVENTS)
        yield {
            LEFTFOLD: loads_of(ours),
            PEER: lambda seconds: EVENTS * threads(1, seconds, lambda: peer.repository.get(account)),
            FLOOR: read_rows(floor, EVENTS),
        }


FIGURES = (
    Figure(
        "pg-load-10000",
        "PostgreSQL: load 10,000 events of one entity",
        "events/s",
        all_events,
        (Target(10, PEER),),
    ),
)

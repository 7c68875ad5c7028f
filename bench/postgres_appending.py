"""Appends to PostgreSQL by the store alone: on a condition, from one process and from four, and a thousand at once."""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from bench import durability
from bench.appending import EVENTS, append_of
from bench.callers import timed
from bench.deciding import ENTITIES, threads_for
from bench.figure import LEFTFOLD, PEER, Figure, Slice, Slices, Target
from bench.peer import Bank, new_account
from bench.peer_dcb import APPEND, READ_AND_APPEND, conditional_appends, opened_recorder, reads_and_appends
from bench.postgres import log_url, opened_server, ours_on, peers_on
from bench.postgres_floor import copied, inserted, opened_floor
from bench.store_appends import Appends, OpenedWork, opened_appends, opened_commands, opened_processes

CALLERS = 64
PROCESSES = 4
PEER_APPEND = f"{PEER} DCB, {APPEND}"
PEER_READ_AND_APPEND = f"{PEER} DCB, {READ_AND_APPEND}"
COPY = "psycopg, COPY of 1,000 rows"
INSERT = "psycopg, INSERT of 1,000 rows"


@contextmanager
def on_condition(_: Path, callers: int) -> Generator[Slices]:
    """One event on the condition that nothing came since the last one of its account, of 10,000 accounts."""
    accounts = [f"account-{number}" for number in range(ENTITIES)]
    with ExitStack() as opened:
        server = opened.enter_context(opened_server())
        ours = opened.enter_context(ours_on(server))
        recorder = opened.enter_context(opened_recorder(server, accounts))
        durability.check(ours, recorder)
        appends = Appends(ours.live.store, accounts)
        ours.wait(appends.open())
        threads, half = threads_for(callers), len(accounts) // 2
        yield {
            LEFTFOLD: lambda seconds: ours.wait(appends.work(callers, seconds)),
            PEER_APPEND: conditional_appends(recorder, accounts[:half], len(accounts), threads),
            PEER_READ_AND_APPEND: reads_and_appends(recorder, accounts[half:], threads),
        }


@contextmanager
def from_processes(_: Path, opened_work: OpenedWork) -> Generator[Slices]:
    """The same, or commands, from several processes at once, each with accounts of its own."""
    with ExitStack() as opened:
        server = opened.enter_context(opened_server())
        url = log_url(server, "ours")
        durability.check(opened.enter_context(ours_on(server)))
        processes = opened.enter_context(opened_processes(url, PROCESSES, ENTITIES // PROCESSES, opened_work))
        yield {LEFTFOLD: partial(processes.work, CALLERS)}


@contextmanager
def ready_events(_: Path) -> Generator[Slices]:
    """Events that have been made: leftfold encodes and appends them, the peer saves an aggregate that has them."""
    with ExitStack() as opened:
        server = opened.enter_context(opened_server())
        ours = opened.enter_context(ours_on(server))
        floor = opened.enter_context(opened_floor(server))
        durability.check(ours, floor)
        peers = peers_on(server, opened)
        yield {
            LEFTFOLD: append_of(ours),
            **{name: _saves_of(peer) for name, peer in peers.items()},
            COPY: copied(floor, EVENTS),
            INSERT: inserted(floor, EVENTS),
        }


def _saves_of(peer: Bank) -> Slice:
    return lambda seconds: EVENTS * timed(seconds, lambda: new_account(EVENTS - 1), peer.save)


FIGURES = (
    Figure(
        f"pg-conditional-{CALLERS}",
        f"PostgreSQL: append an event on a condition, {CALLERS} callers",
        "appends/s",
        partial(on_condition, callers=CALLERS),
        (Target(20, PEER_READ_AND_APPEND),),
        note="The store alone, no command. The peer's recorder gets the same bytes and tags, without metadata.",
    ),
    Figure(
        f"pg-processes-{PROCESSES}",
        f"PostgreSQL: append an event on a condition, {PROCESSES} processes of {CALLERS} callers each",
        "appends/s",
        partial(from_processes, opened_work=opened_appends),
        (Target(25_000),),
    ),
    Figure(
        f"pg-decide-processes-{PROCESSES}",
        f"PostgreSQL: load, decide, append on 10,000 entities, {PROCESSES} processes of {CALLERS} callers each",
        "commands/s",
        partial(from_processes, opened_work=opened_commands),
    ),
    Figure(
        "pg-append-1000",
        "PostgreSQL: append 1,000 events of one tag",
        "events/s",
        ready_events,
        (Target(2, PEER),),
        note="The events are ready; timed is what makes them durable. The bare rows have one index and no tags.",
    ),
)

"""Loading one entity from all its events, with neither snapshot nor cache."""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench import durability
from bench.bank import Account
from bench.callers import threads
from bench.figure import PEER, Figure, Slice, Slices, Target, compared
from bench.floor import opened_floor, read_rows
from bench.ours import Ours, opened_ours
from bench.peer import new_account, open_peer

EVENTS = 10_000
NAME = "old"
FLOOR = "sqlite3, rows by their key"


@contextmanager
def our_events(directory: Path) -> Generator[Slice]:
    """Leftfold is asked for the state as of the head: that bypasses held states, and no snapshot has been taken."""
    with opened_ours(directory / "leftfold.db") as ours:
        durability.check(ours)
        yield loads_of(ours)


@contextmanager
def beside_all_events(directory: Path) -> Generator[Slices]:
    with ExitStack() as opened:
        peer = opened.enter_context(open_peer(directory / "peer.db"))
        floor = opened.enter_context(opened_floor(directory / "floor.db"))
        durability.check(peer, floor)
        account = new_account(EVENTS - 1)
        peer.save(account)
        yield {
            PEER: lambda seconds: EVENTS * threads(1, seconds, lambda: peer.repository.get(account.id)),
            FLOOR: read_rows(floor, EVENTS),
        }


def loads_of(ours: Ours) -> Slice:
    """Events a second, by asking for the state of a new account that has so many."""
    head = ours.store_history(NAME, EVENTS)

    def load() -> None:
        state = ours.wait(ours.live.state(Account, NAME, as_of=head))
        assert state.balance == EVENTS - 1

    return lambda seconds: EVENTS * threads(1, seconds, load)


FIGURES = (
    Figure(
        "load-10000",
        "load 10,000 events of one entity",
        "events/s",
        compared(our_events, beside_all_events),
        (Target(20, PEER),),
        note="`live.state(Account, key, as_of=head)`: every event is read, decoded and folded; no snapshot exists.",
        ours=our_events,
    ),
)

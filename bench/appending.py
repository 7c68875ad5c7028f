"""A thousand events in one append."""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

from bench import durability
from bench.bank import Deposit, Deposited, Open, bank
from bench.callers import timed
from bench.figure import PEER, Figure, Slice, Slices, Target, compared
from bench.floor import opened_floor, thousand_rows
from bench.ours import METADATA, Ours, opened_ours
from bench.own_rows import opened_own_rows
from bench.peer import Bank, new_account, open_peer
from leftfold import AppendCondition, Tag, criteria

EVENTS = 1_000
FLOOR = "sqlite3, 1,000 rows a commit"
OWN_ROWS = "leftfold's rows in a bare loop, 1,000 a commit"


@contextmanager
def our_ready_events(directory: Path) -> Generator[Slice]:
    """Events that have been made: leftfold encodes and appends them, the peer saves an aggregate that has them."""
    with opened_ours(directory / "leftfold.db") as ours:
        durability.check(ours)
        yield append_of(ours)


@contextmanager
def beside_ready_events(directory: Path) -> Generator[Slices]:
    with ExitStack() as opened:
        peer = opened.enter_context(open_peer(directory / "peer.db"))
        durability.check(peer)
        yield {
            PEER: lambda seconds: EVENTS * timed(seconds, lambda: new_account(EVENTS - 1), peer.save),
            **_floors(opened, directory),
        }


def _floors(opened: ExitStack, directory: Path) -> Slices:
    floor = opened.enter_context(opened_floor(directory / "floor.db"))
    own = opened.enter_context(opened_own_rows(directory / "own-rows.db", [f"bulk-{n}" for n in range(EVENTS)]))
    durability.check(floor)
    return {FLOOR: thousand_rows(floor), OWN_ROWS: own.rows(EVENTS)}


def append_of(ours: Ours) -> Slice:
    names = (f"bulk-{number}" for number in count())
    encode, append = bank.registry.encode, ours.live.store.append

    def events() -> list[Deposited]:
        name = next(names)
        return [Deposited(name, 1) for _ in range(EVENTS)]

    def save(events: list[Deposited]) -> None:
        untouched = AppendCondition(criteria(tags=[Tag("account")(events[0].account)]), 0)
        ours.wait(append([encode(event, METADATA) for event in events], condition=untouched))

    return lambda seconds: EVENTS * timed(seconds, events, save)


@contextmanager
def our_decided_events(directory: Path) -> Generator[Slice]:
    """The whole way: a command that decides a thousand events, and the peer's methods that do."""
    with opened_ours(directory / "leftfold.db") as ours:
        durability.check(ours)
        yield _decision_of(ours)


@contextmanager
def beside_decided_events(directory: Path) -> Generator[Slices]:
    with ExitStack() as opened:
        peer = opened.enter_context(open_peer(directory / "peer.db"))
        durability.check(peer)
        yield {PEER: _methods_of(peer), **_floors(opened, directory)}


def _decision_of(ours: Ours) -> Slice:
    names = (f"bulk-{number}" for number in count())

    def opened_account() -> str:
        name = next(names)
        ours.wait(ours.live.execute(Open(name, "ann")))
        return name

    def deposit(name: str) -> None:
        ours.wait(ours.live.execute(Deposit(name, 1, times=EVENTS)))

    return lambda seconds: EVENTS * timed(seconds, opened_account, deposit)


def _methods_of(peer: Bank) -> Slice:
    return lambda seconds: EVENTS * timed(seconds, lambda: None, lambda _: peer.save(new_account(EVENTS - 1)))


FIGURES = (
    Figure(
        "append-1000",
        "append 1,000 events of one tag",
        "events/s",
        compared(our_ready_events, beside_ready_events),
        (Target(1, PEER), Target(0.45, FLOOR)),
        note="The events are ready; timed is what makes them durable: encoding, the append or save, the sync.",
        ours=our_ready_events,
    ),
    Figure(
        "decide-1000",
        "decide and append 1,000 events with one command",
        "events/s",
        compared(our_decided_events, beside_decided_events),
        ours=our_decided_events,
    ),
)

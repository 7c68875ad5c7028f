"""A thousand events in one append."""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

from bench import durability
from bench.bank import Deposit, Deposited, Open, bank
from bench.callers import timed
from bench.figure import LEFTFOLD, PEER, Figure, Slice, Slices, Target
from bench.floor import opened_floor, thousand_rows
from bench.ours import METADATA, Ours, opened_ours
from bench.peer import Bank, new_account, open_peer
from leftfold import AppendCondition, Tag, criteria

EVENTS = 1_000
FLOOR = "sqlite3, 1,000 rows a commit"


@contextmanager
def ready_events(directory: Path) -> Generator[Slices]:
    """Events that have been made: leftfold encodes and appends them, the peer saves an aggregate that has them."""
    with ExitStack() as opened:
        ours = opened.enter_context(opened_ours(directory / "leftfold.db"))
        peer = opened.enter_context(open_peer(directory / "peer.db"))
        floor = opened.enter_context(opened_floor(directory / "floor.db"))
        durability.check(ours, peer, floor)
        yield {
            LEFTFOLD: append_of(ours),
            PEER: lambda seconds: EVENTS * timed(seconds, lambda: new_account(EVENTS - 1), peer.save),
            FLOOR: thousand_rows(floor),
        }


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
def decided_events(directory: Path) -> Generator[Slices]:
    """The whole way: a command that decides a thousand events, and the peer's methods that do."""
    with ExitStack() as opened:
        ours = opened.enter_context(opened_ours(directory / "leftfold.db"))
        peer = opened.enter_context(open_peer(directory / "peer.db"))
        floor = opened.enter_context(opened_floor(directory / "floor.db"))
        durability.check(ours, peer, floor)
        yield {LEFTFOLD: _decision_of(ours), PEER: _methods_of(peer), FLOOR: thousand_rows(floor)}


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
        ready_events,
        (Target(1, PEER),),
        note="The events are ready; timed is what makes them durable: encoding, the append or save, the sync.",
    ),
    Figure(
        "decide-1000",
        "decide and append 1,000 events with one command",
        "events/s",
        decided_events,
    ),
)

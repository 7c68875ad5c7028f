"""Two ways to show a guest's name in each of their bookings, and what each costs: `python -m examples.renaming`.

`Booking` refers to the guest, and queries join the two. `Listed` copies the name into each row, and a rename changes
all of them. A row that is made later does not know the name: its event would have to carry it.
"""

import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Annotated, Self

from leftfold import (
    App,
    Command,
    Event,
    NonKey,
    Query,
    ReadModel,
    ReadModels,
    Reference,
    SyncLive,
    Tag,
    replace,
)

GuestId = Annotated[str, Tag("guest")]
BookingId = Annotated[int, Tag("booking")]


class Booked(Event):
    booking: BookingId
    guest: GuestId


class Renamed(Event):
    guest: GuestId
    name: str


class Book(Command):
    booking: BookingId
    guest: GuestId


class Rename(Command):
    guest: GuestId
    name: str


hotel = App("hotel")


@hotel.handles
def book(command: Book) -> Booked:
    return Booked(command.booking, command.guest)


@hotel.handles
def rename(command: Rename) -> Renamed:
    return Renamed(command.guest, command.name)


@hotel.read_model
class Guest(ReadModel):
    guest: GuestId
    name: str = ""

    def evolve(self, event: Renamed) -> Self:
        return replace(self, name=event.name)


@hotel.read_model(indexes=["guest"])
class Booking(ReadModel):
    booking: BookingId
    guest: Annotated[GuestId, NonKey] = ""

    def evolve(self, event: Booked) -> Self:
        return replace(self, guest=event.guest)


@hotel.read_model(indexes=["guest"])
class Listed(ReadModel):
    booking: BookingId
    guest: Annotated[GuestId, NonKey] = ""
    name: str = ""

    @classmethod
    def concerns(cls, event: Renamed, models: ReadModels) -> Iterable[Self]:
        return models.select(cls, guest=event.guest)

    def evolve(self, event: Booked | Renamed) -> Self:
        match event:
            case Booked(guest=guest):
                return replace(self, guest=guest)
            case Renamed(name=name):
                return replace(self, name=name)


GUEST = Reference(Booking.guest, Guest)


class Joined(Query[list[tuple[int, str]]]):
    guest: str
    limit: int = 50


class Copied(Query[list[tuple[int, str]]]):
    guest: str
    limit: int = 50


@hotel.answers
def joined(query: Joined, models: ReadModels) -> list[tuple[int, str]]:
    rows = models.join(Booking, GUEST).select(guest=query.guest, order_by="booking", limit=query.limit)
    return [(booking.booking, guest.name if guest else "") for booking, guest in rows]


@hotel.answers
def copied(query: Copied, models: ReadModels) -> list[tuple[int, str]]:
    rows = models.select(Listed, guest=query.guest, order_by="booking", limit=query.limit)
    return [(row.booking, row.name) for row in rows]


def milliseconds(work: Callable[[int], object], times: int = 15) -> float:
    """Return the median time of a call."""
    found: list[float] = []
    for number in range(times):
        begun = perf_counter()
        work(number)
        found.append(1000 * (perf_counter() - begun))
    return median(found)


def fill(live: SyncLive, bookings: int, of_ann: int) -> None:
    """Make bookings; the first of them are Ann's."""
    guests = ["ann" if number < of_ann else f"guest-{number % 1_000}" for number in range(bookings)]
    for start in range(0, bookings, 1_000):
        commands = [Book(number, guests[number]) for number in range(start, min(start + 1_000, bookings))]
        live.execute_many(commands, wait=[Booking, Listed], wait_timeout=600)
    live.execute(Rename("ann", "Ann"), wait=[Guest, Listed], wait_timeout=600)


def measure(live: SyncLive, query: Query[list[tuple[int, str]]], model: type[ReadModel]) -> tuple[float, float]:
    """Return what it costs to read 50 bookings, and to rename the guest until the model shows it."""

    def renamed(number: int) -> object:
        return live.execute(Rename("ann", f"Ann {number}"), wait=[model], wait_timeout=600)

    return milliseconds(lambda number: live.query(query)), milliseconds(renamed, 7)


def main(bookings: int = 100_000) -> None:
    """Measure with a hundredth, and with a tenth, of the bookings as those of one guest."""
    print("milliseconds (median)     bookings of the guest   read 50 of them   rename until it shows")
    with tempfile.TemporaryDirectory() as folder:
        for of_ann in (bookings // 100, bookings // 10):
            log = Path(folder) / f"hotel-{of_ann}.db"
            with hotel.open_sync(log) as live:
                fill(live, bookings, of_ann)
                assert live.query(Joined("ann")) == live.query(Copied("ann"))
            with hotel.open_sync(log, only=[Guest, Booking]) as live:
                found = measure(live, Joined("ann"), Guest)
                print(f"a reference, joined       {of_ann:21,}   {found[0]:15.1f}   {found[1]:21.1f}")
            with hotel.open_sync(log, only=[Listed]) as live:
                found = measure(live, Copied("ann"), Listed)
                print(f"copied, by concerns       {of_ann:21,}   {found[0]:15.1f}   {found[1]:21.1f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

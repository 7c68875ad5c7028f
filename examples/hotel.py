"""A hotel: bookings, guests, rooms, vouchers and invoices, each rule said where it is decided.

A booking takes several nights of a room, perhaps with a voucher. To check out, the guest whom only the booking names
has to be known, and an invoice gets the next number. Run it with `python -m examples.hotel`; docs/howto/hotel.md walks
through it.
"""

import asyncio
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Self

from leftfold import (
    App,
    Command,
    Context,
    DecisionModel,
    Delivery,
    Event,
    EventContext,
    LiveApp,
    Many,
    NonKey,
    NumberSeries,
    Page,
    Query,
    ReadModel,
    ReadModels,
    Reference,
    Rejected,
    Tag,
    Unique,
    Via,
    replace,
)

FREE_TO_CANCEL = timedelta(hours=24)

EMAIL = Tag("email", by=str.casefold)  # Ann@example.org and ann@example.org are one address
ROOM = Tag("room")
GuestId = Annotated[str, Tag("guest")]
Email = Annotated[str, EMAIL]
RoomId = Annotated[int, ROOM]
Night = Annotated[date, Tag("night", within=ROOM)]  # a night of one room
BookingId = Annotated[str, Tag("booking")]
VoucherId = Annotated[str, Tag("voucher")]

hotel = App("hotel")


# --- what can happen


class Registered(Event, wire="guest.registered"):
    guest: GuestId
    name: str
    email: Email


class Renamed(Event, wire="guest.renamed"):
    guest: GuestId
    name: str


class RoomOpened(Event, wire="room.opened"):
    room: RoomId
    price: int


class VoucherIssued(Event, wire="voucher.issued"):
    voucher: VoucherId
    percent: int


class Booked(Event, wire="booking.booked"):
    booking: BookingId
    guest: GuestId
    room: RoomId
    nights: tuple[Night, ...]
    amount: int
    voucher: VoucherId | None = None


class Cancelled(Event, wire="booking.cancelled"):
    booking: BookingId
    room: RoomId
    nights: tuple[Night, ...]
    voucher: VoucherId | None = None


class CheckedOut(Event, wire="booking.checked-out"):
    booking: BookingId
    guest: GuestId


class Invoiced(Event, wire="invoice.issued"):
    number: int
    booking: BookingId
    guest: GuestId
    name: str  # as it was then
    amount: int


class InvoiceSent(Event, wire="invoice.sent"):
    booking: BookingId
    receipt: str


# --- what can be asked for


class Register(Command):
    guest: GuestId
    name: str
    email: Email


class Rename(Command):
    guest: GuestId
    name: str


class OpenRoom(Command):
    room: RoomId
    price: int


class IssueVoucher(Command):
    voucher: VoucherId
    percent: int


class Book(Command):
    booking: BookingId
    guest: GuestId
    room: RoomId
    nights: tuple[Night, ...]
    voucher: VoucherId | None = None


class Cancel(Command):
    booking: BookingId


class CheckOut(Command):
    booking: BookingId


class RecordSent(Command):
    booking: BookingId
    receipt: str


# --- what decisions need to know


class EmailClaim(Unique[Registered]):
    email: Email


class Guest(DecisionModel):
    guest: GuestId
    name: str | None = None  # until the guest is registered

    def evolve(self, event: Registered | Renamed) -> Self:
        return replace(self, name=event.name)


class Room(DecisionModel):
    room: RoomId
    price: int | None = None

    def evolve(self, event: RoomOpened) -> Self:
        return replace(self, price=event.price)


class RoomNight(DecisionModel):
    """One night of one room: two bookings conflict only if they want the same."""

    room: RoomId
    night: Night
    taken: bool = False

    def evolve(self, event: Booked | Cancelled) -> Self:
        return replace(self, taken=isinstance(event, Booked))


class Voucher(DecisionModel):
    voucher: VoucherId
    percent: int | None = None
    used: bool = False

    def evolve(self, event: VoucherIssued | Booked | Cancelled) -> Self:
        match event:
            case VoucherIssued(percent=percent):
                return replace(self, percent=percent)
            case Booked() | Cancelled():
                return replace(self, used=isinstance(event, Booked))


class Booking(DecisionModel):
    booking: BookingId
    guest: Annotated[GuestId, NonKey] | None = None  # None until it is booked
    made: Booked | None = None
    at: datetime | None = None
    open: bool = False

    def evolve(self, event: Booked | Cancelled | CheckedOut, context: EventContext) -> Self:
        match event:
            case Booked(guest=guest):
                return replace(self, guest=guest, made=event, at=context.time, open=True)
            case Cancelled() | CheckedOut():
                return replace(self, open=False)


class Invoices(NumberSeries[Invoiced]):
    """It has no key: there is one series of numbers."""


# --- decisions


@hotel.handles
def register(command: Register, guest: Guest, claim: EmailClaim) -> Registered:
    if guest.name is not None:
        raise Rejected("this guest is registered")
    if claim.taken:
        raise Rejected("this address is registered")
    return Registered(command.guest, command.name, command.email)


@hotel.handles
def rename(command: Rename, guest: Guest) -> Renamed:
    if guest.name is None:
        raise Rejected("there is no such guest")
    return Renamed(command.guest, command.name)


@hotel.handles
def open_room(command: OpenRoom, room: Room) -> RoomOpened:
    return RoomOpened(command.room, command.price)


@hotel.handles
def issue(command: IssueVoucher, voucher: Voucher) -> VoucherIssued:
    return VoucherIssued(command.voucher, command.percent)


@hotel.handles
def book(
    command: Book, booking: Booking, guest: Guest, room: Room, nights: Many[RoomNight], voucher: Voucher | None
) -> Booked:
    if booking.made is not None or guest.name is None or room.price is None:
        raise Rejected("this cannot be booked")
    taken = [each.night.isoformat() for each in nights if each.taken]
    if taken or not nights:
        raise Rejected("the room is not free", nights=taken)
    if voucher is not None and (voucher.percent is None or voucher.used):
        raise Rejected("the voucher is not valid")
    percent = 0 if voucher is None or voucher.percent is None else voucher.percent
    amount = room.price * len(nights) * (100 - percent) // 100
    days = tuple(each.night for each in nights)  # each once
    return Booked(command.booking, command.guest, command.room, days, amount, command.voucher)


@hotel.handles
def cancel(command: Cancel, booking: Booking, context: Context) -> Cancelled:
    made, at = booking.made, booking.at
    if made is None or at is None or not booking.open:
        raise Rejected("there is no such booking")
    if context.now - at > FREE_TO_CANCEL:
        raise Rejected("too late to cancel", until=at + FREE_TO_CANCEL)
    return Cancelled(command.booking, made.room, made.nights, made.voucher)


@hotel.handles
def check_out(
    command: CheckOut, booking: Booking, guest: Annotated[Guest | None, Via("booking", "guest")], invoices: Invoices
) -> tuple[CheckedOut, Invoiced]:
    if guest is None or guest.name is None or booking.made is None or not booking.open:
        raise Rejected("there is no such booking")
    invoice = Invoiced(invoices.next, command.booking, guest.guest, guest.name, booking.made.amount)
    return CheckedOut(command.booking, guest.guest), invoice


@hotel.handles
def record_sent(command: RecordSent) -> InvoiceSent:
    return InvoiceSent(command.booking, command.receipt)


# --- what is shown


@hotel.read_model(history=True)
class GuestRow(ReadModel):
    guest: GuestId
    name: str = ""
    email: str = ""

    def evolve(self, event: Registered | Renamed) -> Self:
        email = event.email if isinstance(event, Registered) else self.email
        return replace(self, name=event.name, email=email)


@hotel.read_model(history=True, indexes=[("guest", "arrival"), "arrival"])
class Stay(ReadModel):
    booking: BookingId
    guest: Annotated[GuestId, NonKey] = ""
    room: Annotated[RoomId, NonKey] = 0
    arrival: date | None = None
    amount: int = 0
    invoice: int | None = None
    sent: bool = False

    def evolve(self, event: Booked | Cancelled | Invoiced | InvoiceSent) -> Self | None:
        match event:
            case Booked(guest=guest, room=room, nights=nights, amount=amount):
                return replace(self, guest=guest, room=room, arrival=min(nights), amount=amount)
            case Cancelled():
                return None
            case Invoiced(number=number):
                return replace(self, invoice=number)
            case InvoiceSent():
                return replace(self, sent=True)


GUEST = Reference(Stay.guest, GuestRow)


class Stays(Query[Page[Stay]]):
    after: str | None = None
    limit: int = 50


class Arrivals(Query[list[tuple[int, str]]]):
    day: date


class EmailOf(Query[str | None]):
    guest: GuestId


class Revenue(Query[int]):
    guest: GuestId


@hotel.answers
def stays(query: Stays, models: ReadModels) -> Page[Stay]:
    return models.page(Stay, order_by="arrival", limit=query.limit, after=query.after)


@hotel.answers
def arrivals(query: Arrivals, models: ReadModels) -> list[tuple[int, str]]:
    rows = models.join(Stay, GUEST).select(arrival=query.day, order_by="booking")
    return [(stay.room, guest.name if guest else "?") for stay, guest in rows]


@hotel.answers
def email_of(query: EmailOf, models: ReadModels) -> str | None:
    row = models.get(GuestRow, query.guest)
    return None if row is None else row.email


@hotel.answers
def revenue(query: Revenue, models: ReadModels) -> int:
    return models.sum(Stay, Stay.amount, guest=query.guest) or 0


# --- what follows


outbox: list[str] = []


@hotel.reactor("send invoice", start="from_start")
async def send_invoice(event: Invoiced, live: LiveApp, delivery: Delivery) -> None:
    """Send it to the address of today, and record that once, however often this runs."""
    email = await live.query(EmailOf(event.guest), after=delivery.position)
    outbox.append(f"to {email}: invoice {event.number} for {event.name}, {event.amount}")  # stands for a mail service
    await live.execute(RecordSent(event.booking, delivery.key), key=delivery.key)


def nights(first: date, count: int) -> tuple[date, ...]:
    """Return so many nights from the first."""
    return tuple(first + timedelta(days=day) for day in range(count))


PREPARED: Sequence[Any] = [
    Register("ann", "Ann Miller", "Ann@example.org"),
    Register("bob", "Bob", "bob@example.org"),
    OpenRoom(1, 100),
    OpenRoom(2, 80),
    IssueVoucher("SPRING", 10),
]
MAY = date(2026, 5, 1)


async def main() -> None:
    """Show two guests who want the same nights, an invoice, and a list."""
    async with hotel.open("memory:") as live:
        await live.execute_many(PREPARED)
        await live.execute(Book("b-1", "ann", 1, nights(MAY, 3), "SPRING"))
        for command in (
            Book("b-2", "bob", 1, nights(MAY + timedelta(days=2), 2)),
            Book("b-2", "bob", 2, nights(MAY, 2), "SPRING"),
            Register("eve", "Eve", "ANN@example.org"),
        ):
            try:
                await live.execute(command)
            except Rejected as rejected:
                print(f"{rejected.reason} {rejected.details or ''}".rstrip())
        await live.execute(Book("b-2", "bob", 2, nights(MAY, 2)))
        await live.execute(Rename("ann", "Ann Smith"))
        receipt = await live.execute(CheckOut("b-1"))
        await live.run_until_quiet()
        print(outbox[-1])
        print(await live.query(Arrivals(MAY), after=receipt))


if __name__ == "__main__":
    asyncio.run(main())

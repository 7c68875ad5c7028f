"""An app that has used whatever stores something; its logs, tables and snapshots lie beside this file as SQL.

`freeze.py` has made them. The tests open them with the present code. Changing a model here changes its fingerprint, and
then the files have to be made again; a new name for something of leftfold's must not.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Self

import sqlalchemy as sa

from leftfold import (
    App,
    Backoff,
    CancelScheduled,
    Command,
    Context,
    DecisionModel,
    Delivery,
    EndProcess,
    Event,
    EventContext,
    NonKey,
    ProcessManager,
    Query,
    Reaction,
    ReadModel,
    ReadModels,
    Rejected,
    Schedule,
    Tag,
    replace,
)

ParcelId = Annotated[str, Tag("parcel")]
CustomerId = Annotated[str, Tag("customer")]

FROZEN = datetime(2025, 2, 28, 5, tzinfo=UTC)
"""When the files were made, by the clock of the app."""

BROKEN = {"bad", "worse"}
"""How names begin that are not dealt with. What a set comes to hold is no part of a fingerprint."""

BACKOFF = Backoff(first=60, longest=3_600, attempts=2)
letters_sent: list[str] = []
bells_rung: list[str] = []


def check(parcel: str, where: str) -> None:
    """Raise for a parcel that is broken here: `bad letters`, say, in the reactor of this name."""
    words = parcel.split()
    if words[0] in BROKEN and where in words:
        raise ValueError(f"{parcel} does not go through the {where}")


class Size(Enum):
    """How large a parcel is."""

    SMALL = "small"
    LARGE = "large"


class Booked(Event, wire="depot.booked", version=2):
    parcel: ParcelId
    customer: CustomerId
    grams: int
    size: Size = Size.SMALL
    fee: Decimal = Decimal("2.50")


class Sent(Event, wire="depot.sent"):
    parcel: ParcelId
    at: datetime


class Delivered(Event, wire="depot.delivered"):
    parcel: ParcelId


class Reminded(Event, wire="depot.reminded"):
    parcel: ParcelId


class Counted(Event, wire="depot.counted"):
    name: str


class Book(Command, wire="depot.book"):
    parcel: ParcelId
    customer: CustomerId
    grams: int


class Send(Command, wire="depot.send"):
    parcel: ParcelId


class Deliver(Command, wire="depot.deliver"):
    parcel: ParcelId


class Remind(Command, wire="depot.remind"):
    parcel: ParcelId


class Count(Command, wire="depot.count"):
    name: str


class Parcel(DecisionModel):
    parcel: ParcelId
    booked: bool = False
    sent: datetime | None = None
    delivered: bool = False

    def evolve(self, event: Booked | Sent | Delivered) -> Self:
        match event:
            case Booked():
                return replace(self, booked=True)
            case Sent(at=at):
                return replace(self, sent=at)
            case Delivered():
                return replace(self, delivered=True)


class Customer(DecisionModel):
    """One of a history that is long enough for a snapshot."""

    customer: CustomerId
    parcels: tuple[str, ...] = ()
    fees: Decimal = Decimal(0)

    def evolve(self, event: Booked) -> Self:
        return replace(self, parcels=(*self.parcels, event.parcel), fees=self.fees + event.fee)


class Shelf(ReadModel):
    """A keyed one with history."""

    parcel: ParcelId
    customer: Annotated[CustomerId, NonKey] = ""
    size: Size = Size.SMALL
    fee: Decimal = Decimal(0)
    sent: datetime | None = None
    delivered: bool = False

    def evolve(self, event: Booked | Sent | Delivered) -> Self:
        match event:
            case Booked(customer=customer, size=size, fee=fee):
                return replace(self, customer=customer, size=size, fee=fee)
            case Sent(at=at):
                return replace(self, sent=at)
            case Delivered():
                return replace(self, delivered=True)


class Weight(ReadModel):
    """A keyed one with parked keys."""

    parcel: ParcelId
    grams: int = 0
    reminders: list[int] = []  # noqa: RUF012 - each row has its own

    def evolve(self, event: Booked | Reminded) -> Self:
        check(event.parcel, "scales")
        match event:
            case Booked(grams=grams):
                return replace(self, grams=grams)
            case Reminded():
                return replace(self, reminders=[*self.reminders, len(self.reminders)])


class Account(ReadModel):
    """A keyed one in shards."""

    customer: CustomerId
    parcels: int = 0
    grams: int = 0

    def evolve(self, event: Booked) -> Self:
        return replace(self, parcels=self.parcels + 1, grams=self.grams + event.grams)


class Transport(ProcessManager, wire="depot.transport"):
    """Sends what is booked, and reminds two days later unless it was delivered."""

    parcel: ParcelId
    reminders: int = 0

    def evolve(self, event: Booked | Delivered | Reminded) -> Self:
        return replace(self, reminders=self.reminders + isinstance(event, Reminded))

    def react(self, event: Booked | Delivered | Reminded) -> Reaction:
        check(event.parcel, "transport")
        match event:
            case Booked(parcel=parcel):
                return [Send(parcel), Schedule(Remind(parcel), delay=timedelta(days=2), name="reminder")]
            case Delivered():
                return [CancelScheduled("reminder"), EndProcess()]
            case Reminded():
                return Schedule(Remind(event.parcel), delay=timedelta(days=2), name="reminder")


class Farewell(ProcessManager, wire="depot.farewell"):
    """Answers only what comes after it was first run."""

    parcel: ParcelId

    def evolve(self, event: Delivered) -> Self:
        return self

    def react(self, event: Delivered) -> Reaction:
        return Count(f"farewell to {event.parcel}")


class Shelves(Query[list[Shelf]]):
    pass


class Weights(Query[list[Weight]]):
    pass


class Accounts(Query[list[Account]]):
    pass


class Lines(Query[list[tuple[Any, ...]]]):
    pass


class Stops(Query[list[str]]):
    pass


depot = App("depot", ignores=["customs.*"])
depot.event(Counted)
depot.renamed("depot.dispatched", "depot.sent")
depot.read_model(history=True)(Shelf)
depot.read_model(Weight)
depot.read_model(shards=2)(Account)
depot.process(Transport)
depot.process(from_now=True)(Farewell)
metadata = sa.MetaData()
lines = sa.Table(
    "lines",
    metadata,
    sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("parcel", sa.String, nullable=False),
    sa.Column("actor", sa.String),
)
stops_metadata = sa.MetaData()
stops = sa.Table("stops", stops_metadata, sa.Column("parcel", sa.String, primary_key=True))

BATCH = [
    *(Book(name, "ann", grams) for name, grams in (("p1", 700), ("p2", 1_400))),
    *(Book(name, "bob", 2_100) for name in ("bad scales letters van", "worse scales letters transport")),
    *(Book(name, "bob", 3_000) for name in ("bad transport", "bad stops")),
    Book("p1", "ann", 1),
]
"""What was booked at once; the last one is rejected."""


@depot.upcasts("depot.booked", 1)
def grams_of_kilos(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name != "kilos"} | {"grams": data["kilos"] * 1_000}


@depot.projection("lines", tables=metadata)
def write_line(event: Booked | Sent, connection: sa.Connection, recorded: EventContext) -> None:
    row = {"position": recorded.position, "parcel": event.parcel, "actor": recorded.metadata.actor}
    connection.execute(sa.insert(lines).values(**row))


@depot.projection("stops", tables=stops_metadata)
def write_stop(event: Delivered, connection: sa.Connection) -> None:
    check(event.parcel, "stops")
    connection.execute(sa.insert(stops).values(parcel=event.parcel))


@depot.reactor("letters", start="from_start", backoff=Backoff(first=86_400, longest=86_400, attempts=2))
def send_letter(event: Booked, delivery: Delivery) -> None:
    check(event.parcel, "letters")
    letters_sent.append(delivery.key)


@depot.reactor("bells", start="from_now", in_order=True)
def ring(event: Delivered, delivery: Delivery) -> None:
    bells_rung.append(delivery.key)


@depot.handles
def book(command: Book, parcel: Parcel, customer: Customer) -> Booked:
    if parcel.booked:
        raise Rejected("already booked", parcel=command.parcel)
    size = Size.LARGE if command.grams > 1_000 else Size.SMALL
    return Booked(command.parcel, command.customer, command.grams, size)


@depot.handles
def send(command: Send, parcel: Parcel, context: Context) -> Sent:
    check(command.parcel, "van")
    return Sent(command.parcel, context.now)


@depot.handles
def deliver(command: Deliver, parcel: Parcel) -> Delivered:
    if parcel.sent is None:
        raise Rejected("not sent", parcel=command.parcel, since=None)
    return Delivered(command.parcel)


@depot.handles
def remind(command: Remind) -> Reminded:
    return Reminded(command.parcel)


@depot.handles
def count(command: Count) -> Counted:
    check(command.name, "count")
    return Counted(command.name)


@depot.answers
def shelves(query: Shelves, models: ReadModels) -> list[Shelf]:
    return models.select(Shelf, order_by="parcel")


@depot.answers
def weights(query: Weights, models: ReadModels) -> list[Weight]:
    return models.select(Weight, order_by="parcel")


@depot.answers
def accounts(query: Accounts, models: ReadModels) -> list[Account]:
    return models.select(Account, order_by="customer")


@depot.answers
def written_lines(query: Lines, models: ReadModels) -> list[tuple[Any, ...]]:
    found = models.execute(sa.select(lines.c.position, lines.c.parcel, lines.c.actor).order_by(lines.c.position))
    return [tuple(row) for row in found]


@depot.answers
def written_stops(query: Stops, models: ReadModels) -> list[str]:
    return [str(row.parcel) for row in models.execute(sa.select(stops).order_by(stops.c.parcel))]

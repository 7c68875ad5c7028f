# pyright: strict
"""Deciding as a user writes it: contexts of events, in models and in tests."""

from datetime import datetime
from typing import Annotated, Self, assert_type

from leftfold import (
    App,
    Command,
    DecisionModel,
    Event,
    EventContext,
    Metadata,
    NonKey,
    NumberSeries,
    ProcessManager,
    ReadModel,
    Tag,
    Unique,
    replace,
)
from leftfold.testing import given
from leftfold.testing.clock import START

LoanId = Annotated[str, Tag("loan")]


class Lent(Event):
    loan: LoanId


class Returned(Event):
    loan: LoanId


class Lend(Command):
    loan: LoanId


class Loan(DecisionModel):
    loan: LoanId
    since: datetime | None = None
    by: str | None = None

    def evolve(self, event: Lent | Returned, context: EventContext) -> Self:
        assert_type(context.position, int)
        assert_type(context.time, datetime)
        assert_type(context.actor, str | None)
        assert_type(context.metadata, Metadata)
        match event:
            case Lent():
                return replace(self, since=context.time, by=context.actor)
            case Returned():
                return replace(self, since=None)


library = App("library")


@library.handles
def lend(command: Lend, loan: Loan) -> Lent:
    return Lent(command.loan)


@library.read_model
class LoanRow(ReadModel):
    loan: LoanId
    since: datetime | None = None

    def evolve(self, event: Lent | Returned, context: EventContext) -> Self | None:
        return replace(self, since=context.time)


@library.process
class Reminder(ProcessManager):
    loan: LoanId
    since: datetime | None = None

    def evolve(self, event: Lent, context: EventContext) -> Self:
        return replace(self, since=context.time)

    def react(self, event: Lent) -> Lend | None:
        return None


SHELF = Tag("shelf")
Shelf = Annotated[str, SHELF]
Place = Annotated[int, Tag("place", within=SHELF)]
Reader = Annotated[str, Tag("reader", by=str.casefold, secret="correct horse battery staple")]


class Shelved(Event):
    shelf: Shelf
    place: Place
    reader: Reader


assert_type(SHELF("s-1"), str)
assert_type(Shelved("s-1", 3, "Ann").place, int)
assert_type(Shelved("s-1", 3, "Ann").reader, str)

given(library, Lent("l-1"), at=START, metadata=Metadata(actor="ann")).and_given(Returned("l-1"), at=START).when(
    Lend("l-1")
).then(Lent("l-1"))


class Invoiced(Event):
    loan: LoanId
    number: int


class Credited(Event):
    loan: LoanId
    number: int


class InvoiceNumbers(NumberSeries[Invoiced | Credited]): ...


class InvoicesOfLoan(NumberSeries[Invoiced]):
    first = 1001
    loan: LoanId


class BarcodeTaken(Event):
    loan: LoanId
    barcode: Annotated[str, Tag("barcode")]


class BarcodeClaim(Unique[BarcodeTaken]):
    barcode: Annotated[str, Tag("barcode")]
    loan: Annotated[LoanId, NonKey] = ""


class Invoice(Command):
    loan: LoanId


class TakeBarcode(Command):
    loan: LoanId
    barcode: Annotated[str, Tag("barcode")]


@library.handles
def invoice(command: Invoice, numbers: InvoiceNumbers, of_loan: InvoicesOfLoan) -> Invoiced:
    assert_type(numbers.next, int)
    assert_type(of_loan.last, int)
    assert_type(of_loan.first, int)
    assert_type(of_loan.loan, str)
    return Invoiced(command.loan, numbers.next)


@library.handles
def take(command: TakeBarcode, claim: BarcodeClaim) -> BarcodeTaken | None:
    assert_type(claim.taken, bool)
    assert_type(claim.loan, str)
    return None if claim.taken else BarcodeTaken(command.loan, command.barcode)


assert_type(InvoicesOfLoan("l-1", last=3), InvoicesOfLoan)

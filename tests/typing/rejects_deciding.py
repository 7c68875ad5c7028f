# pyright: strict
"""Mistakes in deciding: each line that ends in `# error` is reported by both checkers."""

from typing import Self

from accepts_deciding import InvoiceNumbers, Lent, Loan, LoanId, Returned, library

from leftfold import DecisionModel, EventContext, NumberSeries, Tag, Unique, replace
from leftfold.testing import given


class Careless(DecisionModel):
    loan: LoanId
    by: str = ""

    def evolve(self, event: Lent, context: EventContext) -> Self:
        position: str = context.position  # error
        context.actor.upper()  # error
        return replace(self, by=context.who + position)  # error


def since(loan: Loan) -> float:
    return loan.since.timestamp()  # error


Tag("reader", by="casefold")  # error
Tag("place", within="shelf")  # error
Tag("reader", secret=3)  # error
Tag("reader", length=3)  # error
given(library, Lent("l-1"), at="today")  # error
given(library, Lent("l-1")).and_given(Returned("l-1"))  # error


class Unnumbered(NumberSeries[Lent]):  # error
    loan: LoanId


class NoEvent(Unique[int]):  # error
    loan: LoanId


class Claim(Unique[Lent]):
    loan: LoanId


def taken(claim: Claim, numbers: InvoiceNumbers) -> str:
    Claim("l-1", True)  # error
    claim.taken = False  # error: pyright
    return numbers.next  # error

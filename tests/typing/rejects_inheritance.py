# pyright: strict
"""Mistakes with derived events: each line that ends in `# error` is reported by both checkers, no other by either.

`# error: pyright` marks what mypy does not see.
"""

from typing import Self

from accepts_inheritance import AccountEvent, AccountId, Deposited, Moved, OwnerChanged, bank

from leftfold import Command, DecisionModel, Event, replace


class Bonus(Deposited):
    reason: str


class Forgetful(DecisionModel):
    account: AccountId
    balance: int = 0

    def evolve(self, event: Moved) -> Self:  # error
        match event:  # error: pyright
            case Deposited(amount=amount):
                return replace(self, balance=self.balance + amount)


class Careless(DecisionModel):
    account: AccountId
    balance: int = 0

    def evolve(self, event: AccountEvent) -> Self:
        return replace(self, balance=event.amount)  # error


class Wrong(Event, abstract="yes"):  # error: pyright
    account: AccountId


class Give(Command):
    account: AccountId


@bank.handles
def give(command: Give) -> Deposited:
    return Bonus(command.account, 1, "loyal")


@bank.handles
def give_something_else(command: Give) -> AccountEvent:
    return OwnerChanged(command.account, "Ann")  # error


Bonus("a-1", 1)  # error

# pyright: strict
"""Events that are derived from other events, and aliases of them, as a user writes them."""

from collections.abc import Sequence
from typing import Annotated, Generic, Self, TypeAlias, TypeVar, assert_type

from leftfold import App, Command, Criteria, DecisionModel, Event, ReadModel, Tag, criteria, replace

AccountId = Annotated[str, Tag("account")]
T = TypeVar("T")


class AccountEvent(Event, abstract=True):
    account: AccountId


class Deposited(AccountEvent, wire="account.deposited"):
    amount: int


class Withdrawn(AccountEvent):
    amount: int


class Changed(Event, Generic[T], abstract=True):
    account: AccountId
    value: T


class OwnerChanged(Changed[str]):
    pass


Moved: TypeAlias = Deposited | Withdrawn


class Account(DecisionModel):
    account: AccountId
    balance: int = 0

    def evolve(self, event: AccountEvent) -> Self:
        match event:
            case Deposited(amount=amount):
                assert_type(amount, int)
                return replace(self, balance=self.balance + amount)
            case Withdrawn(amount=amount):
                return replace(self, balance=self.balance - amount)
            case _:
                return self


class Balance(ReadModel):
    account: AccountId
    owner: str = ""
    amount: int = 0

    def evolve(self, event: Moved | OwnerChanged) -> Self:
        match event:
            case Deposited(amount=amount):
                return replace(self, amount=self.amount + amount)
            case Withdrawn(amount=amount):
                return replace(self, amount=self.amount - amount)
            case OwnerChanged(value=owner):
                assert_type(owner, str)
                return replace(self, owner=owner)


class Move(Command):
    account: AccountId
    amount: int


bank = App("bank")
bank.read_model(Balance)


@bank.handles
def move(command: Move, account: Account) -> Sequence[AccountEvent]:
    return [Deposited(command.account, command.amount), Withdrawn(command.account, account.balance)]


@bank.reactor("mail", start="from_start")
async def mail(event: AccountEvent) -> None:
    print(event.account)


assert_type(criteria(AccountEvent, OwnerChanged), Criteria)

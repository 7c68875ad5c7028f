# pyright: strict
"""Handlers that take many models, optional ones, and models that others name."""

from collections.abc import Callable
from typing import Annotated, Self, assert_type

from leftfold import App, Command, DecisionModel, Event, Many, NonKey, ReadModel, Tag, Via, replace

AccountId = Annotated[str, Tag("account")]


class Withdrawn(Event):
    account: AccountId
    amount: int


class Account(DecisionModel):
    account: AccountId
    balance: int = 0

    def evolve(self, event: Withdrawn) -> Self:
        return replace(self, balance=self.balance - event.amount)


class Row(ReadModel):
    account: AccountId

    def evolve(self, event: Withdrawn) -> Self:
        return self


class Withdraw(Command):
    account: AccountId
    amount: int


class Linked(Event):
    account: AccountId
    backup: AccountId


class Link(DecisionModel):
    account: AccountId
    backup: Annotated[AccountId, NonKey] | None = None
    others: Annotated[tuple[AccountId, ...], NonKey] = ()

    def evolve(self, event: Linked) -> Self:
        return replace(self, backup=event.backup, others=(*self.others, event.backup))


class CloseAll(Command):
    accounts: list[AccountId]
    heir: AccountId | None = None


class Rescue(Command):
    account: AccountId


app = App("parameters")


@app.handles
def close_all(command: CloseAll, accounts: Many[Account], heir: Account | None) -> list[Withdrawn]:
    assert_type(accounts["a-1"], Account)
    assert_type(heir, Account | None)
    for account in accounts:
        assert_type(account, Account)
    return [Withdrawn(each.account, each.balance) for each in accounts if heir is None or len(accounts) > 1]


@app.handles
def rescue(
    command: Rescue,
    link: Link,
    backup: Annotated[Account | None, Via("link", "backup")],
    others: Annotated[Many[Account], Via("link", "others")],
) -> Withdrawn | None:
    assert_type(backup, Account | None)
    assert_type(next(iter(others)), Account)
    return None if backup is None else Withdrawn(backup.account, backup.balance)


@app.handles
def one_of_another(command: Withdraw, account: Annotated[Account, Via("command", "account")]) -> Withdrawn:
    assert_type(account, Account)
    return Withdrawn(command.account, command.amount)


def handlers_keep_their_types_and_can_be_called() -> None:
    same: Callable[[CloseAll, Many[Account], Account | None], list[Withdrawn]] = close_all
    assert_type(same(CloseAll(["a-1"]), Many([Account("a-1")]), None), list[Withdrawn])
    assert_type(Many([Account("a-1")]), Many[Account])
    assert_type(rescue(Rescue("a-1"), Link("a-1"), None, Many[Account]()), Withdrawn | None)


def many_of_a_model_is_many_of_its_base() -> None:
    wider: Many[DecisionModel] = Many([Account("a-1")])
    assert_type(len(wider), int)

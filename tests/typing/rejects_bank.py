# pyright: strict
"""Mistakes in an app: each line that ends in `# error` is reported by both checkers, no other line by either.

`# error: pyright` marks what mypy does not see: it reports a match that leaves a case out at the function only, and
assignments to the fields of a frozen class only where the class statement itself says `frozen=True`.
"""

from collections.abc import Callable
from typing import Self

from accepts_bank import Account, AccountId, Balance, Opened, Richest, Withdraw, Withdrawn, bank, withdraw

from leftfold import DecisionModel, Event, Query, ReadModel, ReadModels, replace


class Deposited(Event):
    account: AccountId
    amount: int


class Forgetful(DecisionModel):
    account: AccountId
    balance: int = 0

    def evolve(self, event: Opened | Withdrawn | Deposited) -> Self:  # error
        match event:  # error: pyright
            case Opened():
                return self
            case Deposited(amount=amount):
                return replace(self, balance=self.balance + amount)


class ForgetfulTable(ReadModel):
    account: AccountId

    def evolve(self, event: Opened | Withdrawn | Deposited) -> Self:  # error
        match event:  # error: pyright
            case Opened() | Deposited():
                return self


class Count(Query[int]):
    pass


@bank.handles  # error
def returns_a_number(command: Withdraw, account: Account) -> int:
    return account.balance


@bank.handles  # error
def returns_numbers(command: Withdraw, account: Account) -> list[int]:
    return [account.balance]


@bank.answers
def answers_something_else(query: Richest, models: ReadModels) -> list[Balance]:
    return models.select(Account)  # error


bank.read_model(Account)  # error

Opened("a-1")  # error
Opened("a-1", 3)  # error
Opened(account="a-1", holder="Ada")  # error
Opened("a-1", "Ada").holder  # error
Opened("a-1", "Ada").owner = "Grace"  # error: pyright
Account("a-1").balance = 3  # error: pyright

other: Callable[[Withdraw, Account], Opened] = withdraw  # error


async def asks_for_what_there_is_not() -> int:
    async with bank.open("memory:") as live:
        await live.execute("withdraw")  # error
        await live.execute(Withdraw)  # error
        await live.query(Withdraw("a-1", 1))  # error
        await live.state(Balance, "a-1")  # error
        await live.query(Richest(), after="yesterday")  # error
        return await live.query(Richest())  # error

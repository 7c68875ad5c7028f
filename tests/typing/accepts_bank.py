# pyright: strict
"""An app as a user writes it, with the types that both checkers must see in it."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Self, assert_type

from leftfold import (
    App,
    Command,
    Context,
    DecisionModel,
    Delivery,
    Event,
    NonKey,
    Query,
    ReadModel,
    ReadModels,
    Receipt,
    Rejected,
    Tag,
    replace,
)

AccountId = Annotated[str, Tag("account")]


class Opened(Event, wire="account.opened", version=2):
    account: AccountId
    owner: str


class Withdrawn(Event):
    account: AccountId
    amount: int


class Transferred(Event):
    source: AccountId
    target: AccountId
    amount: int


class Account(DecisionModel):
    account: AccountId
    open: bool = False
    balance: int = 0

    def evolve(self, event: Opened | Withdrawn | Transferred) -> Self:
        match event:
            case Opened():
                return replace(self, open=True)
            case Withdrawn(amount=amount):
                return replace(self, balance=self.balance - amount)
            case Transferred(source=source, amount=amount):
                return replace(self, balance=self.balance + (-amount if source == self.account else amount))


class Open(Command):
    account: AccountId
    owner: str


class Withdraw(Command):
    account: AccountId
    amount: int


class Transfer(Command):
    source: AccountId
    target: AccountId
    amount: int


class Close(Command):
    account: AccountId


bank = App("bank")


@bank.handles
def open_account(command: Open, account: Account, context: Context) -> Opened | None:
    return None if account.open else Opened(command.account, command.owner)


@bank.handles
def withdraw(command: Withdraw, account: Account) -> Withdrawn:
    if account.balance < command.amount:
        raise Rejected("insufficient funds", balance=account.balance)
    return Withdrawn(command.account, command.amount)


@bank.handles
def transfer(command: Transfer, source: Account, target: Account) -> tuple[Transferred, ...]:
    return (Transferred(command.source, command.target, command.amount),)


@bank.handles
def close(command: Close, account: Account) -> list[Withdrawn | Transferred]:
    return [Withdrawn(command.account, account.balance)]


@bank.reactor("welcome", start="from_now")
async def welcome(event: Opened, delivery: Delivery) -> None:
    assert_type(delivery.key, str)


@bank.reactor("large", start="from_start", in_order=True)
def large(event: Withdrawn | Transferred) -> None:
    assert_type(event.amount, int)


@bank.read_model
class Balance(ReadModel):
    account: AccountId
    referrer: Annotated[AccountId, NonKey] = ""
    amount: int = 0

    def evolve(self, event: Opened | Withdrawn) -> Self | None:
        match event:
            case Opened():
                return self
            case Withdrawn():
                return None


class Richest(Query[list[Balance]]):
    limit: int = 10


class BalanceOf(Query[Balance | None]):
    account: AccountId


@bank.answers
def richest(query: Richest, models: ReadModels) -> list[Balance]:
    assert_type(models.select(Balance, order_by="-amount", limit=query.limit), list[Balance])
    return models.select(Balance, order_by="-amount", limit=query.limit)


@bank.answers(cache=100)
def balance_of(query: BalanceOf, models: ReadModels) -> Balance | None:
    assert_type(models.get(Balance, query.account), Balance | None)
    return models.get(Balance, query.account)


def a_decorated_handler_and_class_keep_their_types() -> None:
    same: Callable[[Withdraw, Account], Withdrawn] = withdraw
    assert_type(same(Withdraw("a-1", 1), Account("a-1")), Withdrawn)
    assert_type(withdraw(command=Withdraw("a-1", 1), account=Account("a-1")), Withdrawn)
    assert_type(Balance("a-1"), Balance)
    assert_type(Balance("a-1").amount, int)


def messages_have_typed_fields() -> None:
    assert_type(Opened("a-1", "Ada").owner, str)
    assert_type(Opened(account="a-1", owner="Ada").account, str)
    assert_type(replace(Account("a-1"), balance=1), Account)
    assert_type(Account("a-1").evolve(Opened("a-1", "Ada")), Account)


async def a_live_app_answers_with_what_was_declared() -> None:
    async with bank.open("memory:") as live:
        receipt = await live.execute(Withdraw("a-1", 40), key="req-42")
        assert_type(receipt, Receipt)
        assert_type(receipt.position, int)
        assert_type(await live.query(Richest()), list[Balance])
        assert_type(await live.query(Richest(limit=3), after=receipt), list[Balance])
        assert_type(await live.query(BalanceOf("a-1"), as_of=datetime(2026, 1, 1, tzinfo=UTC)), Balance | None)
        assert_type(await live.state(Account, "a-1", as_of=receipt.position - 1), Account)
        assert_type(await live.execute(Withdraw("a-1", 1), wait=[Balance], wait_timeout=1), Receipt)
        async for answer in live.watch(Richest(), after=receipt):
            assert_type(answer, list[Balance])
        assert_type((await live.status()).read_models[0].seconds, float)


def the_sync_facade_has_the_same_types() -> None:
    with bank.open_sync("memory:") as live:
        receipt = live.execute(Withdraw("a-1", 40), key="req-42")
        assert_type(receipt, Receipt)
        assert_type(live.query(Richest(), after=receipt), list[Balance])
        assert_type(live.state(Account, "a-1"), Account)
        for answer in live.watch(BalanceOf("a-1")):
            assert_type(answer, Balance | None)

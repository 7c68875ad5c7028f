"""The bank: its rules, its rows, and the laws that its models keep."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from examples.bank import (
    Account,
    Balance,
    BalanceOf,
    Close,
    Closed,
    Deposit,
    Deposited,
    Open,
    Opened,
    Richest,
    Transfer,
    Transferred,
    Withdraw,
    Withdrawn,
    bank,
    main,
)
from leftfold import Event, Receipt, Rejected
from leftfold.testing import check_laws, given
from tests.patience import examples

ANN, BOB = Opened("a-1", "Ann"), Opened("a-2", "Bob")


# --- deciding


def test_an_account_is_opened_once() -> None:
    given(bank).when(Open("a-1", "Ann")).then(ANN)
    given(bank, ANN).when(Open("a-1", "Eve")).then(Rejected("account exists", status="open"))


def test_a_closed_account_is_not_opened_again() -> None:
    given(bank, ANN, Closed("a-1")).when(Open("a-1", "Eve")).then(Rejected("account exists", status="closed"))


@pytest.mark.parametrize("command", [Deposit("a-1", 5), Withdraw("a-1", 5), Close("a-1")])
def test_an_account_that_was_never_opened_cannot_be_used(command: Deposit | Withdraw | Close) -> None:
    given(bank).when(command).then_rejected("account is not open", status="unknown")


@pytest.mark.parametrize("command", [Deposit("a-1", 5), Withdraw("a-1", 5), Transfer("a-1", "a-2", 5)])
def test_a_closed_account_cannot_be_used(command: Deposit | Withdraw | Transfer) -> None:
    given(bank, ANN, BOB, Closed("a-1")).when(command).then_rejected("account is not open", account="a-1")


@pytest.mark.parametrize("amount", [0, -1])
def test_an_amount_is_positive(amount: int) -> None:
    for command in (Deposit("a-1", amount), Withdraw("a-1", amount), Transfer("a-1", "a-2", amount)):
        given(bank, ANN, BOB).when(command).then(Rejected("amount must be positive", amount=amount))


def test_only_what_is_there_can_be_withdrawn() -> None:
    three = (ANN, Deposited("a-1", 5), Withdrawn("a-1", 2))

    given(bank, *three).when(Withdraw("a-1", 3)).then(Withdrawn("a-1", 3))
    given(bank, *three).when(Withdraw("a-1", 4)).then(Rejected("insufficient funds", balance=3))


def test_a_transfer_takes_from_one_and_gives_to_the_other() -> None:
    five = (ANN, BOB, Deposited("a-1", 5))

    given(bank, *five).when(Transfer("a-1", "a-2", 5)).then(Transferred("a-1", "a-2", 5))
    given(bank, *five).when(Transfer("a-2", "a-1", 1)).then(Rejected("insufficient funds", balance=0))
    given(bank, *five, Transferred("a-1", "a-2", 4)).when(Withdraw("a-2", 4)).then(Withdrawn("a-2", 4))


def test_a_transfer_needs_two_accounts_that_are_open() -> None:
    given(bank, ANN).when(Transfer("a-1", "a-1", 5)).then(Rejected("same account"))
    given(bank, ANN, Deposited("a-1", 5)).when(Transfer("a-1", "a-2", 5)).then_rejected("account is not open")


def test_an_empty_account_is_closed_once() -> None:
    given(bank, ANN).when(Close("a-1")).then(Closed("a-1"))
    given(bank, ANN, Closed("a-1")).when(Close("a-1")).then_nothing()
    given(bank, ANN, Deposited("a-1", 5)).when(Close("a-1")).then(Rejected("account is not empty", balance=5))


# --- asking


def test_balances_are_kept_for_open_accounts() -> None:
    happened = (ANN, BOB, Deposited("a-1", 9), Withdrawn("a-1", 1), Transferred("a-1", "a-2", 3))

    given(bank, *happened).then_rows(Balance, [Balance("a-1", "Ann", 5), Balance("a-2", "Bob", 3)])
    given(bank, ANN, BOB, Closed("a-2")).then_rows(Balance, [Balance("a-1", "Ann", 0)])


def test_the_richest_come_first_and_equals_in_the_order_of_their_accounts() -> None:
    happened = (BOB, ANN, Opened("a-3", "Cleo"), Deposited("a-3", 9))

    given(bank, *happened).when(Richest(limit=2)).then_answer([Balance("a-3", "Cleo", 9), Balance("a-1", "Ann", 0)])
    given(bank, *happened).when(BalanceOf("a-2")).then_answer(Balance("a-2", "Bob", 0))
    given(bank, *happened).when(BalanceOf("a-4")).then_answer(None)


# --- live


async def test_the_tour_runs_and_prints_what_happened(capsys: pytest.CaptureFixture[str]) -> None:
    await main()

    printed = capsys.readouterr().out
    assert "transferred at position 4; a retry is recognised: True" in printed
    assert "rejected: insufficient funds, {'balance': 6000}" in printed
    assert "now:         Balance(account='a-1', owner='Ann', amount=6000)" in printed
    assert "before that: Balance(account='a-1', owner='Ann', amount=10000)" in printed
    assert "4  Transferred(source='a-1', target='a-2', amount=4000)  by ann, rent" in printed


async def test_a_query_reads_your_writes_and_the_past(tmp_path: Path) -> None:
    async with bank.open(f"sqlite:///{tmp_path}/bank.db") as live:
        await live.execute_many([Open("a-1", "Ann"), Deposit("a-1", 5)])
        receipt = await live.execute(Withdraw("a-1", 5))
        closed = await live.execute(Close("a-1"))

        assert await live.query(BalanceOf("a-1"), after=closed) is None
        assert await live.query(BalanceOf("a-1"), as_of=receipt.position) == Balance("a-1", "Ann", 0)
        assert await live.query(BalanceOf("a-1"), as_of=receipt.position - 1) == Balance("a-1", "Ann", 5)


async def test_no_money_is_made_or_lost_by_concurrent_transfers(tmp_path: Path) -> None:
    accounts = [f"a-{number}" for number in range(4)]
    url = f"sqlite:///{tmp_path}/bank.db"
    async with bank.open(url) as one, bank.open(url) as two:
        await one.execute_many([Open(account, "Ann") for account in accounts])
        await one.execute_many([Deposit(account, 10) for account in accounts])

        pairs = [(source, target) for source in accounts for target in accounts if source != target]
        transfers = [Transfer(source, target, 1 + number % 7) for number, (source, target) in enumerate(pairs * 5)]
        outcomes = await asyncio.gather(
            *((one, two)[number % 2].execute(transfer) for number, transfer in enumerate(transfers)),
            return_exceptions=True,
        )

        balances = [(await one.state(Account, account)).balance for account in accounts]
        rows = await two.query(Richest(), after=await one.store.head())
    assert {type(outcome) for outcome in outcomes} <= {Receipt, Rejected}
    assert sum(balances) == sum(row.amount for row in rows) == 40
    assert min(balances) >= 0
    assert sorted(balances) == sorted(row.amount for row in rows)


# --- laws

accounts = st.sampled_from(["a-1", "a-2", "a-3"])
amounts = st.integers(1, 9)
events = st.one_of(
    st.builds(Opened, accounts, st.sampled_from(["Ann", "Bob"])),
    st.builds(Deposited, accounts, amounts),
    st.builds(Withdrawn, accounts, amounts),
    st.builds(Transferred, accounts, accounts, amounts),
    st.builds(Closed, accounts),
)


@for_all(st.lists(events, max_size=12))
@settings(max_examples=examples(40), deadline=None)
@pytest.mark.parametrize("model", [Account, Balance])
def test_the_models_keep_the_laws(model: type[Account] | type[Balance], events: Sequence[Event]) -> None:
    check_laws(model, events, app=bank)

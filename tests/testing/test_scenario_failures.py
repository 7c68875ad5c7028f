"""What a failed assertion says: expected, found, where they differ, and the states that the decision was made on."""

from textwrap import dedent
from typing import Any

import pytest

from examples.bank import Balance, BalanceOf, Close, Deposited, Opened, Transfer, Transferred, Withdraw, Withdrawn, bank
from leftfold.testing import given

ANN, BOB = Opened("a-1", "Ann"), Opened("a-2", "Bob")


def said(raised: pytest.ExceptionInfo[AssertionError]) -> str:
    return f"\n{raised.value}\n"


def test_other_events_are_shown_with_their_differences_and_the_states() -> None:
    decided = given(bank, ANN, Deposited("a-1", 8)).when(Withdraw("a-1", 6))

    with pytest.raises(AssertionError) as raised:
        decided.then(Withdrawn("a-1", 5))

    assert said(raised) == dedent("""
        withdraw did not decide what was expected
        expected:
            Withdrawn(account='a-1', amount=5)
        found:
            Withdrawn(account='a-1', amount=6)
                amount: 6 instead of 5
        decided on:
            account = Account(account='a-1', status='open', balance=8)
        """)


def test_a_rejection_instead_of_events_is_shown() -> None:
    decided = given(bank, ANN, BOB).when(Transfer("a-1", "a-2", 6))

    with pytest.raises(AssertionError) as raised:
        decided.then(Transferred("a-1", "a-2", 6))

    assert said(raised) == dedent("""
        transfer did not decide what was expected
        expected:
            Transferred(source='a-1', target='a-2', amount=6)
        found:
            Rejected('insufficient funds', balance=0)
        decided on:
            source = Account(account='a-1', status='open', balance=0)
            target = Account(account='a-2', status='open', balance=0)
        """)


@pytest.mark.parametrize(
    ("reason", "details", "expected"),
    [
        ("too poor", {}, "Rejected('too poor')"),
        ("insufficient funds", {"balance": 4}, "Rejected('insufficient funds', balance=4)"),
        ("insufficient funds", {"limit": 4}, "Rejected('insufficient funds', limit=4)"),
    ],
)
def test_another_rejection_is_shown(reason: str, details: dict[str, Any], expected: str) -> None:
    with pytest.raises(AssertionError) as raised:
        given(bank, ANN).when(Withdraw("a-1", 6)).then_rejected(reason, **details)

    assert said(raised) == dedent(f"""
        withdraw did not reject as expected
        expected:
            {expected}
        found:
            Rejected('insufficient funds', balance=0)
        decided on:
            account = Account(account='a-1', status='open', balance=0)
        """)


def test_events_instead_of_nothing_are_shown() -> None:
    with pytest.raises(AssertionError) as raised:
        given(bank, ANN).when(Close("a-1")).then_nothing()

    assert said(raised) == dedent("""
        close decided something
        expected:
            nothing
        found:
            Closed(account='a-1')
        decided on:
            account = Account(account='a-1', status='open', balance=0)
        """)


def test_a_missing_row_is_shown() -> None:
    with pytest.raises(AssertionError) as raised:
        given(bank, ANN).then_row(Balance("a-2", "Bob"))

    assert said(raised) == dedent("""
        Balance does not have the expected row ('a-2',)
        expected:
            Balance(account='a-2', owner='Bob', amount=0)
        found:
            nothing
        """)


def test_only_rows_that_differ_are_shown() -> None:
    with pytest.raises(AssertionError) as raised:
        given(bank, ANN, BOB).then_rows(Balance, [Balance("a-1", "Ann"), Balance("a-2", "Bo")])

    assert said(raised) == dedent("""
        Balance does not have the expected rows: 1 of 2 differ
        expected:
            Balance(account='a-2', owner='Bo', amount=0)
        found:
            Balance(account='a-2', owner='Bob', amount=0)
                owner: 'Bob' instead of 'Bo'
        """)


def test_a_row_that_should_not_be_there_is_shown() -> None:
    with pytest.raises(AssertionError) as raised:
        given(bank, ANN).then_no_row(Balance, "a-1")

    assert said(raised) == dedent("""
        Balance has a row ('a-1',)
        expected:
            nothing
        found:
            Balance(account='a-1', owner='Ann', amount=0)
        """)


def test_another_answer_is_shown_with_the_rows() -> None:
    with pytest.raises(AssertionError) as raised:
        given(bank, ANN).when(BalanceOf("a-1")).then_answer(None)

    assert said(raised) == dedent("""
        balance_of did not answer what was expected
        expected:
            None
        found:
            Balance(account='a-1', owner='Ann', amount=0)
        rows:
            Balance = [Balance(account='a-1', owner='Ann', amount=0)]
        """)

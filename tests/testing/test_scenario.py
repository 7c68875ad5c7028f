"""Given, when, then: decides as the live app would, and says readably what went wrong."""

from datetime import UTC, datetime
from typing import Annotated, Any, Self

import pytest

from examples.bank import (
    AccountId,
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
)
from leftfold import App, Command, Context, DecisionModel, Event, Metadata, ReadModel, Rejected, Tag, recording, replace
from leftfold.errors import InvalidMessage, InvalidResult, InvalidTag, NotHandled, UnknownName
from leftfold.testing import given
from leftfold.testing.clock import START

ANN, BOB = Opened("a-1", "Ann"), Opened("a-2", "Bob")


# --- commands


def test_the_decided_events_are_compared() -> None:
    given(bank, ANN, Deposited("a-1", 5)).when(Withdraw("a-1", 3)).then(Withdrawn("a-1", 3))


def test_without_events_a_model_is_at_its_start() -> None:
    given(bank).when(Open("a-1", "Ann")).then(ANN)


def test_a_rejection_is_compared_with_its_details() -> None:
    decided = given(bank, ANN, Deposited("a-1", 3)).when(Withdraw("a-1", 5))

    decided.then(Rejected("insufficient funds", balance=3))
    decided.then_rejected("insufficient funds")
    decided.then_rejected("insufficient funds", balance=3)


def test_nothing_to_do_is_no_event() -> None:
    decided = given(bank, ANN, Closed("a-1")).when(Close("a-1"))

    decided.then_nothing()
    decided.then()


def test_the_decision_can_be_looked_at_freely() -> None:
    decided = given(bank, ANN, Deposited("a-1", 5)).when(Withdraw("a-1", 3))
    refused = given(bank, ANN).when(Withdraw("a-1", 3))

    assert decided.events == (Withdrawn("a-1", 3),)
    assert decided.rejected is None
    assert refused.events == ()
    assert refused.rejected == Rejected("insufficient funds", balance=0)


def test_events_of_other_keys_are_left_out() -> None:
    given(bank, ANN, BOB, Deposited("a-2", 100)).when(Withdraw("a-1", 5)).then_rejected("insufficient funds")


def test_a_decision_over_two_models_has_both() -> None:
    given(bank, ANN, BOB, Deposited("a-1", 5)).when(Transfer("a-1", "a-2", 5)).then(Transferred("a-1", "a-2", 5))


def test_two_parameters_with_one_key_are_one_state() -> None:
    app, seen = App("pairs"), list[tuple[Any, Any]]()

    @app.handles
    def transfer(command: Transfer, source: Total, target: Total) -> Transferred:
        seen.append((source, target))
        return Transferred(command.source, command.target, command.amount)

    given(app, Deposited("a-1", 5)).when(Transfer("a-1", "a-1", 1)).then(Transferred("a-1", "a-1", 1))

    [(source, target)] = seen
    assert source is target


def test_a_handler_gets_the_moment_and_the_metadata_that_the_test_says() -> None:
    now = datetime(2026, 5, 1, tzinfo=UTC)
    scenario = given(context_app())

    with recording(actor="ann", reason="outer"):
        seen = scenario.when(Note("n"), now=now, metadata=Metadata(reason="inner")).events

    assert seen[0].text == f"{now.isoformat()} ann inner Note"


def test_without_saying_so_the_moment_and_the_ids_are_always_the_same() -> None:
    first, second = (given(context_app()).when(Note("n")).events for _ in range(2))

    assert first == second
    assert first[0].text.startswith(START.isoformat())


def test_events_are_what_comes_back_from_the_log() -> None:
    app = App("echo")

    @app.handles
    def note(command: Note, notes: Notes) -> Noted:
        return Noted(command.note, f"{notes.texts!r}")

    given(app, Noted("n", "a"), Noted("n", "b")).when(Note("n")).then(Noted("n", "('a', 'b')"))
    with pytest.raises(InvalidMessage, match=r"Noted\.text"):
        given(app, Noted("n", ["not", "a", "text"])).when(Note("n"))  # type: ignore[arg-type]


def test_what_a_store_would_refuse_is_refused() -> None:
    with pytest.raises(InvalidTag):
        given(bank, Opened("a\n1", "Ann"))
    with pytest.raises(InvalidTag):
        given(bank).when(Open("a\n1", "Ann"))


def test_a_decided_event_that_the_models_cannot_fold_is_refused() -> None:
    app = App("strict")

    @app.handles
    def deposit(command: Deposit, total: Total) -> Deposited:
        return Deposited(command.account, None)  # type: ignore[arg-type]

    with pytest.raises(InvalidMessage, match=r"Deposited\.amount"):
        given(app).when(Deposit("a-1", 1))


def test_a_decision_that_is_no_event_is_refused() -> None:
    app = App("wrong")

    @app.handles
    def deposit(command: Deposit) -> Deposited:
        return "Deposited"  # type: ignore[return-value]

    with pytest.raises(InvalidResult):
        given(app).when(Deposit("a-1", 1))


def test_a_command_without_a_handler_names_those_that_have_one() -> None:
    with pytest.raises(NotHandled) as unknown:
        given(bank).when(Note("n"))

    assert unknown.value.known == ("Close", "Deposit", "Open", "Transfer", "Withdraw")


# --- read models


def test_a_row_is_compared() -> None:
    scenario = given(bank, ANN, Deposited("a-1", 5))

    scenario.then_row(Balance("a-1", "Ann", 5))
    scenario.then_no_row(Balance, "a-2")


def test_a_deleted_row_is_no_row() -> None:
    given(bank, ANN, Closed("a-1")).then_no_row(Balance, "a-1")


def test_a_row_that_begins_anew_after_it_was_deleted_is_new() -> None:
    given(bank, ANN, Closed("a-1"), Deposited("a-1", 1)).then_row(Balance("a-1", "", 1))


def test_all_rows_are_compared_in_any_order() -> None:
    scenario = given(bank, ANN, BOB, Deposited("a-1", 5), Transferred("a-1", "a-2", 2))

    scenario.then_rows(Balance, [Balance("a-2", "Bob", 2), Balance("a-1", "Ann", 3)])
    given(bank).then_rows(Balance, [])


def test_a_read_model_of_another_app_is_refused() -> None:
    class Elsewhere(ReadModel):
        account: AccountId

        def evolve(self, event: Opened) -> Self:
            return self

    with pytest.raises(UnknownName) as unknown:
        given(bank).then_row(Elsewhere("a-1"))

    assert unknown.value.known == ("Balance",)


# --- queries


def test_a_query_is_answered_from_the_rows() -> None:
    scenario = given(bank, ANN, BOB, Deposited("a-2", 5))

    scenario.when(Richest()).then_answer([Balance("a-2", "Bob", 5), Balance("a-1", "Ann", 0)])
    scenario.when(Richest(limit=1)).then_answer([Balance("a-2", "Bob", 5)])
    scenario.when(BalanceOf("a-3")).then_answer(None)
    assert scenario.when(BalanceOf("a-1")).answer == Balance("a-1", "Ann")


def test_a_query_without_events_is_answered_from_empty_tables() -> None:
    given(bank).when(Richest()).then_answer([])


# --- what it says of itself


def test_the_parts_of_a_scenario_say_what_they_are() -> None:
    scenario = given(bank, ANN)

    assert repr(scenario) == "<Given 1 events of bank>"
    assert repr(scenario.when(Close("a-1"))) == "<Decided [Closed(account='a-1')]>"
    assert repr(scenario.when(Withdraw("a-1", 0))) == "<Decided Rejected('amount must be positive', amount=0)>"
    assert repr(scenario.when(Richest(1))) == "<Answered [Balance(account='a-1', owner='Ann', amount=0)]>"


# --- apps of these tests

NoteId = Annotated[str, Tag("note")]


class Note(Command):
    note: NoteId


class Noted(Event):
    note: NoteId
    text: str


class Notes(DecisionModel):
    note: NoteId
    texts: tuple[str, ...] = ()

    def evolve(self, event: Noted) -> Self:
        return replace(self, texts=(*self.texts, event.text))


class Total(DecisionModel):
    account: AccountId
    total: int = 0

    def evolve(self, event: Deposited | Transferred) -> Self:
        return replace(self, total=self.total + event.amount)


def context_app() -> App:
    """An app whose events tell what their handler's context had."""
    app = App("context")

    @app.handles
    def note(command: Note, context: Context) -> list[Noted]:
        said = context.metadata
        text = f"{context.now.isoformat()} {said.actor} {said.reason} {said.command_type}"
        return [Noted(command.note, text), Noted(command.note, str(context.new_id()))]

    return app

"""What is wrong with a command handler is said when it is registered, with the names of what is wrong."""

from collections.abc import Iterator
from typing import Any, Self

import pytest

from leftfold import App, Command, Context, DecisionModel, Event
from leftfold.errors import DuplicateHandler, InvalidHandler, UnmatchedParameter, UnresolvedAnnotation
from tests.accounts import Account, AccountId, Deposit, Deposited, Freeze, Frozen, Opened, Transfer, Transferred


class Move(Command):
    source: AccountId
    target: AccountId
    amount: int


class Pay(Command):
    account: AccountId
    payee: AccountId


class Audit(Command):
    number: int


class CloseAll(Command):
    accounts: list[AccountId]


class Total(DecisionModel):
    amount: int = 0

    def evolve(self, event: Deposited) -> Self:
        return self


# --- the parameters of a handler


def test_a_parameter_that_no_field_of_the_command_keys_is_refused() -> None:
    def audit(command: Audit, account: Account) -> Frozen: ...

    with pytest.raises(UnmatchedParameter) as refused:
        App("bank").handles(audit)

    assert refused.value.handler.endswith("audit")
    assert (refused.value.parameter, refused.value.tag, refused.value.choices) == ("account", "account", ())


def test_a_parameter_that_several_fields_could_key_is_refused() -> None:
    def move(command: Move, account: Account) -> Transferred: ...

    with pytest.raises(UnmatchedParameter) as refused:
        App("bank").handles(move)

    assert refused.value.handler.endswith("move")
    assert (refused.value.parameter, refused.value.choices) == ("account", ("source", "target"))


def test_a_field_that_holds_many_values_keys_no_parameter() -> None:
    def close_all(command: CloseAll, account: Account) -> Frozen: ...

    with pytest.raises(UnmatchedParameter) as refused:
        App("bank").handles(close_all)

    assert refused.value.choices == ("accounts",)


def test_a_parameter_is_keyed_by_the_field_of_its_name() -> None:
    app = App("bank")

    @app.handles
    def pay(command: Pay, payee: Account, account: Account) -> Transferred: ...

    keys = {model.name: model.key_in(Pay("a", "b")) for model in app.command_handlers[Pay].models}
    assert keys == {"payee": ("b",), "account": ("a",)}


def test_a_parameter_is_keyed_by_the_only_field_with_its_tag_whatever_the_names() -> None:
    app = App("bank")

    @app.handles
    def deposit(command: Deposit, holder: Account) -> Deposited: ...

    [parameter] = app.command_handlers[Deposit].models
    assert parameter.key_in(Deposit("a", 1)) == ("a",)


def test_a_model_without_a_key_needs_no_field() -> None:
    app = App("bank")

    @app.handles
    def audit(command: Audit, total: Total) -> Frozen: ...

    [parameter] = app.command_handlers[Audit].models
    assert parameter.key_in(Audit(1)) == ()


def test_a_handler_of_two_commands_is_refused() -> None:
    def both(first: Deposit, second: Freeze) -> Deposited: ...

    with pytest.raises(InvalidHandler, match="takes 2 commands"):
        App("bank").handles(both)


def test_a_handler_of_no_command_is_refused() -> None:
    def none(account: Account) -> Deposited: ...

    with pytest.raises(InvalidHandler, match="takes 0 commands"):
        App("bank").handles(none)


@pytest.mark.parametrize("annotation", [int, "Account | None", Deposited, None])
def test_a_parameter_that_is_neither_command_nor_model_nor_context_is_refused(annotation: Any) -> None:
    def deposit(command: Deposit, what: Any) -> Deposited: ...

    deposit.__annotations__["what"] = annotation

    with pytest.raises(InvalidHandler, match="'what'"):
        App("bank").handles(deposit)


def test_a_parameter_without_annotation_is_refused() -> None:
    def deposit(command: Deposit, what) -> Deposited: ...  # type: ignore[no-untyped-def]

    with pytest.raises(InvalidHandler, match="'what'"):
        App("bank").handles(deposit)


def test_a_second_handler_of_a_command_is_refused() -> None:
    app = App("bank")

    @app.handles
    def first(command: Deposit, account: Account) -> Deposited: ...

    def second(command: Deposit) -> Deposited: ...

    with pytest.raises(DuplicateHandler) as refused:
        app.handles(second)

    assert refused.value.message == "Deposit"
    assert refused.value.first.endswith("first")
    assert refused.value.second.endswith("second")


def test_an_annotation_that_cannot_be_found_is_refused_where_it_is_used() -> None:
    def deposit(command: Deposit, account: "Nowhere") -> Deposited: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(UnresolvedAnnotation, match="Nowhere"):
        App("bank").handles(deposit)


# --- what a handler returns


def test_a_handler_that_does_not_say_what_it_returns_is_refused() -> None:
    def deposit(command: Deposit):  # type: ignore[no-untyped-def]
        return None

    with pytest.raises(InvalidHandler, match="has no return annotation"):
        App("bank").handles(deposit)


@pytest.mark.parametrize("returned", [int, list[int], Deposit, Account, str | Deposited, dict[str, Deposited]])
def test_a_handler_that_returns_something_else_than_events_is_refused(returned: Any) -> None:
    def deposit(command: Deposit) -> Any: ...

    deposit.__annotations__["return"] = returned

    with pytest.raises(InvalidHandler, match="is annotated to return"):
        App("bank").handles(deposit)


@pytest.mark.parametrize(
    ("returned", "named"),
    [
        (None, set()),
        (Event, set()),
        (Deposited, {"account.deposited"}),
        (Deposited | None, {"account.deposited"}),
        (list[Deposited | Frozen], {"account.deposited", "account.frozen"}),
        (tuple[Deposited, ...], {"account.deposited"}),
        (tuple[Deposited, Frozen], {"account.deposited", "account.frozen"}),
        (Iterator[Deposited], {"account.deposited"}),
        (list[Deposited] | Frozen | None, {"account.deposited", "account.frozen"}),
    ],
)
def test_the_types_of_the_events_are_taken_from_the_annotation(returned: Any, named: set[str]) -> None:
    app = App("bank")

    def audit(command: Audit) -> Any: ...

    audit.__annotations__["return"] = returned
    app.handles(audit)

    assert {known.wire for known in app.registry.types} == named


async def test_a_handler_may_yield_its_events() -> None:
    app = App("bank")

    @app.handles
    def deposit(command: Deposit) -> Iterator[Deposited]:
        yield Deposited(command.account, 1)
        yield Deposited(command.account, 2)

    async with app.open("memory:") as live:
        receipt = await live.execute(Deposit("a", 3))

    assert receipt.events == (Deposited("a", 1), Deposited("a", 2))


# --- what an app and its parts say of themselves


def test_an_app_says_what_it_has() -> None:
    app = App("bank")

    @app.handles
    def transfer(command: Transfer, source: Account, target: Account, context: Context) -> Transferred | Opened: ...

    assert repr(app) == "<App bank: 1 commands, 0 queries, 0 read models, 0 projections>"
    assert repr(app.registry) == "<Registry of 5 types>"
    assert [fold.name for fold in app.decision_models] == ["Account"]
    assert repr(app.decision_models[0]) == "<Fold Account(account) of 4 event types>"
    assert repr(app.command_handlers[Transfer]).endswith("transfer of Transfer>")

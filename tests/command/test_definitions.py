"""What is wrong with an app is said when it is defined, with the names of what is wrong."""

from collections.abc import Callable, Iterator
from typing import Annotated, Any, Self

import pytest

from leftfold import App, Command, Context, DecisionModel, Event, NotKey, Tag, criteria
from leftfold.criteria import Criteria
from leftfold.errors import (
    AmbiguousParameter,
    DuplicateHandler,
    InvalidHandler,
    InvalidModel,
    NotAMessage,
    TaglessEvent,
    UnmatchedParameter,
    UnresolvedAnnotation,
    UntaggableType,
    WireNameClash,
)
from tests.accounts import Account, AccountId, Deposit, Deposited, Freeze, Frozen, Opened, Transfer, Transferred

OtherId = Annotated[str, Tag("other")]


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


class Pair(DecisionModel):
    left: AccountId
    right: Annotated[str, Tag("other")]

    def evolve(self, event: Deposited) -> Self:
        return self


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

    with pytest.raises(AmbiguousParameter) as refused:
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


# --- what a handler returns


def test_a_handler_that_does_not_say_what_it_returns_is_refused() -> None:
    def deposit(command: Deposit):  # type: ignore[no-untyped-def]
        return None

    with pytest.raises(InvalidHandler, match="does not say what it returns"):
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


# --- events


def test_two_event_types_with_one_wire_name_are_refused() -> None:
    class Impostor(Event, wire="account.deposited"):
        account: AccountId

    app = App("bank")
    app.event(Deposited)

    with pytest.raises(WireNameClash) as refused:
        app.event(Impostor)

    assert refused.value.wire == "account.deposited"
    assert refused.value.first == "tests.accounts.Deposited"
    assert refused.value.second.endswith("Impostor")


def test_the_same_event_type_may_be_registered_again() -> None:
    app = App("bank")
    app.event(Deposited, Deposited)

    assert len(app.registry.types) == 1


def test_a_class_that_is_no_message_is_refused() -> None:
    with pytest.raises(NotAMessage):
        App("bank").event(int)


@pytest.mark.parametrize("kind", [float, bool, dict[str, str], bytes, "Any"])
def test_a_tag_on_a_type_without_a_stable_text_is_refused(kind: Any) -> None:
    class Wrong(Event):
        what: int

    Wrong.__annotations__["what"] = Annotated[Any if kind == "Any" else kind, Tag("what")]

    with pytest.raises(UntaggableType) as refused:
        App("bank").event(Wrong)

    assert (refused.value.owner, refused.value.field) == ("Wrong", "what")


# --- models


def test_a_model_with_an_event_that_carries_none_of_its_tags_is_refused() -> None:
    class Elsewhere(Event):
        other: OtherId

    with pytest.raises(TaglessEvent) as refused:

        class Wrong(DecisionModel):
            account: AccountId

            def evolve(self, event: Deposited | Elsewhere) -> Self: ...

    assert (refused.value.model, refused.value.event) == ("Wrong", "Elsewhere")
    assert (refused.value.missing, refused.value.carried) == (("account",), ("other",))


def test_a_model_that_states_its_criteria_may_fold_any_event() -> None:
    class Unrelated(Event):
        text: str

    class Stated(DecisionModel):
        account: AccountId
        count: int = 0

        def criteria(self) -> Criteria:
            return criteria(Unrelated)

        def evolve(self, event: Unrelated) -> Self: ...

    assert issubclass(Stated, DecisionModel)


def test_an_event_with_one_of_two_tags_is_enough() -> None:
    assert {item.tags for item in Pair.__fold__.criteria(("a", "b")).items} == {frozenset({"account:a"})}  # type: ignore[attr-defined]


def test_a_field_without_a_default_is_refused() -> None:
    with pytest.raises(InvalidModel, match=r"Wrong\.balance has no default"):

        class Wrong(DecisionModel):
            account: AccountId
            balance: int

            def evolve(self, event: Deposited) -> Self: ...


def test_a_tagged_field_that_is_not_part_of_the_key_needs_a_default_too() -> None:
    with pytest.raises(InvalidModel, match=r"Wrong\.referrer has no default"):

        class Wrong(DecisionModel):
            account: AccountId
            referrer: Annotated[AccountId, NotKey]

            def evolve(self, event: Deposited) -> Self: ...


def test_a_collection_as_part_of_a_key_is_refused() -> None:
    with pytest.raises(InvalidModel, match=r"Wrong\.friends is a collection"):

        class Wrong(DecisionModel):
            account: AccountId
            friends: tuple[AccountId, ...] = ()

            def evolve(self, event: Deposited) -> Self: ...


def test_a_collection_that_is_not_part_of_the_key_says_so() -> None:
    class Right(DecisionModel):
        account: AccountId
        friends: Annotated[frozenset[AccountId], NotKey] = frozenset()

        def evolve(self, event: Deposited) -> Self: ...

    assert [field.name for field in Right.__fold__.key] == ["account"]  # type: ignore[attr-defined]


def test_an_evolve_without_annotation_is_refused() -> None:
    with pytest.raises(InvalidModel, match="annotates its event as None"):

        class Wrong(DecisionModel):
            account: AccountId

            def evolve(self, event) -> Self: ...  # type: ignore[no-untyped-def]


def test_an_evolve_that_names_no_event_classes_is_refused() -> None:
    def evolve(self: Any, event: list[Deposited]) -> Any: ...

    with pytest.raises(InvalidModel, match="annotates its event as"):
        model_with(evolve)


def test_an_evolve_of_something_that_is_no_event_is_refused() -> None:
    def evolve(self: Any, event: int) -> Any: ...

    with pytest.raises(NotAMessage):
        model_with(evolve)


def test_an_evolve_with_other_parameters_is_refused() -> None:
    def evolve(self: Any, event: Deposited, position: int) -> Any: ...

    with pytest.raises(InvalidModel, match="takes"):
        model_with(evolve)


def test_a_model_without_evolve_is_refused_where_it_is_used() -> None:
    class Wrong(DecisionModel):
        account: AccountId

    def deposit(command: Deposit, account: Wrong) -> Deposited: ...

    with pytest.raises(InvalidModel, match="has no evolve"):
        App("bank").handles(deposit)


def test_an_annotation_that_cannot_be_found_is_refused_where_it_is_used() -> None:
    def deposit(command: Deposit, account: "Nowhere") -> Deposited: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(UnresolvedAnnotation, match="Nowhere"):
        App("bank").handles(deposit)


def model_with(evolve: Callable[..., Any]) -> type:
    """A model class with this evolve."""
    annotations = {"account": AccountId}
    return type(DecisionModel)("Wrong", (DecisionModel,), {"__annotations__": annotations, "evolve": evolve})


# --- what an app and its parts say of themselves


def test_an_app_says_what_it_has() -> None:
    app = App("bank")

    @app.handles
    def transfer(command: Transfer, source: Account, target: Account, context: Context) -> Transferred | Opened: ...

    assert repr(app) == "<App bank: 1 commands, 0 queries, 0 read models>"
    assert repr(app.registry) == "<Registry of 5 types>"
    assert [fold.name for fold in app.decision_models] == ["Account"]
    assert repr(app.decision_models[0]) == "<Fold Account(account) of 4 event types>"
    assert repr(app.command_handlers[Transfer]).endswith("transfer of Transfer>")

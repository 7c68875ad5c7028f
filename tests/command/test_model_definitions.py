"""What is wrong with events and decision models is said when they are defined, with the names of what is wrong."""

from collections.abc import Callable
from typing import Annotated, Any, Self

import pytest

from leftfold import App, DecisionModel, Event, NonKey, Tag, criteria
from leftfold.errors import InvalidField, InvalidModel, NotAMessage, TaglessEvent, WireNameTaken
from leftfold.model.criteria import Criteria
from tests.accounts import AccountId, Deposit, Deposited

OtherId = Annotated[str, Tag("other")]


class Pair(DecisionModel):
    left: AccountId
    right: Annotated[str, Tag("other")]

    def evolve(self, event: Deposited) -> Self:
        return self


# --- events


def test_two_event_types_with_one_wire_name_are_refused() -> None:
    class Impostor(Event, wire="account.deposited"):
        account: AccountId

    app = App("bank")
    app.event(Deposited)

    with pytest.raises(WireNameTaken) as refused:
        app.event(Impostor)

    assert refused.value.wire == "account.deposited"
    assert refused.value.taken_by == "tests.accounts.Deposited"
    assert refused.value.owner.endswith("Impostor")


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

    with pytest.raises(InvalidField) as refused:
        App("bank").event(Wrong)

    assert (refused.value.owner.rpartition(".")[2], refused.value.field) == ("Wrong", "what")


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
            referrer: Annotated[AccountId, NonKey]

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
        friends: Annotated[frozenset[AccountId], NonKey] = frozenset()

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


def model_with(evolve: Callable[..., Any]) -> type:
    """A model class with this evolve."""
    annotations = {"account": AccountId}
    return type(DecisionModel)("Wrong", (DecisionModel,), {"__annotations__": annotations, "evolve": evolve})

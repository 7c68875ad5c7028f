"""Folds: what a model's fields and evolve say about its key, its criteria, and its fingerprint."""

from collections.abc import Callable
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Self
from uuid import UUID

import pytest

from leftfold import DecisionModel, Event, NonKey, Tag, replace
from leftfold.errors import InvalidKey
from leftfold.model.criteria import Criteria, CriteriaItem
from leftfold.model.fold import fold_of
from leftfold.model.message import Message, MessageType
from leftfold.model.record import StoredEvent
from leftfold.model.registry import Registry

ROOT = Path(__file__).resolve().parent.parent
AccountId = Annotated[str, Tag("account")]
OwnerId = Annotated[str, Tag("owner")]


class Opened(Event):
    account: AccountId
    owner: OwnerId


class Moved(Event):
    source: AccountId
    target: AccountId


class Married(Event):
    owners: list[OwnerId]


class Account(DecisionModel):
    account: AccountId
    owner: Annotated[OwnerId, NonKey] = ""
    moves: int = 0

    def evolve(self, event: Opened | Moved) -> Self:
        match event:
            case Opened(owner=owner):
                return replace(self, owner=owner)
            case Moved():
                return replace(self, moves=self.moves + 1)


class Holding(DecisionModel):
    account: AccountId
    owner: OwnerId
    seen: tuple[str, ...] = ()

    def evolve(self, event: Opened | Married | Moved) -> Self:
        return replace(self, seen=(*self.seen, type(event).__name__))


class Total(DecisionModel):
    opened: int = 0

    def evolve(self, event: Opened) -> Self:
        return replace(self, opened=self.opened + 1)


# --- keys and criteria


def test_the_key_of_a_model_is_its_tagged_fields_but_those_that_say_they_are_not() -> None:
    keys = {model: [field.name for field in fold_of(model).key] for model in (Account, Holding, Total)}

    assert keys == {Account: ["account"], Holding: ["account", "owner"], Total: []}


def test_a_new_key_starts_with_only_its_key_set() -> None:
    assert fold_of(Account).start(("a",)) == Account("a", "", 0)
    assert fold_of(Holding).start(("a", "o")) == Holding("a", "o")
    assert fold_of(Total).start(()) == Total(0)


@pytest.mark.parametrize("key", [(), ("a",), ("a", None), ("a", "o", "x")])
def test_a_key_of_another_shape_is_refused(key: tuple[Any, ...]) -> None:
    with pytest.raises(InvalidKey) as refused:
        fold_of(Holding).start(key)

    assert (refused.value.model, refused.value.fields) == ("Holding", ("account", "owner"))


def test_the_criteria_of_one_key_are_the_types_with_its_tag() -> None:
    assert fold_of(Account).criteria(("a",)) == Criteria(CriteriaItem(["Opened", "Moved"], ["account:a"]))


def test_of_two_tags_an_event_type_is_read_by_those_that_it_carries() -> None:
    assert fold_of(Holding).criteria(("a", "o")) == Criteria(
        CriteriaItem(["Opened"], ["account:a", "owner:o"]),
        CriteriaItem(["Married"], ["owner:o"]),
        CriteriaItem(["Moved"], ["account:a"]),
    )


def test_a_model_without_a_key_reads_all_events_of_its_types() -> None:
    assert fold_of(Total).criteria(()) == fold_of(Total).all_criteria() == Criteria(CriteriaItem(["Opened"]))


def model_of(evolve: Callable[..., Any], *, event: type = Opened, **fields: Any) -> type[Message]:
    """A model class with this evolve, and an `amount` of 0."""
    evolve.__annotations__.update(event=event)
    annotations = {**(fields or {"account": AccountId}), "amount": int}
    return type(DecisionModel)(
        "Model", (DecisionModel,), {"__annotations__": annotations, "amount": 0, "evolve": evolve}
    )


@pytest.mark.parametrize(
    ("kind", "value", "tag"),
    [
        (int, 7, "what:7"),
        (UUID, UUID(int=1), "what:00000000-0000-0000-0000-000000000001"),
        (date, date(2026, 2, 8), "what:2026-02-08"),
        (Enum("Colour", {"RED": "red"}), "RED", "what:red"),
    ],
)
def test_keys_of_other_types_are_rendered_as_the_events_tags_are(kind: Any, value: Any, tag: str) -> None:
    value = kind[value] if isinstance(value, str) else value
    happened = type(Event)("Happened", (Event,), {"__annotations__": {"what": Annotated[kind, Tag("what")]}})
    model = model_of(lambda self, event: self, event=happened, what=Annotated[kind, Tag("what")])

    [item] = fold_of(model).criteria((value,)).items

    assert item.tags == {tag} == set(MessageType(happened).tags_of(happened(value)))


def test_events_are_folded_in_order() -> None:
    registry = Registry()
    records = [registry.encode(event, b"{}") for event in (Opened("a", "o"), Moved("a", "b"))]
    stored = [
        StoredEvent(position, 0, record.type, record.version, record.data, record.metadata, record.tags)
        for position, record in enumerate(records, 1)
    ]

    state, folded = fold_of(Holding).fold(Holding("a", "o"), stored, registry)

    assert (state.seen, folded) == (("Opened", "Moved"), 2)


def test_a_model_is_understood_once_and_a_subclass_anew() -> None:
    class Special(Account):
        limit: int = 0

    assert fold_of(Account) is fold_of(Account)
    assert fold_of(Special).owner is Special
    assert fold_of(Special).fingerprint() != fold_of(Account).fingerprint()


def test_a_fold_says_what_it_is() -> None:
    assert repr(fold_of(Holding)) == "<Fold Holding(account, owner) of 3 event types>"

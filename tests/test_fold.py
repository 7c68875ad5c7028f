"""Folds: what a model's fields and evolve say about its key, its criteria, and its fingerprint."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Self
from uuid import UUID

import msgspec
import pytest

from leftfold import DecisionModel, Event, NotKey, Tag, replace
from leftfold.criteria import Criteria, Item
from leftfold.errors import InvalidKey
from leftfold.events import Message, MessageType
from leftfold.fold import Fold, fold_of

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
    owner: Annotated[OwnerId, NotKey] = ""
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
    assert fold_of(Account).criteria(("a",)) == Criteria(Item(["Opened", "Moved"], ["account:a"]))


def test_of_two_tags_an_event_type_is_read_by_those_that_it_carries() -> None:
    assert fold_of(Holding).criteria(("a", "o")) == Criteria(
        Item(["Opened"], ["account:a", "owner:o"]), Item(["Married"], ["owner:o"]), Item(["Moved"], ["account:a"])
    )


def test_a_model_without_a_key_reads_all_events_of_its_types() -> None:
    assert fold_of(Total).criteria(()) == fold_of(Total).all_criteria() == Criteria(Item(["Opened"]))


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
    assert fold_of(Holding).fold(Holding("a", "o"), [Opened("a", "o"), Moved("a", "b")]).seen == ("Opened", "Moved")


def test_a_model_is_understood_once_and_a_subclass_anew() -> None:
    class Special(Account):
        limit: int = 0

    assert fold_of(Account) is fold_of(Account)
    assert fold_of(Special).owner is Special
    assert fold_of(Special).fingerprint() != fold_of(Account).fingerprint()


def test_a_fold_says_what_it_is() -> None:
    assert repr(fold_of(Holding)) == "<Fold Holding(account, owner) of 3 event types>"


# --- fingerprints


def model_of(evolve: Callable[..., Any], *, event: type = Opened, **fields: Any) -> type[Message]:
    """A model class with this evolve, and an `amount` of 0."""
    evolve.__annotations__.update(event=event)
    annotations = {**(fields or {"account": AccountId}), "amount": int}
    return type(DecisionModel)(
        "Model", (DecisionModel,), {"__annotations__": annotations, "amount": 0, "evolve": evolve}
    )


def fingerprint_of(source: str, name: str = "Model", globals: dict[str, Any] | None = None) -> str:
    """The fingerprint of a model that is defined by this source, in a module of its own."""
    namespace: dict[str, Any] = {
        "__name__": "tests.somewhere",
        "DecisionModel": DecisionModel,
        "Struct": msgspec.Struct,
        "field": msgspec.field,
        "Enum": Enum,
        "Opened": Opened,
        "Moved": Moved,
        "Annotated": Annotated,
        "AccountId": AccountId,
        "OwnerId": OwnerId,
        "NotKey": NotKey,
        "replace": replace,
        **(globals or {}),
    }
    exec(source, namespace)
    return Fold(namespace[name]).fingerprint()


MODEL = """
class Model(DecisionModel):
    account: AccountId
    amount: int = 0
    def evolve(self, event: Opened):
        return replace(self, amount=self.amount + 1)
"""


def test_the_same_model_has_the_same_fingerprint_wherever_it_stands() -> None:
    moved_and_explained = MODEL.replace("    def evolve", "\n\n    # a comment\n    def evolve")

    assert fingerprint_of(MODEL) == fingerprint_of(moved_and_explained)
    assert len(fingerprint_of(MODEL)) == 32


@pytest.mark.parametrize(
    ("what", "changed"),
    [
        ("a constant in evolve", MODEL.replace("+ 1", "+ 2")),
        ("an operator in evolve", MODEL.replace("+ 1", "- 1")),
        ("a field that evolve reads", MODEL.replace("self.amount +", "self.count +")),
        ("the name of a field", MODEL.replace("amount: int", "total: int")),
        ("the type of a field", MODEL.replace("amount: int", "amount: float")),
        ("the default of a field", MODEL.replace("int = 0", "int = 1")),
        ("another field", MODEL.replace("    def", "    open: bool = False\n    def")),
        ("the events", MODEL.replace("event: Opened", "event: Opened | Moved")),
        ("a tagged field's part in the key", MODEL.replace("= 0", "= 0\n    o: Annotated[OwnerId, NotKey()] = ''")),
        ("stated criteria", MODEL + "    def criteria(self): return None\n"),
    ],
)
def test_a_changed_model_has_another_fingerprint(what: str, changed: str) -> None:
    assert fingerprint_of(changed) != fingerprint_of(MODEL), what


@pytest.mark.parametrize(
    ("what", "source", "before", "after"),
    [
        ("a function that evolve calls", "def plus(n): return n + 1\n" + MODEL + "#", "n + 1", "n + 2"),
        ("a constant of the module", "STEP = 1\n" + MODEL.replace("+ 1", "+ STEP"), "STEP = 1", "STEP = 2"),
        (
            "a method",
            MODEL.replace("self.amount + 1", "self.next()") + "    def next(self): return 1\n",
            "return 1",
            "return 2",
        ),
        (
            "a property",
            MODEL.replace("self.amount + 1", "self.next") + "    @property\n    def next(self): return 1\n",
            "return 1",
            "return 2",
        ),
        ("a static method", MODEL + "    @staticmethod\n    def next(): return 1\n", "return 1", "return 2"),
        ("a class method", MODEL + "    @classmethod\n    def next(cls): return 1\n", "return 1", "return 2"),
        (
            "a class that a field holds",
            "class Line(Struct):\n    n: int = 0\n"
            + MODEL.replace("= 0", "= 0\n    lines: dict[str, tuple[Line, ...]] = {}"),
            "n: int",
            "m: int",
        ),
        (
            "an enumeration that a field holds",
            "class Colour(Enum):\n    RED = 1\n" + MODEL.replace("= 0", "= 0\n    c: Colour | None = None"),
            "RED = 1",
            "RED = 2",
        ),
        (
            "a default factory",
            MODEL.replace("= 0", "= field(default_factory=lambda: 0)"),
            "lambda: 0",
            "lambda: 1",
        ),
        (
            "a base that is no model",
            "class Counting:\n    def next(self): return 1\n"
            + MODEL.replace("(DecisionModel)", "(Counting, DecisionModel)"),
            "return 1",
            "return 2",
        ),
        ("an inherited evolve", MODEL + "class Derived(Model):\n    pass\n", "+ 1", "+ 2"),
    ],
)
def test_what_a_model_uses_is_part_of_its_fingerprint(what: str, source: str, before: str, after: str) -> None:
    if what == "a function that evolve calls":
        source = source.replace("self.amount + 1", "plus(self.amount)")
    name = "Derived" if "Derived" in source else "Model"

    assert source.replace(before, after) != source
    assert fingerprint_of(source, name) != fingerprint_of(source.replace(before, after), name), what


def test_the_version_of_an_event_is_part_of_the_fingerprint() -> None:
    class Renewed(Event, wire="Opened", version=2):
        account: AccountId

    assert fingerprint_of(MODEL, globals={"Opened": Renewed}) != fingerprint_of(MODEL)


def test_variables_of_an_enclosing_function_are_part_of_the_fingerprint() -> None:
    def with_step(step: int) -> str:
        def evolve(self: Any, event: Any) -> Any:
            return replace(self, amount=self.amount + step)

        return Fold(model_of(evolve)).fingerprint()

    assert with_step(1) == with_step(1)
    assert with_step(1) != with_step(2)


PRINT_FINGERPRINTS = """
from tests.test_fold import UNORDERED, fingerprint_of, fold_of, Account, Holding
from examples.courses import Course
print(fold_of(Account).fingerprint(), fold_of(Holding).fingerprint(), fold_of(Course).fingerprint(),
      fingerprint_of(UNORDERED))
"""
UNORDERED = """
NAMES = frozenset({"a", "b", "c", "d"})
def known(name, names=frozenset({"e", "f", "g"})): return name in NAMES or name in {"h", "i", "j"} or name in names
class Model(DecisionModel):
    account: AccountId
    owner: Annotated[OwnerId, NotKey()] = ""
    names: frozenset[str] = frozenset({"k", "l", "m", "n"})
    lines: dict[str, int] = field(default_factory=lambda: {"o": 1})
    def evolve(self, event: Opened | Moved):
        return self if known(self.owner) else replace(self, owner="x")
"""


def test_a_fingerprint_is_the_same_in_every_process() -> None:
    def printed(seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = (sys.executable, "-c", PRINT_FINGERPRINTS)
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True, text=True).stdout

    fingerprints = {printed(seed) for seed in ("0", "1", "2", "3")}

    assert len(fingerprints) == 1
    assert len(fingerprints.pop().split()) == 4

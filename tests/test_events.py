"""Messages: wire names and versions, frozen structs, the classes of other libraries, and the tags of a message."""

import dataclasses
from typing import Annotated, Any

import attrs
import msgspec
import pydantic
import pytest

from leftfold.errors import InvalidField, NotAMessage
from leftfold.model.message import Command, Event, MessageType, Query, message
from leftfold.model.tag import Tag

AccountId = Annotated[str, Tag("account")]
BankId = Annotated[int, Tag("bank")]


class Opened(Event, wire="account.opened", version=2):
    account: AccountId
    owner: str = "Ada"


class Moved(Event):
    source: AccountId
    target: AccountId
    bank: BankId | None = None
    watched: tuple[AccountId, ...] = ()


class Balance(Query[int]):
    account: AccountId


@message(wire="closed", version=3)
@dataclasses.dataclass(frozen=True)
class ClosedDataclass:
    account: AccountId


@message(wire="closed", version=3)
@attrs.frozen
class ClosedAttrs:
    account: AccountId


@message(wire="closed", version=3)
class ClosedPydantic(pydantic.BaseModel):
    account: AccountId


def test_a_message_has_the_wire_name_and_version_of_its_class_statement() -> None:
    known = MessageType(Opened)

    assert (known.wire, known.version, known.owner) == ("account.opened", 2, Opened)
    assert repr(known) == "<MessageType account.opened v2>"


def test_without_them_the_wire_name_is_the_class_s_and_the_version_one() -> None:
    known = MessageType(Moved)

    assert (known.wire, known.version) == ("Moved", 1)


def test_a_subclass_does_not_inherit_wire_name_or_version() -> None:
    class Reopened(Opened):
        reason: str = ""

    known = MessageType(Reopened)

    assert (known.wire, known.version) == ("Reopened", 1)
    assert Reopened("a", reason="mistake").account == "a"


def test_messages_are_frozen_comparable_and_hashable() -> None:
    opened: Any = Opened("a")

    with pytest.raises(AttributeError, match="immutable"):
        opened.owner = "Eve"
    assert opened == Opened("a", "Ada") != Opened("b")
    assert len({opened, Opened("a")}) == 1


def test_commands_and_queries_are_messages_too() -> None:
    class Open(Command, wire="open"):
        account: AccountId

    assert (MessageType(Open).wire, MessageType(Balance).wire) == ("open", "Balance")
    assert MessageType(Balance).tags_of(Balance("a")) == ("account:a",)


def test_other_options_of_the_class_statement_go_to_msgspec() -> None:
    class Short(Event, wire="short", array_like=True):
        account: AccountId

    assert msgspec.json.encode(Short("a")) == b'["a"]'


@pytest.mark.parametrize("marked", [ClosedDataclass, ClosedAttrs, ClosedPydantic])
def test_classes_of_other_libraries_are_marked_as_messages(marked: Any) -> None:
    known = MessageType(marked)

    assert (known.wire, known.version) == ("closed", 3)
    assert known.tags_of(marked(account="a")) == ("account:a",)


def test_a_marked_class_without_a_wire_name_uses_its_own() -> None:
    @message()
    @dataclasses.dataclass
    class Closed:
        account: str

    assert (MessageType(Closed).wire, MessageType(Closed).version) == ("Closed", 1)


def test_an_unmarked_class_is_no_message() -> None:
    class Plain:
        pass

    class Derived(ClosedDataclass):
        pass

    for owner in (Plain, Derived):
        with pytest.raises(NotAMessage) as caught:
            MessageType(owner)
        assert owner.__qualname__ in caught.value.found


def test_a_message_carries_the_tags_of_its_fields_each_once_in_order() -> None:
    known = MessageType(Moved)

    assert known.tags_of(Moved("a", "b", 7)) == ("account:a", "account:b", "bank:7")
    assert known.tags_of(Moved("a", "a")) == ("account:a",)
    assert known.tags_of(Moved("a", "b", None, ("c", "a"))) == ("account:a", "account:b", "account:c")


def test_the_fields_of_a_tag_are_found_by_its_name() -> None:
    known = MessageType(Moved)

    assert [field.name for field in known.fields_tagged("account")] == ["source", "target", "watched"]
    assert known.fields_tagged("customer") == ()


@pytest.mark.parametrize(
    ("options", "namespace", "remedy"),
    [
        ({}, {"__annotations__": {"a": int, "b": str}, "a": 1}, "class Wrong(..., kw_only=True)"),
        ({}, {"__annotations__": {"a": list}, "a": [1]}, "change the field"),
        ({"unheard": 1}, {}, "the keyword that it names"),
    ],
)
def test_a_class_that_msgspec_cannot_make_is_refused_by_name(
    options: dict[str, Any], namespace: dict[str, Any], remedy: str
) -> None:
    with pytest.raises(InvalidField, match="Wrong cannot be defined") as refused:
        type(Event)("Wrong", (Event,), namespace, **options)

    assert remedy in refused.value.remedy


def test_a_value_that_would_hide_an_inherited_field_is_refused() -> None:
    with pytest.raises(InvalidField, match=r"Wrong\.owner is a field, and 'Bob' without an annotation hides it"):

        class Wrong(Opened):
            owner = "Bob"

    class Right(Opened):
        owner: str = "Bob"

    assert Right("a").owner == "Bob"

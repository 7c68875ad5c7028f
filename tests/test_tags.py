"""Tags: how values are rendered, which fields carry them, and what cannot be tagged."""

import datetime
import enum
import uuid
from collections.abc import Sequence
from typing import Annotated, Any

import pytest

from leftfold.errors import DefinitionError, InvalidField, UnresolvedAnnotation
from leftfold.model.message import Event, MessageType
from leftfold.model.tag import NonKey, Tag, TagField, render, tag_fields

AccountId = Annotated[str, Tag("account")]


class Size(enum.Enum):
    SMALL = "s"
    LARGE = 2


class Colour(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a-1", "a-1"),
        ("", ""),
        (7, "7"),
        (-1, "-1"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Size.SMALL, "s"),
        (Size.LARGE, "2"),
        (Colour.RED, "red"),
        (Level.HIGH, "3"),
        (datetime.date(2013, 2, 8), "2013-02-08"),
    ],
)
def test_a_value_is_rendered_as_stable_text(value: object, text: str) -> None:
    assert render(value) == text
    assert Tag("x")(value) == f"x:{text}"


class Moved:
    source: AccountId
    target: AccountId
    via: AccountId | None
    others: list[AccountId]
    watched: frozenset[AccountId] | None
    customer: Annotated[str, Tag("customer"), NonKey]
    witness: Annotated[AccountId, NonKey()]
    day: Annotated[datetime.date, Tag("day")]
    amount: int
    note: str | None


def fields() -> dict[str, TagField]:
    return {field.name: field for field in tag_fields(Moved)}


def test_tag_typed_fields_are_found_in_their_order() -> None:
    assert list(fields()) == ["source", "target", "via", "others", "watched", "customer", "witness", "day"]


def test_a_field_knows_its_tag_and_the_type_of_its_values() -> None:
    found = {name: (field.tag.name, field.value_type) for name, field in fields().items()}

    assert found["source"] == found["via"] == found["others"] == found["watched"] == ("account", str)
    assert found["day"] == ("day", datetime.date)


def test_collections_hold_many_values() -> None:
    assert [name for name, field in fields().items() if field.many] == ["others", "watched"]


def test_a_field_marked_not_key_is_no_part_of_a_key() -> None:
    assert [name for name, field in fields().items() if not field.key] == ["customer", "witness"]


def test_a_field_yields_its_values_and_none_when_it_is_empty() -> None:
    moved = Moved()
    moved.source, moved.via, moved.others, moved.watched = "a", None, ["b", "c", "b"], None

    values = {name: list(fields()[name].values(moved)) for name in ("source", "via", "others", "watched")}

    assert values == {"source": ["a"], "via": [], "others": ["b", "c", "b"], "watched": []}


def test_tags_show_themselves() -> None:
    found = fields()

    assert repr(Tag("account")) == "Tag('account')"
    assert repr(found["source"]) == "<TagField source: account>"
    assert repr(found["others"]) == "<TagField others: account (many)>"


@pytest.mark.parametrize(
    "untaggable",
    [float, bool, bytes, datetime.datetime, dict, list[float], int | str, float | None, list[list[str]], object],
)
def test_a_tag_on_a_type_without_stable_text_is_refused(untaggable: Any) -> None:
    owner = type("Wrong", (), {"__annotations__": {"field": Annotated[untaggable, Tag("x")]}})

    with pytest.raises(InvalidField) as caught:
        tag_fields(owner)

    assert (caught.value.owner, caught.value.field) == ("Wrong", "field")
    assert "Wrong.field" in caught.value.found


def test_an_annotation_that_names_nothing_is_refused() -> None:
    owner = type("Wrong", (), {"__annotations__": {"field": "Unheard"}})

    with pytest.raises(UnresolvedAnnotation) as caught:
        tag_fields(owner)

    assert "Unheard" in caught.value.found


def test_the_tags_of_a_set_come_in_one_order_whatever_the_process() -> None:
    class Listed(Event):
        accounts: frozenset[Annotated[str, Tag("account")]]

    tags = MessageType(Listed).tags_of(Listed(frozenset({"c", "a", "b"})))

    assert tags == ("account:a", "account:b", "account:c")


def event_with(hint: Any) -> type[Event]:
    made: type[Event] = type(Event)("Wrong", (Event,), {"__annotations__": {"field": hint}})
    return made


@pytest.mark.parametrize(
    "hint",
    [
        tuple[AccountId, int],
        tuple[int, AccountId],
        tuple[AccountId, Annotated[str, Tag("other")]],
        dict[AccountId, int],
        dict[str, list[AccountId]] | None,
        Sequence[AccountId],
        AccountId | list[AccountId],
        AccountId | int,
        Annotated[dict[int, AccountId], "a remark"],
    ],
)
def test_an_event_with_a_tag_where_it_is_not_found_is_refused(hint: Any) -> None:
    with pytest.raises(InvalidField, match=r"Wrong\.field has Tag\('\w+'\) in a type whose values are") as refused:
        MessageType(event_with(hint))

    assert refused.value.expected == "a tagged type, optional or in a list, tuple, set or frozenset"


@pytest.mark.parametrize(
    "hint",
    [
        tuple[AccountId, AccountId],
        tuple[AccountId, ...] | None,
        list[AccountId | None],
        set[AccountId],
        Annotated[list[str], Tag("account")],
    ],
)
def test_an_event_has_the_tags_of_collections_that_are_understood(hint: Any) -> None:
    owner: Any = event_with(hint)

    assert MessageType(owner).tags_of(owner(("a", "b"))) == ("account:a", "account:b")


def test_a_model_may_keep_tags_that_are_no_key_in_any_type() -> None:
    class State:
        account: AccountId
        shares: dict[AccountId, int]
        pair: tuple[AccountId, int]
        either: AccountId | list[AccountId]

    assert [field.name for field in tag_fields(State)] == ["account"]


def test_none_in_a_collection_has_no_tag() -> None:
    class Listed(Event):
        accounts: list[AccountId | None]
        watched: frozenset[Annotated[str, Tag("watched", by=str.casefold)] | None]

    listed = Listed(["a", None, "b"], frozenset({None, "C"}))

    assert MessageType(Listed).tags_of(listed) == ("account:a", "account:b", "watched:c")


def test_a_field_with_two_tags_is_refused() -> None:
    owner = type("Wrong", (), {"__annotations__": {"field": Annotated[AccountId, Tag("other")]}})

    with pytest.raises(InvalidField, match=r"Wrong\.field has several tags: Tag\('account'\) and Tag\('other'\)"):
        tag_fields(owner)

    owner.__annotations__["field"] = Annotated[AccountId, Tag("account")]
    assert [field.tag.name for field in tag_fields(owner)] == ["account"]


@pytest.mark.parametrize("mark", [NonKey, NonKey()])
def test_an_event_with_a_field_marked_as_no_key_is_refused(mark: Any) -> None:
    with pytest.raises(InvalidField, match=r"Wrong\.field is marked with NonKey, and an event has no key"):
        MessageType(event_with(Annotated[AccountId, mark]))


@pytest.mark.parametrize("name", [3, None, "", "a\nb", "a\x00", b"a"])
def test_a_tag_without_a_name_is_refused(name: Any) -> None:
    with pytest.raises(DefinitionError, match="a tag has the name"):
        Tag(name)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"by": 3}, "by of Tag('a') is 3"),
        ({"within": "b"}, "within of Tag('a') is 'b'"),
        ({"secret": 5}, "the secret of Tag('a') is of type int"),
        ({"secret": ["x" * 32]}, "the secret of Tag('a') is of type list"),
    ],
)
def test_a_tag_with_an_option_of_another_kind_is_refused(options: Any, problem: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        Tag("a", **options)

    assert refused.value.found == problem

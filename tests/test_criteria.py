"""Criteria: the laws of `|`, what matches, and how criteria show themselves."""

from collections.abc import Callable, Collection
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leftfold.errors import UsageError
from leftfold.model.criteria import ALL, EVERYTHING, NOTHING, Criteria, CriteriaItem, criteria

TYPES = st.sampled_from(["opened", "moved", "leftfold.own"])
TAGS = st.sampled_from(["account:a", "account:b", "bank:x"])
ITEMS = st.builds(CriteriaItem, st.frozensets(TYPES), st.frozensets(TAGS)) | st.just(CriteriaItem(system=False))
CRITERIA = st.lists(ITEMS, max_size=4).map(lambda items: Criteria(*items))
OCCURRED = st.tuples(TYPES, st.frozensets(TAGS))


def specified(items: Collection[CriteriaItem], type: str, tags: Collection[str]) -> bool:
    """The specification's words: any item; in an item any type, if it names some, and all tags."""
    own = type.startswith("leftfold.")
    return any(
        (not item.types or type in item.types) and all(tag in tags for tag in item.tags) and (item.system or not own)
        for item in items
    )


@given(st.lists(ITEMS, max_size=4), OCCURRED)
def test_criteria_match_as_the_specification_says(
    items: list[CriteriaItem], occurred: tuple[str, frozenset[str]]
) -> None:
    assert Criteria(*items).matches(*occurred) == specified(items, *occurred)


@given(CRITERIA, CRITERIA, OCCURRED)
def test_or_matches_what_either_side_matches(
    one: Criteria, other: Criteria, occurred: tuple[str, frozenset[str]]
) -> None:
    assert (one | other).matches(*occurred) == (one.matches(*occurred) or other.matches(*occurred))


@given(CRITERIA, CRITERIA)
def test_or_is_commutative(one: Criteria, other: Criteria) -> None:
    assert one | other == other | one
    assert hash(one | other) == hash(other | one)


@given(CRITERIA, CRITERIA, CRITERIA)
def test_or_is_associative(one: Criteria, two: Criteria, three: Criteria) -> None:
    assert (one | two) | three == one | (two | three)


@given(CRITERIA)
def test_or_is_idempotent(one: Criteria) -> None:
    assert one | one == one


@given(CRITERIA)
def test_nothing_adds_nothing_and_all_swallows_everything(one: Criteria) -> None:
    assert one | NOTHING == one
    assert one | EVERYTHING == EVERYTHING


@given(ITEMS, ITEMS, OCCURRED)
def test_a_covering_item_matches_all_that_the_covered_one_matches(
    one: CriteriaItem, other: CriteriaItem, occurred: tuple[str, frozenset[str]]
) -> None:
    if one.covers(other):
        assert one.matches(*occurred) or not other.matches(*occurred)


@given(ITEMS, ITEMS)
def test_items_that_cover_each_other_are_equal(one: CriteriaItem, other: CriteriaItem) -> None:
    assert (one.covers(other) and other.covers(one)) == (one == other)


@given(st.lists(ITEMS, max_size=4))
def test_criteria_are_equal_whatever_the_order_of_their_items(items: list[CriteriaItem]) -> None:
    assert len({Criteria(*order) for order in permutations(items)}) == 1


@given(CRITERIA, CRITERIA)
def test_equal_criteria_show_themselves_alike(one: Criteria, other: Criteria) -> None:
    assert (one == other) == (repr(one) == repr(other))


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (ALL, "<Criteria any type but leftfold.*>"),
        (EVERYTHING, "<Criteria any type>"),
        (NOTHING, "<Criteria nothing>"),
        (criteria("opened"), "<Criteria opened>"),
        (criteria("opened", "closed"), "<Criteria closed or opened>"),
        (criteria(tags=["account:a"]), "<Criteria any type with account:a>"),
        (
            criteria("opened", "closed", tags=["bank:x", "account:a"]),
            "<Criteria closed or opened with account:a and bank:x>",
        ),
        (criteria("opened") | criteria("closed", tags=["account:a"]), "<Criteria closed with account:a, or opened>"),
    ],
)
def test_criteria_show_what_they_mean(shown: Criteria, text: str) -> None:
    assert repr(shown) == text


def test_what_leaves_out_leftfold_s_own_events_names_nothing_else() -> None:
    with pytest.raises(UsageError, match="system=False"):
        CriteriaItem(["opened"], system=False)


def test_an_item_that_another_covers_is_dropped() -> None:
    combined = criteria("opened", tags=["account:a"]) | criteria("opened", "closed") | criteria("opened")

    assert combined == criteria("opened", "closed")


def test_criteria_are_no_other_thing() -> None:
    assert criteria("opened") != CriteriaItem(["opened"])
    assert CriteriaItem(["opened"]) != "opened"


MANY = st.lists(
    st.builds(
        CriteriaItem,
        st.frozensets(st.sampled_from("abcdef"), max_size=2),
        st.frozensets(st.sampled_from("uvwxyz"), max_size=3),
    )
    | st.just(CriteriaItem(system=False)),
    min_size=17,
    max_size=60,
)


@given(MANY)
def test_of_many_items_those_that_others_cover_are_dropped_as_of_few(items: list[CriteriaItem]) -> None:
    kept = {one for one in items if not any(other != one and other.covers(one) for other in items)}

    assert set(Criteria(*items).items) == kept
    assert Criteria(*items) == Criteria(*reversed(items))


def test_of_very_many_items_those_that_others_cover_are_dropped_too() -> None:
    plain = [CriteriaItem((), [f"n:{n}"]) for n in range(1_000)]
    covered = [CriteriaItem(["opened"], [f"n:{n}", f"m:{n}"]) for n in range(1_000)]

    assert Criteria(*plain, *covered) == Criteria(*plain)


SHAPES: dict[str, Callable[[int], CriteriaItem]] = {
    "a tag each": lambda n: CriteriaItem((), [f"n:{n}"]),
    "a type each": lambda n: CriteriaItem([f"t{n}"]),
    "a type each with one tag": lambda n: CriteriaItem([f"t{n}"], ["all"]),
    "a tag each with one type": lambda n: CriteriaItem(["t"], [f"n:{n}", "all"]),
    "pairs of tags": lambda n: CriteriaItem((), [f"a:{n % 64}", f"b:{n // 64}"]),
    "tags from a few": lambda n: CriteriaItem((), [f"{at}" for at in range(12) if n >> at & 1]),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_criteria_of_many_items_are_made_in_steps_that_grow_with_their_number(
    shape: Callable[[int], CriteriaItem], monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[int] = []
    covers = CriteriaItem.covers
    monkeypatch.setattr(CriteriaItem, "covers", lambda self, other: compared.append(1) or covers(self, other))

    made = Criteria(*map(shape, range(1, 2_000)))

    assert len(compared) <= 64 * 2_000
    assert made == Criteria(*map(shape, range(1_999, 0, -1)))

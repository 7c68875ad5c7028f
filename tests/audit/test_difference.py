"""What differs between two states, part by part."""

from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from attrs import frozen
from pydantic import BaseModel

from leftfold.audit import ABSENT, Change, changes


class Seat(msgspec.Struct, frozen=True):
    row: int = 1
    guest: str | None = None


class Hall(msgspec.Struct, frozen=True):
    name: str = "main"
    seats: dict[str, Seat] = {}
    doors: tuple[str, ...] = ()
    staff: frozenset[str] = frozenset()
    best: Seat = Seat()


@dataclass(frozen=True)
class Dated:
    day: int = 1


@frozen
class Attributed:
    size: int = 1


class Checked(BaseModel):
    weight: int = 1


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (Hall(), Hall(), []),
        (Hall(), Hall("small"), [Change("name", "main", "small")]),
        (Hall(), Hall(best=Seat(2)), [Change("best.row", 1, 2)]),
        (Hall(seats={"a": Seat()}), Hall(seats={"a": Seat(1, "Ann")}), [Change("seats[a].guest", None, "Ann")]),
        (Hall(), Hall(seats={"b": Seat()}), [Change("seats[b]", ABSENT, Seat())]),
        (Hall(seats={"b": Seat()}), Hall(), [Change("seats[b]", Seat(), ABSENT)]),
        (
            Hall(doors=("n", "s")),
            Hall(doors=("n", "w", "e")),
            [Change("doors[1]", "s", "w"), Change("doors[2]", ABSENT, "e")],
        ),
        (
            Hall(staff=frozenset("ab")),
            Hall(staff=frozenset("bc")),
            [Change("staff", "a", ABSENT), Change("staff", ABSENT, "c")],
        ),
        (Hall(), None, [Change("", Hall(), None)]),
        ("a", "b", [Change("", "a", "b")]),
        (Dated(), Dated(2), [Change("day", 1, 2)]),
        (Attributed(), Attributed(2), [Change("size", 1, 2)]),
        (Checked(), Checked(weight=2), [Change("weight", 1, 2)]),
        ([1, [2, 3]], [1, [2, 4]], [Change("[1][1]", 3, 4)]),
    ],
)
def test_the_smallest_parts_that_differ(before: Any, after: Any, expected: list[Change]) -> None:
    assert changes(before, after) == expected


def test_a_part_that_is_the_same_object_is_not_looked_into() -> None:
    class Touchy:
        def __eq__(self, other: object) -> bool:
            raise AssertionError("compared")

        __hash__ = None  # type: ignore[assignment]

    touchy = Touchy()

    assert changes([touchy, 1], [touchy, 2]) == [Change("[1]", 1, 2)]

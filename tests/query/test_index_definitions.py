"""Which indexes a read model can declare."""

from decimal import Decimal
from typing import Annotated, Any, ClassVar, Self

import pytest

from leftfold import App, Event, NonKey, ReadModel, Tag, replace
from leftfold.errors import InvalidModel

StudentId = Annotated[str, Tag("student")]
CourseId = Annotated[str, Tag("course")]


class Enrolled(Event):
    student: StudentId
    course: CourseId


class Enrolment(ReadModel):
    student: StudentId
    course: CourseId
    grade: Decimal | None = None
    place: int = 0
    tutor: Annotated[StudentId, NonKey] = ""
    notes: tuple[str, ...] = ()
    most: ClassVar[int] = 30

    def evolve(self, event: Enrolled) -> Self:
        return replace(self, place=self.place + 1)


class Count(ReadModel):
    enrolled: int = 0

    def evolve(self, event: Enrolled) -> Self:
        return replace(self, enrolled=self.enrolled + 1)


@pytest.mark.parametrize(
    ("indexes", "expected"),
    [
        ("place", "Enrolment has indexes='place'\n  expected: a list of indexes"),
        (("place", "-grade"), r"Enrolment has indexes=\('place', '-grade'\)\n  expected: a list of indexes"),
        ([3], "Enrolment has the index 3\n"),
        ([()], r"Enrolment has the index \(\)\n"),
        (
            [("place", 3)],
            r"Enrolment has the index \('place', 3\)\n  expected: the name of a field, or a tuple of names",
        ),
        (["most"], "an index on 'most'\n  expected: one of student, course, grade, place, tutor, notes\n"),
        (["size"], "an index on 'size'\n  expected: one of student, course, grade, place, tutor, notes\n"),
        (["--place"], "an index on '-place'\n"),
        (["notes"], "an index on notes, which is kept as JSON and has no order"),
        ([("place", "-place")], "an index that names place twice"),
        (
            ["place", "place"],
            r"the index \(place\), which finds the same rows in the same order as the index \(place\)\n",
        ),
        (["place", ("place", "student")], r"the index \(place, student\), which .* as the index \(place\)\n"),
        ([("place", "-grade"), ("-place", "grade")], r"the index \(-place, grade\), which .* \(place, -grade\)\n"),
        (["student"], r"the index \(student\), which finds the same rows in the same order as its key"),
        ([("-student", "-course")], "in the same order as its key"),
    ],
)
def test_an_index_that_cannot_be_made_or_is_there_already_is_refused(indexes: Any, expected: str) -> None:
    with pytest.raises(InvalidModel, match=expected):
        App("school").read_model(indexes=indexes)(Enrolment)


def test_a_model_of_one_row_has_no_indexes() -> None:
    with pytest.raises(InvalidModel, match="Count has indexes and no key: it is one row"):
        App("school").read_model(indexes=["enrolled"])(Count)


def test_indexes_of_fields_in_one_and_the_other_direction_are_accepted() -> None:
    app = App("school")

    app.read_model(
        indexes=["place", "course", ("tutor", "-place"), ("-grade",), ("place", "-grade"), ("student", "-course")]
    )(Enrolment)

    assert [str(index) for index in app.read_models[Enrolment].indexes] == [
        "(place)",
        "(course)",
        "(tutor, -place)",
        "(-grade)",
        "(place, -grade)",
        "(student, -course)",
    ]


def test_an_index_is_not_part_of_the_fingerprint() -> None:
    with_index, without = App("school"), App("school")

    with_index.read_model(indexes=["place"])(Enrolment)
    without.read_model(Enrolment)

    assert with_index.read_models[Enrolment].fingerprint() == without.read_models[Enrolment].fingerprint()

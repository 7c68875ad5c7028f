"""Courses: rules that concern a student and a course at once, names that are unique, and races for the last seat."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from examples.courses import (
    COURSES_A_STUDENT,
    AllCourses,
    CapacityChanged,
    ChangeCapacity,
    Course,
    CourseDefined,
    CourseList,
    CourseRenamed,
    CoursesOf,
    DefineCourse,
    Enrol,
    Enrolled,
    Enrolment,
    NameClaim,
    RegisterStudent,
    RenameCourse,
    Student,
    StudentRegistered,
    Timetable,
    Withdraw,
    Withdrawn,
    courses,
)
from leftfold import Event, LiveApp, Receipt, Rejected
from leftfold.testing import check_laws, given
from tests.patience import examples

ART, LAW = CourseDefined("c-art", "Art", 2), CourseDefined("c-law", "Law", 2)
ANN, BOB, CLEO = (StudentRegistered(f"s-{name}", name) for name in ("ann", "bob", "cleo"))


# --- courses and their names


def test_a_course_is_defined_once() -> None:
    given(courses).when(DefineCourse("c-art", "Art", 2)).then(ART)
    given(courses, ART).when(DefineCourse("c-art", "Arts", 2)).then(Rejected("course exists", name="Art"))


def test_a_name_belongs_to_one_course() -> None:
    given(courses, ART).when(DefineCourse("c-2", "Art", 2)).then(Rejected("name is taken", name="Art"))
    given(courses, ART, LAW).when(RenameCourse("c-law", "Art")).then(Rejected("name is taken", name="Art"))
    given(courses).when(DefineCourse("c-2", "", 2)).then_rejected("a course needs a name")


def test_a_name_that_was_given_up_can_be_taken() -> None:
    renamed = CourseRenamed("c-art", former_name="Art", name="Fine art")

    given(courses, ART).when(RenameCourse("c-art", "Fine art")).then(renamed)
    given(courses, ART, renamed).when(DefineCourse("c-2", "Art", 2)).then(CourseDefined("c-2", "Art", 2))
    given(courses, ART, renamed).when(DefineCourse("c-2", "Fine art", 2)).then_rejected("name is taken")
    given(courses, ART, renamed).when(RenameCourse("c-art", "Art")).then(CourseRenamed("c-art", "Fine art", "Art"))


def test_a_course_may_keep_its_name() -> None:
    given(courses, ART).when(RenameCourse("c-art", "Art")).then_nothing()


def test_a_course_keeps_enough_seats_for_its_students() -> None:
    two = (ART, ANN, BOB, Enrolled("s-ann", "c-art"), Enrolled("s-bob", "c-art"))

    given(courses, *two).when(ChangeCapacity("c-art", 3)).then(CapacityChanged("c-art", 3))
    given(courses, *two).when(ChangeCapacity("c-art", 2)).then_nothing()
    given(courses, *two).when(ChangeCapacity("c-art", 1)).then(Rejected("more students are enrolled", enrolled=2))
    given(courses, ART).when(ChangeCapacity("c-art", 0)).then_rejected("a course has at least one seat")
    given(courses).when(DefineCourse("c-art", "Art", 0)).then_rejected("a course has at least one seat")


@pytest.mark.parametrize("command", [RenameCourse("c-1", "Art"), ChangeCapacity("c-1", 5)])
def test_a_course_that_does_not_exist_cannot_be_changed(command: Any) -> None:
    given(courses).when(command).then(Rejected("no such course", course="c-1"))


# --- enrolments


def test_a_student_is_registered_once() -> None:
    given(courses).when(RegisterStudent("s-ann", "ann")).then(ANN)
    given(courses, ANN).when(RegisterStudent("s-ann", "anna")).then_rejected("student exists")


def test_a_student_takes_a_course_once_at_a_time() -> None:
    enrolled, withdrawn = Enrolled("s-ann", "c-art"), Withdrawn("s-ann", "c-art")

    given(courses, ANN, ART).when(Enrol("s-ann", "c-art")).then(enrolled)
    given(courses, ANN, ART, enrolled).when(Enrol("s-ann", "c-art")).then(Rejected("already enrolled"))
    given(courses, ANN, ART, enrolled, withdrawn).when(Enrol("s-ann", "c-art")).then(enrolled)


def test_who_and_what_do_not_exist_cannot_be_enrolled() -> None:
    given(courses, ART).when(Enrol("s-ann", "c-art")).then(Rejected("no such student", student="s-ann"))
    given(courses, ANN).when(Enrol("s-ann", "c-art")).then(Rejected("no such course", course="c-art"))


def test_a_course_takes_as_many_students_as_it_has_seats() -> None:
    full = (ART, ANN, BOB, CLEO, Enrolled("s-ann", "c-art"), Enrolled("s-bob", "c-art"))

    given(courses, *full).when(Enrol("s-cleo", "c-art")).then(Rejected("course is full", capacity=2))
    for made_room in (Withdrawn("s-ann", "c-art"), CapacityChanged("c-art", 3)):
        given(courses, *full, made_room).when(Enrol("s-cleo", "c-art")).then(Enrolled("s-cleo", "c-art"))


def test_a_student_takes_at_most_ten_courses() -> None:
    taken = [Enrolled("s-ann", f"c-{number}") for number in range(COURSES_A_STUDENT)]

    given(courses, ANN, ART, *taken[1:]).when(Enrol("s-ann", "c-art")).then(Enrolled("s-ann", "c-art"))
    given(courses, ANN, ART, *taken).when(Enrol("s-ann", "c-art")).then(
        Rejected("student has enough courses", courses=10)
    )
    given(courses, ANN, ART, *taken, Withdrawn("s-ann", "c-3")).when(Enrol("s-ann", "c-art")).then(
        Enrolled("s-ann", "c-art")
    )


def test_only_who_is_enrolled_can_withdraw() -> None:
    enrolled, withdrawn = Enrolled("s-ann", "c-art"), Withdrawn("s-ann", "c-art")

    given(courses, ANN, ART, enrolled).when(Withdraw("s-ann", "c-art")).then(withdrawn)
    given(courses, ANN, ART).when(Withdraw("s-ann", "c-art")).then(Rejected("not enrolled"))
    given(courses, ANN, ART, enrolled, withdrawn).when(Withdraw("s-ann", "c-art")).then(Rejected("not enrolled"))


# --- asking

HAPPENED = [
    ART,
    LAW,
    ANN,
    BOB,
    Enrolled("s-ann", "c-law"),
    Enrolled("s-ann", "c-art"),
    Enrolled("s-bob", "c-art"),
    CourseRenamed("c-law", "Law", "Civil law"),
    Withdrawn("s-bob", "c-art"),
    Enrolled("s-bob", "c-law"),
    CapacityChanged("c-art", 1),
]


def test_the_list_of_courses_counts_seats() -> None:
    civil_law, art = CourseList("c-law", "Civil law", 2, 2), CourseList("c-art", "Art", 1, 1)

    given(courses, *HAPPENED).when(AllCourses()).then_answer([art, civil_law])
    given(courses, *HAPPENED[:-2]).when(AllCourses(with_free_seats=True)).then_answer(
        [CourseList("c-art", "Art", 2, 1), CourseList("c-law", "Civil law", 2, 1)]
    )
    given(courses, *HAPPENED).when(AllCourses(with_free_seats=True)).then_answer([])


def test_a_timetable_has_the_present_names_of_the_students_courses() -> None:
    given(courses, *HAPPENED).when(CoursesOf("s-ann")).then_answer(["Art", "Civil law"])
    given(courses, *HAPPENED).when(CoursesOf("s-bob")).then_answer(["Civil law"])
    given(courses, *HAPPENED).when(CoursesOf("s-eve")).then_answer([])
    given(courses, *HAPPENED).then_no_row(Timetable, "s-bob", "c-art")


# --- races: four live apps on one file, sixteen callers


@pytest.fixture
async def apps(tmp_path: Path) -> AsyncIterator[list[LiveApp]]:
    async with AsyncExitStack() as opened:
        yield [await opened.enter_async_context(courses.open(f"sqlite:///{tmp_path}/courses.db")) for _ in range(4)]


async def race(apps: list[LiveApp], commands: Sequence[Any]) -> tuple[int, set[Rejected]]:
    """How many of the commands were carried out, sent at once through all the apps, and why the others were not."""
    outcomes = await asyncio.gather(
        *(apps[number % len(apps)].execute(command) for number, command in enumerate(commands)), return_exceptions=True
    )
    rejected = {outcome for outcome in outcomes if isinstance(outcome, Rejected)}
    unforeseen = [outcome for outcome in outcomes if not isinstance(outcome, Receipt | Rejected)]
    assert unforeseen == []
    return sum(isinstance(outcome, Receipt) for outcome in outcomes), rejected


async def test_of_sixteen_students_one_gets_the_last_seat(apps: list[LiveApp]) -> None:
    students = [f"s-{number}" for number in range(17)]
    await apps[0].execute_many([RegisterStudent(student, student) for student in students])

    for number in range(5):
        course = f"c-{number}"
        await apps[0].execute_many([DefineCourse(course, course, 2), Enrol("s-16", course)])
        won, reasons = await race(apps, [Enrol(student, course) for student in students[:16]])

        assert (won, reasons) == (1, {Rejected("course is full", capacity=2)})
        assert (await apps[1].state(Course, course)).enrolled == 2


async def test_of_sixteen_courses_a_student_gets_the_tenth_alone(apps: list[LiveApp]) -> None:
    names = [f"c-{number}" for number in range(25)]
    await apps[0].execute_many([DefineCourse(name, name, 9) for name in names] + [RegisterStudent("s", "Ann")])
    await apps[0].execute_many([Enrol("s", name) for name in names[:9]])

    won, reasons = await race(apps, [Enrol("s", name) for name in names[9:]])

    assert (won, reasons) == (1, {Rejected("student has enough courses", courses=10)})
    assert len(await apps[2].query(CoursesOf("s"), after=await apps[2].store.head())) == 10


async def test_of_sixteen_courses_one_gets_the_name(apps: list[LiveApp]) -> None:
    won, reasons = await race(apps, [DefineCourse(f"c-{number}", "Art", 2) for number in range(16)])

    assert (won, reasons) == (1, {Rejected("name is taken", name="Art")})


async def test_enrolments_that_concern_nothing_in_common_do_not_disturb_each_other(apps: list[LiveApp]) -> None:
    await apps[0].execute_many([DefineCourse(f"c-{number}", f"c-{number}", 1) for number in range(16)])
    await apps[0].execute_many([RegisterStudent(f"s-{number}", "Ann") for number in range(16)])

    won, _ = await race(apps, [Enrol(f"s-{number}", f"c-{number}") for number in range(16)])

    assert won == 16


# --- laws

course_ids = st.sampled_from(["c-1", "c-2"])
student_ids = st.sampled_from(["s-1", "s-2"])
names = st.sampled_from(["Art", "Law", "Music"])
seats = st.integers(1, 3)
events = st.one_of(
    st.builds(CourseDefined, course_ids, names, seats),
    st.builds(CourseRenamed, course_ids, names, names),
    st.builds(CapacityChanged, course_ids, seats),
    st.builds(StudentRegistered, student_ids, names),
    st.builds(Enrolled, student_ids, course_ids),
    st.builds(Withdrawn, student_ids, course_ids),
)


@for_all(st.lists(events, max_size=12))
@settings(max_examples=examples(25), deadline=None)
@pytest.mark.parametrize("model", [Course, NameClaim, Student, Enrolment, CourseList, Timetable])
def test_the_models_keep_the_laws(model: Any, events: Sequence[Event]) -> None:
    check_laws(model, events, app=courses)

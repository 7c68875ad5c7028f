"""Courses: the rules that no single aggregate can keep, each as one decision.

A student takes at most ten courses, a course has a number of seats, and a name belongs to one course at a time. An
enrolment concerns a student and a course at once; a name is not an entity at all. With tags and decision models each
rule is a few lines, no two commands lock each other unless they concern the same things, and none needs a saga.
"""

from typing import Annotated, Self

from leftfold import App, Command, DecisionModel, Event, NonKey, Query, ReadModel, ReadModels, Rejected, Tag, replace

COURSES_A_STUDENT = 10

CourseId = Annotated[str, Tag("course")]
StudentId = Annotated[str, Tag("student")]
CourseName = Annotated[str, Tag("course-name")]  # a uniqueness rule is a tag like any other


# --- what can happen


class CourseDefined(Event, wire="course.defined"):
    course: CourseId
    name: CourseName
    capacity: int


class CourseRenamed(Event, wire="course.renamed"):
    course: CourseId
    former_name: CourseName  # both names carry the tag: one is given up, the other taken
    name: CourseName


class CapacityChanged(Event, wire="course.capacity-changed"):
    course: CourseId
    capacity: int


class StudentRegistered(Event, wire="student.registered"):
    student: StudentId
    name: str


class Enrolled(Event, wire="student.enrolled"):
    student: StudentId
    course: CourseId


class Withdrawn(Event, wire="student.withdrawn"):
    student: StudentId
    course: CourseId


# --- what can be asked for


class DefineCourse(Command):
    course: CourseId
    name: CourseName
    capacity: int


class RenameCourse(Command):
    course: CourseId
    name: CourseName


class ChangeCapacity(Command):
    course: CourseId
    capacity: int


class RegisterStudent(Command):
    student: StudentId
    name: str


class Enrol(Command):
    student: StudentId
    course: CourseId


class Withdraw(Command):
    student: StudentId
    course: CourseId


# --- what decisions are made on: each model holds what one rule needs, and no more


class Course(DecisionModel):
    course: CourseId
    name: Annotated[CourseName, NonKey] = ""
    capacity: int = 0
    enrolled: int = 0

    @property
    def defined(self) -> bool:
        return self.name != ""

    def evolve(self, event: CourseDefined | CourseRenamed | CapacityChanged | Enrolled | Withdrawn) -> Self:
        match event:
            case CourseDefined(name=name, capacity=capacity):
                return replace(self, name=name, capacity=capacity)
            case CourseRenamed(name=name):
                return replace(self, name=name)
            case CapacityChanged(capacity=capacity):
                return replace(self, capacity=capacity)
            case Enrolled():
                return replace(self, enrolled=self.enrolled + 1)
            case Withdrawn():
                return replace(self, enrolled=self.enrolled - 1)


class NameClaim(DecisionModel):
    name: CourseName
    taken: bool = False

    def evolve(self, event: CourseDefined | CourseRenamed) -> Self:
        return replace(self, taken=event.name == self.name)


class Student(DecisionModel):
    student: StudentId
    registered: bool = False
    courses: int = 0

    def evolve(self, event: StudentRegistered | Enrolled | Withdrawn) -> Self:
        match event:
            case StudentRegistered():
                return replace(self, registered=True)
            case Enrolled():
                return replace(self, courses=self.courses + 1)
            case Withdrawn():
                return replace(self, courses=self.courses - 1)


class Enrolment(DecisionModel):
    student: StudentId  # two tags, one key: the events that carry both
    course: CourseId
    active: bool = False

    def evolve(self, event: Enrolled | Withdrawn) -> Self:
        return replace(self, active=isinstance(event, Enrolled))


# --- how it is decided

courses = App("courses")


@courses.handles
def define_course(command: DefineCourse, course: Course, claim: NameClaim) -> CourseDefined:
    if course.defined:
        raise Rejected("course exists", name=course.name)
    check_name(claim)
    check_capacity(command.capacity)
    return CourseDefined(command.course, command.name, command.capacity)


@courses.handles
def rename_course(command: RenameCourse, course: Course, claim: NameClaim) -> CourseRenamed | None:
    check_defined(course)
    if command.name == course.name:
        return None
    check_name(claim)
    return CourseRenamed(command.course, former_name=course.name, name=command.name)


@courses.handles
def change_capacity(command: ChangeCapacity, course: Course) -> CapacityChanged | None:
    check_defined(course)
    check_capacity(command.capacity)
    if command.capacity < course.enrolled:
        raise Rejected("more students are enrolled", enrolled=course.enrolled)
    return CapacityChanged(command.course, command.capacity) if command.capacity != course.capacity else None


@courses.handles
def register_student(command: RegisterStudent, student: Student) -> StudentRegistered:
    if student.registered:
        raise Rejected("student exists")
    return StudentRegistered(command.student, command.name)


@courses.handles
def enrol(command: Enrol, student: Student, course: Course, enrolment: Enrolment) -> Enrolled:
    if not student.registered:
        raise Rejected("no such student", student=student.student)
    check_defined(course)
    if enrolment.active:
        raise Rejected("already enrolled")
    if course.enrolled >= course.capacity:
        raise Rejected("course is full", capacity=course.capacity)
    if student.courses >= COURSES_A_STUDENT:
        raise Rejected("student has enough courses", courses=student.courses)
    return Enrolled(command.student, command.course)


@courses.handles
def withdraw(command: Withdraw, enrolment: Enrolment) -> Withdrawn:
    if not enrolment.active:
        raise Rejected("not enrolled")
    return Withdrawn(command.student, command.course)


def check_defined(course: Course) -> None:
    if not course.defined:
        raise Rejected("no such course", course=course.course)


def check_name(claim: NameClaim) -> None:
    if not claim.name:
        raise Rejected("a course needs a name")
    if claim.taken:
        raise Rejected("name is taken", name=claim.name)


def check_capacity(capacity: int) -> None:
    if capacity < 1:
        raise Rejected("a course has at least one seat", capacity=capacity)


# --- what is kept for questions


@courses.read_model
class CourseList(ReadModel):
    course: CourseId
    name: Annotated[CourseName, NonKey] = ""
    capacity: int = 0
    enrolled: int = 0

    def evolve(self, event: CourseDefined | CourseRenamed | CapacityChanged | Enrolled | Withdrawn) -> Self:
        match event:
            case CourseDefined(name=name, capacity=capacity):
                return replace(self, name=name, capacity=capacity)
            case CourseRenamed(name=name):
                return replace(self, name=name)
            case CapacityChanged(capacity=capacity):
                return replace(self, capacity=capacity)
            case Enrolled():
                return replace(self, enrolled=self.enrolled + 1)
            case Withdrawn():
                return replace(self, enrolled=self.enrolled - 1)


@courses.read_model(history=True)
class Timetable(ReadModel):
    student: StudentId  # one row for each enrolment that is active
    course: CourseId

    def evolve(self, event: Enrolled | Withdrawn) -> Self | None:
        return self if isinstance(event, Enrolled) else None


class AllCourses(Query[list[CourseList]]):
    with_free_seats: bool = False


class CoursesOf(Query[list[str]]):
    student: StudentId


@courses.answers
def all_courses(query: AllCourses, models: ReadModels) -> list[CourseList]:
    found = models.select(CourseList, order_by="name")
    return [row for row in found if not query.with_free_seats or row.enrolled < row.capacity]


@courses.answers
def courses_of(query: CoursesOf, models: ReadModels) -> list[str]:
    rows = (models.get(CourseList, row.course) for row in models.select(Timetable, student=query.student))
    return sorted(row.name for row in rows if row is not None)

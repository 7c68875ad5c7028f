"""Course subscriptions: a course has a number of seats, and a student takes at most five courses."""

from typing import Annotated, Self

from leftfold import App, Command, DecisionModel, Event, Rejected, Tag, replace

MOST_COURSES = 5
CourseId = Annotated[str, Tag("course")]
StudentId = Annotated[str, Tag("student")]


class CourseDefined(Event):
    course: CourseId
    capacity: int


class CapacityChanged(Event):
    course: CourseId
    capacity: int


class Subscribed(Event):
    student: StudentId
    course: CourseId


class Course(DecisionModel):
    course: CourseId
    capacity: int | None = None
    students: int = 0

    def evolve(self, event: CourseDefined | CapacityChanged | Subscribed) -> Self:
        match event:
            case CourseDefined(capacity=capacity) | CapacityChanged(capacity=capacity):
                return replace(self, capacity=capacity)
            case Subscribed():
                return replace(self, students=self.students + 1)


class Student(DecisionModel):
    student: StudentId
    courses: frozenset[str] = frozenset()

    def evolve(self, event: Subscribed) -> Self:
        return replace(self, courses=self.courses | {event.course})


class DefineCourse(Command):
    course: CourseId
    capacity: int


class ChangeCapacity(Command):
    course: CourseId
    capacity: int


class Subscribe(Command):
    student: StudentId
    course: CourseId


app = App("course subscriptions")


@app.handles
def define(command: DefineCourse, course: Course) -> CourseDefined:
    if course.capacity is not None:
        raise Rejected("the course exists")
    return CourseDefined(command.course, command.capacity)


@app.handles
def change_capacity(command: ChangeCapacity, course: Course) -> CapacityChanged | None:
    if course.capacity is None:
        raise Rejected("there is no such course")
    return None if course.capacity == command.capacity else CapacityChanged(command.course, command.capacity)


@app.handles
def subscribe(command: Subscribe, course: Course, student: Student) -> Subscribed:
    if course.capacity is None:
        raise Rejected("there is no such course")
    if command.course in student.courses:
        raise Rejected("subscribed already")
    if len(student.courses) >= MOST_COURSES:
        raise Rejected("too many courses")
    if course.students >= course.capacity:
        raise Rejected("the course is full")
    return Subscribed(command.student, command.course)

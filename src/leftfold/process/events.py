"""The events of processes: which events their instances have answered, and how."""

from typing import Annotated

from leftfold.model.message import Event
from leftfold.model.tag import Tag

INSTANCE = Tag("leftfold.process")
InstanceId = Annotated[str, INSTANCE]


class ProcessReacted(Event, wire="leftfold.process.reacted"):
    """An instance answered the event at `position` with these submitted commands; `names` has the named ones."""

    instance: InstanceId
    position: int
    tickets: list[str]
    names: dict[str, str]
    done: bool = False


class ProcessParked(Event, wire="leftfold.process.parked"):
    """An instance could not answer the event at `position`: it answers nothing until a person retries it."""

    instance: InstanceId
    position: int
    error: str
    traceback: str = ""


class ProcessRetried(Event, wire="leftfold.process.retried"):
    """A person wants a parked instance to try the event at `position`, where it was parked, again."""

    instance: InstanceId
    position: int


class ProcessSkipped(Event, wire="leftfold.process.skipped"):
    """A person wants a parked instance to skip the event at `position` for good, and to continue with the next."""

    instance: InstanceId
    position: int


class ProcessCancelled(Event, wire="leftfold.process.cancelled"):
    """A person wants an instance to answer nothing more; its commands that were still open are cancelled too."""

    instance: InstanceId
    tickets: list[str]


class ProcessCheckpoint(Event, wire="leftfold.process.checkpoint"):
    """All events up to `position` are answered: a worker that starts reads from here.

    `types` are the wire names of the events that the code which wrote it takes; older checkpoints have none.
    """

    process: InstanceId
    position: int
    types: list[str] = []  # noqa: RUF012 msgspec copies it


PROCESS_EVENTS: tuple[type[Event], ...] = (
    ProcessReacted,
    ProcessParked,
    ProcessRetried,
    ProcessSkipped,
    ProcessCancelled,
    ProcessCheckpoint,
)

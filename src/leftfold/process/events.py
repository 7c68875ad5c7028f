"""The events of processes: what was done in answer to what, in the log like everything else."""

from typing import Annotated

from leftfold.model.message import Event
from leftfold.model.tag import Tag

INSTANCE = Tag("leftfold.process")
InstanceId = Annotated[str, INSTANCE]


class ProcessReacted(Event, wire="leftfold.process.reacted"):
    """An instance answered the event at `position`: with these submitted commands, named ones by their names too."""

    instance: InstanceId
    position: int
    tickets: list[str]
    names: dict[str, str]
    done: bool = False


class ProcessParked(Event, wire="leftfold.process.parked"):
    """An instance could not answer the event at `position`: it answers nothing until someone retries it."""

    instance: InstanceId
    position: int
    error: str
    traceback: str = ""


class ProcessRetried(Event, wire="leftfold.process.retried"):
    """Someone wants a parked instance to go on, with the event at `position`, where it was parked."""

    instance: InstanceId
    position: int


class ProcessSkipped(Event, wire="leftfold.process.skipped"):
    """Someone wants a parked instance to leave out the event at `position` for good, and to go on with the next."""

    instance: InstanceId
    position: int


class ProcessCancelled(Event, wire="leftfold.process.cancelled"):
    """Someone wants an instance to answer nothing more; what it had submitted and was still open is cancelled too."""

    instance: InstanceId
    tickets: list[str]


class ProcessCheckpoint(Event, wire="leftfold.process.checkpoint"):
    """All events up to `position` are answered: where a worker that starts begins to read.

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

"""Instances: the state and the progress of a process for one key, both read from the log."""

from typing import Any, Literal

import msgspec

from leftfold.process.events import ProcessCancelled, ProcessParked, ProcessReacted, ProcessRetried, ProcessSkipped

InstanceState = Literal["running", "parked", "done", "cancelled"]


class Progress(msgspec.Struct, frozen=True):
    """How far an instance has come: a fold of the events that its process recorded about it.

    `reacted` is the position of the newest event that it answered with an action, `parked` that of the event it could
    not answer, with its `error` and `traceback`. `names` has the tickets of commands that were scheduled under a name.
    `skipped` has the positions of events that were skipped.
    """

    instance: str
    reacted: int = 0
    done: bool = False
    cancelled: bool = False
    parked: int | None = None
    error: str | None = None
    traceback: str | None = None
    retries: int = 0
    names: dict[str, str] = {}
    tickets: tuple[str, ...] = ()
    skipped: frozenset[int] = frozenset()

    @property
    def standing(self) -> InstanceState:
        """Whether the instance still answers events."""
        if self.ended:
            return "done" if self.done else "cancelled"
        return "running" if self.parked is None else "parked"

    @property
    def ended(self) -> bool:
        """Whether the instance answers nothing more."""
        return self.done or self.cancelled

    def evolve(
        self, event: ProcessReacted | ProcessParked | ProcessRetried | ProcessSkipped | ProcessCancelled
    ) -> "Progress":
        """Fold one event."""
        match event:
            case ProcessReacted(position=position, tickets=tickets, names=names, done=done):
                return msgspec.structs.replace(
                    self,
                    reacted=position,
                    done=self.done or done,
                    names=self.names | names,
                    tickets=(*self.tickets, *tickets),
                )
            case ProcessParked(position=position, error=error, traceback=traceback):
                return msgspec.structs.replace(self, parked=position, error=error, traceback=traceback or None)
            case ProcessRetried():
                retries = self.retries + 1
                return msgspec.structs.replace(self, parked=None, error=None, traceback=None, retries=retries)
            case ProcessSkipped(position=position):
                skipped = self.skipped | {position}
                return msgspec.structs.replace(self, parked=None, error=None, traceback=None, skipped=skipped)
            case ProcessCancelled():
                return msgspec.structs.replace(self, cancelled=True)


class Step(msgspec.Struct, frozen=True):
    """An event in an instance's history, the state after it, and the tickets of what it was answered with."""

    position: int
    event: Any
    state: Any
    tickets: tuple[str, ...] = ()


class Instance(msgspec.Struct, frozen=True):
    """An instance: its state, its progress and its history."""

    state: Any
    progress: Progress
    history: tuple[Step, ...]

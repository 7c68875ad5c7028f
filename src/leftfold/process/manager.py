"""Process managers: folds that answer events with commands and timers, and what is read from their classes."""

import asyncio
import inspect
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from itertools import product
from typing import Any, Literal, Protocol, cast, get_args

import msgspec

from leftfold.errors import CannotDecode, InvalidModel
from leftfold.model.criteria import Criteria, CriteriaItem
from leftfold.model.fold import check_definition, fold_of
from leftfold.model.message import CommandLike, Event, Message, MessageType
from leftfold.model.metadata import Metadata
from leftfold.model.purity import IN_DEVELOPMENT, unchanging
from leftfold.model.record import NewEvent
from leftfold.model.signature import check_plain
from leftfold.model.tag import quoted, render
from leftfold.process.events import INSTANCE
from leftfold.store.bounds import TAG_LIMIT


class Schedule(msgspec.Struct, frozen=True):
    """Handle a command at a time, or a delay after the event. A later `CancelScheduled` can refer to it by its `name`.

    A second schedule of a name takes the name over; the first command stays scheduled.
    """

    command: Any
    at: datetime | None = None
    delay: timedelta | None = None
    name: str | None = None


class CancelScheduled(msgspec.Struct, frozen=True):
    """Cancel the command that this instance scheduled under `name`; nothing happens if it is handled already."""

    name: str


class EndProcess(msgspec.Struct, frozen=True):
    """End the instance: it answers no more events."""


Action = CommandLike | Schedule | CancelScheduled | EndProcess
Reaction = Action | Sequence[Action] | None
"""What `react` may return."""


class ProcessManager(Message):
    """Derive, give every field but the key a default, define `evolve` and `react`.

    `evolve(self, event: A | B) -> Self` is as in a decision model. `react(self, event: A | B) -> Reaction` is called on
    the state after each event and returns a command, `Schedule`, `CancelScheduled`, `EndProcess`, several of them, or
    None. Both are pure. The class's wire name is the name of the process: without `wire=` the class's own.
    """

    @classmethod
    def __check_definition__(cls) -> None:
        check_definition(cls)


Key = tuple[Any, ...]
AfterEnd = Literal["ignore", "reopen", "park"]
"""What an instance that has ended does with a later event: leave it out, answer it and go on, or be parked at it."""

LONGEST_NAME = TAG_LIMIT - len(INSTANCE(""))  # of an instance, which is the tag of what is recorded about it


class ProcessDefinition:
    """A process: its name, its fold, where it begins in a log that is older than it."""

    def __init__(self, owner: type, *, from_now: bool = False, after_end: AfterEnd = "ignore") -> None:
        self.owner = owner
        self.fold = fold_of(owner)
        self.name = MessageType(owner).wire
        self.from_now = from_now
        self.after_end: AfterEnd = after_end
        self.refresh()
        self._react: Callable[[Any, Any], Reaction] = cast("Any", owner).react  # refresh has seen that it is there
        if IN_DEVELOPMENT:
            self._react = unchanging(self._react, f"{self.fold.name}.react", ("self", "event"))

    def __repr__(self) -> str:
        return f"<ProcessDefinition {self.name} of {len(self._events)} event types>"

    def refresh(self) -> None:
        """Add the subclasses of its event classes that were defined since. An app calls this when it is opened."""
        self._events = {event.owner: event for event in self.fold.refresh().events}
        self._check()

    def keys_of(self, event: object) -> list[Key]:
        """Return the keys of the instances that an event concerns, each once."""
        known = self._events[type(event)]
        parts = [
            [value for field in known.fields_tagged(part.tag.name) for value in field.values(event)]
            for part in self.fold.key
        ]
        return list(dict.fromkeys(product(*parts)))

    def instance(self, key: Key) -> str:
        """Return the name of an instance in the log: no two keys have one name.

        If a key has several parts they are quoted. A name that would be too long for a tag is replaced by a digest.
        """
        name = "/".join((self.name, *(map(render, key) if len(key) == 1 else map(_quoted, key))))
        if len(name) <= LONGEST_NAME:
            return name
        return f"{self.name}~/{blake2b(name.encode(), digest_size=16).hexdigest()}"

    def names(self, key: Key) -> tuple[str, ...]:
        """Return the name of an instance in the log, and the name that it has if it began before parts were quoted."""
        name, former = self.instance(key), "/".join((self.name, *map(render, key)))
        return (name,) if name == former or len(former) > LONGEST_NAME else (name, former)

    def about(self, types: Iterable[str], key: Key) -> Criteria:
        """Return the criteria of the events of these types about an instance."""
        return Criteria(*(CriteriaItem(types, [INSTANCE(name)]) for name in self.names(key)))

    def has(self, instance: str) -> bool:
        """Whether an instance of this name belongs to this process."""
        return instance.startswith((f"{self.name}/", f"{self.name}~/"))

    def keys_of_stored(self, event: object, tags: Collection[str]) -> Sequence[Key]:
        """Return the keys that an event concerns; those that its tags name if no field of it does.

        Its fields do not if it cannot be decoded, or if the process does not take its type any more.
        """
        if type(event) in self._events:
            return self.keys_of(event)
        keys = self.fold.keys_by_tags(tags)
        if keys is None and isinstance(event, CannotDecode):
            raise event
        return keys or ()

    def react(self, state: Any, event: object) -> list[Action]:
        """Return what the instance answers."""
        reaction: Reaction = self._react(state, event)
        if reaction is None:
            return []
        return list(reaction) if isinstance(reaction, list | tuple) else [reaction]  # type: ignore[list-item]

    def _check(self) -> None:
        if self.after_end not in get_args(AfterEnd):
            raise InvalidModel(
                f"{self.fold.name} has after_end={self.after_end!r}",
                'after_end="ignore", "reopen" or "park"',
                "say what an instance that has ended does with a later event; leave it out to ignore the event",
            )
        if not callable(getattr(self.owner, "react", None)):
            raise InvalidModel(
                f"{self.fold.name} has no react",
                "def react(self, event: A | B) -> Reaction",
                "define which commands it sends",
            )
        check_plain(vars(self.owner).get("react"), f"{self.fold.name}.react", InvalidModel)
        self._check_react(list(inspect.signature(cast("Any", self.owner).react).parameters))
        if not self.fold.key or "/" in self.name or self.name.endswith("~"):
            raise InvalidModel(
                f"{self.fold.name} is called {self.name!r} and has {len(self.fold.key)} key fields",
                "a name without slashes that does not end in ~, and at least one tag-typed field",
                "give it the field that says which instance an event concerns",
            )
        for event in self.fold.events:
            missing = [part.tag.name for part in self.fold.key if not event.fields_tagged(part.tag.name)]
            if missing:
                raise InvalidModel(
                    f"{self.fold.name} takes {event.wire}, which does not carry {missing}",
                    "events that carry every tag of the process's key",
                    f"add the field to {event.wire}, or remove the event from evolve",
                )

    def _check_react(self, names: Sequence[str]) -> None:
        if len(names) != 2:
            raise InvalidModel(
                f"{self.fold.name}.react takes {list(names)}",
                "self and event: it is called again after a crash, and has to answer the same then",
                "keep what it needs in the state; let the command's handler decide, or ask in a reactor",
            )


def _quoted(part: object) -> str:
    """Return a part of a key without the character that stands between two of them."""
    return quoted(render(part))


class Outbox(Protocol):
    """Where commands are submitted."""

    submitted: asyncio.Event

    def record(self, command: object, ticket: str, due: datetime | None, metadata: Metadata) -> NewEvent:
        """Return the event of a submitted command."""
        ...

    def due_after(self, delay: timedelta, time: datetime) -> datetime:
        """Return when a command is due that is to be handled some time after an event of this time."""
        ...

    def cancellation(self, ticket: str) -> Event:
        """Return the event that cancels a command unless it is completed."""
        ...

    async def open_of(self, tickets: Iterable[str]) -> Sequence[str]:
        """Return the tickets whose commands may still be handled."""
        ...

"""Process definitions: a process manager's class, understood when it is registered."""

from collections.abc import Callable
from itertools import product
from typing import Any, cast

from leftfold.errors import InvalidModel
from leftfold.events import MessageType
from leftfold.fold import fold_of
from leftfold.process.actions import Action, Reaction
from leftfold.purity import IN_DEVELOPMENT, unchanging
from leftfold.signature import check_plain
from leftfold.tags import render

Key = tuple[Any, ...]


class ProcessDefinition:
    """A process: its name, its fold, where it begins in a log that is older than it."""

    def __init__(self, owner: type, *, from_now: bool = False) -> None:
        self.owner = owner
        self.fold = fold_of(owner)
        self.name = MessageType(owner).wire
        self.from_now = from_now
        self.refresh()
        self._react: Callable[[Any, Any], Reaction] = cast("Any", owner).react  # refresh has seen that it is there
        if IN_DEVELOPMENT:
            self._react = unchanging(self._react, f"{self.fold.name}.react", ("self", "event"))

    def __repr__(self) -> str:
        return f"<ProcessDefinition {self.name} of {len(self._events)} event types>"

    def refresh(self) -> None:
        """Take in the subclasses of its event classes that have been defined since; an app does when it is opened."""
        self._events = {event.owner: event for event in self.fold.refresh().events}
        self._check()

    def keys_of(self, event: object) -> list[Key]:
        """The instances that an event concerns, each once."""
        known = self._events[type(event)]
        parts = [
            [value for field in known.fields_tagged(part.tag.name) for value in field.values(event)]
            for part in self.fold.key
        ]
        return list(dict.fromkeys(product(*parts)))

    def instance(self, key: Key) -> str:
        """What an instance is called in the log."""
        return "/".join((self.name, *map(render, key)))

    def react(self, state: Any, event: object) -> list[Action]:
        """What the instance answers."""
        reaction: Reaction = self._react(state, event)
        if reaction is None:
            return []
        return list(reaction) if isinstance(reaction, list | tuple) else [reaction]  # type: ignore[list-item]

    def _check(self) -> None:
        if not callable(getattr(self.owner, "react", None)):
            raise InvalidModel(
                f"{self.fold.name} has no react", "def react(self, event: A | B) -> Reaction", "define what it answers"
            )
        check_plain(vars(self.owner).get("react"), f"{self.fold.name}.react", InvalidModel)
        if not self.fold.key or "/" in self.name:
            raise InvalidModel(
                f"{self.fold.name} is called {self.name!r} and has {len(self.fold.key)} key fields",
                "a name without slashes and at least one tag-typed field",
                "give it the field that says which instance an event concerns",
            )
        for event in self.fold.events:
            missing = [part.tag.name for part in self.fold.key if not event.fields_tagged(part.tag.name)]
            if missing:
                raise InvalidModel(
                    f"{self.fold.name} takes {event.wire}, which does not carry {missing}",
                    "events that carry every tag of the process's key",
                    f"add the field to {event.wire}, or drop the event from evolve",
                )

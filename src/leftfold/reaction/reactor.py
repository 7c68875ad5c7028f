"""Reactors: functions that act on the world outside once an event has happened."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, get_args

import msgspec

from leftfold.errors import InvalidHandler
from leftfold.follow.backoff import Backoff
from leftfold.model.message import MessageType, event_classes, with_subclasses
from leftfold.model.metadata import Metadata
from leftfold.model.signature import Signature

Start = Literal["from_now", "from_start"]
"""Where a reactor begins in a log: at its end when the app is first opened on it, or at its first event."""

WRITTEN = "write async def react(event: Opened | Closed, live: LiveApp, delivery: Delivery) -> None"
EXPECTED = "the event and, each at most once, a Delivery and the live app: LiveApp in an async def, SyncLive in a def"
LiveKinds = Mapping[type, tuple[bool, Callable[[Any], Any]]]
"""The types of the live app that a reactor may ask for: for an async function or a plain one, and how it is made."""
DEFAULT_CONCURRENCY = 16  # events that one reactor handles at the same time


class Delivery(msgspec.Struct, frozen=True):
    """What a reactor can know of the event beside the event itself.

    `key` is the same each time this reactor receives this event: pass it to a service that takes idempotency keys.
    So is the key of a command: `live.execute(command, key=delivery.key)` appends nothing the second time.
    `attempt` counts from 1, and from 1 again after a person retried the event.
    """

    key: str
    position: int
    time: datetime
    metadata: Metadata
    attempt: int = 1


class ReactorDefinition:
    """A reactor: its function, which is checked when it is registered, and how to run it."""

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        *,
        start: Start,
        in_order: bool = False,
        at_once: int = DEFAULT_CONCURRENCY,
        backoff: Backoff | None = None,
        live_kinds: LiveKinds | None = None,
    ) -> None:
        self.name = name
        self.function = function
        self.start = start
        self.in_order = in_order
        self.at_once = 1 if in_order else at_once
        self.backoff = backoff
        signature = Signature(function)
        self.is_async = signature.is_async
        self._check()
        self.bases, self._takes = _parameters_of(self._called, signature, live_kinds or {})
        self._make_live = next((live_kinds[kind][1] for kind in self._takes if live_kinds and kind in live_kinds), None)
        self.refresh()

    def __repr__(self) -> str:
        return f"<ReactorDefinition {self.name} of {len(self.events)} event types>"

    def refresh(self) -> None:
        """Add the subclasses of its event classes that were defined since. An app calls this when it is opened."""
        self.owners: tuple[type, ...] = with_subclasses(self.bases)
        self.events = tuple(MessageType(owner) for owner in self.owners)

    @property
    def asks(self) -> bool:
        """Whether the function takes the live app."""
        return self._make_live is not None

    def call(self, event: object, delivery: Delivery, live: object = None) -> Any:
        """Call the function; the caller awaits what an async one returns. `live` is from `live_for`."""
        return self.function(event, *(delivery if kind is Delivery else live for kind in self._takes))

    def live_for(self, live: object) -> Any:
        """Return the live app in the form that the function takes; called on the event loop."""
        return live if self._make_live is None else self._make_live(live)

    @property
    def _called(self) -> str:
        return f"the reactor {self.name!r}"

    def _check(self) -> None:
        if not self.name or "/" in self.name or not self.name.isprintable() or len(self.name) > 200:
            raise InvalidHandler(
                f"a reactor is called {self.name!r}",
                "1 to 200 printable characters without a slash",
                "give it another name",
            )
        if self.start not in get_args(Start):
            raise InvalidHandler(
                f"{self._called} has start={self.start!r}",
                'start="from_now" or start="from_start"',
                "say whether it handles events that are already in the log",
            )
        if self.at_once < 1:
            raise InvalidHandler(
                f"{self._called} has at_once={self.at_once}", "1 or more", "leave out at_once= for the default, 16"
            )


def _parameters_of(called: str, signature: Signature, live_kinds: LiveKinds) -> tuple[tuple[type, ...], Sequence[type]]:
    """Return the event classes that the first parameter names, and the types of the others."""
    if signature.yields:
        raise InvalidHandler(f"{called} has a yield", "def or async def that returns nothing", WRITTEN)
    signature.check_in_order(WRITTEN)
    hints, parameters = signature.hints, list(signature.parameters)
    others: list[Any] = [hints.get(name) for name in parameters[1:]]
    lives = [kind for kind in others if kind in live_kinds]
    fits = all(live_kinds[kind][0] == signature.is_async for kind in lives) and len(lives) <= 1
    if not parameters or not fits or others.count(Delivery) + len(lives) < len(others) or others.count(Delivery) > 1:
        asks = any(getattr(kind, "__name__", "") == "ReadModels" for kind in others)
        remedy = "ask with await live.query(query, after=delivery.position)" if asks else WRITTEN
        raise InvalidHandler(f"{called} takes {parameters}", EXPECTED, remedy)
    hint = hints.get(parameters[0])
    found = event_classes(hint)
    if isinstance(found, str):
        raise InvalidHandler(
            f"{called} annotates its event as {hint!r}" + ("" if hint is None else f": {found}"),
            "one event class, a union of them, or a base class of them",
            "annotate the parameter with the events that it reacts to",
        )
    return found, [kind for kind in others if isinstance(kind, type)]

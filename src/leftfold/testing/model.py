"""The model of a log: what a store promises, in the plainest code that can say it. A list and a dictionary."""

from collections.abc import Sequence

from leftfold.errors import Conflict, KeyReused, LeftfoldError
from leftfold.model.criteria import Criteria
from leftfold.model.record import NewEvent
from leftfold.store.contract import AppendCondition, Appended


class Request:
    """One append: its events, its condition, its key."""

    def __init__(
        self, events: Sequence[NewEvent], condition: AppendCondition | None = None, key: str | None = None
    ) -> None:
        self.events = tuple(events)
        self.condition = condition
        self.key = key

    def __repr__(self) -> str:
        return f"Request({list(self.events)}, condition={self.condition}, key={self.key!r})"


class LogModel:
    """A log without files, threads or time. `events[n]` is the event at position n + 1."""

    def __init__(self) -> None:
        self.events: list[NewEvent] = []
        self.keys: dict[str, tuple[Request, Appended]] = {}

    def append(self, request: Request) -> Appended | type[LeftfoldError]:
        """Return what a store must answer: where the events lie, or the class of the refusal."""
        if request.key in self.keys:
            _, appended = self.keys[request.key]
            return KeyReused if self.reuses_key(request) else Appended(appended.first, appended.last, duplicate=True)
        if self.conflicts(request):
            return Conflict
        appended = Appended(len(self.events) + 1, len(self.events) + len(request.events))
        self.events += request.events
        if request.key is not None:
            self.keys[request.key] = (request, appended)
        return appended

    def reuses_key(self, request: Request) -> bool:
        """Whether the request's key was used for other content."""
        return request.key in self.keys and _content(self.keys[request.key][0]) != _content(request)

    def conflicts(self, request: Request) -> bool:
        """Whether an event exists that the request's condition rules out."""
        condition = request.condition
        return condition is not None and self.positions(condition.criteria, after=condition.after) != []

    def positions(
        self,
        criteria: Criteria,
        *,
        after: int = 0,
        upto: int | None = None,
        limit: int | None = None,
        reverse: bool = False,
    ) -> list[int]:
        """Return the positions that a read must deliver, in its order."""
        end = len(self.events) if upto is None else upto
        chosen = [p for p, e in enumerate(self.events, 1) if after < p <= end and criteria.matches(e.type, e.tags)]
        return (chosen[::-1] if reverse else chosen)[:limit]


def _content(request: Request) -> list[tuple[str, int, tuple[str, ...], bytes]]:
    return [(event.type, event.version, event.tags, event.data) for event in request.events]

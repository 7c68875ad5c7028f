"""The tags and types of the newest events, so that few conditions need a look at the database."""

from collections.abc import Sequence
from itertools import count

from leftfold.model.criteria import CriteriaItem
from leftfold.model.record import NewEvent, StoredEvent

MAX_TAGS = 32_768
DEFERRED_EVENTS = 64  # from this many events in one append, their tags are noted only when a condition asks
MAX_DEFERRED_TAGS = 4_096  # so that a condition never waits long for them to be noted
UNKNOWN = -1


class RecentTags:
    """The newest position of each tag and type, for at least the last `tags` tags of events.

    It reaches less far back while bulk appends without conditions follow each other.

    The writer keeps it under the write lock. After a commit by another process, or a failed one, the head is not as
    expected, and everything is forgotten. Tags are dropped by generation: when the young generation is full it becomes
    the old one, and the former old one is dropped.
    """

    def __init__(self, tags: int = MAX_TAGS) -> None:
        self._limit = tags
        self._young = Generation()
        self._old = Generation()
        self._old_end = 0  # the newest position that the old generation can have
        self._types: dict[str, int] = {}
        self._since = 0
        self._head = UNKNOWN

    def __repr__(self) -> str:
        return f"<RecentTags {self._young.size} and {self._old.size} tags after {self._since}>"

    def begin(self, head: int) -> None:
        """Prepare for a commit on a log that ends at `head`."""
        if head != self._head:
            self._young, self._old, self._types = Generation(), Generation(), {}
            self._since = self._old_end = head
        self._head = UNKNOWN

    def add(self, first: int, events: Sequence[NewEvent | StoredEvent]) -> None:
        """Note the events that the commit will write, starting at position `first`."""
        if len(events) < DEFERRED_EVENTS:
            newest = self._young.noted()
            position = first
            for event in events:
                self._types[event.type] = position
                for tag in event.tags:
                    newest[tag] = position
                position += 1
        else:
            self._types.update(zip([event.type for event in events], count(first), strict=False))
            self._young.defer(first, [event.tags for event in events])
            if self._young.deferred > MAX_DEFERRED_TAGS:
                self._begin_generation(first + len(events) - 1)

    def _begin_generation(self, head: int) -> None:
        """Forget the old generation; the young one, which ends at `head`, takes its place."""
        self._old, self._young = self._young, Generation()
        self._since, self._old_end = self._old_end, head

    def done(self, head: int) -> None:
        """Note that the commit succeeded, and that the log now ends at `head`."""
        self._head = head
        if self._young.size > self._limit:
            self._begin_generation(head)

    def excludes(self, item: CriteriaItem, after: int) -> bool:
        """Return whether it is certain that no event after `after` matches; False means that it is not known."""
        if after < self._since:
            return False
        young, old = self._young.noted(), self._old.noted()
        for tag in item.tags:
            if (young.get(tag) or old.get(tag, 0)) <= after:
                return True
        return bool(item.types) and all(self._types.get(type, 0) <= after for type in item.types)


class Generation:
    """The newest position of each tag in a part of the log.

    To note a tag is a lookup in a large table. Bulk appends without conditions between them avoid it: their tags are
    noted when a condition asks.
    """

    def __init__(self) -> None:
        self.deferred = 0  # how many of the tags are deferred; some may count twice
        self._newest: dict[str, int] = {}
        self._deferred: list[tuple[int, Sequence[tuple[str, ...]]]] = []

    @property
    def size(self) -> int:
        """Return how many tags it has."""
        return len(self._newest) + self.deferred

    def noted(self) -> dict[str, int]:
        """Return the newest position of each tag, to be read or changed."""
        if self._deferred:
            self._note_deferred()
        return self._newest

    def defer(self, first: int, tags: Sequence[tuple[str, ...]]) -> None:
        """Keep the tags of events, starting at position `first`, until a condition asks for them."""
        self._deferred.append((first, tags))
        self.deferred += sum(map(len, tags))

    def _note_deferred(self) -> None:
        for first, many in self._deferred:
            for position, tags in enumerate(many, first):
                for tag in tags:
                    self._newest[tag] = position
        self._deferred.clear()
        self.deferred = 0

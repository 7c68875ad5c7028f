"""What the newest stretch of the log is about, so that few conditions need a look at the database."""

from collections.abc import Sequence
from itertools import count

from leftfold.model.criteria import Item
from leftfold.model.record import NewEvent, StoredEvent

TAGS = 32_768
MANY = 64  # events of one append whose tags are put aside until somebody asks
ASIDE = 4_096  # tags that may be put aside, so that nobody who asks has to wait for long
UNKNOWN = -1


class RecentTags:
    """For each tag and type the newest position that has it, as far back as `tags` tags of events reach, at least.

    Less far while bulk appends follow each other, and none of them asks.

    Kept by the one who writes, under the write lock. A commit of another process, or one of its own that failed,
    shows in a head that is not the expected one; then everything is forgotten. Tags are let go by the generation:
    once the young ones are enough they become the old, and those that were old until then are gone.
    """

    def __init__(self, tags: int = TAGS) -> None:
        self._limit = tags
        self._young = Generation()
        self._old = Generation()
        self._old_end = 0  # no tag of the old generation was seen last after this position
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
        """Note events that the commit will write from position `first` on."""
        if len(events) < MANY:
            for position, event in enumerate(events, first):
                self._types[event.type] = position
                self._young.note(position, event.tags)
        else:
            self._types.update(zip([event.type for event in events], count(first), strict=False))
            self._young.put_aside(first, [event.tags for event in events])
        if self._young.size > self._limit or self._young.aside > ASIDE:
            self._old, self._young = self._young, Generation()
            self._since, self._old_end = self._old_end, first + len(events) - 1

    def done(self, head: int) -> None:
        """The commit succeeded, and the log ends at `head` now."""
        self._head = head

    def excludes(self, item: Item, after: int) -> bool:
        """Whether certainly no event after `after` matches; False says nothing."""
        if after < self._since:
            return False
        for tag in item.tags:
            if (self._young.newest(tag) or self._old.newest(tag)) <= after:
                return True
        return bool(item.types) and all(self._types.get(type, 0) <= after for type in item.types)


class Generation:
    """The newest position of each tag in a stretch of the log.

    Noting a tag is a look into a large table, which bulk appends without conditions between them can do without:
    what is put aside is noted when somebody asks.
    """

    def __init__(self) -> None:
        self.size = 0
        self.aside = 0  # of these tags, some more than once
        self._newest: dict[str, int] = {}
        self._aside: list[tuple[int, Sequence[tuple[str, ...]]]] = []

    def note(self, position: int, tags: Sequence[str]) -> None:
        """Note the tags of one event, the newest of all."""
        if self._aside:
            self._look_through()
        for tag in tags:
            self._newest[tag] = position
        self.size = len(self._newest)

    def put_aside(self, first: int, tags: Sequence[tuple[str, ...]]) -> None:
        """Keep the tags of events from position `first` on until somebody asks."""
        self._aside.append((first, tags))
        self.aside += sum(map(len, tags))
        self.size = len(self._newest) + self.aside

    def newest(self, tag: str) -> int:
        """The newest position that has the tag, or 0."""
        if self._aside:
            self._look_through()
        return self._newest.get(tag, 0)

    def _look_through(self) -> None:
        for first, many in self._aside:
            for position, tags in enumerate(many, first):
                for tag in tags:
                    self._newest[tag] = position
        self._aside.clear()
        self.aside = 0
        self.size = len(self._newest)

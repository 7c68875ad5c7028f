"""What the newest stretch of the log is about, so that few conditions need a look at the database."""

from collections.abc import Iterable

from leftfold.criteria import Item
from leftfold.store.contract import StoredEvent

TAGS = 32_768
UNKNOWN = -1


class Recent:
    """For each tag and type the newest position that has it, as far back as `tags` tags reach, at least.

    Kept by the one who writes, under the write lock. A commit of another process, or one of its own that failed,
    shows in a head that is not the expected one; then everything is forgotten. Tags are let go by the generation:
    once the young ones are enough they become the old, and those that were old until then are gone.
    """

    def __init__(self, tags: int = TAGS) -> None:
        self._limit = tags
        self._young: dict[str, int] = {}
        self._old: dict[str, int] = {}
        self._old_end = 0  # no tag of the old generation was seen last after this position
        self._types: dict[str, int] = {}
        self._since = 0
        self._head = UNKNOWN

    def __repr__(self) -> str:
        return f"<Recent {len(self._young)} and {len(self._old)} tags after {self._since}>"

    def begin(self, head: int) -> None:
        """Prepare for a commit on a log that ends at `head`."""
        if head != self._head:
            self._young, self._old, self._types = {}, {}, {}
            self._since = self._old_end = head
        self._head = UNKNOWN

    def add(self, events: Iterable[StoredEvent]) -> None:
        """Note events that the commit will write."""
        tags, types, position = self._young, self._types, self._since
        for event in events:
            position = event.position
            types[event.type] = position
            for tag in event.tags:
                tags[tag] = position
        if len(tags) > self._limit:
            self._old, self._young = tags, {}
            self._since, self._old_end = self._old_end, position

    def done(self, head: int) -> None:
        """The commit succeeded, and the log ends at `head` now."""
        self._head = head

    def excludes(self, item: Item, after: int) -> bool:
        """Whether certainly no event after `after` matches; False says nothing."""
        if after < self._since:
            return False
        for tag in item.tags:
            if (self._young.get(tag) or self._old.get(tag, 0)) <= after:
                return True
        return bool(item.types) and all(self._types.get(type, 0) <= after for type in item.types)

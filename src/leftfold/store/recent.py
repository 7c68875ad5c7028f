"""What the newest stretch of the log is about, so that few conditions need a look at the database."""

from collections import OrderedDict
from collections.abc import Iterable

from leftfold.criteria import Item
from leftfold.store.contract import StoredEvent

TAGS = 65_536
UNKNOWN = -1


class Recent:
    """For each tag and type the newest position that has it, as far back as `tags` tags reach.

    Kept by the one who writes, under the write lock. A commit of another process, or one of its own that failed,
    shows in a head that is not the expected one; then everything is forgotten.
    """

    def __init__(self, tags: int = TAGS) -> None:
        self._limit = tags
        self._tags: OrderedDict[str, int] = OrderedDict()
        self._types: dict[str, int] = {}
        self._since = 0
        self._head = UNKNOWN

    def __repr__(self) -> str:
        return f"<Recent {len(self._tags)} tags after {self._since}>"

    def begin(self, head: int) -> None:
        """Prepare for a commit on a log that ends at `head`."""
        if head != self._head:
            self._tags.clear()
            self._types.clear()
            self._since = head
        self._head = UNKNOWN

    def add(self, events: Iterable[StoredEvent]) -> None:
        """Note events that the commit will write."""
        tags = self._tags
        for event in events:
            self._types[event.type] = event.position
            for tag in event.tags:
                tags[tag] = event.position
                tags.move_to_end(tag)
        while len(tags) > self._limit:
            self._since = tags.popitem(last=False)[1]

    def done(self, head: int) -> None:
        """The commit succeeded, and the log ends at `head` now."""
        self._head = head

    def excludes(self, item: Item, after: int) -> bool:
        """Whether certainly no event after `after` matches; False says nothing."""
        if after < self._since:
            return False
        if any(self._tags.get(tag, 0) <= after for tag in item.tags):
            return True
        return bool(item.types) and all(self._types.get(type, 0) <= after for type in item.types)

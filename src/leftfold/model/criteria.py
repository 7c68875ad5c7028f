"""Criteria select events: the query of the DCB specification (https://dcb.events/specification/)."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Self

from leftfold.errors import InvalidCriteria, UsageError
from leftfold.model.message import MessageType, event_classes, with_subclasses

SYSTEM = "leftfold."  # prefix of the types of leftfold's own events
FEW = 32  # items compared pairwise
COMPARISONS = 64  # average comparisons per item when looking for covered items


class CriteriaItem:
    """One alternative of a `Criteria`: any of the types (OR) with all of the tags (AND); both are optional.

    Without types and tags it means every event. `system=False` leaves out those of leftfold itself, whose types begin
    with `leftfold.`; types and tags say by themselves whether such are meant.
    """

    __slots__ = ("_hash", "system", "tags", "types")

    types: frozenset[str]
    tags: frozenset[str]
    system: bool

    def __init__(self, types: Iterable[str] = (), tags: Iterable[str] = (), *, system: bool = True) -> None:
        try:
            self.types = frozenset(types)
            self.tags = frozenset(tags)
        except TypeError:
            raise _not_in_lists(types, tags) from None
        if isinstance(types, str) or isinstance(tags, str):
            raise _not_in_lists(types, tags)
        self.system = system
        self._hash = hash((self.types, self.tags, system))
        if not system and (self.types or self.tags):
            raise UsageError(f"{self!r} has system=False", "types or tags, or system=False", "leave out system=False")

    def matches(self, type: str, tags: Collection[str]) -> bool:
        """Tell whether an event of this type with these tags matches."""
        if self.types and type not in self.types:
            return False
        for tag in self.tags:  # there are few, and `issubset` would first make a set
            if tag not in tags:
                return False
        return self.system or not type.startswith(SYSTEM)

    def covers(self, other: Self) -> bool:
        """Tell whether this item matches every event that `other` matches."""
        if not self.tags <= other.tags:
            return False
        if not self.system:
            return not other.system or (bool(other.types) and not any(type.startswith(SYSTEM) for type in other.types))
        return not self.types or (bool(other.types) and other.types <= self.types)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CriteriaItem) and self._hash == other._hash and self._parts == other._parts

    def __hash__(self) -> int:
        return self._hash

    @property
    def _parts(self) -> tuple[object, ...]:
        return self.types, self.tags, self.system

    def __repr__(self) -> str:
        types = " or ".join(sorted(self.types)) or ("any type" if self.system else f"any type but {SYSTEM}*")
        return f"{types} with {' and '.join(sorted(self.tags))}" if self.tags else types


def _not_in_lists(types: object, tags: object) -> UsageError:
    return UsageError(
        f"CriteriaItem({types!r}, {tags!r})", "lists of strings", "write CriteriaItem(['opened'], ['account:a'])"
    )


class Criteria:
    """An OR of items: an event matches when any item matches it. Without items no event matches.

    Compose with `|`. Equal criteria compare and hash equal regardless of the order of their items;
    an item that another item covers is dropped.
    """

    __slots__ = ("_hash", "is_checked", "items")

    items: tuple[CriteriaItem, ...]
    is_checked: bool  # whether a store has checked them

    def __init__(self, *items: CriteriaItem) -> None:
        self.items = items if len(items) == 1 else _without_covered(items)
        self._hash = hash(self.items)
        self.is_checked = False

    def matches(self, type: str, tags: Collection[str]) -> bool:
        """Tell whether an event of this type with these tags matches."""
        if len(self.items) == 1:  # most have one, and a generator would take twice as long
            return self.items[0].matches(type, tags)
        return any(item.matches(type, tags) for item in self.items)

    def __or__(self, other: Self) -> "Criteria":
        return Criteria(*self.items, *other.items)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Criteria) and self.items == other.items

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"<Criteria {', or '.join(map(repr, self.items)) or 'nothing'}>"


def _without_covered(items: Iterable[CriteriaItem]) -> tuple[CriteriaItem, ...]:
    """Return the distinct items in canonical order, without items that another item covers.

    If that would take too many comparisons, none is dropped; the matches are the same.
    """
    distinct = sorted(set(items), key=lambda item: (sorted(item.types), sorted(item.tags), item.system))
    find = _candidates(distinct) if len(distinct) > FEW else None
    left = COMPARISONS * len(distinct)
    kept: list[CriteriaItem] = []
    for item in distinct:
        candidates = distinct if find is None else find(item)
        left -= len(candidates)
        if left < 0:
            return tuple(distinct)
        if not any(other is not item and other.covers(item) for other in candidates):
            kept.append(item)
    return tuple(kept)


def _candidates(items: Sequence[CriteriaItem]) -> Callable[[CriteriaItem], Sequence[CriteriaItem]]:
    """Return a function that finds the items that may cover an item, indexed by rarest tag and type."""
    tags = Counter(tag for item in items for tag in item.tags)
    types = Counter(type for item in items for type in item.types)
    listed: defaultdict[tuple[str | None, str | None], list[CriteriaItem]] = defaultdict(list)
    for item in items:
        tag = min(item.tags, key=lambda tag: (tags[tag], tag), default=None)
        for type in item.types or (None,):
            listed[tag, type].append(item)

    def find(item: CriteriaItem) -> Sequence[CriteriaItem]:
        rarest = min(item.types, key=lambda type: (types[type], type), default=None)
        places = [(tag, type) for tag in (*item.tags, None) for type in {rarest, None}]
        return [each for place in places for each in listed.get(place, ())]

    return find


def criteria(*types: str | type, tags: Iterable[str] = ()) -> Criteria:
    """Make criteria of one item: any of `types` (wire names or event classes) with all of `tags`.

    A class includes the subclasses defined when this is called.
    """
    names = (name for each in types for name in ((each,) if isinstance(each, str) else _wires_of(each)))
    return Criteria(CriteriaItem(names, tags))


def _wires_of(owner: type) -> Sequence[str]:
    found = event_classes(owner)
    classes = () if isinstance(found, str) else with_subclasses(found)
    if not classes:
        problem = found if isinstance(found, str) else f"no event class is derived from {owner.__qualname__} so far"
        raise InvalidCriteria(owner, problem)
    return [MessageType(each).wire for each in classes]


ALL = Criteria(CriteriaItem(system=False))
"""Every event of users: all except leftfold's own, whose types begin with `leftfold.`."""

EVERYTHING = Criteria(CriteriaItem())
"""Every event of the log, including leftfold's own: submitted commands, checkpoints, replaced workers."""

NOTHING = Criteria()
"""No event at all."""

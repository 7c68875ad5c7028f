"""The indexes that a read model declares, and the total order that selects and indexes share."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from leftfold.errors import InvalidModel
from leftfold.model.tag import hints_of
from leftfold.query.column_kind import column_kind

Indexes = list[str | tuple[str, ...]]
"""Indexes of a read model: each a field, or several fields in a tuple; a minus in front of a name means descending."""
WRITTEN = 'write @app.read_model(indexes=["customer", ("customer", "-total")])'


class OrderedField(NamedTuple):
    """A field in an order."""

    name: str
    descending: bool

    def __str__(self) -> str:
        return f"-{self.name}" if self.descending else self.name


Order = tuple[OrderedField, ...]


def order_of(names: str | Sequence[str]) -> Order:
    """Return the order that names say; a minus in front of a name means descending."""
    given = [names] if isinstance(names, str) else names
    return tuple(OrderedField(name.removeprefix("-"), name.startswith("-")) for name in given)


def total_order(order: Order, key: Sequence[str]) -> Order:
    """Return the order, followed by those fields of the key that it lacks, so that no two rows are equal.

    They take the direction of the last field: an index in that order then serves the opposite order too.
    """
    descending = bool(order) and order[-1].descending
    named = {field.name for field in order}
    return (*order, *(OrderedField(name, descending) for name in key if name not in named))


def words_of(order: Order) -> str:
    """Return the order as it is written: `customer, -total`."""
    return ", ".join(map(str, order))


class ModelIndex(NamedTuple):
    """An index: its fields as they are declared, and the whole order, which ends with the key."""

    declared: Order
    order: Order

    def __str__(self) -> str:
        return f"({words_of(self.declared)})"

    @property
    def backwards(self) -> Order:
        """The order in which it is read from its end."""
        return tuple(OrderedField(name, not descending) for name, descending in self.order)


def checked_indexes(owner: type, key: Sequence[str], declared: Any) -> tuple[ModelIndex, ...]:
    """Return the indexes that a read model declares; raise `InvalidModel` for one that cannot be made."""
    if declared is None:
        return ()
    name, all_hints = owner.__qualname__, hints_of(owner)
    hints = {each.name: all_hints[each.name] for each in msgspec.structs.fields(owner)}  # no class variables
    if not isinstance(declared, list):
        raise _invalid(f"{name} has indexes={declared!r}", "a list of indexes")
    found = [_index(name, hints, key, each) for each in _items(declared)]
    if found and not key:
        raise InvalidModel(f"{name} has indexes and no key: it is one row", "a key", "leave out indexes=")
    _check_distinct(name, key, found)
    return tuple(found)


def _index(model: str, hints: Mapping[str, Any], key: Sequence[str], given: Any) -> ModelIndex:
    names: Any = (given,) if isinstance(given, str) else given
    if not (isinstance(names, tuple) and names and all(isinstance(each, str) for each in _items(names))):
        raise _invalid(f"{model} has the index {given!r}", "the name of a field, or a tuple of names")
    order = order_of(tuple(map(str, _items(names))))
    _check_fields(model, hints, order)
    return ModelIndex(order, total_order(order, key))


def _items(given: Any) -> Iterator[Any]:
    yield from given


def _check_fields(model: str, hints: Mapping[str, Any], order: Order) -> None:
    seen: set[str] = set()
    for field in order:
        if field.name not in hints:
            raise _invalid(f"{model} has an index on {field.name!r}", f"one of {', '.join(hints)}")
        if column_kind(hints[field.name]).plain is None:
            found = f"{model} has an index on {field.name}, which is kept as JSON and has no order"
            raise InvalidModel(found, "fields that sort", "keep what queries look for in a field of its own")
        if field.name in seen:
            raise _invalid(f"{model} has an index that names {field.name} twice", "each field once")
        seen.add(field.name)


def _check_distinct(model: str, key: Sequence[str], found: Sequence[ModelIndex]) -> None:
    by_key = ModelIndex((), total_order((), key))
    known = {by_key.order: "its key", by_key.backwards: "its key"} if key else {}
    for index in found:
        if index.order in known:
            problem = (
                f"{model} has the index {index}, which finds the same rows in the same order as {known[index.order]}"
            )
            raise InvalidModel(
                problem, "one index for each order", f"leave out {index}: an index is read backwards too"
            )
        known |= {index.order: f"the index {index}", index.backwards: f"the index {index}"}


def _invalid(found: str, expected: str) -> InvalidModel:
    return InvalidModel(found, expected, WRITTEN)

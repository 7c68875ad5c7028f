"""Which rows of a read model an event concerns."""

from collections.abc import Callable, Sequence
from itertools import product
from operator import attrgetter
from typing import Any

import msgspec

from leftfold.model.fold import Fold
from leftfold.model.message import MessageType
from leftfold.model.tag import TagField

Key = tuple[Any, ...]
KeyReader = Callable[[Any], Sequence[Key]]

THE_ONE_ROW: Sequence[Key] = ((),)


def key_reader(fold: Fold, event: MessageType) -> KeyReader:
    """Return a function that reads the keys of the concerned rows from an event of this type.

    Each value that the event carries of a key's tag is a row. Where several parts of a key have the same tag, as in
    a route from one airport to another, and the event has fields of the same names, these alone are meant.
    """
    if not fold.key:
        return lambda event: THE_ONE_ROW
    sources = [_fields_for(part, fold, event) for part in fold.key]
    if not all(sources):  # `concerns` finds its rows
        return lambda event: ()
    if any(len(fields) > 1 or fields[0].many for fields in sources):
        return _all_combinations(sources)
    only = [fields[0] for fields in sources]
    return _one_value(only[0].get) if len(only) == 1 else _one_of_each(only)


def one_value(fold: Fold, event: MessageType) -> Callable[[Any], Any] | None:
    """Return a function that reads the one value that is the key of an event's row; None if there is no such value."""
    if len(fold.key) != 1:
        return None
    fields = _fields_for(fold.key[0], fold, event)
    return fields[0].get if len(fields) == 1 and not fields[0].many else None


def key_of(fold: Fold) -> Callable[[Any], Key]:
    """Return a function that takes the key from a row's state."""
    names = [part.name for part in fold.key]
    if not names:
        return lambda state: ()
    get = attrgetter(*names)
    return get if len(names) > 1 else lambda state: (get(state),)


def text_of_key(key: Sequence[Any]) -> str:
    """Return the text by which a key is stored beside the rows: a JSON list."""
    return msgspec.json.encode(key).decode()


def key_of_text(fold: Fold, text: str) -> Key:
    """Return the key in a text."""
    values: list[Any] = msgspec.json.decode(text)
    if not values:  # that of all rows: an event may stop a whole model
        return ()
    return tuple(msgspec.convert(value, part.value_type) for part, value in zip(fold.key, values, strict=True))


def row_concerns(fold: Fold, key: Key) -> Callable[[Any], bool]:
    """Return a function that says whether an event concerns the row of this key."""
    readers = {event.owner: key_reader(fold, event) for event in fold.events}
    return lambda event: key in readers[type(event)](event)


def _fields_for(part: TagField, fold: Fold, event: MessageType) -> Sequence[TagField]:
    tagged = event.fields_tagged(part.tag.name)
    rivals = {other.name for other in fold.key if other.tag.name == part.tag.name}
    by_name = {field.name: field for field in tagged}
    return (by_name[part.name],) if len(rivals) > 1 and rivals <= by_name.keys() else tagged


def _one_value(get: Callable[[Any], Any]) -> KeyReader:
    def read(event: Any) -> Sequence[Key]:
        value = get(event)
        return () if value is None else ((value,),)

    return read


def _one_of_each(fields: Sequence[TagField]) -> KeyReader:
    get: Callable[[Any], Key] = attrgetter(*(field.name for field in fields))
    if any(field.tag.by is not None for field in fields):
        get = _each_as_key(fields)

    def read(event: Any) -> Sequence[Key]:
        values = get(event)
        return () if None in values else (values,)

    return read


def _each_as_key(fields: Sequence[TagField]) -> Callable[[Any], Key]:
    return lambda event: tuple(field.get(event) for field in fields)


def _all_combinations(sources: Sequence[Sequence[TagField]]) -> KeyReader:
    def read(event: Any) -> Sequence[Key]:
        values = [dict.fromkeys(value for field in fields for value in field.values(event)) for fields in sources]
        return list(product(*values))

    return read

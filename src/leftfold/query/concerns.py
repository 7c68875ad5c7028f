"""`concerns` of a read model: which rows an event concerns beside those whose keys it carries."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from leftfold.errors import InvalidModel, UsageError
from leftfold.model.comparing import is_any
from leftfold.model.message import event_classes
from leftfold.model.signature import check_plain
from leftfold.model.tag import hints_of
from leftfold.query.event_keys import Key, key_of

NAME = "concerns"
WRITTEN = """
    @classmethod
    def concerns(cls, event: GuestRenamed, models: ReadModels) -> Iterable[Self]:
        return models.select(cls, guest=event.guest)"""


def concerning(owner: type) -> tuple[type, ...]:
    """Return the event classes that `concerns` takes; none if the model does not define it."""
    found = inspect.getattr_static(owner, NAME, None)
    if found is None or NAME in getattr(owner, "__struct_fields__", ()):
        return ()
    named = f"{owner.__qualname__}.{NAME}"
    if not is_any(found, classmethod):
        raise _invalid(f"{named} is no class method", "a class method: there is no row yet when it is called")
    function: Callable[..., Any] = found.__func__
    check_plain(function, named, InvalidModel)
    return _events_of(named, function)


def checked_concerns(owner: type, events: Sequence[type]) -> Sequence[type]:
    """Return the event classes that `concerns` takes; raise for one that `evolve` does not take."""
    bases = concerning(owner)
    for base in bases:
        if not any(issubclass(event, base) for event in events):
            named = f"{owner.__qualname__}.{NAME} takes {base.__qualname__}, and evolve does not"
            raise _invalid(named, "events that evolve takes: they change the rows that it finds")
    return bases


def keys_found(owner: type, fold: Any, found: Any) -> Iterator[Key]:
    """Yield the keys of what `concerns` returned, which are rows or keys; raise for what is neither."""
    if isinstance(found, str) or not hasattr(found, "__iter__"):
        raise UsageError(
            f"{owner.__qualname__}.{NAME} returned {found!r}", "rows of the model, or keys of rows", "return a list"
        )
    key_of_row, parts = key_of(fold), len(fold.key)
    for each in found:
        key: Key = key_of_row(each) if type(each) is owner else each if parts > 1 else (each,)
        fold.start(key)  # raises InvalidKey
        yield key


def _events_of(named: str, function: Callable[..., Any]) -> tuple[type, ...]:
    hints, names = hints_of(function), list(inspect.signature(function).parameters)
    if len(names) != 3 or getattr(hints.get(names[2]), "__qualname__", "") != "ReadModels":
        raise _invalid(f"{named} takes {names}", "the class, an event, and models: ReadModels")
    found = event_classes(hints.get(names[1]))
    if isinstance(found, str):
        hint = hints.get(names[1])
        problem = "" if hint is None else f": {found}"
        raise _invalid(f"{named} annotates its event as {hint!r}{problem}", "one event class, or a union of them")
    return found


def _invalid(found: str, expected: str) -> InvalidModel:
    return InvalidModel(found, expected, f"write{WRITTEN}")

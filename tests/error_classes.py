"""Every error class of leftfold, and an instance of each with made-up values."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, get_args, get_origin

import leftfold
import leftfold_torture
from leftfold.errors import Conflict, Declared, LeftfoldError, ReadModelChanged, Rejected
from leftfold.model.criteria import criteria
from leftfold.store import StoredEvent

PACKAGES = {"leftfold", "leftfold_torture"}
SAMPLES: dict[Any, Any] = {
    str: "text",
    int: 3,
    float: 1.5,
    bool: True,
    bytes: b"bytes",
    datetime: datetime(2026, 1, 1, tzinfo=UTC),
    object: 4.5,
    type: int,
    Any: criteria("a").items[0],
    Conflict: Conflict(criteria("a").items[0], 3, [StoredEvent(4, 1, "a", 1, b"{}", b"{}", ("x:1",))]),
    ReadModelChanged: ReadModelChanged("Total", 1, 1, "@app.read_model(version=2)"),
}


def error_classes() -> list[type[LeftfoldError]]:
    """Return every subclass of `LeftfoldError` in leftfold that a caller can meet."""
    for package in (leftfold, leftfold_torture):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    below = [
        each for each in _below(LeftfoldError) if each is not Declared and each.__module__.partition(".")[0] in PACKAGES
    ]
    found = [each for each in below if each is Rejected or not issubclass(each, Rejected)]  # one ends a decision early
    return sorted(set(found), key=lambda each: (each.__module__, each.__name__))


def made_up(owner: type[LeftfoldError]) -> LeftfoldError:
    """Make an error with a value for each parameter, according to its annotation."""
    if owner is Rejected:
        return Rejected("insufficient funds", balance=1)
    return owner(*[_sample(each.annotation) for each in inspect.signature(owner).parameters.values()])


def _below(owner: type[LeftfoldError]) -> Iterator[type[LeftfoldError]]:
    for each in owner.__subclasses__():
        yield each
        yield from _below(each)


def _sample(hint: Any) -> Any:
    arguments = get_args(hint)
    if get_origin(hint) is not None and "Sequence" in str(hint):
        return [SAMPLES[arguments[0]]] if arguments[0] is not Any else []
    return SAMPLES[arguments[0] if arguments else hint]

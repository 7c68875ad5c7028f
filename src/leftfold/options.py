"""The options of `App.open`, checked before anything is opened: unknown names and values that cannot be meant."""

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import timedelta
from random import Random
from typing import Any, NamedTuple

from leftfold.backoff import Backoff
from leftfold.errors import InvalidOption, UnknownOption


class Rule(NamedTuple):
    """What a value must be, in words and as a test."""

    expected: str
    fits: Callable[[object], bool]


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 1


def _is_collection(value: object) -> bool:
    return isinstance(value, Collection) and not isinstance(value, str | bytes)


def _is_roles(value: object) -> bool:
    return isinstance(value, bool) or _is_collection(value)


def _is_lease(value: object) -> bool:
    return isinstance(value, timedelta) and value > timedelta()


def _is_clock(value: object) -> bool:
    return callable(getattr(value, "now", None))


def _is_url(value: object) -> bool:
    return isinstance(value, os.PathLike) or (isinstance(value, str) and bool(value))


def _is_a(kind: type) -> Callable[[object], bool]:
    def is_one(value: object) -> bool:
        return isinstance(value, kind)

    return is_one


RULES: Mapping[str, Rule] = {
    "attempts": Rule("a whole number from 1 on", _is_count),
    "backoff": Rule("a leftfold.Backoff, such as Backoff(attempts=3)", _is_a(Backoff)),
    "clock": Rule("an object with now()", _is_clock),
    "lease": Rule("a timedelta of more than nothing, such as timedelta(seconds=5)", _is_lease),
    "models": Rule("a URL in SQLAlchemy's form, or a Path", _is_url),
    "new_id": Rule("a function that returns a UUID", callable),
    "on_progress": Rule("a function that takes a Progress", callable),
    "only": Rule("a collection of read models and names of projections", _is_collection),
    "randomness": Rule("a random.Random", _is_a(Random)),
    "state_bytes": Rule("a whole number from 1 on", _is_count),
    "states": Rule("a whole number from 1 on", _is_count),
    "work": Rule('True, False, or roles such as work=("commands", "processes")', _is_roles),
}
MEANS_DEFAULT = ("backoff", "clock", "models", "new_id", "on_progress", "randomness")


def check_options(options: Mapping[str, Any], known: Iterable[str]) -> None:
    """Raise `UnknownOption` or `InvalidOption` for the first option that is not understood.

    None stands for the default where no other value could mean it.
    """
    names = sorted(known)
    for name, value in options.items():
        if name not in names:
            raise UnknownOption(name, names)
        rule = RULES.get(name)
        if rule is None or (value is None and name in MEANS_DEFAULT):
            continue
        if not rule.fits(value):
            raise InvalidOption(name, value, rule.expected)

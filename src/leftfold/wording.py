"""How values read in a message: in templates, in lists, and when a name is almost right."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from shlex import quote
from typing import Any, cast

LONGEST_SHOWN = 120


def fill_in(template: str, values: object) -> str:
    """Fill in a template with the attributes of an object.

    A datetime reads in ISO format, a tuple as a list of names, a class as its name, and `!r` takes at most 120
    characters. `{x:?text}` is the text if x is true and `{x:!text}` if it is not; the text may have fields of its own.
    `{x:type}` is the type of x, `{x:shell}` its form on a command line, `{x:Z}` a time as a URL takes it, and
    `{x:one of}` the names to choose from.
    """
    return template.format_map(_Attributes(values))


class _Attributes:
    def __init__(self, owner: object) -> None:
        self._owner = owner

    def __getitem__(self, name: str) -> "_Value":
        return _Value(getattr(self._owner, name))


class _Value:
    def __init__(self, value: Any) -> None:
        self._value = value

    def __repr__(self) -> str:
        return shown(self._value)

    def __format__(self, form: str) -> str:
        value = self._value
        if form[:1] in ("?", "!"):
            return form[1:] if bool(value) is (form[0] == "?") else ""
        if form in FORMS:
            return FORMS[form](value)
        if isinstance(value, datetime):
            return value.isoformat(timespec="seconds").replace("+00:00", "Z") if form == "Z" else value.isoformat()
        if isinstance(value, tuple):
            return listed(cast("tuple[object, ...]", value))
        return format(getattr(value, "__qualname__", value), form)


def one_of(names: Sequence[object]) -> str:
    """Return names to choose from."""
    return listed(names) if len(names) == 1 else f"one of {listed(names)}"


def listed(names: Iterable[object]) -> str:
    """Return names in quotes, separated by commas."""
    return ", ".join(map(repr, names)) or "none"


def shown(value: object) -> str:
    """Return the `repr` of a value for a message, in at most 120 characters, even if its `repr` raises."""
    try:
        text = repr(value)
    except RecursionError:
        text = f"a {type(value).__name__} that is nested too deeply to be shown"
    except Exception as error:  # noqa: BLE001 the message is about something else and must not be lost
        text = f"a {type(value).__name__} whose repr raises {type(error).__name__}"
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 3]}..."


def similar(name: str, known: Sequence[str]) -> str:
    """Return the names that are most like a name, or the empty text."""
    return " or ".join(map(repr, get_close_matches(name, known, 3, 0.5)))


def unknown_option(name: str, known: Sequence[str]) -> str:
    """Say that an option does not exist, and name similar ones or else all that exist."""
    near = similar(name, known)
    hint = f"did you mean {near}?" if near else f"the options are {', '.join(known)}"
    return f"there is no option {name!r}; {hint}"


FORMS: Mapping[str, Callable[[Any], str]] = {
    "type": lambda value: type(value).__name__,
    "shell": quote,
    "one of": one_of,
}

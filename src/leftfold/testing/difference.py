"""What an assertion of `leftfold.testing` says when it fails: expected, found, and where they differ."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from leftfold.model.tag import hints_of

INDENT = "    "


def failure(summary: str, expected: Iterable[Any], found: Iterable[Any], **given: Mapping[str, Any]) -> AssertionError:
    """Return the error to raise; each of `given` is a heading with what stands under it, by name."""
    wanted, got = list(expected), list(found)
    parts = [summary, *_section("expected", map(repr, wanted)), *_section("found", _remarked(wanted, got))]
    for heading, named in given.items():
        parts += _section(heading.replace("_", " "), (f"{name} = {value!r}" for name, value in named.items()))
    return AssertionError("\n".join(parts))


def _section(heading: str, lines: Iterable[str]) -> list[str]:
    return [f"{heading}:", *(INDENT + line for line in list(lines) or ["nothing"])]


def _remarked(expected: Sequence[Any], found: Sequence[Any]) -> list[str]:
    """Return each thing that was found, and in which fields it differs from what was expected in its place."""
    lines: list[str] = []
    for index, value in enumerate(found):
        lines.append(repr(value))
        if index < len(expected) and expected[index] != value:
            lines += [f"{INDENT}{difference}" for difference in differences(expected[index], value)]
    return lines


def differences(expected: object, found: object) -> list[str]:
    """Return the fields in which two messages of one class differ; none for other values: their repr says all."""
    if type(expected) is not type(found) or isinstance(found, BaseException):
        return []
    pairs = ((name, getattr(expected, name, None), getattr(found, name, None)) for name in hints_of(type(found)))
    return [f"{name}: {got!r} instead of {wanted!r}" for name, wanted, got in pairs if wanted != got]

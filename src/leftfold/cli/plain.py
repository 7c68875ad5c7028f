"""Values as text: on one line for people, in JSON for programs."""

import base64
import re
from datetime import UTC, datetime
from typing import Any

import msgspec

from leftfold.audit.explanation import ABSENT, fields_of

LONGEST = 1_000
_word = re.compile(r"[\w.:/@+-]+").fullmatch


def moment(time: datetime) -> str:
    """Return a time in UTC, to the microsecond where it has any."""
    return time.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"


def duration(seconds: float) -> str:
    """Return a duration in the largest unit of which there are at least two: `0 s`, `90 s`, `3 h`."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds:,.0f} s"


def counted(number: int, noun: str) -> str:
    """`1 event`, `2,000 events`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


# --- for programs


def json_line(value: Any) -> str:
    """Return a value as JSON on one line."""
    return msgspec.json.encode(value, enc_hook=plain_other).decode()


def json_data(name: str, data: bytes) -> dict[str, Any]:
    """Return stored bytes as a member of a JSON object: as JSON if they are JSON, else as labelled Base64."""
    try:
        text = msgspec.json.format(data, indent=-1)
        text.decode()
    except ValueError:
        return {f"{name}_base64": base64.b64encode(data).decode()}
    return {name: msgspec.Raw(text)}


def plain_other(value: Any) -> Any:
    """Something simpler in the place of a value that has no JSON form of its own."""
    fields = fields_of(value)
    return repr(value) if fields is None else dict(fields)


# --- for people


def shown_data(data: bytes) -> str:
    """Return stored bytes."""
    try:
        return shown_fields(msgspec.json.decode(data))
    except ValueError:
        return f"{counted(len(data), 'byte')} that are not JSON" if data else ""


def shown_event(event: Any) -> str:
    """Return a decoded event's fields."""
    return shown_fields(fields_of(event) or event)


def shown_fields(value: Any) -> str:
    """`name=value` for each field of an object; any other value as it is."""
    if not isinstance(value, dict):
        return shown(value)
    return _cut(" ".join(f"{visible(name)}={shown(each)}" for name, each in _items(value)))


def shown(value: Any) -> str:
    """One value: words without quotes, everything else as in JSON."""
    if value is ABSENT:
        return ""
    simple = msgspec.to_builtins(value, enc_hook=plain_other)
    if isinstance(simple, str) and _word(simple) and not _means_something_else(simple):
        return simple
    return _cut(visible(json_line(simple)))


def cell(value: Any) -> str:
    """One value where its place tells it from its neighbours: texts without quotes, nothing for None."""
    if value is None:
        return ""
    return _cut(value) if isinstance(value, str) and value.isprintable() else shown(value)


def visible(text: str) -> str:
    """Return a text without characters that move the cursor or colour the terminal."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in text)


def _means_something_else(word: str) -> bool:
    """Whether without quotes it would be taken for a number, true, false or null."""
    try:
        msgspec.json.decode(word)
    except ValueError:
        return False
    return True


def _items(value: Any) -> list[tuple[str, Any]]:
    return [(str(name), each) for name, each in value.items()]


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text):,} characters; all of them with --json)"

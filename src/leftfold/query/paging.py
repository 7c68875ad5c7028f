"""Pages of rows, and the cursors that lead from one page to the next."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from leftfold.errors import InvalidCursor
from leftfold.query.indexes import Order, words_of

R = TypeVar("R")
FORM = 1
LIMIT = 2**63


class Page(msgspec.Struct, Generic[R], frozen=True):
    """Some rows of a read model, in an order, and the cursor of the next page: None on the last page."""

    rows: list[R]
    next: str | None


class _Content(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """What a cursor holds: its form, whose it is, and the values of the last row in the fields of the order."""

    form: int
    model: str
    order: str
    values: list[Any]


def cursor_to(model: str, order: Order, row: object) -> str:
    """Return the cursor that continues after a row: a text of letters, digits, - and _."""
    values = [getattr(row, field.name) for field in order]
    return (
        urlsafe_b64encode(msgspec.msgpack.encode(_Content(FORM, model, words_of(order), values))).decode().rstrip("=")
    )


def values_in(cursor: object, model: str, order: Order, hints: Mapping[str, Any]) -> Sequence[Any]:
    """Return the values of the row that a cursor continues after; raise `InvalidCursor` if it is of another select."""
    if not isinstance(cursor, str):
        raise InvalidCursor(cursor, "it is not a text")
    try:
        packed = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        found = msgspec.msgpack.decode(packed, type=_Content)
    except (ValueError, UnicodeError) as error:
        raise InvalidCursor(cursor, "it is damaged, or no cursor") from error
    if found.form != FORM:
        raise InvalidCursor(cursor, f"it has the form {found.form} of another release")
    if (found.model, found.order) != (model, words_of(order)):
        problem = f"it is of {found.model} by {found.order}, and this select is of {model} by {words_of(order)}"
        raise InvalidCursor(cursor, problem)
    if len(found.values) != len(order):
        raise InvalidCursor(cursor, "it is damaged, or no cursor")
    return [
        _value(cursor, field.name, value, hints[field.name]) for field, value in zip(order, found.values, strict=True)
    ]


def _value(cursor: str, name: str, value: Any, hint: Any) -> Any:
    try:
        found = msgspec.convert(value, hint)
    except ValueError as error:
        raise InvalidCursor(cursor, f"its value of {name} does not fit the field: {error}") from error
    if isinstance(found, int) and not -LIMIT <= found < LIMIT:
        raise InvalidCursor(cursor, f"its value of {name} does not fit into 64 bits")
    return found

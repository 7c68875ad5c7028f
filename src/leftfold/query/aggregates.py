"""Counts, sums and extremes of read models, for all rows or for groups of them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from types import MemberDescriptorType
from typing import Any, Generic, Literal, TypeVar

from leftfold.errors import UnsupportedExpression, UsageError
from leftfold.model.comparing import is_any
from leftfold.query.column_kind import column_kind

N = TypeVar("N", int, float, Decimal, timedelta)
V = TypeVar("V")
K = TypeVar("K")
Aggregate = Literal["count", "sum", "min", "max"]
ZEROS: Mapping[type, Any] = {int: 0, float: 0.0, Decimal: Decimal(0), timedelta: timedelta(0)}
Compute = Callable[[Aggregate, str | None], Sequence[Sequence[Any]]]
"""Return a row for each group: the values of its fields, and the aggregate."""


class Groups(Generic[K]):
    """The rows of a read model in groups: `models.group(Order, Order.customer).sum(Order.total)`.

    Each method returns a dict, in the order of the groups; None comes first. Grouped by several fields, a key is a
    tuple.
    """

    def __init__(self, model: type, by: K, compute: Compute, hints: Mapping[str, Any]) -> None:
        self._model = model
        self._single = not isinstance(by, tuple)
        self._compute = compute
        self._hints = hints

    def __repr__(self) -> str:
        return f"<Groups of {self._model.__qualname__}>"

    def count(self) -> dict[K, int]:
        """Return how many rows each group has."""
        return self._by_group("count", None)

    def sum(self, field: N | None, /) -> dict[K, N]:
        """Return the sum of a field for each group; None counts as zero."""
        name = field_name(self._model, field)
        rows = self._by_group("sum", name)
        return {key: total_of(self._hints[name], value) for key, value in rows.items()}

    def min(self, field: V, /) -> dict[K, V]:
        """Return the least value of a field for each group; None only if the group has no other."""
        return self._by_group("min", field_name(self._model, field))

    def max(self, field: V, /) -> dict[K, V]:
        """Return the greatest value of a field for each group; None only if the group has no other."""
        return self._by_group("max", field_name(self._model, field))

    def _by_group(self, aggregate: Aggregate, name: str | None) -> dict[Any, Any]:
        if aggregate == "sum" and name is not None:
            check_summed(self._model, name, self._hints[name])
        return {row[0] if self._single else tuple(row[:-1]): row[-1] for row in self._compute(aggregate, name)}


def field_name(model: type, field: object) -> str:
    """Return the name of a field that is given as an attribute of the model's class, as in `Order.total`."""
    owner: type | None = getattr(field, "__objclass__", None)
    if isinstance(field, MemberDescriptorType) and owner in model.__mro__:
        return field.__name__
    given = (
        f"{owner.__qualname__}.{field.__name__}" if isinstance(field, MemberDescriptorType) and owner else repr(field)
    )
    names: Sequence[str] = getattr(model, "__struct_fields__", ())
    raise UsageError(
        f"{model.__qualname__} has no field {given}",
        f"one of {', '.join(f'{model.__qualname__}.{name}' for name in names)}",
        "name the field as an attribute of the class",
    )


def field_names(model: type, given: Any) -> tuple[str, ...]:
    """Return the names of one field, or of several in a tuple."""
    fields = given if is_any(given, tuple) else (given,)
    return tuple(field_name(model, field) for field in fields)


def check_summed(model: type, name: str, hint: Any) -> None:
    """Refuse to add up anything but numbers and durations."""
    inner, plain, _ = column_kind(hint)
    members_count = not isinstance(inner, type) or inner is plain or issubclass(inner, int)
    if plain not in ZEROS or not members_count:
        kind = getattr(inner, "__name__", str(inner))
        remedy = "add up fields of type int, float, Decimal or timedelta"
        raise UnsupportedExpression("sum()", f"{model.__qualname__}.{name} ({kind})", remedy)


def total_of(hint: Any, value: Any) -> Any:
    """Return a sum in the type of its field; zero where there was nothing to add."""
    plain = column_kind(hint).plain
    if value is None:
        return ZEROS[plain or int]
    return int(value) if plain is int else value

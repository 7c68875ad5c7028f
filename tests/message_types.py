"""Random message types and their values, for property tests.

`message_types()` draws a `MessageKind`: a class (a struct, a dataclass, an attrs or a pydantic class), its fields, and
a strategy of its instances. `field_kinds()` draws one `FieldKind` at a time, for tests that build classes of their own,
such as read models: its type, its values, and what columns of this type can do. `right` values come back equal from
their stored form; `any_value` is drawn for a field of any type, and mostly does not fit it.
"""

import dataclasses
import enum
import itertools
import types
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, Literal, NamedTuple, TypedDict
from uuid import UUID

import attrs
import msgspec
import pydantic
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from leftfold import Event, message

FAMILIES = ("struct", "dataclass", "attrs", "pydantic")
_numbers = itertools.count(1)


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 20


class Currency(enum.StrEnum):
    EUR = "EUR"
    USD = "USD"


class Point(NamedTuple):
    x: int
    label: str = ""


class Size(TypedDict):
    width: int
    unit: str


class Card(msgspec.Struct, frozen=True, tag=True):
    number: str


class Cash(msgspec.Struct, frozen=True, tag=True):
    amount: Decimal


@dataclasses.dataclass(frozen=True)
class Address:
    street: str
    number: int | None = None


class FieldKind(NamedTuple):
    """A type that a field may have, its values, and what can be done with a column of it.

    `default` is one of the values, for classes whose fields need one. `ordered` values have one order in Python, and
    columns of them the same; `summed` values add up. `hashed` values may be members of sets.
    """

    hint: Any
    values: SearchStrategy[Any]
    default: Any
    ordered: bool = False
    summed: bool = False
    hashed: bool = False


class MessageKind(NamedTuple):
    """A message class, its fields by name, and a function that makes an instance of a value for each field."""

    family: str
    owner: type
    fields: dict[str, FieldKind]
    make: Callable[[dict[str, Any]], Any]

    @property
    def right(self) -> SearchStrategy[Any]:
        """Instances whose fields hold what their types say."""
        return st.fixed_dictionaries({name: kind.values for name, kind in self.fields.items()}).map(self.make)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
integers = st.integers(-(2**63), 2**63 - 1)
floats = st.floats(allow_nan=False, allow_infinity=False)
decimals = st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**9), max_value=10**9)
zones = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(-timedelta(hours=8))])
moments = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=zones)  # noqa: DTZ001 the zones are apart
durations = st.timedeltas(timedelta(days=-10_000), timedelta(days=10_000))

SCALARS: tuple[FieldKind, ...] = (
    FieldKind(bool, st.booleans(), False, ordered=True, hashed=True),
    FieldKind(int, integers, 0, ordered=True, summed=True, hashed=True),
    FieldKind(float, floats, 0.0, ordered=True, hashed=True),
    FieldKind(str, texts, "", ordered=True, hashed=True),
    FieldKind(bytes, st.binary(max_size=8), b"", ordered=True, hashed=True),
    FieldKind(Decimal, decimals, Decimal(0), ordered=True, summed=True, hashed=True),
    FieldKind(datetime, moments, datetime(2026, 1, 1, tzinfo=UTC), ordered=True, hashed=True),
    FieldKind(date, st.dates(), date(2026, 1, 1), ordered=True, hashed=True),
    FieldKind(time, st.times(), time(), ordered=True, hashed=True),
    FieldKind(timedelta, durations, timedelta(), ordered=True, summed=True, hashed=True),
    FieldKind(UUID, st.uuids(), UUID(int=0), ordered=True, hashed=True),
    FieldKind(Color, st.sampled_from(Color), Color.RED, hashed=True),
    FieldKind(Level, st.sampled_from(Level), Level.LOW, ordered=True, hashed=True),
    FieldKind(Currency, st.sampled_from(Currency), Currency.EUR, ordered=True, hashed=True),
    FieldKind(Literal["small", "large"], st.sampled_from(["small", "large"]), "small", ordered=True, hashed=True),
)
ASCII = FieldKind(bytes, st.binary(max_size=8).map(bytes.hex).map(str.encode), b"")  # pydantic writes bytes as text
KEYS = tuple(kind for kind in SCALARS if kind.hint not in (bool, float, bytes))
SHAPES: tuple[FieldKind, ...] = (
    FieldKind(Point, st.builds(Point, st.integers(-9, 9), texts), Point(0)),
    FieldKind(Address, st.builds(Address, texts, st.none() | integers), Address("")),
    FieldKind(int | str, integers | texts, 0),
    FieldKind(bool | Decimal, st.booleans() | decimals, False),
)
STRUCTS: tuple[FieldKind, ...] = (
    FieldKind(Size, st.fixed_dictionaries({"width": st.integers(0, 9), "unit": texts}), {"width": 0, "unit": ""}),
    FieldKind(Card | Cash, st.builds(Card, texts) | st.builds(Cash, decimals), Card("")),
    FieldKind(Cash, st.builds(Cash, decimals), Cash(Decimal(0))),
    FieldKind(timedelta | int, durations | integers, 0),
)
WRONG = (float("nan"), float("inf"), Decimal("NaN"), datetime(2026, 1, 1), "\ud800", object(), 1j)  # noqa: DTZ001

MOST_NESTED = 2

any_value: SearchStrategy[Any] = st.one_of(
    *(kind.values for kind in SCALARS), st.none(), st.sampled_from(WRONG), st.lists(st.integers(), max_size=2)
)
"""A value for a field of any type."""


def field_kinds(family: str = "struct", depth: int = MOST_NESTED) -> SearchStrategy[FieldKind]:
    """Types of fields that a class of this family may have; `depth` bounds how far they are nested."""
    shapes = SHAPES if family == "pydantic" else (*SHAPES, *STRUCTS)
    scalars = st.sampled_from([ASCII if family == "pydantic" and kind.hint is bytes else kind for kind in SCALARS])
    if depth == 0:
        return scalars
    inner = field_kinds(family, depth - 1)
    return st.one_of(
        scalars,
        st.sampled_from(shapes),
        inner.map(optional),
        inner.map(list_of),
        inner.map(tuple_of),
        st.tuples(inner, inner).map(pair_of),
        st.tuples(st.sampled_from(KEYS), inner).map(dict_of),
        hashables(scalars, depth).map(set_of),
        hashables(scalars, depth).map(frozenset_of),
        nested(family, depth - 1),
    )


def hashables(scalars: SearchStrategy[FieldKind], depth: int) -> SearchStrategy[FieldKind]:
    """Types whose values may be members of a set, sets among them."""
    if depth < MOST_NESTED:
        return scalars
    return scalars | scalars.map(optional) | scalars.map(frozenset_of) | st.tuples(scalars, scalars).map(pair_of)


def optional(kind: FieldKind) -> FieldKind:
    return FieldKind(kind.hint | None, st.none() | kind.values, None) if kind.hint is not None else kind


def list_of(kind: FieldKind) -> FieldKind:
    return FieldKind(list[kind.hint], st.lists(kind.values, max_size=3), [])


def tuple_of(kind: FieldKind) -> FieldKind:
    return FieldKind(tuple[kind.hint, ...], st.lists(kind.values, max_size=3).map(tuple), ())


def pair_of(kinds: tuple[FieldKind, FieldKind]) -> FieldKind:
    first, second = kinds
    hint: Any = tuple.__class_getitem__((first.hint, second.hint))
    return FieldKind(hint, st.tuples(first.values, second.values), (first.default, second.default))


def dict_of(kinds: tuple[FieldKind, FieldKind]) -> FieldKind:
    key, value = kinds
    return FieldKind(dict[key.hint, value.hint], st.dictionaries(key.values, value.values, max_size=3), {})


def set_of(kind: FieldKind) -> FieldKind:
    return FieldKind(set[kind.hint], st.sets(kind.values, max_size=3), set())


def frozenset_of(kind: FieldKind) -> FieldKind:
    return FieldKind(frozenset[kind.hint], st.frozensets(kind.values, max_size=3), frozenset())


def nested(family: str, depth: int) -> SearchStrategy[FieldKind]:
    """A class of the same family, without a wire name."""

    def kind_of(fields: Sequence[FieldKind]) -> FieldKind:
        named = {f"inner_{number}": kind for number, kind in enumerate(fields)}
        owner = new_class(family, named, base=msgspec.Struct)
        values = st.fixed_dictionaries({name: kind.values for name, kind in named.items()})
        default = owner(**{name: kind.default for name, kind in named.items()})
        return FieldKind(owner, values.map(lambda given: owner(**given)), default)

    return st.lists(field_kinds(family, depth), min_size=1, max_size=2).map(kind_of)


@st.composite
def message_types(draw: st.DrawFn, families: Sequence[str] = FAMILIES, base: type = Event) -> MessageKind:
    """A message class of one to four fields; structs derive from `base`."""
    family = draw(st.sampled_from(families))
    kinds = draw(st.lists(field_kinds(family), min_size=1, max_size=4))
    fields = {f"field_{number}": kind for number, kind in enumerate(kinds)}
    owner = new_class(family, fields, base=base)
    if family != "struct":
        owner = message()(owner)
    return MessageKind(family, owner, fields, lambda values: make(owner, values))


def new_class(family: str, fields: dict[str, FieldKind], *, base: type) -> type:
    """A new class of a family, frozen, all of whose fields are required."""
    name, hints = f"Random{next(_numbers)}", {name: kind.hint for name, kind in fields.items()}
    if family == "dataclass":
        return dataclasses.make_dataclass(name, list(hints.items()), frozen=True)
    if family == "attrs":
        return attrs.make_class(name, {each: attrs.field(type=hint) for each, hint in hints.items()}, frozen=True)
    if family == "pydantic":
        required: dict[str, Any] = {each: (hint, ...) for each, hint in hints.items()}
        return pydantic.create_model(name, **required)
    options = {"frozen": True} if base is msgspec.Struct else {}
    return types.new_class(name, (base,), options, lambda body: body.update(__annotations__=hints, __module__=__name__))


def make(owner: type, values: dict[str, Any]) -> Any:
    """An instance, whatever the values are: pydantic's own check is left out."""
    if issubclass(owner, pydantic.BaseModel):
        return owner.model_construct(**values)
    return owner(**values)

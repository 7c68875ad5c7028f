"""From the types of a struct's fields to the types of a table's columns.

SQLite has no times, decimals, durations or UUIDs: they are kept as texts or integers whose plain order is that of the
values. Other databases keep them as their own types. Text sorts by its characters' numbers, on PostgreSQL as on SQLite.
"""

import datetime
import decimal
import enum
import json
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import msgspec
import msgspec.inspect
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine, UserDefinedType

from leftfold.errors import NaiveDatetime, UnsupportedValue
from leftfold.model.codec import in_one_order, nests_sets
from leftfold.model.stored_form import inner_types
from leftfold.query.column_kind import column_kind
from leftfold.query.tables.decimal_text import COLLATION, checked, number_of, to_text

T = TypeVar("T")
FORM = 2
"""The form in which decimals, durations, times of day and JSON are stored; all other columns are in form 1."""

POSTGRES_NUMERIC = 1700
MICROSECOND = datetime.timedelta(microseconds=1)
LONGEST = datetime.timedelta(microseconds=2**63 - 1)


def text() -> TypeEngine[str]:
    """Text of any length."""
    return PlainText().with_variant(postgresql.TEXT(collation="C"), "postgresql")


class Member(UserDefinedType[enum.Enum]):
    """A member of an enumeration that is neither text nor an integer: it is not compared with other column types."""

    cache_ok = True


class PlainText(sa.String):
    """Text; it is not compared with members of enumerations: PostgreSQL's driver would send their names."""

    def coerce_compared_value(self, op: Any, value: Any) -> Any:
        """Return the type of the value, if it is not text."""
        return super().coerce_compared_value(op, value) if isinstance(value, str) else type_of_value(value) or self


class Octets(sa.LargeBinary):
    """Bytes; they are not compared with text."""

    def coerce_compared_value(self, op: Any, value: Any) -> Any:
        """Return the type of the value, not of the column that it is compared with."""
        return type_of_value(value) or self


class Scalar(TypeDecorator[T]):
    """A column type of one kind of values."""

    cache_ok = True

    def coerce_compared_value(self, op: Any, value: Any) -> Any:
        """Return the type of the value, not of the column that it is compared with."""
        return type_of_value(value) or self


class TextOnSQLite(Scalar[T]):
    """A column type of values that are texts on SQLite."""

    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Use text on SQLite."""
        return dialect.type_descriptor(sa.String() if dialect.name == "sqlite" else self.impl_instance)


class Whole(Scalar[int]):
    """An integer of 64 bits. A sum is an integer too, although it is a NUMERIC in PostgreSQL."""

    impl = sa.BigInteger
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        """Convert sums, which PostgreSQL returns as decimals."""
        return _whole if dialect.name == "postgresql" and coltype == POSTGRES_NUMERIC else None


class Real(Scalar[float]):
    """A float of 64 bits; NaN is refused, since it has no order."""

    impl = sa.Double
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Dialect) -> float | None:
        """Return the float."""
        if value != value:  # noqa: PLR0124 - the one value that is not equal to itself
            raise UnsupportedValue(value, "numbers that have an order", "keep None where there is no number")
        return value

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        """Convert nothing: drivers return floats."""
        return None


class Instant(TextOnSQLite[datetime.datetime]):
    """An aware datetime, in UTC; on SQLite `2026-01-31 12:30:00.000000+00:00`, which its date functions understand."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime.datetime | None, dialect: Dialect) -> Any:
        """Convert to the form that the driver takes."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise NaiveDatetime(value)
        utc = value.astimezone(datetime.UTC)
        return utc.isoformat(" ", "microseconds") if dialect.name == "sqlite" else utc

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime.datetime | None:
        """Return the datetime, in UTC."""
        if value is None:
            return None
        moment = datetime.datetime.fromisoformat(value) if isinstance(value, str) else value
        return moment.astimezone(datetime.UTC)


class Number(UserDefinedType[decimal.Decimal]):
    """PostgreSQL's NUMERIC without bounds, which its driver takes and returns as decimals."""

    cache_ok = True

    def get_col_spec(self, **options: Any) -> str:
        """Return its name in SQL."""
        return "NUMERIC"


class Exact(TypeDecorator[decimal.Decimal]):
    """An exact decimal; on SQLite, text that sorts and compares as the number does."""

    impl = sa.Numeric()
    cache_ok = True

    def coerce_compared_value(self, op: Any, value: Any) -> Any:
        """Return this type for any number."""
        return self if type(value) in (int, float) else type_of_value(value) or self

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Use text on SQLite."""
        if dialect.name == "postgresql":
            return Number()
        return dialect.type_descriptor(sa.String(collation=COLLATION) if dialect.name == "sqlite" else sa.Numeric())

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Convert to the form that the driver takes."""
        if value is None:
            return None
        number = value if isinstance(value, decimal.Decimal) else number_of(value)
        return to_text(number) if dialect.name == "sqlite" else checked(number)

    def process_result_value(self, value: Any, dialect: Dialect) -> decimal.Decimal | None:
        """Return the decimal."""
        return value if value is None or isinstance(value, decimal.Decimal) else number_of(value)


class Duration(Scalar[datetime.timedelta]):
    """A timedelta; on SQLite an integer of microseconds."""

    impl = sa.Interval()
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Use an integer where the database has no such type."""
        return dialect.type_descriptor(postgresql.INTERVAL() if dialect.name == "postgresql" else sa.BigInteger())

    def process_bind_param(self, value: datetime.timedelta | None, dialect: Dialect) -> Any:
        """Convert to the form that the driver takes."""
        if value is None:
            return None
        if not -LONGEST <= value <= LONGEST:
            raise UnsupportedValue(value, f"durations up to {LONGEST.days:,} days", "keep such a duration as a number")
        return value if dialect.name == "postgresql" else value // MICROSECOND

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime.timedelta | None:
        """Return the duration; an average is rounded to a microsecond."""
        if value is None or isinstance(value, datetime.timedelta):
            return value
        return datetime.timedelta(microseconds=value if isinstance(value, int) else round(value))


class TimeOfDay(TextOnSQLite[datetime.time]):
    """A time without an offset; on SQLite `12:30:00.000000`."""

    impl = sa.Time()
    cache_ok = True

    def process_bind_param(self, value: datetime.time | None, dialect: Dialect) -> Any:
        """Convert to the form that the driver takes."""
        if value is None:
            return None
        if value.tzinfo is not None:
            raise UnsupportedValue(value, "times of day without an offset", "keep the offset in a field of its own")
        return value.isoformat("microseconds") if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime.time | None:
        """Return the time."""
        return datetime.time.fromisoformat(value) if isinstance(value, str) else value


class Identity(TextOnSQLite[uuid.UUID]):
    """A UUID; on SQLite, its usual text with dashes."""

    impl = sa.Uuid()
    cache_ok = True

    def process_bind_param(self, value: uuid.UUID | None, dialect: Dialect) -> Any:
        """Convert to the form that the driver takes."""
        return str(value) if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> uuid.UUID | None:
        """Return the UUID."""
        return uuid.UUID(value) if isinstance(value, str) else value


class Choice(TypeDecorator[enum.Enum]):
    """A member of an enumeration, stored as its value."""

    impl = sa.String()
    cache_ok = True

    def __init__(self, members: type[enum.Enum], kept: TypeEngine[Any]) -> None:
        super().__init__()
        self.members = members
        self.kept = kept

    def coerce_compared_value(self, op: Any, value: Any) -> Any:
        """Return this type for its members and for their values; for others, the type of the value."""
        if isinstance(value, self.members):
            return self
        given = type_of_value(value.value if isinstance(value, enum.Enum) else value)
        return self if given is None or isinstance(given, type(self.kept)) else given

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Use the type of the members' values."""
        return self.kept.dialect_impl(dialect)

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Convert to the member's value."""
        return value.value if isinstance(value, enum.Enum) else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Return the member; a sum of integers need not be one."""
        if value is None:
            return None
        if isinstance(value, decimal.Decimal):
            value = int(value)
        try:
            return self.members(value)
        except ValueError:
            if not issubclass(self.members, int):
                raise
            return value


class Json(TypeDecorator[Any]):
    """Whatever msgspec can write as JSON; readable by SQL's JSON functions and by `table.c.field["name"]`.

    Dicts and sets are sorted, so that equal values are written alike; `compares` says whether all equal values are.
    """

    impl = sa.JSON(none_as_null=True)
    cache_ok = True

    def __init__(self, hint: Any) -> None:
        super().__init__(none_as_null=True)
        self.hint = hint
        self.compares = _has_one_form(hint)
        self.nests = nests_sets(hint)

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Use JSONB on PostgreSQL, which can be compared and indexed."""
        kept = postgresql.JSONB(none_as_null=True) if dialect.name == "postgresql" else sa.JSON(none_as_null=True)
        return dialect.type_descriptor(kept)

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Convert to plain lists, dicts and scalars."""
        if not self.nests:
            try:
                return msgspec.to_builtins(value, str_keys=True, order="deterministic")
            except TypeError:  # for want of an order, as members of an `Enum` have none
                pass
        return msgspec.to_builtins(in_one_order(value), str_keys=True, order="deterministic")

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Return the value in the field's type."""
        return None if value is None else msgspec.convert(value, self.hint, str_keys=True)


PLAIN: dict[type, Callable[[], TypeEngine[Any]]] = {
    str: text,
    bool: sa.Boolean,
    int: Whole,
    float: Real,
    bytes: Octets,
    datetime.date: sa.Date,
    datetime.time: TimeOfDay,
    datetime.timedelta: Duration,
    datetime.datetime: Instant,
    decimal.Decimal: Exact,
    uuid.UUID: Identity,
}


def type_of_value(value: object) -> TypeEngine[Any] | None:
    """Return the column type for exactly this kind of value, or None."""
    if isinstance(value, enum.Enum) and not isinstance(value, str | int):
        return Member()
    make = PLAIN.get(type(value))
    return make() if make is not None else None


WITHOUT_ONE_FORM = (
    msgspec.inspect.AnyType,
    msgspec.inspect.CustomType,
    msgspec.inspect.DateTimeType,
    msgspec.inspect.DecimalType,
    msgspec.inspect.FloatType,
    msgspec.inspect.RawType,
    msgspec.inspect.TimeType,
)
"""Types whose equal values, such as 1.0 and 1.00, or one instant in two time zones, are written differently."""


class ColumnType(NamedTuple):
    """Return the SQL type of a field, and whether it can be NULL."""

    sql: TypeEngine[Any]
    nullable: bool


def column_type(hint: Any) -> ColumnType:
    """Return the column type for a field of this type."""
    inner, plain, nullable = column_kind(hint)
    if plain is None:
        return ColumnType(Json(inner), nullable)
    kept = PLAIN[plain]()
    if isinstance(inner, enum.EnumType):
        members: Any = inner
        return ColumnType(Choice(members, kept), nullable)
    return ColumnType(kept, nullable)


def strict_json(value: Any) -> str:
    """Encode JSON that every database takes: without NaN and the infinities."""
    return json.dumps(value, allow_nan=False)


def form_of(kind: TypeEngine[Any]) -> int:
    """Return the form of a column of this type."""
    return FORM if isinstance(kind, Exact | Duration | TimeOfDay | Json) else 1


def is_read_alike(kind: TypeEngine[Any]) -> bool:
    """Return whether this code reads the former form correctly, although it sorts or compares differently."""
    return form_of(kind) == 1 or isinstance(kind, Json)


def _has_one_form(hint: Any) -> bool:
    try:
        found = inner_types(msgspec.inspect.type_info(hint), set())
        return not any(isinstance(each, WITHOUT_ONE_FORM) for each in found)
    except TypeError:
        return False


def _whole(value: Any) -> Any:
    return None if value is None else int(value)

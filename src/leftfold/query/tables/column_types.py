"""From the types of a struct's fields to the types of a table's columns.

SQLite has no times, decimals or UUIDs: they are kept as texts that people can read and that sort by their meaning.
Other databases keep them as their own types. Text sorts by its characters' numbers, on PostgreSQL as on SQLite.
"""

import datetime
import decimal
import enum
import types
import uuid
from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple, NewType, Union, get_args, get_origin

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine, UserDefinedType

from leftfold.errors import NaiveDatetime

DECIMAL_ORDER = "leftfold_decimal"
"""The SQLite collation by which decimals that are kept as text compare as numbers."""


def text() -> TypeEngine[str]:
    """Text of any length."""
    return sa.String().with_variant(postgresql.TEXT(collation="C"), "postgresql")


PLAIN: dict[type, Callable[[], TypeEngine[Any]]] = {
    str: text,
    bool: sa.Boolean,
    int: sa.BigInteger,
    float: sa.Double,
    bytes: sa.LargeBinary,
    datetime.date: sa.Date,
}


class Instant(TypeDecorator[datetime.datetime]):
    """An aware datetime, in UTC; on SQLite `2026-01-31 12:30:00.000000+00:00`, which its date functions understand."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Text on SQLite."""
        return dialect.type_descriptor(sa.String() if dialect.name == "sqlite" else sa.DateTime(timezone=True))

    def process_bind_param(self, value: datetime.datetime | None, dialect: Dialect) -> Any:
        """The form that the driver takes."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise NaiveDatetime(value)
        utc = value.astimezone(datetime.UTC)
        return utc.isoformat(" ", "microseconds") if dialect.name == "sqlite" else utc

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime.datetime | None:
        """The datetime, in UTC."""
        if value is None:
            return None
        moment = datetime.datetime.fromisoformat(value) if isinstance(value, str) else value
        return moment.astimezone(datetime.UTC)


class Number(UserDefinedType[decimal.Decimal]):
    """PostgreSQL's NUMERIC without bounds, which its driver takes and gives as decimals."""

    cache_ok = True

    def get_col_spec(self, **options: Any) -> str:
        """How it is called."""
        return "NUMERIC"


class Exact(TypeDecorator[decimal.Decimal]):
    """A decimal with every digit it has; on SQLite text that compares as a number, while `sum` is a float's."""

    impl = sa.Numeric()
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Text on SQLite."""
        if dialect.name == "postgresql":
            return Number()
        kept = sa.String(collation=DECIMAL_ORDER)
        return dialect.type_descriptor(kept if dialect.name == "sqlite" else sa.Numeric())

    def process_bind_param(self, value: decimal.Decimal | None, dialect: Dialect) -> Any:
        """The form that the driver takes."""
        return str(value) if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> decimal.Decimal | None:
        """The decimal; what SQLite computed comes as a float and is taken by its digits."""
        return None if value is None else decimal.Decimal(str(value))


def compare_decimals(left: str, right: str) -> int:
    """The order of two decimals that are kept as text; what is not a number comes last."""
    first, second = decimal.Decimal(left), decimal.Decimal(right)
    if first.is_nan() or second.is_nan():
        return first.is_nan() - second.is_nan()
    return (first > second) - (first < second)


class Identity(TypeDecorator[uuid.UUID]):
    """A UUID; on SQLite its usual text with dashes."""

    impl = sa.Uuid()
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Text on SQLite."""
        return dialect.type_descriptor(sa.String() if dialect.name == "sqlite" else sa.Uuid())

    def process_bind_param(self, value: uuid.UUID | None, dialect: Dialect) -> Any:
        """The form that the driver takes."""
        return str(value) if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> uuid.UUID | None:
        """The UUID."""
        return uuid.UUID(value) if isinstance(value, str) else value


class Choice(TypeDecorator[enum.Enum]):
    """A member of an enumeration, kept by its value."""

    impl = sa.String()
    cache_ok = True

    def __init__(self, members: type[enum.Enum], kept: TypeEngine[Any]) -> None:
        super().__init__()
        self.members = members
        self.kept = kept

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The type of the members' values."""
        return self.kept.dialect_impl(dialect)

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """The member's value."""
        return value.value if isinstance(value, enum.Enum) else value

    def process_result_value(self, value: Any, dialect: Dialect) -> enum.Enum | None:
        """The member."""
        return None if value is None else self.members(value)


class Json(TypeDecorator[Any]):
    """Whatever msgspec can write as JSON; readable by SQL's JSON functions and by `table.c.field["name"]`."""

    impl = sa.JSON(none_as_null=True)
    cache_ok = True

    def __init__(self, hint: Any) -> None:
        super().__init__(none_as_null=True)
        self.hint = hint

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """On PostgreSQL JSONB, which can be compared and indexed."""
        kept = postgresql.JSONB(none_as_null=True) if dialect.name == "postgresql" else sa.JSON(none_as_null=True)
        return dialect.type_descriptor(kept)

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Plain lists, dicts and scalars."""
        return msgspec.to_builtins(value, str_keys=True)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """The value as the field's type has it."""
        return None if value is None else msgspec.convert(value, self.hint, str_keys=True)


class ColumnType(NamedTuple):
    """The SQL type of a field, and whether it can be NULL."""

    sql: TypeEngine[Any]
    nullable: bool


def column_type(hint: Any) -> ColumnType:
    """The column for a field of this type."""
    inner, nullable = _unwrap(hint)
    return ColumnType(_sql_type(inner) or Json(inner), nullable)


def _unwrap(hint: Any) -> tuple[Any, bool]:
    """The type within `Annotated`, `NewType` and `| None`, and whether None is allowed."""
    if get_origin(hint) is Annotated:
        return _unwrap(hint.__origin__)
    if isinstance(hint, NewType):
        return _unwrap(hint.__supertype__)
    if get_origin(hint) in (Union, types.UnionType):
        members = [member for member in get_args(hint) if member is not type(None)]
        nullable = len(members) < len(get_args(hint))
        return (_unwrap(members[0])[0], nullable) if len(members) == 1 else (hint, nullable)
    return hint, hint is Any


def _sql_type(inner: Any) -> TypeEngine[Any] | None:
    if get_origin(inner) is Literal:
        return _type_of_all(get_args(inner))
    if not isinstance(inner, type):
        return None
    if inner in PLAIN:
        return PLAIN[inner]()
    if issubclass(inner, enum.Enum):
        kept = _type_of_all([member.value for member in inner])
        return Choice(inner, kept) if kept is not None else None
    own: dict[type, type[TypeEngine[Any]]] = {
        datetime.datetime: Instant,
        decimal.Decimal: Exact,
        uuid.UUID: Identity,
    }
    return own[inner]() if inner in own else None


def _type_of_all(values: Any) -> TypeEngine[Any] | None:
    for kind in (str, int):
        if all(isinstance(value, kind) and not isinstance(value, bool) for value in values):
            return PLAIN[kind]()
    return None

"""Compiling statements for a models database: the same result on each kind, or an error that names the difference."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.psycopg import PGCompiler_psycopg
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.sql import operators
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import CollectionAggregate
from sqlalchemy.types import NullType, TypeEngine

from leftfold.errors import UnsupportedExpression
from leftfold.query.tables.column_types import (
    Choice,
    Duration,
    Exact,
    Identity,
    Instant,
    Json,
    Member,
    Real,
    TimeOfDay,
    Whole,
)

ARITHMETIC: Mapping[Any, str] = {
    operators.add: "leftfold_add",
    operators.sub: "leftfold_subtract",
    operators.mul: "leftfold_multiply",
    operators.truediv: "leftfold_divide",
    operators.mod: "leftfold_remainder",
}
COMPARISONS = {
    operators.eq,
    operators.ne,
    operators.lt,
    operators.le,
    operators.gt,
    operators.ge,
    operators.is_distinct_from,
    operators.is_not_distinct_from,
}
ORDERS = {operators.lt, operators.le, operators.gt, operators.ge, operators.between_op, operators.not_between_op}
OVER_LISTS = {operators.in_op, operators.not_in_op, operators.between_op, operators.not_between_op}
NULL_TESTS = {operators.is_, operators.is_not}
SUMS = {"sum", "avg", "total"}
EXTREMES = {"min", "max"}
AGGREGATES = {"sum", "avg", "min", "max", "total"}
OF_DECIMALS = {"sum": "leftfold_sum", "avg": "leftfold_avg", "abs": "leftfold_abs", "round": "leftfold_round"}
OF_VALUES = {"coalesce", "ifnull", "nullif", "min", "max"}
OF_ROWS = {"count", "first_value", "last_value", "nth_value", "lag", "lead"}
NOT_NUMBERS = (
    sa.Boolean,
    sa.Date,
    sa.DateTime,
    sa.LargeBinary,
    sa.String,
    sa.Time,
    sa.Uuid,
    Identity,
    Instant,
    TimeOfDay,
)
TRUTH = "a truth value"
KINDS: Mapping[str, tuple[type[TypeEngine[Any]], ...]] = {
    TRUTH: (sa.Boolean,),
    "a number": (sa.Integer, sa.Numeric, Whole, Real, Exact),
    "a text": (sa.String,),
    "bytes": (sa.LargeBinary,),
    "a date": (sa.Date,),
    "a datetime": (sa.DateTime, Instant),
    "a time of day": (sa.Time, TimeOfDay),
    "a duration": (sa.Interval, Duration),
    "a UUID": (sa.Uuid, Identity),
    "a member of an enumeration": (Member,),
}
"""Kinds that can be compared only with themselves. Types that are not here are not checked."""
FIRST_WITH_EXTREMES = 18
"""The first version of PostgreSQL with min and max of UUIDs and bytes."""
TIMES = (sa.Date, sa.DateTime, sa.Time, Instant, TimeOfDay)
COUNTED = "count the True ones: func.count().filter(column)"
AS_OTHER = "cast it to a float or a text, or compute in Python"
IN_PYTHON = "do it in Python, or in evolve, and keep the result in a column of its own"
TYPED = "give it the type of the column: func.avg(column, type_=column.type)"


class _Statements(SQLCompiler):
    """The rules for every database: sums of numbers only, no order of JSON, comparisons of values of one kind."""

    def visit_function(self, func: Any, add_to_result_map: Any = None, **options: Any) -> str:
        """Refuse an aggregate that databases compute differently."""
        _check_aggregate(func)
        _check_numbers(func)
        compiler: Any = super()
        text: str = compiler.visit_function(func, add_to_result_map, **options)
        return text

    def visit_binary(self, binary: Any, override_operator: Any = None, *more: Any, **options: Any) -> str:
        """Refuse to compare different kinds, and JSON whose equal values may differ or that has no order."""
        operator = override_operator or binary.operator
        if operator in COMPARISONS or operator in OVER_LISTS:
            _check_kinds(binary, operator)
        for side in (binary.left, binary.right):
            if isinstance(side.type, Json) and not _is_null(binary.right):
                _check_comparison(side, operator)
        compiler: Any = super()
        text: str = compiler.visit_binary(binary, override_operator, *more, **options)
        return text

    def order_by_clause(self, select: Any, **options: Any) -> str:
        """Refuse to sort by JSON."""
        for clause in getattr(select, "_order_by_clauses", ()):
            element = clause
            while isinstance(element, sa.UnaryExpression):  # descending, and where NULL goes
                element = element.element
            if isinstance(getattr(element, "type", None), Json):
                raise UnsupportedExpression("ORDER BY", _words(element), IN_PYTHON)
        compiler: Any = super()
        text: str = compiler.order_by_clause(select, **options)
        return text


class PostgresStatements(_Statements, PGCompiler_psycopg):
    """Statements for PostgreSQL, which has a type for everything else."""

    def visit_function(self, func: Any, add_to_result_map: Any = None, **options: Any) -> str:
        """Refuse what the server's version of PostgreSQL does not have."""
        version = getattr(self.dialect, "server_version_info", None) or (FIRST_WITH_EXTREMES,)
        if func.name in EXTREMES and version[0] < FIRST_WITH_EXTREMES:
            for argument in _arguments(func):
                if isinstance(argument.type, sa.Uuid | Identity | sa.LargeBinary):
                    raise UnsupportedExpression(f"{func.name}() on PostgreSQL before 18", _words(argument), IN_PYTHON)
        return super().visit_function(func, add_to_result_map, **options)


class SQLiteStatements(_Statements, SQLiteCompiler):
    """Statements for SQLite, which computes with decimals by our functions, and takes texts for numbers."""

    def visit_function(self, func: Any, add_to_result_map: Any = None, **options: Any) -> str:
        """Compute exactly with decimals."""
        _check_aggregate(func)
        arguments = _arguments(func)
        if any(isinstance(argument.type, Exact) for argument in arguments):
            func = _with_decimals(func, arguments)
        return super().visit_function(func, add_to_result_map, **options)

    def visit_binary(self, binary: Any, override_operator: Any = None, *more: Any, **options: Any) -> str:
        """Compute with decimals and compare them exactly; refuse to compute with times, which are texts."""
        operator = override_operator or binary.operator
        sides = (binary.left, binary.right)
        if any(isinstance(side.type, Exact) for side in sides):
            if operator in ARITHMETIC:
                if not isinstance(binary.type, Exact):
                    raise UnsupportedExpression("arithmetic on SQLite", "a decimal and a float", "cast one of them")
                function: Any = _function(ARITHMETIC[operator], sides, binary.type)
                return self.process(function, **options)
            binary = _comparing_decimals(binary, operator)
        if operator in ARITHMETIC:
            for side in sides:
                if isinstance(side.type, TIMES):
                    raise UnsupportedExpression("arithmetic on SQLite", _words(side), IN_PYTHON)
        return super().visit_binary(binary, override_operator, *more, **options)

    def visit_unary(self, unary: Any, *more: Any, **options: Any) -> str:
        """Negate a decimal."""
        if unary.operator is operators.neg and isinstance(unary.element.type, Exact):
            negative: Any = _function("leftfold_negative", [unary.element], unary.type)
            return self.process(negative, **options)
        compiler: Any = super()
        text: str = compiler.visit_unary(unary, *more, **options)
        return text

    def visit_case(self, clause: Any, **options: Any) -> str:
        """Compile the cases of a decimal as decimals."""
        if isinstance(clause.type, Exact):
            whens = [(condition, _as_decimal(result)) for condition, result in clause.whens]
            otherwise = None if clause.else_ is None else _as_decimal(clause.else_)
            case: type[Any] = sa.Case
            clause = case(*whens, value=clause.value, else_=otherwise)
        compiler: Any = super()
        text: str = compiler.visit_case(clause, **options)
        return text

    def visit_cast(self, cast: Any, **options: Any) -> str:
        """Cast a decimal to the text that people write, and anything else to a decimal."""
        wanted, given = isinstance(cast.type, Exact), isinstance(cast.clause.type, Exact)
        if wanted:
            return self.process(_as_decimal(cast.clause), **options)
        if given:
            cast = sa.Cast(_function("leftfold_plain", [cast.clause], sa.String()), cast.type)
        compiler: Any = super()
        text: str = compiler.visit_cast(cast, **options)
        return text


def _check_aggregate(func: Any) -> None:
    """Refuse an aggregate that no database computes correctly, or whose result has different forms."""
    for argument in _arguments(func):
        if func.name in AGGREGATES and isinstance(argument.type, Json):
            raise UnsupportedExpression(f"{func.name}()", _words(argument), IN_PYTHON)
        if func.name == "avg" and isinstance(argument.type, Exact | Duration) and isinstance(func.type, NullType):
            raise UnsupportedExpression("avg()", f"{_words(argument)} without a type", TYPED)


def _check_numbers(func: Any) -> None:
    """Refuse sums of anything but numbers, and the greatest or least of truth values."""
    for argument in _arguments(func):
        if func.name in SUMS and (isinstance(argument.type, NOT_NUMBERS) or _is_choice_of_texts(argument.type)):
            remedy = COUNTED if _kind_of(argument) == TRUTH else IN_PYTHON
            raise UnsupportedExpression(f"{func.name}()", _words(argument), remedy)
        if func.name in EXTREMES and _kind_of(argument) == TRUTH:
            raise UnsupportedExpression(f"{func.name}()", _words(argument), COUNTED)


def _check_kinds(binary: Any, operator: Any) -> None:
    """Refuse to compare values of different kinds: a database may find nothing, or convert one of them."""
    members: Any = getattr(binary.right, "clauses", [binary.right])
    left = _kind_of(binary.left)
    for member in members:
        right = _kind_of(member)
        if left and right and left != right:
            remedy = f"compare with {left}, or cast one of the two with sa.cast"
            raise UnsupportedExpression("comparison", f"{_words(binary.left)} with {right}", remedy)


def _kind_of(element: Any) -> str | None:
    """Return the kind of an expression; a collection, as in `= ANY (…)`, has none."""
    return None if isinstance(element, CollectionAggregate) else _kind_of_type(getattr(element, "type", None))


def _kind_of_type(kind: Any) -> str | None:
    if isinstance(kind, Choice):
        return _kind_of_type(kind.kept)
    return next((name for name, types in KINDS.items() if isinstance(kind, types)), None)


def _with_decimals(func: Any, arguments: list[Any]) -> Any:
    """Return the function that does with decimals what SQLite's function does with numbers."""
    if func.name in OF_DECIMALS:
        if isinstance(func.type, NullType):
            raise UnsupportedExpression(f"{func.name}() on SQLite", "a decimal without a type", TYPED)
        return _function(OF_DECIMALS[func.name], arguments, func.type)
    if func.name in OF_VALUES:
        return _function(func.name, [_as_decimal(argument) for argument in arguments], func.type)
    if func.name in OF_ROWS or func.name.startswith("leftfold_"):
        return func
    raise UnsupportedExpression(f"{func.name}() on SQLite", "a decimal", AS_OTHER)


def _comparing_decimals(binary: Any, operator: Any) -> Any:
    """Return the comparison with both sides as decimals."""
    if operator in NULL_TESTS:
        return binary
    if operator in OVER_LISTS:
        return _checked_list(binary, operator)
    if operator not in COMPARISONS:
        raise UnsupportedExpression(f"{operator.__name__} on SQLite", "a decimal", AS_OTHER)
    left, right = _as_decimal(binary.left), _as_decimal(binary.right)
    if left is binary.left and right is binary.right:
        return binary
    return sa.BinaryExpression(left, right, operator, type_=binary.type, modifiers=binary.modifiers)


def _checked_list(binary: Any, operator: Any) -> Any:
    """Return the comparison with a list, all of whose members are decimals."""
    members: Any = getattr(binary.right, "clauses", [binary.right])
    for member in (binary.left, *members):
        if not isinstance(member.type, Exact | NullType):
            raise UnsupportedExpression(
                f"{operator.__name__} on SQLite", "decimals and values of other types", "cast all of them to decimals"
            )
    return binary


def _as_decimal(element: Any) -> Any:
    """Return an expression in the form in which decimals are stored."""
    if isinstance(element.type, Exact) or _is_null(element):
        return element
    return _function("leftfold_decimal", [element], Exact())


def _function(name: str, arguments: Any, kind: TypeEngine[Any]) -> Any:
    return sa.Function(name, *arguments, type_=kind)


def _check_comparison(side: Any, operator: Any) -> None:
    if operator in ORDERS:
        raise UnsupportedExpression("the order", _words(side), IN_PYTHON)
    if not side.type.compares and (operator in COMPARISONS or operator in OVER_LISTS):
        raise UnsupportedExpression("comparison", f"{_words(side)}, in which equal values differ as JSON", IN_PYTHON)


def _arguments(func: Any) -> list[Any]:
    return [argument for argument in func.clauses if hasattr(argument, "type")]


def _is_null(element: Any) -> bool:
    return isinstance(element, sa.Null) or (element.__visit_name__ == "bindparam" and element.value is None)


def _is_choice_of_texts(kind: TypeEngine[Any]) -> bool:
    return isinstance(kind, Choice) and isinstance(kind.kept, sa.String)


def _words(element: Any) -> str:
    """Name the column, or other expression, with its type."""
    while isinstance(element, sa.UnaryExpression):  # DISTINCT, which is not compiled by itself
        element = element.element
    name = getattr(element, "name", None) or getattr(element, "key", None) or str(element)
    kind = element.type
    return f"{name} ({kind.hint if isinstance(kind, Json) else type(kind).__name__.lower()})"

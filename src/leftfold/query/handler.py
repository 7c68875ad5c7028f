"""Query handlers: functions that answer one type of query from the read models."""

import inspect
import types
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import Annotated, Any, Literal, NamedTuple, NewType, Union, get_args, get_origin

from leftfold.errors import InvalidHandler, InvalidResult
from leftfold.model.comparing import is_any
from leftfold.model.message import Query
from leftfold.model.signature import Signature
from leftfold.query.read_models import ReadModels

CHECKED_ELEMENTS = 20
"""How many elements of an answer are checked, from the first on."""
COLLECTIONS = (list, tuple, set, frozenset, dict)


class WrongElement(NamedTuple):
    """An element that is not of the type that the query declares: its place, and the types expected there."""

    place: str
    expected: tuple[type, ...]
    found: object


class Elements(NamedTuple):
    """The types in the collections of one member of the answer's type; none where they are unknown."""

    collection: type
    items: tuple[tuple[type, ...], ...]
    values: tuple[type, ...]

    def wrong(self, answer: Collection[Any]) -> WrongElement | None:
        """Return the first checked element of another type."""
        if is_any(answer, Mapping):
            found: Any = answer
            for key, value in islice(found.items(), CHECKED_ELEMENTS):
                if not _is_one(key, self.items[0]):
                    return WrongElement("a key of it", self.items[0], key)
                if not _is_one(value, self.values):
                    return WrongElement(f"[{key!r}]", self.values, value)
            return None
        elements: Iterable[object] = answer
        for number, element in enumerate(islice(elements, CHECKED_ELEMENTS)):
            expected = self.items[min(number, len(self.items) - 1)]
            if not _is_one(element, expected):
                return WrongElement(f"[{number}]" if isinstance(answer, list | tuple) else "", expected, element)
        return None


def _is_one(element: object, expected: tuple[type, ...]) -> bool:
    return not expected or isinstance(element, expected)


def elements_of(hint: Any) -> tuple[Elements, ...]:
    """Return what is known of an answer's elements: for `list[Balance] | None`, that a list holds balances."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return elements_of(arguments[0])
    if origin in (Union, types.UnionType):
        return tuple(each for member in arguments for each in elements_of(member))
    return _elements(origin, arguments) if isinstance(origin, type) and arguments else ()


def _elements(origin: type, arguments: tuple[Any, ...]) -> tuple[Elements, ...]:
    if issubclass(origin, Mapping) and len(arguments) == 2:
        return (Elements(origin, (_element_types(arguments[0]),), _element_types(arguments[1])),)
    if origin is tuple and arguments[-1] is not Ellipsis:
        return (Elements(origin, tuple(map(_element_types, arguments)), ()),) if len(arguments) > 1 else ()
    if issubclass(origin, Collection) or origin is Iterable:
        return (Elements(origin, (_element_types(arguments[0]),), ()),)
    return ()


def wrong_element(known: Sequence[Elements], answer: Any) -> WrongElement | None:
    """Return the first element that fits no member of the answer's type; only built-in collections are checked."""
    if not is_any(answer, *COLLECTIONS):
        return None
    found: WrongElement | None = None
    for each in known:
        if is_any(answer, each.collection):
            found = each.wrong(answer)
            if found is None:
                return None
    return found


def _element_types(hint: Any) -> tuple[type, ...]:
    """Return the outer types of an element; a row of the database counts as a tuple, as for a type checker."""
    found = outer_types(hint)
    return (*found, Sequence) if tuple in found else found


def answer_hint(query: type) -> Any:
    """Return the `R` of the query's `Query[R]`; Any where the class does not say."""
    for owner in query.__mro__:
        for base in vars(owner).get("__orig_bases__", ()):
            if get_origin(base) is Query:
                return get_args(base)[0]
    return Any


def outer_types(hint: Any) -> tuple[type, ...]:
    """Return the types for `isinstance` to check an answer against; none where it cannot be checked.

    `list[Balance] | None` gives `list` and `NoneType`. An `int` is a `float` too, as for type checkers.
    """
    found = _outer(hint)
    return () if found is None else tuple(dict.fromkeys(found))


def _outer(hint: Any) -> tuple[type, ...] | None:
    origin = get_origin(hint)
    if origin is Annotated:
        return _outer(get_args(hint)[0])
    if origin in (Union, types.UnionType):
        parts = [_outer(member) for member in get_args(hint)]
        return None if None in parts else tuple(each for part in parts for each in part or ())
    if origin is Literal:
        values: tuple[object, ...] = get_args(hint)
        return tuple(type(value) for value in values)
    if isinstance(hint, NewType):
        return _outer(hint.__supertype__)
    if hint is None:
        return (type(None),)
    return _of_class(hint if origin is None else origin)


def _of_class(owner: Any) -> tuple[type, ...] | None:
    if not isinstance(owner, type):
        return None
    if hasattr(owner, "__total__") and issubclass(owner, dict):
        return (dict,)  # a TypedDict
    try:
        isinstance(None, owner)
    except TypeError:  # a protocol that cannot be checked
        return None
    return {float: (float, int), complex: (complex, float, int)}.get(owner, (owner,))


WRITTEN = "write def answer(query: SomeQuery, models: ReadModels) -> Answer"
CACHED_ANSWERS = 1_000  # with `cache=True`


class QueryHandler:
    """A handler function, analysed when it is defined: `def richest(query: Richest, models: ReadModels) -> ...`.

    It may run more than once for one answer, and in any thread, so it should only read. `cache` is how many of its
    answers are cached.
    """

    def __init__(self, function: Callable[..., Any], *, cache: bool | int = False) -> None:
        self.cache = CACHED_ANSWERS if cache is True else int(cache)
        self.function = function
        signature = Signature(function)
        self.name, hints = signature.name, signature.hints
        self._check_plain(signature)
        signature.check_by_keyword(WRITTEN)
        names = list(signature.parameters)
        self._query_name = self._parameter(names, hints, Query, "query: SomeQuery")
        self._models_name = self._parameter(names, hints, ReadModels, "models: ReadModels")
        self._check_nothing_else(names)
        if self.cache < 0:
            raise InvalidHandler(
                f"{self.name} has cache={cache}", "a number of answers from 0", "leave cache= out to cache no answers"
            )
        self.query_type: type = hints[self._query_name]
        self._answers = outer_types(answer_hint(self.query_type))
        self._elements = elements_of(answer_hint(self.query_type))

    def __repr__(self) -> str:
        return f"<QueryHandler {self.name} of {self.query_type.__qualname__}>"

    def answer(self, query: object, models: ReadModels) -> Any:
        """Call the handler; raise `InvalidResult` if its answer is not of the query's type.

        This checks the outer type and, in a built-in collection, the outer types of the first 20 elements.
        """
        answer = self.function(**{self._query_name: query, self._models_name: models})
        if self._answers and not isinstance(answer, self._answers):
            if inspect.iscoroutine(answer):
                answer.close()
            raise self._wrong(answer, self._answers)
        wrong = wrong_element(self._elements, answer) if self._elements else None
        if wrong is not None:
            raise self._wrong(wrong.found, wrong.expected, wrong.place)
        return answer

    def _wrong(self, found: object, types: Sequence[type], place: str = "") -> InvalidResult:
        query = self.query_type.__qualname__
        remedy = f"return what {query} declares, or correct the type in `class {query}(Query[...])`"
        return InvalidResult(self.name, found, " or ".join(each.__name__ for each in types), remedy, place)

    def _check_plain(self, signature: Signature) -> None:
        if signature.yields and not signature.is_async_generator:
            raise InvalidHandler(
                f"{self.name} has a yield",
                "a plain def that returns the whole answer: the read models are closed once it has returned",
                "return a list",
            )
        if signature.is_async or signature.is_async_generator:
            raise InvalidHandler(
                f"{self.name} is async",
                "a plain def: it runs in a thread, with a connection of its own",
                "drop async and await; what a query needs from elsewhere belongs in a read model",
            )

    def _parameter(self, names: Sequence[str], hints: dict[str, Any], kind: type, written: str) -> str:
        found = [name for name in names if isinstance(hints.get(name), type) and issubclass(hints[name], kind)]
        if len(found) == 1:
            return found[0]
        raise InvalidHandler(
            f"{self.name} takes {len(found)} parameters that are annotated with {kind.__name__}",
            f"exactly one, {written}",
            WRITTEN,
        )

    def _check_nothing_else(self, names: Sequence[str]) -> None:
        others = [name for name in names if name not in (self._query_name, self._models_name)]
        if others:
            raise InvalidHandler(
                f"{self.name} takes {', '.join(map(repr, others))} besides the query and the read models",
                "a query and ReadModels, nothing else",
                "put what the answer depends on into the query's fields",
            )

"""Signatures: the parameters of a handler: a function, method, partial or callable object."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from leftfold.errors import DefinitionError, InvalidHandler
from leftfold.model.tag import hints_of

P = ParamSpec("P")
R = TypeVar("R")
BY_KEYWORD = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
Refusal = Callable[[str, str, str], DefinitionError]


class Signature:
    """A callable, understood: its name, its parameters and their annotations, and how it runs.

    Arguments that a partial fixes are not in `parameters`. Raises `InvalidHandler` for a class, and if the signature
    cannot be read.
    """

    __slots__ = ("function", "hints", "name", "parameters", "wrapped")

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.wrapped = _wrapped(function)
        fixed = _fixed(function)
        self.name = _name_of(function, self.wrapped)
        if inspect.isclass(function) or not callable(function):
            raise self._unreadable(f"{self.name} is {'a class' if inspect.isclass(function) else 'not callable'}")
        try:
            parameters = inspect.signature(function).parameters
            self.hints = hints_of(self.wrapped)
        except (TypeError, ValueError, AttributeError) as error:
            raise self._unreadable(f"the signature of {self.name} cannot be read: {error}") from error
        self.parameters = {name: each for name, each in parameters.items() if name not in fixed}

    def __repr__(self) -> str:
        return f"<Signature of {self.name}>"

    @property
    def is_async(self) -> bool:
        """Whether the callable is an `async def`."""
        return inspect.iscoroutinefunction(self.wrapped)

    @property
    def yields(self) -> bool:
        """Whether the callable is a generator, async or not."""
        return inspect.isgeneratorfunction(self.wrapped) or self.is_async_generator

    @property
    def is_async_generator(self) -> bool:
        """Whether the callable is an `async def` with a yield."""
        return inspect.isasyncgenfunction(self.wrapped)

    def check_by_keyword(self, written: str) -> None:
        """Refuse `*args`, `**options` and positional-only parameters: each parameter is passed by name."""
        for parameter in self.parameters.values():
            if parameter.kind not in BY_KEYWORD:
                raise InvalidHandler(
                    f"{self.name} takes {parameter}", "parameters that can be passed as keywords", written
                )

    def check_in_order(self, written: str) -> None:
        """Refuse `*args`, `**options` and keyword-only parameters: they are passed in order."""
        for parameter in self.parameters.values():
            if parameter.kind not in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
                raise InvalidHandler(f"{self.name} takes {parameter}", "parameters that are passed in order", written)

    def _unreadable(self, found: str) -> InvalidHandler:
        expected = "a function, a method, a functools.partial, or an object with a __call__ that is annotated"
        return InvalidHandler(found, expected, "write it with def, and annotate its parameters")


def check_plain(function: object, name: str, refusal: Refusal, *, yields: bool = False) -> None:
    """Refuse an `async def`, and unless `yields` a generator: nothing would await or iterate it."""
    wrapped = _wrapped(function)
    if inspect.iscoroutinefunction(wrapped) or inspect.isasyncgenfunction(wrapped):
        expected = "a plain def: it is pure and called without an event loop"
        raise refusal(f"{name} is async", expected, "remove async and await; pass in what it needs from elsewhere")
    if inspect.isgeneratorfunction(wrapped) and not yields:
        raise refusal(f"{name} has a yield", "a plain def that returns", "return the result instead of yielding it")


def is_redefined(former: Any, new: Any) -> bool:
    """Tell whether a class or function redefines an earlier one, as when a notebook cell runs again.

    It has the same name in the same module. Two functions of one name in one file are not meant: they differ in their
    lines. Nor are what a function defines.
    """
    former, new = _wrapped(former), _wrapped(new)
    names = [(getattr(each, "__module__", None), getattr(each, "__qualname__", None)) for each in (former, new)]
    if names[0] != names[1] or "<locals>" in str(names[0][1]):
        return False
    first, second = (getattr(each, "__code__", None) for each in (former, new))
    if first is None or second is None:
        return True
    return bool(first.co_filename != second.co_filename or first.co_firstlineno == second.co_firstlineno)


def _fixed(function: Any) -> set[str]:
    """Return the names of the parameters that a partial fixes."""
    return set(function.keywords) if isinstance(function, functools.partial) else set()


def _wrapped(function: Any) -> Any:
    """Return the function whose annotations apply."""
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isroutine(function) or isinstance(function, type):
        return function
    calls = (vars(owner)["__call__"] for owner in type(function).__mro__ if "__call__" in vars(owner))
    return next(calls, function)


def _name_of(function: Any, wrapped: Any) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    own = getattr(function, "__qualname__", None)
    return str(own or getattr(wrapped, "__qualname__", None) or repr(function))


def needs_arguments(written: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Raise `InvalidHandler`, saying what to write, if a decorator that needs arguments is used without them."""

    def of(decorator: Callable[P, R]) -> Callable[P, R]:
        parameters = inspect.signature(decorator)

        @functools.wraps(decorator)
        def checked(*given: P.args, **named: P.kwargs) -> R:
            first = given[1] if len(given) > 1 else None
            if inspect.isclass(first) or inspect.isroutine(first):
                bare = f"@app.{decorator.__name__} stands above {_name_of(first, first)} without arguments"
                raise InvalidHandler(bare, "a decorator with arguments", f"write {written}")
            try:
                parameters.bind(*given, **named)
            except TypeError as error:
                problem = f"@app.{decorator.__name__}(...): {error}"
                raise InvalidHandler(problem, "the arguments of the decorator", f"write {written}") from error
            return decorator(*given, **named)

        return checked

    return of

"""Query handlers: a function that answers one type of query from the read models."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from leftfold.errors import InvalidHandler, WrongAnswer
from leftfold.events import Query
from leftfold.query.answer_type import answer_hint, elements_of, outer_types, wrong_element
from leftfold.query.read_models import ReadModels
from leftfold.signature import Signature

WRITTEN = "write def answer(query: SomeQuery, models: ReadModels) -> Answer"
ANSWERS = 1_000  # that are kept with `cache=True`


class QueryHandler:
    """A handler function, understood when it is defined: `def richest(query: Richest, models: ReadModels) -> ...`.

    It may run more than once for one answer, and in any thread: it should do nothing but read. `cache` is how many of
    its answers are kept.
    """

    def __init__(self, function: Callable[..., Any], *, cache: bool | int = False) -> None:
        self.cache = ANSWERS if cache is True else int(cache)
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
                f"{self.name} is to keep {cache} answers", "0 or more", "leave cache= out to keep none"
            )
        self.query_type: type = hints[self._query_name]
        self._answers = outer_types(answer_hint(self.query_type))
        self._elements = elements_of(answer_hint(self.query_type))

    def __repr__(self) -> str:
        return f"<QueryHandler {self.name} of {self.query_type.__qualname__}>"

    def answer(self, query: object, models: ReadModels) -> Any:
        """Call the handler; `WrongAnswer` when its answer is not of the query's type.

        Checked are the outer type and, in a built-in collection, the outer types of the first 20 elements.
        """
        answer = self.function(**{self._query_name: query, self._models_name: models})
        if self._answers and not isinstance(answer, self._answers):
            if inspect.iscoroutine(answer):
                answer.close()
            raise WrongAnswer(self.name, self.query_type.__qualname__, self._answers, answer)
        wrong = wrong_element(self._elements, answer) if self._elements else None
        if wrong is not None:
            raise WrongAnswer(self.name, self.query_type.__qualname__, wrong.expected, wrong.found, wrong.place)
        return answer

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
                "a plain def: it is run in a thread, with a connection of its own",
                "drop async and await; what a query needs from elsewhere belongs into a read model",
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
                f"{self.name} takes {', '.join(map(repr, others))} beside the query and the read models",
                "a query and ReadModels, nothing else",
                "put what the answer depends on into the query's fields",
            )

"""Query handlers as they are defined, and what is refused."""

from collections.abc import Callable
from typing import Any

import pytest

from leftfold.errors import InvalidHandler
from leftfold.model.message import Query
from leftfold.query import QueryHandler, ReadModels


class Richest(Query[list[str]]):
    limit: int = 10


def richest(query: Richest, models: ReadModels) -> list[str]:
    return []


def other_order(models: ReadModels, question: Richest) -> list[str]:
    return ["x"] * question.limit


async def asynchronous(query: Richest, models: ReadModels) -> list[str]:
    return []


def without_models(query: Richest) -> list[str]:
    return []


def without_query(models: ReadModels) -> list[str]:
    return []


def without_annotations(query, models):  # type: ignore[no-untyped-def]
    return []


def with_more(query: Richest, models: ReadModels, limit: int) -> list[str]:
    return []


def test_the_signature_says_which_query_is_answered() -> None:
    handler = QueryHandler(richest)

    assert (handler.name, handler.query_type) == ("richest", Richest)
    assert repr(handler) == "<QueryHandler richest of Richest>"


def test_parameters_are_told_by_their_annotations() -> None:
    assert QueryHandler(other_order).answer(Richest(2), ReadModels({}, None)) == ["x", "x"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("function", "found"),
    [
        (asynchronous, "asynchronous is async"),
        (without_models, "without_models takes 0 parameters that are annotated with ReadModels"),
        (without_query, "without_query takes 0 parameters that are annotated with Query"),
        (without_annotations, "without_annotations takes 0 parameters that are annotated with Query"),
        (with_more, "with_more takes 'limit' besides the query and the read models"),
    ],
)
def test_other_signatures_are_refused(function: Callable[..., Any], found: str) -> None:
    with pytest.raises(InvalidHandler) as caught:
        QueryHandler(function)

    assert caught.value.found == found

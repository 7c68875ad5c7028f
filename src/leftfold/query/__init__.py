"""The query side (names only until its modules land; whoever writes them replaces this file)."""

from typing import Any

from leftfold.events import Message


class ReadModel(Message):
    """Stands in for the class of query/read_model.py."""


class ReadModelDefinition:
    """Stands in."""

    def __init__(self, owner: type, *, history: bool) -> None:
        raise RuntimeError("the query side has not landed yet")
    fold: Any


class QueryHandler:
    """Stands in."""

    query_type: Any
    name: str
    def __init__(self, function: Any) -> None:
        raise RuntimeError("the query side has not landed yet")


class ReadModels:
    """Stands in."""


def models_url(url: str) -> str:
    """Stands in."""
    return url

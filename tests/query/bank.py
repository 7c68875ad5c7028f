"""The bank that the tests of the query side share: events, two read models, and how to run them."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any, Self

from leftfold import NonKey, Tag, replace
from leftfold.model.fold import fold_of
from leftfold.model.message import Event, Query
from leftfold.model.registry import Registry
from leftfold.query import QueryHandler, ReadModel, ReadModelDefinition, ReadModels, ReadSide
from leftfold.query.event_keys import key_reader
from leftfold.store import EventStore

IN_MEMORY = "sqlite://"
own_urls: list[Callable[[], str]] = []
"""Who knows where the models of the test that runs are kept, the last one; without any they are kept in memory."""

AccountId = Annotated[str, Tag("account")]
OwnerId = Annotated[str, Tag("owner")]


class Opened(Event, wire="opened"):
    account: AccountId
    owner: str = "ann"


class Deposited(Event, wire="deposited"):
    account: AccountId
    amount: int


class Transferred(Event, wire="transferred"):
    source: AccountId
    target: AccountId
    amount: int


class Closed(Event, wire="closed"):
    account: AccountId


class Audited(Event, wire="audited"):
    """No model folds it."""

    account: AccountId


EVENTS = (Opened, Deposited, Transferred, Closed, Audited)


class Balance(ReadModel):
    """One row an account."""

    account: AccountId
    owner: Annotated[OwnerId, NonKey] = ""
    amount: int = 0
    changes: int = 0

    def evolve(self, event: Opened | Deposited | Transferred | Closed) -> Self | None:
        match event:
            case Opened(owner=owner):
                return replace(self, owner=owner, changes=self.changes + 1)
            case Deposited(amount=0):
                return self
            case Deposited(amount=n):
                return replace(self, amount=self.amount + n, changes=self.changes + 1)
            case Transferred(source=source, amount=n):
                n = -n if source == self.account else n
                return replace(self, amount=self.amount + n, changes=self.changes + 1)
            case Closed():
                return None


class Turnover(ReadModel):
    """One row in all."""

    deposits: int = 0
    total: int = 0

    def evolve(self, event: Deposited) -> Self:
        return replace(self, deposits=self.deposits + 1, total=self.total + event.amount)


class Rows(Query[Any]):
    """Whatever `ask` asks."""

    ask: Callable[[ReadModels], Any]


def answer_rows(query: Rows, models: ReadModels) -> Any:
    return query.ask(models)


HANDLER = QueryHandler(answer_rows)


def registry_of(*events: type) -> Registry:
    registry = Registry()
    for event in events or EVENTS:
        registry.add(event)
    return registry


async def append(store: EventStore, *events: Event) -> int:
    """Append events; the position of the last."""
    registry = registry_of(*{type(event) for event in events})
    return (await store.append([registry.encode(event, b"{}") for event in events])).last


async def ask(read_side: ReadSide, question: Callable[[ReadModels], Any], **options: Any) -> Any:
    """Answer a question to the read models."""
    return await answered(read_side, HANDLER, Rows(question), **options)


async def answered(read_side: ReadSide, handler: QueryHandler, query: object, **options: Any) -> Any:
    """Return what the handler answers."""
    return (await read_side.answering.answer(handler, query, **options)).value


@asynccontextmanager
async def reading(
    store: EventStore,
    *models: type[ReadModel],
    url: str | None = None,
    history: bool = False,
    version: int = 1,
    shards: int = 1,
    **options: Any,
) -> AsyncIterator[ReadSide]:
    """A read side of these models, started."""
    definitions = [
        ReadModelDefinition(model, history=history, version=version, shards=shards if fold_of(model).key else 1)
        for model in models
    ]
    place = url or (own_urls[-1]() if own_urls else IN_MEMORY)
    read_side = ReadSide(store, options.pop("registry", registry_of()), definitions, place, **options)
    await read_side.start()
    try:
        yield read_side
    finally:
        await read_side.close()


def folded(model: type[ReadModel], events: Sequence[Event], upto: int | None = None) -> dict[tuple[Any, ...], Any]:
    """What a model's rows must be after these events: the plainest fold."""
    fold = fold_of(model)
    readers = {event.owner: key_reader(fold, event) for event in fold.events}
    rows: dict[tuple[Any, ...], Any] = {}
    for event in events[:upto]:
        for key in readers[type(event)](event) if type(event) in readers else ():
            rows[key] = fold.evolve(rows.get(key) or fold.start(key), event)
    return {key: row for key, row in rows.items() if row is not None}


def sorted_rows(rows: Iterable[Any]) -> list[Any]:
    return sorted(rows, key=repr)

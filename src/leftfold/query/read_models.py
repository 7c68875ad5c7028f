"""The read models, as a query handler reads them."""

from collections.abc import Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar, overload

from leftfold.errors import UnknownName, UsageError
from leftfold.model.tag import hints_of
from leftfold.query.aggregates import (
    Aggregate,
    Groups,
    K,
    N,
    V,
    check_summed,
    field_name,
    field_names,
    total_of,
)
from leftfold.query.paging import Page
from leftfold.query.read_model import ReadModel, ReadModelDefinition
from leftfold.query.reference import Join, Reference, places_of
from leftfold.query.searching import Found, snippet_of, words_of

if TYPE_CHECKING:
    import sqlalchemy as sa

    from leftfold.query.tables.read_snapshot import ReadSnapshot
    from leftfold.query.tables.selection import Where

M = TypeVar("M", bound=ReadModel)
M1 = TypeVar("M1", bound=ReadModel)
M2 = TypeVar("M2", bound=ReadModel)
M3 = TypeVar("M3", bound=ReadModel)
M4 = TypeVar("M4", bound=ReadModel)


class ReadModels:
    """The read models at one position, the same for everything that one query reads: the present, or its `as_of`.

    Conditions are equalities, given as keywords or as a mapping (`None` finds NULL), or SQLAlchemy expressions over
    the columns of `table(Model)`.
    """

    def __init__(self, definitions: Mapping[Any, ReadModelDefinition], snapshot: "ReadSnapshot") -> None:
        self._definitions = definitions
        self._snapshot = snapshot

    def get(self, model: type[M], *key: object) -> M | None:
        """Return the row with this key, its parts in the order of the model's fields; None if there is none."""
        definition = self._model(model)
        found: M | None = self._snapshot.get(definition, definition.fold.key_from(key))
        return found

    def select(
        self,
        model: type[M],
        *,
        where: "Where | None" = None,
        order_by: str | Sequence[str] = (),
        limit: int | None = None,
        offset: int = 0,
        after: str | None = None,
        **equal: object,
    ) -> list[M]:
        """Return the rows that meet all conditions; `order_by="-amount"` is descending; several fields go in a list.

        Rows that are equal in the order are ordered by their key. `after` is the cursor of a page: the rows follow it.
        """
        selection = self._snapshot.selection(self._model(model))
        return selection.select(where, equal, order_by, limit, offset, after)

    def page(
        self,
        model: type[M],
        *,
        limit: int,
        where: "Where | None" = None,
        order_by: str | Sequence[str] = (),
        after: str | None = None,
        **equal: object,
    ) -> Page[M]:
        """Return the first `limit` rows, or those after the cursor `after`, and the cursor of the next page.

        A page far behind costs what the first one does if an index serves the order. Without `order_by` the rows are
        ordered by their key.
        """
        selection = self._snapshot.selection(self._model(model))
        return Page(*selection.page(where, equal, order_by, limit, after))

    @overload
    def join(self, model: type[M], one: Reference[M1], /) -> Join[tuple[M, M1 | None]]: ...
    @overload
    def join(
        self, model: type[M], one: Reference[M1], two: Reference[M2], /
    ) -> Join[tuple[M, M1 | None, M2 | None]]: ...
    @overload
    def join(
        self, model: type[M], one: Reference[M1], two: Reference[M2], three: Reference[M3], /
    ) -> Join[tuple[M, M1 | None, M2 | None, M3 | None]]: ...
    @overload
    def join(
        self,
        model: type[M],
        one: Reference[M1],
        two: Reference[M2],
        three: Reference[M3],
        four: Reference[M4],
        /,
    ) -> Join[tuple[M, M1 | None, M2 | None, M3 | None, M4 | None]]: ...
    def join(self, model: type[ReadModel], /, *references: Reference[Any]) -> Join[Any]:
        """Read rows with the rows that they refer to: `models.join(Booking, GUEST).select(room=12)`.

        `GUEST = Reference(Booking.guest, Guest)` gives tuples of a booking and its guest, None where there is none. One
        statement reads them all. A reference may begin at a row that an earlier one leads to. In the present each model
        is as far as it has come; `after=` and `as_of=` of the query hold for all of them.
        """
        places = places_of(model, references)
        found = [(each, self._model(each.target), at) for each, at in zip(references, places, strict=True)]
        return Join(self._snapshot.joined(self._model(model), found))

    def search(
        self, model: type[M], text: str, /, *, limit: int = 20, where: "Where | None" = None, **equal: object
    ) -> list[Found[M]]:
        """Return the rows whose `Text()` fields together have all words of a text, those that fit best first.

        Any text is allowed: only its words count. A text without words finds nothing.
        """
        definition = self._model(model)
        if not definition.texts:
            raise UsageError(
                f"{definition.name} was searched and has no field that is marked with Text",
                'a field such as title: Annotated[str, Text()] = ""',
                "mark the fields to search, and raise the version of the model",
            )
        words, selection = words_of(text), self._snapshot.search(definition)
        rows = selection.search(where, equal, words, limit) if words else []
        texts = attrgetter(*definition.texts, definition.texts[0])
        return [Found(row, score, *snippet_of([each or "" for each in texts(row)], words)) for row, score in rows]

    def count(self, model: type[ReadModel], *, where: "Where | None" = None, **equal: object) -> int:
        """Return how many rows meet all conditions."""
        return int(self._one(model, where, equal, "count", None))

    def sum(self, model: type[ReadModel], field: N | None, /, *, where: "Where | None" = None, **equal: object) -> N:
        """Return the exact sum of a field, as in `models.sum(Order, Order.total)`; zero if there is nothing to add."""
        name, hints = field_name(model, field), hints_of(model)
        check_summed(model, name, hints[name])
        found: N = total_of(hints[name], self._one(model, where, equal, "sum", name))
        return found

    def min(
        self, model: type[ReadModel], field: V | None, /, *, where: "Where | None" = None, **equal: object
    ) -> V | None:
        """Return the least value of a field, other than None; None if there is none."""
        found: V | None = self._one(model, where, equal, "min", field_name(model, field))
        return found

    def max(
        self, model: type[ReadModel], field: V | None, /, *, where: "Where | None" = None, **equal: object
    ) -> V | None:
        """Return the greatest value of a field, other than None; None if there is none."""
        found: V | None = self._one(model, where, equal, "max", field_name(model, field))
        return found

    def group(self, model: type[ReadModel], by: K, /, *, where: "Where | None" = None, **equal: object) -> Groups[K]:
        """Return the rows in groups, by a field or a tuple of fields, to count or add up.

        `models.group(Order, Order.customer).sum(Order.total)` is a dict of sums by customer.
        """
        selection = self._snapshot.selection(self._model(model))
        return Groups(model, by, partial(selection.aggregate, where, equal, field_names(model, by)), hints_of(model))

    def table(self, model: type[ReadModel] | Reference[Any]) -> "sa.FromClause":
        """Return what to select from in your own SQL: `models.execute(sqlalchemy.select(models.table(Balance)))`.

        In the past it is a subquery, or a temporary table, with the same columns. That of a reference is what a join
        with it reads, for conditions.
        """
        if isinstance(model, Reference):
            return self._snapshot.referred(model, self._model(model.target))
        return self._snapshot.source(self._model(model))

    def execute(self, statement: "sa.Executable") -> "Sequence[sa.Row[Any]]":
        """Return the rows of a SELECT over `table(...)`, or over the tables of projections.

        Plain SQL text counts as reading every model and projection of the app.
        """
        return self._snapshot.execute(statement)

    def position(self, model: type[ReadModel] | str) -> int:
        """Return the position of the rows of a model, or of the projection of this name."""
        return self._snapshot.position(self._definition(model))

    def _one(
        self,
        model: type[ReadModel],
        where: "Where | None",
        equal: Mapping[str, object],
        aggregate: Aggregate,
        name: str | None,
    ) -> Any:
        """Return the aggregate of all rows that meet the conditions."""
        [[found]] = self._snapshot.selection(self._model(model)).aggregate(where, equal, (), aggregate, name)
        return found

    def _model(self, model: type | str) -> ReadModelDefinition:
        found = self._definition(model)
        if found.handle == found.name:
            raise UsageError(
                f"the projection {found.name!r} was queried like a read model",
                "a SELECT over the tables that it declares",
                "write models.execute(sqlalchemy.select(table))",
            )
        return found

    def _definition(self, model: type | str) -> ReadModelDefinition:
        found = self._definitions.get(model)
        if found is None:
            raise UnknownName("read model", name_of(model), sorted(map(name_of, self._definitions)))
        return found


def name_of(model: type | str) -> str:
    """Return the name of a read model or a projection."""
    return model if isinstance(model, str) else model.__qualname__

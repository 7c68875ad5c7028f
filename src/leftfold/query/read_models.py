"""The read models, as a query handler reads them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from leftfold.errors import UnknownName, UsageError
from leftfold.query.read_model import ReadModel, ReadModelDefinition

if TYPE_CHECKING:
    import sqlalchemy as sa

    from leftfold.query.tables.read_snapshot import ReadSnapshot
    from leftfold.query.tables.selection import Where

M = TypeVar("M", bound=ReadModel)


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
        found: M | None = self._snapshot.get(self._model(model), key)
        return found

    def select(
        self,
        model: type[M],
        *,
        where: "Where | None" = None,
        order_by: str | Sequence[str] = (),
        limit: int | None = None,
        offset: int = 0,
        **equal: object,
    ) -> list[M]:
        """Return the rows that meet all conditions; `order_by="-amount"` is descending; several fields go in a list."""
        selection = self._snapshot.selection(self._model(model))
        return selection.select(where, equal, order_by, limit, offset)

    def count(self, model: type[ReadModel], *, where: "Where | None" = None, **equal: object) -> int:
        """Return how many rows meet all conditions."""
        return self._snapshot.selection(self._model(model)).count(where, equal)

    def table(self, model: type[ReadModel]) -> "sa.FromClause":
        """Return what to select from in your own SQL: `models.execute(sqlalchemy.select(models.table(Balance)))`.

        In the past it is a subquery, or a temporary table, with the same columns.
        """
        return self._snapshot.source(self._model(model))

    def execute(self, statement: "sa.Executable") -> "Sequence[sa.Row[Any]]":
        """Return the rows of a SELECT over `table(...)`, or over the tables of projections.

        Plain SQL text counts as reading every model and projection of the app.
        """
        return self._snapshot.execute(statement)

    def position(self, model: type[ReadModel] | str) -> int:
        """Return the position of the rows of a model, or of the projection of this name."""
        return self._snapshot.position(self._definition(model))

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

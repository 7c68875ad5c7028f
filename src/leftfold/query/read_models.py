"""The read models, as a query handler reads them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from leftfold.errors import UnknownReadModel, UsageError
from leftfold.query.read_model import ReadModel, ReadModelDefinition

if TYPE_CHECKING:
    import sqlalchemy as sa

    from leftfold.query.tables.read_snapshot import ReadSnapshot
    from leftfold.query.tables.selection import Where

M = TypeVar("M", bound=ReadModel)


class ReadModels:
    """The read models at one moment, the same for all that one query reads: the present, or the `as_of` it was asked.

    Conditions are equalities, given as keywords or as a mapping (`None` finds NULL), or SQLAlchemy expressions over
    the columns of `table(Model)`.
    """

    def __init__(self, definitions: Mapping[Any, ReadModelDefinition], moment: "ReadSnapshot") -> None:
        self._definitions = definitions
        self._moment = moment

    def get(self, model: type[M], *key: object) -> M | None:
        """The row with this key, its parts in the order of the model's fields, or None when there is none."""
        found: M | None = self._moment.get(self._model(model), key)
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
        """The rows that meet all conditions; `order_by="-amount"` is descending, several fields go as a list."""
        selection = self._moment.selection(self._model(model))
        return selection.select(where, equal, order_by, limit, offset)

    def count(self, model: type[ReadModel], *, where: "Where | None" = None, **equal: object) -> int:
        """How many rows meet all conditions."""
        return self._moment.selection(self._model(model)).count(where, equal)

    def table(self, model: type[ReadModel]) -> "sa.FromClause":
        """What to select from in SQL of your own: `models.execute(sqlalchemy.select(models.table(Balance)))`.

        In the past it is a subquery, or a temporary table, with the same columns.
        """
        return self._moment.source(self._model(model))

    def execute(self, statement: "sa.Executable") -> "Sequence[sa.Row[Any]]":
        """The rows of a SELECT over `table(...)`, or over the tables of projections.

        Plain SQL text is taken to read every model and projection of the app.
        """
        return self._moment.execute(statement)

    def position(self, model: type[ReadModel] | str) -> int:
        """The position that the rows of a model, or of the projection of this name, stand for."""
        return self._moment.position(self._definition(model))

    def _model(self, model: type | str) -> ReadModelDefinition:
        found = self._definition(model)
        if found.handle == found.name:
            raise UsageError(
                f"the rows of the projection {found.name!r} were asked for as those of a read model",
                "a SELECT over the tables that it declares",
                "write models.execute(sqlalchemy.select(table))",
            )
        return found

    def _definition(self, model: type | str) -> ReadModelDefinition:
        found = self._definitions.get(model)
        if found is None:
            raise UnknownReadModel(name_of(model), sorted(map(name_of, self._definitions)))
        return found


def name_of(model: type | str) -> str:
    """What a read model, or a projection, is called."""
    return model if isinstance(model, str) else model.__qualname__

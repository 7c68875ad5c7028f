"""Free-form projections: tables of the user's own, written by a handler."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from leftfold.errors import InvalidProjection, LeftfoldError, ProjectionChanged
from leftfold.fingerprint import Fingerprint, fingerprint_of_function
from leftfold.query.projection_handler import HandledEvents, ProjectionHandler
from leftfold.query.read_model import ReadModelDefinition
from leftfold.query.shard import model_of

if TYPE_CHECKING:
    import sqlalchemy as sa

LONGEST_NAME = 100


class FreeProjection(ReadModelDefinition):
    """A free-form projection as an app has it. The read side keeps it as it keeps read models, without a key.

    Where a read model is named by its class, it is named by its name.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        name: str,
        tables: "sa.MetaData | Sequence[sa.Table]",
        *,
        version: int = 1,
    ) -> None:
        from leftfold.query.tables.own_schema import checked_tables, ddl_of

        _check_name(name)
        if type(version) is not int or version < 1:
            raise InvalidProjection(name, f"its version is {version!r}", "a whole number from 1 on")
        self.name = self.table = name
        self.version = version
        self.history = False
        self.shards = 1
        self.handler = ProjectionHandler(function, name)
        self.fold = HandledEvents(name, self.handler.bases)
        self.schema: tuple[sa.Table, ...] = checked_tables(name, tables)
        self._ddl = ddl_of(self.schema)

    def __repr__(self) -> str:
        return f"<FreeProjection {self.name} in {' and '.join(self.tables)}>"

    @property
    def handle(self) -> str:
        """Its name."""
        return self.name

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of its tables; those that refer to others come before them."""
        return tuple(table.name for table in reversed(self.schema))

    @property
    def data_only(self) -> bool:
        """Whether the handler needs nothing of an event but its data."""
        return not self.handler.asks_recorded

    def fingerprint(self) -> Fingerprint:
        """Changes when the handler or the tables do."""
        return fingerprint_of_function(self.handler.function, self.fold.events).joined(self._ddl)

    def changed(self, stored: int) -> LeftfoldError:
        """The refusal of changed code whose version did not rise."""
        return ProjectionChanged(self.name, stored, self.version)


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not name.strip() or name != name.strip() or not name.isprintable():
        raise InvalidProjection(repr(name), "that is no name", "printable characters, none of them blank at the ends")
    if len(name) > LONGEST_NAME:
        raise InvalidProjection(name, f"its name has {len(name)} characters", f"at most {LONGEST_NAME}")
    if model_of(name) != name:
        raise InvalidProjection(name, "its name ends like that of a shard", "a name without a number behind '#'")
    if name.startswith("leftfold"):
        raise InvalidProjection(name, "its name begins with 'leftfold'", "a name that leftfold does not use itself")

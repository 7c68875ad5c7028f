"""What checkpoints need to know of the tables that something is kept in, whether a read model or a projection."""

from collections.abc import Sequence
from typing import Protocol

import sqlalchemy as sa

from leftfold.query.read_model import ReadModelDefinition


class KeptTables(Protocol):
    """The tables of one definition; `stem` names its checkpoint."""

    @property
    def definition(self) -> ReadModelDefinition:
        """What is kept in them."""
        ...

    @property
    def name(self) -> str:
        """What users call it."""
        ...

    @property
    def stem(self) -> str:
        """The name of the checkpoint."""
        ...

    @property
    def checkpoints(self) -> Sequence[str]:
        """The names of its checkpoints: one, or one for each shard that is defined."""
        ...

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables' names."""
        ...

    @property
    def form(self) -> int:
        """The form in which the columns are kept; tables in a former one are rebuilt."""
        ...

    def create(self, connection: sa.Connection) -> None:
        """Make the tables anew, empty."""
        ...

    def exists(self, connection: sa.Connection) -> bool:
        """Whether the tables are there."""
        ...

    def answers(self, connection: sa.Connection) -> bool:
        """Whether the present tables have the columns that the code asks for."""
        ...

    def reads(self, form: int) -> bool:
        """Whether this code reads rows right that are kept in a former form."""
        ...

"""The read models of one app in one database: opened, folded into, and seen at a moment."""

from collections.abc import Collection, Generator, Iterable, Mapping
from contextlib import contextmanager

import sqlalchemy as sa

from leftfold.errors import NotKept
from leftfold.query.batch_fold import Decode
from leftfold.query.event_keys import Key
from leftfold.query.parking import ParkedKey
from leftfold.query.past import Past
from leftfold.query.read_model import ReadModelDefinition
from leftfold.query.skips import Skips
from leftfold.query.tables.building import Building
from leftfold.query.tables.checkpoints import Checkpoint, begin_anew, create_checkpoints, find, fits
from leftfold.query.tables.database import Database
from leftfold.query.tables.folding import StoredFolding
from leftfold.query.tables.model_table import ModelTable
from leftfold.query.tables.moments import Moment, PastMoment, PresentMoment
from leftfold.query.tables.observer import Observer
from leftfold.query.tables.parking_lot import ParkingLot
from leftfold.query.tables.swap import NOT_TO_BE_ANSWERED_FROM, answers_until_swapped, beside, drop_old, is_due


class ModelsDatabase:
    """Where the read models of an app are kept."""

    def __init__(self, url: str, definitions: Iterable[ReadModelDefinition]) -> None:
        self._database = Database(url)
        self._tables = {definition: ModelTable(definition) for definition in definitions}

    def __repr__(self) -> str:
        return f"<ModelsDatabase {self._database!r} of {len(self._tables)} read models>"

    def positions(self) -> dict[ReadModelDefinition, int]:
        """The stored checkpoints."""
        with self._database.writing() as connection:
            create_checkpoints(connection)
            found = {definition: find(connection, table) for definition, table in self._tables.items()}
        return {definition: checkpoint.position for definition, checkpoint in found.items() if checkpoint}

    def open(
        self,
        decode: Decode,
        log_id: str,
        beyond: Collection[ReadModelDefinition],
        skips: Skips | None = None,
        only: Collection[ReadModelDefinition] | None = None,
    ) -> dict[ReadModelDefinition, StoredFolding]:
        """Each model ready to be folded on; those that fit neither code nor log, or are `beyond` it, begin anew."""
        foldings: dict[ReadModelDefinition, StoredFolding] = {}
        skips = skips or Skips()
        with self._database.writing() as connection:
            for definition, table in self._tables.items():
                if only is not None and definition not in only:
                    continue
                found = find(connection, table)
                if found is None or definition in beyond or not fits(found, connection, table, log_id):
                    found = begin_anew(connection, table, log_id)
                folding = StoredFolding(table, self._database, decode, found, skips.of(definition))
                folding.recount(connection)
                foldings[definition] = folding
        return foldings

    def due(self, log_id: str, beyond: Collection[ReadModelDefinition]) -> dict[ReadModelDefinition, int]:
        """The models that have to be rebuilt, and how far their present tables are; -1 when these cannot answer.

        `ReadModelChanged` when the code of one has changed and its version has not risen.
        """
        found: dict[ReadModelDefinition, int] = {}
        with self._database.reading() as connection:
            for definition, table in self._tables.items():
                stored = find(connection, table)
                if stored is None or definition in beyond or stored.log_id != log_id:
                    continue
                if not all(sa.inspect(connection).has_table(name) for name in stored.tables.split()):
                    continue
                if is_due(stored, table):
                    fitting = answers_until_swapped(connection, table)
                    found[definition] = stored.position if fitting else NOT_TO_BE_ANSWERED_FROM
        return found

    def observer(self, log_id: str) -> Observer:
        """What sees how far models are that other processes fold."""
        return Observer(self._database, self._tables, log_id)

    def attached(
        self, definition: ReadModelDefinition, stored: Checkpoint, decode: Decode, skips: Skips
    ) -> StoredFolding:
        """A model that another process folds, for its parked keys alone."""
        return StoredFolding(self._tables[definition], self._database, decode, stored, skips.of(definition))

    def build(
        self, definition: ReadModelDefinition, decode: Decode, log_id: str, skips: Skips, trial: bool
    ) -> Building:
        """Tables beside the present ones, begun, or found as an interrupted rebuild has left them."""
        with self._database.writing() as connection:
            create_checkpoints(connection)
            present = find(connection, self._tables[definition])
            if present is None or present.log_id != log_id:
                raise NotKept(definition.name)
            table = beside(connection, definition, log_id, trial=trial)
            at = find(connection, table)
            assert at is not None, "a rebuild without a checkpoint"
        folding = StoredFolding(table, self._database, decode, at, skips.of(definition))
        return Building(table, self._database, folding, dry_run=trial)

    def drop_old(self, definition: ReadModelDefinition) -> bool:
        """Drop what the last swap kept; whether there was anything."""
        with self._database.writing() as connection:
            return drop_old(connection, definition)

    def parked(self, definition: ReadModelDefinition) -> list[ParkedKey]:
        """Every parked key of a model."""
        with self._database.reading() as connection:
            return ParkingLot(definition).all(connection)

    def parked_key(self, definition: ReadModelDefinition, key: Key) -> ParkedKey | None:
        """This key, if it is parked."""
        with self._database.reading() as connection:
            return next(iter(ParkingLot(definition).all(connection, key)), None)

    def parked_count(self, definition: ReadModelDefinition) -> int:
        """How many keys of a model are parked."""
        with self._database.reading() as connection:
            return ParkingLot(definition).count(connection)

    def queue(self, definition: ReadModelDefinition, key: Key, limit: int) -> list[int]:
        """The positions of the first events that a key waits with."""
        with self._database.reading() as connection:
            return ParkingLot(definition).queue(connection, key, limit)

    @contextmanager
    def present(self, reached: Mapping[ReadModelDefinition, int], after: int) -> Generator[Moment, None, None]:
        """The tables as they stand, in one snapshot."""
        with self._database.reading() as connection:
            yield PresentMoment(connection, self._tables, reached, after)

    @contextmanager
    def past(self, reached: Mapping[ReadModelDefinition, int], past: Past) -> Generator[Moment, None, None]:
        """The tables as they were, in one snapshot."""
        with self._database.reading() as connection:
            yield PastMoment(connection, self._tables, reached, past)

    def close(self) -> None:
        """Close every connection."""
        self._database.close()

"""The read models of one app in one database: opened, folded into, and seen at a moment."""

import asyncio
import logging
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager

import sqlalchemy as sa

from leftfold.errors import LeaseLost, NotKept, ReadModelChanged, ReadModelsChanged
from leftfold.follow.lease_store import LeaseStore
from leftfold.query.batch_fold import Decode
from leftfold.query.event_keys import Key
from leftfold.query.parking import ParkedKey, Skips
from leftfold.query.past import PastReplay
from leftfold.query.progress import NOT_TO_BE_ANSWERED_FROM, CheckpointMoved
from leftfold.query.read_model import OnChange, ReadModelDefinition
from leftfold.query.shard import Shard, count_in, shards_of
from leftfold.query.tables.checkpoint_reader import CheckpointReader
from leftfold.query.tables.checkpoints import (
    Checkpoint,
    adopt,
    begin_anew,
    create_checkpoints,
    find,
    find_shards,
    fits,
    is_of,
    put,
    put_anchor,
)
from leftfold.query.tables.database import Database
from leftfold.query.tables.folding import Identify, Lease, SqlFolding, StoredFolding, unidentified
from leftfold.query.tables.handling import Handling, SqlTables, tables_for
from leftfold.query.tables.leases import ModelsLeaseStore, is_held
from leftfold.query.tables.model_table import ModelTable
from leftfold.query.tables.own_tables import own_tables_are_there
from leftfold.query.tables.parked import ParkingLot
from leftfold.query.tables.places import check_name, check_owner, check_place
from leftfold.query.tables.read_snapshot import PastSnapshot, PresentSnapshot, ReadSnapshot
from leftfold.query.tables.replace import Building, answers_until_swapped, beside, drop_old, is_due
from leftfold.query.tables.replace_sql import SqlReplacement
from leftfold.query.tables.replace_sql import drop_old as drop_old_tables

NO_LEASES: Mapping[Shard, Lease] = {}

log = logging.getLogger("leftfold.models")


class ModelsDatabase:
    """Where the read models and projections of an app are kept; async handlers run on `loop`.

    A database that was `named`, rather than found beside the log, may be another log's too.
    """

    def __init__(
        self,
        url: str,
        definitions: Iterable[ReadModelDefinition],
        loop: asyncio.AbstractEventLoop | None = None,
        identify: Identify = unidentified,
        *,
        on_change: OnChange = "refuse",
        named: bool = False,
    ) -> None:
        self._identify = identify
        self._named = named
        self._on_change: OnChange = on_change
        self._database = Database(url)
        self._tables: dict[ReadModelDefinition, ModelTable] = {}
        self._free: dict[ReadModelDefinition, SqlTables] = {}
        self._begun = False  # whether leftfold's own tables have been seen here
        self._kept: dict[ReadModelDefinition, ModelTable | SqlTables] = {}
        for definition in definitions:
            check_name(definition, self._database)
            table = self._kept[definition] = tables_for(definition)
            if isinstance(table, SqlTables):
                self._free[definition] = table
                _log_inexact_columns(table, self._database.dialect)
            else:
                self._tables[definition] = table
        self._lots: dict[ReadModelDefinition, ParkingLot] = {}
        self._loop = loop

    def __repr__(self) -> str:
        return f"<ModelsDatabase {self._database!r} of {len(self._kept)} read models>"

    def checkpoints(self) -> dict[ReadModelDefinition, list[Checkpoint]]:
        """The stored checkpoints; of a model in shards one for each of them."""
        with self._database.writing() as connection:
            create_checkpoints(connection)
            return {definition: find_shards(connection, table.stem) for definition, table in self._kept.items()}

    def check_owner(self, log_id: str) -> None:
        """`TableTaken` if a model is kept here for another log, in a database that was named."""
        if not self._named:
            return
        with self._database.reading() as connection:
            if own_tables_are_there(connection):
                for table in self._kept.values():
                    check_owner(table, find(connection, table), str(self._database.url), log_id)

    def put_anchor(self, stored: Checkpoint, identity: str) -> bool:
        """Keep which event stands at a checkpoint that has none with it; whether it still stands so."""
        with self._database.writing() as connection:
            return put_anchor(connection, stored, identity)

    def begin_anew(self, definition: ReadModelDefinition, diverged: Collection[Checkpoint]) -> bool:
        """Empty the tables of a model whose checkpoints are of another history; whether they still stood so."""
        table = self._kept[definition]
        with self._database.writing() as connection:
            found = find_shards(connection, table.stem)
            if not set(diverged) <= set(found):
                return False
            begin_anew(connection, table, found[0].log_id)
        return True

    def builds(self) -> dict[ReadModelDefinition, str]:
        """What changes whenever others than who follows the log have written a model's rows."""
        with self._database.reading() as connection:
            self._begun = self._begun or own_tables_are_there(connection)
            if not self._begun:
                return {}
            found = {definition: find(connection, table) for definition, table in self._kept.items()}
        return {definition: checkpoint.build for definition, checkpoint in found.items() if checkpoint}

    def open(
        self,
        decode: Decode,
        log_id: str,
        skips: Skips | None = None,
        only: Collection[Shard] | None = None,
        leases: Mapping[Shard, Lease] = NO_LEASES,
    ) -> dict[Shard, StoredFolding | SqlFolding]:
        """Each shard ready to be folded on; models that do not fit both the code and the log begin anew.

        They do so with their first shard. Until then, and while the model is split otherwise, a shard is left out.
        """
        foldings: dict[Shard, StoredFolding | SqlFolding] = {}
        unknown: dict[str, None] = {}
        skips = skips or Skips()
        with self._database.writing() as connection:
            for definition, table in self._kept.items():
                wanted = [shard for shard in shards_of(definition) if only is None or shard in only]
                if not wanted or not self._is_ready(connection, table, wanted[0], log_id):
                    continue
                stored = {each.model: each for each in find_shards(connection, table.stem)}
                for shard in wanted:
                    found = stored.get(shard.checkpoint)
                    if found is not None:
                        adopted = adopt(connection, found, table)
                        if adopted is not found:
                            unknown.setdefault(definition.name)
                        found = adopted
                        foldings[shard] = self._folding(table, found, decode, skips, leases.get(shard), shard)
                        foldings[shard].recount(connection)
        _log_what_cannot_be_known(unknown, {shard.definition for shard in foldings})
        return foldings

    def due(
        self,
        log_id: str,
        only: Collection[ReadModelDefinition] | None = None,
    ) -> dict[ReadModelDefinition, int]:
        """The models that have to be rebuilt, and how far their present tables are; -1 when these cannot answer.

        `ReadModelChanged` when the code of one has changed and its version has not risen; it names all that have.
        """
        found: dict[ReadModelDefinition, int] = {}
        with self._database.reading() as connection:
            for definition, table in self._kept.items():
                if only is None or definition in only:
                    try:
                        due = self._due(connection, table, log_id)
                    except ReadModelChanged as first:
                        raise self._all_changed(connection, log_id, first) from first
                    if due is not None:
                        found[definition] = due
        return found

    def _due(self, connection: sa.Connection, table: ModelTable | SqlTables, log_id: str) -> int | None:
        """How far the present tables of a model are that has to be rebuilt; None when it has not to be."""
        stored = find(connection, table)
        if stored is None or stored.log_id != log_id:
            return None
        there = all(sa.inspect(connection).has_table(name) for name in stored.tables.split())
        if not there or not is_due(connection, stored, table, on_change=self._on_change):
            return None
        return stored.position if answers_until_swapped(connection, table, stored) else NOT_TO_BE_ANSWERED_FROM

    def _all_changed(self, connection: sa.Connection, log_id: str, first: ReadModelChanged) -> ReadModelChanged:
        """Every model that changed, in one error."""
        changed: list[ReadModelChanged] = []
        for table in self._kept.values():
            try:
                self._due(connection, table, log_id)
            except ReadModelChanged as error:
                changed.append(error)
        return first if len(changed) < 2 else ReadModelsChanged(changed[0], changed[1:])

    def book(self, shards: Iterable[Shard], thread: Executor) -> LeaseStore:
        """Where the leases of these shards are written."""
        return ModelsLeaseStore(self._database, shards, thread)

    def shards(self, definition: ReadModelDefinition, log_id: str) -> list[Shard]:
        """The shards in which a model is stored; none when it is not kept, or was made by other code."""
        table = self._kept[definition]
        with self._database.reading() as connection:
            found = find_shards(connection, table.stem)
            if not found or not fits(found[0], connection, table, log_id):
                return []
        return shards_of(definition, count_in(found[0].model))

    def lagging(
        self, shards: Sequence[Shard], decode: Decode, skips: Skips, leases: Mapping[Shard, Lease]
    ) -> tuple[int, list[StoredFolding]]:
        """How far the furthest of a model's shards is, and those that are not so far, ready to be folded on."""
        table = self._tables[shards[0].definition]
        with self._database.reading() as connection:
            found = {each.model: each for each in find_shards(connection, table.stem)}
        target = max((each.position for each in found.values()), default=0)
        behind = [shard for shard in shards if shard.checkpoint in found]
        behind = [shard for shard in behind if found[shard.checkpoint].position < target]
        return target, [
            self._stored_folding(table, found[shard.checkpoint], decode, skips, leases[shard], shard)
            for shard in behind
        ]

    def split(self, shards: Sequence[Shard], leases: Mapping[Shard, Lease]) -> bool:
        """Let a model whose shards are level be in those that it is defined with; whether it is now.

        `LeaseLost` when the lease of one of its present shards is not held.
        """
        table = self._tables[shards[0].definition]
        with self._database.writing() as connection:
            lost = [name for name, holder in leases.values() if not is_held(connection, name, holder)]
            if lost:
                raise LeaseLost(lost[0])
            found = find_shards(connection, table.stem)
            names = {shard.checkpoint for shard in shards}
            if {each.model for each in found} != names or len({each.position for each in found}) > 1:
                return False
            put(connection, table, found[0])
        return True

    def observer(self, log_id: str) -> CheckpointReader:
        """What sees how far models are that other processes fold."""
        return CheckpointReader(self._database, self._kept, log_id, on_change=self._on_change, named=self._named)

    def attached(
        self, definition: ReadModelDefinition, stored: Checkpoint, decode: Decode, skips: Skips
    ) -> StoredFolding | SqlFolding:
        """A model that another process folds, for its parked keys alone."""
        return self._folding(self._kept[definition], stored, decode, skips, None, Shard(definition))

    def build(
        self,
        definition: ReadModelDefinition,
        decode: Decode,
        log_id: str,
        skips: Skips,
        trial: bool,
        lease: Lease | None = None,
        only_if_due: bool = False,
    ) -> Building | SqlReplacement:
        """Tables beside the present ones, begun, or found as an interrupted rebuild has left them.

        `CheckpointMoved` when they are wanted only if the present ones are of other code, and these are not any more.
        """
        with self._database.writing() as connection:
            create_checkpoints(connection)
            present = find(connection, self._kept[definition])
            check_place(connection, self._database, self._kept[definition], present, log_id)
            if present is None or present.log_id != log_id:
                raise NotKept(definition.name)
            if only_if_due and is_of(connection, present, self._kept[definition]):
                raise CheckpointMoved
            if definition in self._free:
                return self._build_free(self._free[definition], present, decode, skips, lease, trial=trial)
            table = beside(connection, definition, log_id, trial=trial)
            at = find(connection, table)
            assert at is not None, "a rebuild without a checkpoint"
        skipped = skips.of(definition)
        folding = StoredFolding(table, self._database, decode, at, skipped, lease, identify=self._identify)
        return Building(table, self._database, folding, dry_run=trial)

    def drop_old(self, definition: ReadModelDefinition) -> bool:
        """Drop what the last swap kept; whether there was anything."""
        with self._database.writing() as connection:
            if definition in self._free:
                return drop_old_tables(connection, definition.tables)
            return drop_old(connection, definition)

    def parked(self, definition: ReadModelDefinition) -> list[ParkedKey]:
        """Every parked key of a model."""
        with self._database.reading() as connection:
            return ParkingLot(definition).all(connection)

    def parked_key(self, definition: ReadModelDefinition, key: Key) -> ParkedKey | None:
        """This key, if it is parked."""
        with self._database.reading() as connection:
            return next(iter(ParkingLot(definition).all(connection, key)), None)

    def parked_traceback(self, definition: ReadModelDefinition, key: Key) -> str | None:
        """The traceback of the error that holds up a key; None where none was kept."""
        with self._database.reading() as connection:
            return ParkingLot(definition).traceback(connection, key)

    def parked_count(self, definition: ReadModelDefinition) -> int:
        """How many keys of a model are parked."""
        with self._database.reading() as connection:
            return ParkingLot(definition).count(connection)

    def queue(self, definition: ReadModelDefinition, key: Key, limit: int) -> list[int]:
        """The positions of the first events that a key waits with."""
        with self._database.reading() as connection:
            return ParkingLot(definition).queue(connection, key, limit)

    @contextmanager
    def present(self, reached: Mapping[ReadModelDefinition, int], after: int) -> Generator[ReadSnapshot, None, None]:
        """The tables as they stand, in one snapshot."""
        with self._database.reading() as connection:
            yield PresentSnapshot(connection, self._tables, reached, after, self._free)

    @contextmanager
    def past(self, reached: Mapping[ReadModelDefinition, int], past: PastReplay) -> Generator[ReadSnapshot, None, None]:
        """The tables as they were, in one snapshot."""
        with self._database.reading(scratch=True) as connection:
            yield PastSnapshot(connection, self._tables, reached, past, self._free)

    def close(self) -> None:
        """Close every connection."""
        self._database.close()

    def _folding(
        self,
        table: ModelTable | SqlTables,
        found: Checkpoint,
        decode: Decode,
        skips: Skips,
        lease: Lease | None,
        shard: Shard,
    ) -> StoredFolding | SqlFolding:
        if isinstance(table, SqlTables):
            handling = Handling(table.definition, decode, self._loop, skips.of(table.definition))
            return SqlFolding(table, self._database, handling, found, lease, self._identify)
        return self._stored_folding(table, found, decode, skips, lease, shard)

    def _stored_folding(
        self, table: ModelTable, found: Checkpoint, decode: Decode, skips: Skips, lease: Lease | None, shard: Shard
    ) -> StoredFolding:
        lot = self._lots.setdefault(table.definition, ParkingLot(table.definition))
        skipped = skips.of(table.definition)
        return StoredFolding(table, self._database, decode, found, skipped, lease, shard.owns, lot, self._identify)

    def _is_ready(self, connection: sa.Connection, table: ModelTable | SqlTables, first: Shard, log_id: str) -> bool:
        """Whether a model's tables are there to be folded on; with its first shard they are made so."""
        found = find(connection, table)
        check_place(connection, self._database, table, found, log_id)
        if self._named:
            check_owner(table, found, str(self._database.url), log_id)
        if found is not None and fits(found, connection, table, log_id):
            return True
        if first.is_first:
            begin_anew(connection, table, log_id)
        return first.is_first

    def _build_free(
        self,
        table: SqlTables,
        present: Checkpoint,
        decode: Decode,
        skips: Skips,
        lease: Lease | None,
        *,
        trial: bool,
    ) -> SqlReplacement:
        handling = Handling(table.definition, decode, self._loop, skips.of(table.definition))
        return SqlReplacement(table, self._database, handling, present, lease, self._identify, dry_run=trial)


def _log_inexact_columns(table: SqlTables, dialect: sa.Dialect) -> None:
    """SQLite keeps `sa.Numeric` as a float."""
    for column in (column for each in table.schema for column in each.columns if dialect.name == "sqlite"):
        if isinstance(column.type, sa.Numeric) and not isinstance(column.type, sa.Float):
            log.warning(
                "%s: SQLite keeps the column %s, an sa.Numeric, as a float, and adds it up as one; "
                "leftfold.columns.Exact keeps and adds up decimals exactly on every database",
                table.name,
                column,
            )


def _log_what_cannot_be_known(adopted: Iterable[str], opened: Iterable[ReadModelDefinition]) -> None:
    names = sorted(adopted)
    if names:
        log.warning(
            "the rows of %s were made by an older leftfold, or by code without its source: they are taken to be what "
            "this code makes; `leftfold rebuild --dry-run` shows whether they are",
            ", ".join(names),
        )
    without = sorted(definition.name for definition in opened if not definition.fingerprint().code)
    if without:
        log.warning(
            "the source of %s cannot be had: a change of it is not noticed unless the version is raised too",
            ", ".join(without),
        )

"""The read models of one app in one database: opened, projected into, rebuilt, and read in snapshots."""

import asyncio
import logging
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from typing import Any, TypeVar

import sqlalchemy as sa

from leftfold.errors import (
    InvalidModel,
    InvalidProjection,
    LeaseLost,
    NotKept,
    ReadModelChanged,
    ReadModelsChanged,
)
from leftfold.query.event_keys import Key
from leftfold.query.folded_log import FoldedLog
from leftfold.query.parking import ParkedKey
from leftfold.query.progress import CheckpointMoved
from leftfold.query.read_model import OnChange, ReadModelDefinition, RowChange
from leftfold.query.shard import Owns, Shard, count_in, shards_of
from leftfold.query.sql_projection import SqlProjection
from leftfold.query.tables.checkpoints import (
    Checkpoint,
    CheckpointReader,
    adopt,
    advance,
    begin_again,
    check_owner,
    check_place,
    find,
    find_shards,
    fits,
    is_of,
    judge,
    put,
)
from leftfold.query.tables.database import Database, open_database
from leftfold.query.tables.fan_out import FanOutTarget
from leftfold.query.tables.keyed_target import LONGEST_SUFFIX, KeyedTarget, drop_old, tables_beside
from leftfold.query.tables.leases import ModelsLeaseStore, is_held
from leftfold.query.tables.model_table import ModelTable
from leftfold.query.tables.own_schema import OLD
from leftfold.query.tables.own_tables import checkpoint, create_own_tables, own_tables_exist, parked
from leftfold.query.tables.parked import StoredParkedEvents
from leftfold.query.tables.projector import Lease, Projector
from leftfold.query.tables.read_snapshot import PastSnapshot, PresentSnapshot, ReadSnapshot
from leftfold.query.tables.replace import BesideProjector, Replacement, TemporaryProjector
from leftfold.query.tables.scans import ScanLog
from leftfold.query.tables.sql_target import SqlTables
from leftfold.query.tables.sql_target import drop_old as drop_old_tables
from leftfold.query.tables.target import Tables
from leftfold.query.tables.versions import row_changes

T = TypeVar("T")
NO_LEASES: Mapping[Shard, Lease] = {}

log = logging.getLogger("leftfold.models")


class ModelsDatabase:
    """Where the read models and projections of an app are kept.

    A database that was `named`, rather than found beside the log, may also keep the models of another log. Everything
    is written in one thread, the `writer`.
    """

    def __init__(
        self,
        url: str,
        definitions: Iterable[ReadModelDefinition],
        log: FoldedLog,
        *,
        on_change: OnChange = "refuse",
        named: bool = False,
    ) -> None:
        self.log = log
        self.writer = ThreadPoolExecutor(1, thread_name_prefix="leftfold models writer")
        self._named = named
        self._on_change: OnChange = on_change
        self._database = open_database(url)
        self.leases = ModelsLeaseStore(self._database)
        self._scans = ScanLog()
        self._tables: dict[ReadModelDefinition, ModelTable | SqlTables] = {}
        self._models: dict[ReadModelDefinition, ModelTable] = {}
        self._projections: dict[ReadModelDefinition, SqlTables] = {}
        for definition in definitions:
            _check_names(definition, self._database)
            tables = self._tables[definition] = tables_for(definition)
            if isinstance(tables, SqlTables):
                tables.log_inexact_columns(self._database.dialect)
                self._projections[definition] = tables
            else:
                self._models[definition] = tables
        self.parked = {definition: StoredParkedEvents(definition) for definition in self._tables}

    def __repr__(self) -> str:
        return f"<ModelsDatabase {self._database!r} of {len(self._tables)} read models>"

    def close(self) -> None:
        """Close every connection."""
        self.writer.shutdown()
        self._database.close()

    async def in_writer(self, work: Callable[..., T], *arguments: Any) -> T:
        """Run this in the thread that writes."""
        return await asyncio.get_running_loop().run_in_executor(self.writer, partial(work, *arguments))

    def read(self, work: Callable[..., T], *arguments: Any) -> T:
        """Return what a function reads, which is called with a connection and the arguments."""
        with self._database.reading() as connection:
            return work(connection, *arguments)

    # --- checkpoints

    def checkpoints(self) -> dict[ReadModelDefinition, list[Checkpoint]]:
        """Return the stored checkpoints; of a model in shards, one for each."""
        with self._database.writing() as connection:
            create_own_tables(connection)
            return {definition: find_shards(connection, tables.stem) for definition, tables in self._tables.items()}

    def checkpoint_reader(self) -> CheckpointReader:
        """Return what reads how far the models are that other processes fold."""
        log_id = self.log.store.log_id
        return CheckpointReader(self._database, self._tables, log_id, on_change=self._on_change, named=self._named)

    def check_owner(self) -> None:
        """Raise `TableTaken` if a database that was named keeps a model of this name for another log."""
        if not self._named:
            return
        with self._database.reading() as connection:
            if own_tables_exist(connection):
                for tables in self._tables.values():
                    check_owner(tables, find(connection, tables), str(self._database.url), self.log.store.log_id)

    def put_anchor(self, stored: Checkpoint, identity: str) -> bool:
        """Store which event is at a checkpoint that has no anchor; return whether the checkpoint has not moved."""
        try:
            with self._database.writing() as connection:
                advance(connection, stored, stored.moved(stored.position, identity))
        except CheckpointMoved:
            return False
        return True

    def begin_again(self, definition: ReadModelDefinition, diverged: Collection[Checkpoint]) -> bool:
        """Empty the tables of a model whose checkpoints are of another history; return whether they had not moved."""
        tables = self._tables[definition]
        with self._database.writing() as connection:
            found = find_shards(connection, tables.stem)
            if not set(diverged) <= set(found):
                return False
            begin_again(connection, tables, found[0].log_id)
        return True

    # --- projectors

    def open(
        self, only: Collection[Shard] | None = None, leases: Mapping[Shard, Lease] = NO_LEASES
    ) -> dict[Shard, Projector]:
        """Return a projector for each shard; models that do not fit both the code and the log start again.

        A model starts again with its first shard. Until then, and while it is stored in other shards, its shards are
        left out.
        """
        projectors: dict[Shard, Projector] = {}
        adopted: set[str] = set()
        with self._database.writing() as connection:
            for definition, tables in self._tables.items():
                wanted = [shard for shard in shards_of(definition) if only is None or shard in only]
                if not wanted or not self._is_ready(connection, tables, wanted[0]):
                    continue
                stored = {each.model: each for each in find_shards(connection, tables.stem)}
                for shard in (each for each in wanted if each.checkpoint in stored):
                    found = adopt(connection, stored[shard.checkpoint], tables)
                    if found is not stored[shard.checkpoint]:
                        adopted.add(definition.name)
                    projectors[shard] = self._projector(tables, found, leases.get(shard), shard.owns)
                    self.parked[definition].recount(connection)
        _log_what_cannot_be_known(adopted, {shard.definition for shard in projectors})
        return projectors

    def attached(self, definition: ReadModelDefinition, stored: Checkpoint) -> Projector:
        """Return a projector for the parked keys alone, of any shard; another one follows the log."""
        return self._projector(self._tables[definition], stored, None, None)

    def shards(self, definition: ReadModelDefinition) -> list[Shard]:
        """Return the shards in which a model is stored; none if it is not kept, or if other code made it."""
        tables = self._tables[definition]
        with self._database.reading() as connection:
            found = find_shards(connection, tables.stem)
            if not found or not fits(found[0], connection, tables, self.log.store.log_id):
                return []
        return shards_of(definition, count_in(found[0].model))

    def lagging(self, shards: Sequence[Shard], leases: Mapping[Shard, Lease]) -> tuple[int, list[Projector]]:
        """Return the highest position of a model's shards, and projectors for the shards that are not so far."""
        tables = self._tables[shards[0].definition]
        with self._database.reading() as connection:
            found = {each.model: each for each in find_shards(connection, tables.stem)}
        target = max((each.position for each in found.values()), default=0)
        behind = [shard for shard in shards if shard.checkpoint in found and found[shard.checkpoint].position < target]
        return target, [self._projector(tables, found[shard.checkpoint], leases[shard], shard.owns) for shard in behind]

    def split(self, shards: Sequence[Shard], leases: Mapping[Shard, Lease]) -> bool:
        """Store a model in the shards that it is defined with if its stored ones are equally far; return whether it is.

        Raise `LeaseLost` if the lease of one of its stored shards is not held.
        """
        tables = self._tables[shards[0].definition]
        with self._database.writing() as connection:
            lost = [name for name, holder in leases.values() if not is_held(connection, name, holder)]
            if lost:
                raise LeaseLost(lost[0])
            found = find_shards(connection, tables.stem)
            names = {shard.checkpoint for shard in shards}
            if {each.model for each in found} != names or len({each.position for each in found}) > 1:
                return False
            put(connection, tables, found[0])
        return True

    # --- rebuilds

    def due(self, only: Collection[ReadModelDefinition]) -> dict[ReadModelDefinition, int]:
        """Return the models that have to be rebuilt, with the position of their present tables; -1 for unusable ones.

        Raise `ReadModelChanged` if the code of one has changed without its version; the error names all such models.
        """
        found: dict[ReadModelDefinition, int] = {}
        with self._database.reading() as connection:
            for definition, tables in self._tables.items():
                if definition in only:
                    try:
                        due = self._due(connection, tables)
                    except ReadModelChanged as first:
                        raise self._all_changed(connection, first) from first
                    if due is not None:
                        found[definition] = due
        return found

    def build(
        self,
        definition: ReadModelDefinition,
        dry_run: bool,
        lease: Lease | None = None,
        only_if_due: bool = False,
    ) -> Replacement:
        """Return tables to be built beside the present ones: new ones, or those that an interrupted rebuild left.

        Raise `CheckpointMoved` if they are wanted only while the present ones are of other code, and these are not.
        """
        tables, log_id, identify = self._tables[definition], self.log.store.log_id, self.log.identify
        with self._database.writing() as connection:
            create_own_tables(connection)
            present = find(connection, tables)
            check_place(connection, self._database, tables, present, log_id)
            if present is None or present.log_id != log_id:
                raise NotKept(definition.name)
            if only_if_due and is_of(connection, present, tables):
                raise CheckpointMoved
            if isinstance(tables, ModelTable):
                beside = tables_beside(connection, definition, log_id, trial=dry_run)
                at = find(connection, beside)
                assert at is not None, "a rebuild without a checkpoint"
                built = self._keyed_target(beside)
                quiet = StoredParkedEvents(definition, beside.stem, quiet=dry_run)
                projector = BesideProjector(built, self._database, at, parked=quiet, lease=lease, identify=identify)
                return Replacement(built, projector, tables, self._database, dry_run=dry_run)
            target = tables.target(self.log)
            temporary = TemporaryProjector(target, self._database, present, lease=lease, identify=identify)
            return Replacement(target, temporary, tables, self._database, dry_run=dry_run)

    # --- snapshots

    @contextmanager
    def present(self, reached: Mapping[ReadModelDefinition, int], after: int) -> Generator[ReadSnapshot, None, None]:
        """Read the tables as they are, in one snapshot."""
        with self._database.reading() as connection:
            yield PresentSnapshot(connection, self._models, self._projections, reached, after, self._scans)

    @contextmanager
    def past(self, reached: Mapping[ReadModelDefinition, int], as_of: int) -> Generator[ReadSnapshot, None, None]:
        """Read the tables as they were at a position, in one snapshot."""
        with self._database.reading(scratch=True) as connection:
            yield PastSnapshot(connection, self._models, self._projections, reached, self.log, as_of, self._replayed)

    def changes(
        self, definition: ReadModelDefinition, after: int, upto: int, limit: int | None, keys: Collection[Key] | None
    ) -> list[RowChange]:
        """Return how rows of a model with history changed between two positions; see `row_changes`."""
        with self._database.reading() as connection:
            return row_changes(connection, self._models[definition], after, upto, limit, keys)

    # --- private

    def _projector(
        self, tables: ModelTable | SqlTables, found: Checkpoint, lease: Lease | None, owns: Owns | None
    ) -> Projector:
        target = tables.target(self.log) if isinstance(tables, SqlTables) else self._keyed_target(tables, owns=owns)
        parked, identify = self.parked[tables.definition], self.log.identify
        return Projector(target, self._database, found, parked=parked, lease=lease, identify=identify)

    def _keyed_target(
        self, tables: ModelTable, *, owns: Owns | None = None, history: bool | None = None
    ) -> KeyedTarget:
        log, dialect, history = self.log, self._database.dialect, tables.history if history is None else history
        if tables.definition.concerns:
            return FanOutTarget(tables, log, dialect, history=history, scans=self._scans)
        return KeyedTarget(tables, log, dialect, history=history, owns=owns)

    def _replayed(self, tables: ModelTable) -> KeyedTarget:
        """Return what fills the temporary table of a query of the past."""
        return self._keyed_target(tables, history=False)

    def _is_ready(self, connection: sa.Connection, tables: Tables, first: Shard) -> bool:
        """Return whether a model's tables can be projected into; for its first shard they are created if not."""
        found, log_id = find(connection, tables), self.log.store.log_id
        check_place(connection, self._database, tables, found, log_id)
        if self._named:
            check_owner(tables, found, str(self._database.url), log_id)
        if found is not None and fits(found, connection, tables, log_id):
            tables.align(connection)
            return True
        if first.is_first:
            begin_again(connection, tables, log_id)
        return first.is_first

    def _due(self, connection: sa.Connection, tables: Tables) -> int | None:
        """Return the position of the present tables of a model that has to be rebuilt; None if it has not to be."""
        stored = find(connection, tables)
        if stored is None:
            return None
        due, position = judge(connection, stored, tables, self.log.store.log_id, on_change=self._on_change)
        return position if due else None

    def _all_changed(self, connection: sa.Connection, first: ReadModelChanged) -> ReadModelChanged:
        """Return one error for every model that changed."""
        changed: list[ReadModelChanged] = []
        for tables in self._tables.values():
            try:
                self._due(connection, tables)
            except ReadModelChanged as error:
                changed.append(error)
        return first if len(changed) < 2 else ReadModelsChanged.of(changed)


def tables_for(definition: ReadModelDefinition) -> ModelTable | SqlTables:
    """Return the tables of a read model, or of an SQL projection."""
    return SqlTables(definition) if isinstance(definition, SqlProjection) else ModelTable(definition)


# --- a database that nothing is opened, created or projected in


def stored_positions(
    url: str, definitions: Iterable[ReadModelDefinition], log_id: str
) -> dict[ReadModelDefinition, int]:
    """Return the checkpoints of those models whose tables are what this code makes of this log."""
    with _looked_at(url) as connection:
        return dict(_fitting(connection, definitions, log_id)) if connection is not None else {}


def stored_parked(url: str, definitions: Iterable[ReadModelDefinition]) -> list[ParkedKey]:
    """Return every parked key of these models."""
    with _looked_at(url) as connection:
        if connection is None or not sa.inspect(connection).has_table(parked.name):
            return []
        return [key for definition in definitions for key in StoredParkedEvents(definition).all(connection)]


def stored_traceback(url: str, definition: ReadModelDefinition, key: Key) -> str | None:
    """Return the traceback of the error that holds up a key; None where none was kept."""
    with _looked_at(url) as connection:
        return None if connection is None else StoredParkedEvents(definition).traceback(connection, key)


def stored_queue(url: str, definition: ReadModelDefinition, key: Key, limit: int) -> list[int]:
    """Return the positions of the first events that wait under a parked key."""
    with _looked_at(url) as connection:
        return [] if connection is None else StoredParkedEvents(definition).positions(connection, key, limit)


def drop_kept(url: str, definition: ReadModelDefinition) -> bool:
    """Drop what the last swap of a model kept; return whether there was anything."""
    with closing(open_database(url)) as database, database.writing() as connection:
        if isinstance(definition, SqlProjection):
            return drop_old_tables(connection, definition.tables)
        return drop_old(connection, definition)


def exists(url: str) -> bool:
    """Return whether there is such a file; a server counts as existing."""
    with closing(open_database(url)) as database:
        return database.exists()


def is_writable(url: str) -> bool:
    """Return whether this user may write to the models database."""
    with closing(open_database(url)) as database, database.reading() as connection:
        return database.may_write(connection, checkpoint.name)


@contextmanager
def _looked_at(url: str) -> Generator[sa.Connection | None, None, None]:
    """Read a models database; None if there is no such file."""
    with closing(open_database(url)) as database:
        if not database.exists():
            yield None
            return
        with database.reading() as connection:
            yield connection


def _fitting(
    connection: sa.Connection, definitions: Iterable[ReadModelDefinition], log_id: str
) -> Iterator[tuple[ReadModelDefinition, int]]:
    if not sa.inspect(connection).has_table(checkpoint.name):
        return
    for definition in definitions:
        tables = tables_for(definition)
        found = find(connection, tables)
        if found is not None and fits(found, connection, tables, log_id):
            yield definition, found.position


# --- checks


def _check_names(definition: ReadModelDefinition, database: Database) -> None:
    """Raise if a table's name, with what a rebuild adds to it, is too long for the database."""
    if isinstance(definition, SqlProjection):
        longest = database.longest_name - len(OLD)
        for name in definition.tables:
            if len(name) > longest:
                problem = f"the table {name!r} has a name of {len(name)} characters"
                raise InvalidProjection(definition.name, problem, f"at most {longest}: a rebuild adds {OLD!r}")
        return
    longest = database.longest_name - LONGEST_SUFFIX
    if len(definition.table) > longest:
        raise InvalidModel(
            f"{definition.name} needs a table whose name {definition.table!r} has {len(definition.table)} characters",
            f"at most {longest} characters, so that the name of a rebuild has at most {database.longest_name}",
            "give the class a shorter name",
        )


def _log_what_cannot_be_known(adopted: Collection[str], opened: Iterable[ReadModelDefinition]) -> None:
    if adopted:
        log.warning(
            "the rows of %s were built by an older leftfold, or by code without its source. They are assumed to be "
            "what this code would build; `leftfold rebuild --dry-run` checks it",
            ", ".join(sorted(adopted)),
        )
    without = sorted(definition.name for definition in opened if not definition.fingerprint().code)
    if without:
        log.warning(
            "the source code of %s cannot be read, so a change to it is noticed only if the version is raised too",
            ", ".join(without),
        )

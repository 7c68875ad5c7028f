"""Checkpoints: the position up to which each table is folded, from which log, by which code."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple
from uuid import uuid4

import sqlalchemy as sa

from leftfold.errors import ReadModelChanged, ReadModelError, TableTaken
from leftfold.model.fingerprint import is_in_form
from leftfold.query.progress import NOT_TO_BE_ANSWERED_FROM, CheckpointMoved
from leftfold.query.read_model import OnChange, ReadModelDefinition
from leftfold.query.shard import Shard, model_of
from leftfold.query.tables.database import Database
from leftfold.query.tables.model_table import drop
from leftfold.query.tables.own_tables import checkpoint, own_tables_exist
from leftfold.query.tables.parked import StoredParkedEvents
from leftfold.query.tables.target import Tables
from leftfold.store.bounds import POSITION_LIMIT
from leftfold.store.identity import BEGINNING

BESIDE = "__new_"


class Checkpoint(NamedTuple):
    """How far one model is folded, or one shard of it, whose name ends in a number."""

    model: str
    position: int
    build: str
    fingerprint: str
    log_id: str
    tables: str
    version: int
    anchor: str | None = None

    @property
    def identity(self) -> str | None:
        """The identity of the event at its position; None if a release that stored none has moved it."""
        position, _, identity = (self.anchor or "").partition(":")
        return identity if position == str(self.position) else None

    def moved(self, position: int, identity: str) -> "Checkpoint":
        """Return it at another position, where the log has the event of this identity."""
        return self._replace(position=position, anchor=anchor_at(position, identity))


def anchor_at(position: int, identity: str) -> str:
    """Return what is stored of an event: its position tells it from the anchor of a former position."""
    return f"{position}:{identity}"


# --- read


def find(connection: sa.Connection, table: Tables) -> Checkpoint | None:
    """Return the checkpoint of a model, if it has one; that of a model in shards combines theirs."""
    return combined(find_shards(connection, table.stem))


def find_one(connection: sa.Connection, name: str) -> Checkpoint | None:
    """Return the checkpoint of this name, a model's or a shard's."""
    found = connection.execute(_stored().where(checkpoint.c.model == name)).mappings().first()
    return _of_row(found) if found else None


def find_shards(connection: sa.Connection, stem: str) -> list[Checkpoint]:
    """Return the checkpoints of a model, one for each shard that is stored."""
    like = sa.or_(checkpoint.c.model == stem, checkpoint.c.model.startswith(f"{stem}#", autoescape=True))
    found = connection.execute(_stored().where(like).order_by(checkpoint.c.model)).mappings()
    return [_of_row(row) for row in found if model_of(row["model"]) == stem]


def find_all(connection: sa.Connection) -> dict[str, Sequence[Checkpoint]]:
    """Return the checkpoints of every model, by the name of its table."""
    rows = connection.execute(_stored().order_by(checkpoint.c.model)).mappings()
    found = [_of_row(row) for row in rows if _is_text(row["model"])]
    models = sorted(found, key=lambda each: model_of(each.model))
    return {stem: tuple(rows) for stem, rows in groupby(models, key=lambda each: model_of(each.model))}


def combined(shards: Sequence[Checkpoint]) -> Checkpoint | None:
    """Return what holds for a model: it has the lowest position of its shards, and its build changes with any."""
    if len(shards) < 2:
        return shards[0] if shards else None
    last, builds = min(shards, key=lambda shard: shard.position), " ".join(shard.build for shard in shards)
    return last._replace(model=model_of(last.model), build=builds)


def highest_position(connection: sa.Connection, table: Tables) -> int:
    """Return the highest position of a model's shards; 0 if it has no checkpoint."""
    return max((shard.position for shard in find_shards(connection, table.stem)), default=0)


# --- write


def advance(connection: sa.Connection, at: Checkpoint, to: Checkpoint) -> None:
    """Move a checkpoint; raise `CheckpointMoved` unless it is where it is believed to be.

    The row stays locked until the commit.
    """
    moved = connection.execute(
        sa.update(checkpoint)
        .where(checkpoint.c.model == at.model, checkpoint.c.position == at.position, checkpoint.c.build == at.build)
        .values(position=to.position, anchor=to.anchor)
    )
    if moved.rowcount != 1:
        raise CheckpointMoved


def disturb(connection: sa.Connection, table: Tables) -> None:
    """Make every projector of a model reload its checkpoint: rows were written that it may have cached."""
    of_model = checkpoint.c.model.in_(_names(find_shards(connection, table.stem)))
    connection.execute(sa.update(checkpoint).where(of_model).values(build=uuid4().hex))


def disturb_all(connection: sa.Connection, shard: Shard) -> None:
    """Do the same for a shard and for what is built beside it: another process folds them from now on."""
    concerned = checkpoint.c.model == shard.checkpoint
    if shard.is_first:
        built = checkpoint.c.model.startswith(f"{shard.definition.table}{BESIDE}", autoescape=True)
        concerned = sa.or_(concerned, built)
    connection.execute(sa.update(checkpoint).where(concerned).values(build=uuid4().hex))


def begin_again(connection: sa.Connection, table: Tables, log_id: str) -> Checkpoint:
    """Create empty tables in place of the former ones, with a checkpoint at 0 and nothing parked."""
    StoredParkedEvents(table.definition, table.stem).clear(connection)
    former = find(connection, table)
    for name in former.tables.split() if former else ():
        drop(connection, name)
    table.create(connection)
    fingerprint, tables = mark_of(table), " ".join(table.tables)
    begun = Checkpoint(table.stem, 0, "", fingerprint, log_id, tables, table.definition.version)
    begun = begun.moved(0, BEGINNING)
    put(connection, table, begun)
    return begun


def put(connection: sa.Connection, table: Tables, begun: Checkpoint) -> None:
    """Store this position for a model, in the shards that this code defines, instead of those that are stored."""
    former = _names(find_shards(connection, table.stem))
    connection.execute(sa.delete(checkpoint).where(checkpoint.c.model.in_(former)))
    rows = [begun._replace(model=name, build=uuid4().hex)._asdict() for name in table.checkpoints]
    connection.execute(sa.insert(checkpoint), rows)


# --- compare with the code


def fits(found: Checkpoint, connection: sa.Connection, table: Tables, log_id: str) -> bool:
    """Return whether the tables are what this code makes of this log."""
    return found.log_id == log_id and table.exists(connection) and is_of(connection, found, table)


def mark_of(table: Tables) -> str:
    """Return what is stored as the fingerprint: that of the code, and the form of the columns unless it is 1."""
    fingerprint = str(table.definition.fingerprint())
    return fingerprint if table.form == 1 else f"{fingerprint}/{table.form}"


def form_in(found: Checkpoint) -> int:
    """Return the form of the columns."""
    form = found.fingerprint.partition("/")[2] or "1"
    return int(form) if form.isdecimal() and len(form) < 10 else 0


def is_in_former_form(connection: sa.Connection, found: Checkpoint, table: Tables) -> bool:
    """Return whether this code made the rows, with a leftfold that stored some columns in another form."""
    return form_in(found) < table.form and _is_of_code(connection, found, table)


def is_of(connection: sa.Connection, found: Checkpoint, table: Tables) -> bool:
    """Return whether this code made the rows, under this version.

    Where only the version can tell, because one of the fingerprints was made without the source or by an older
    leftfold, the rows count as made by this code if the tables have its columns.
    """
    return form_in(found) == table.form and _is_of_code(connection, found, table)


def is_surely_of(found: Checkpoint, table: Tables) -> bool:
    """Return whether this code made the rows according to the fingerprints alone."""
    alike = (found.version, form_in(found)) == (table.definition.version, table.form)
    return alike and table.definition.fingerprint().matches(_code_in(found)) is True


def is_due(connection: sa.Connection, found: Checkpoint, table: Tables, *, on_change: OnChange) -> bool:
    """Return whether the table has to be rebuilt, for its version or the form of its columns.

    Raise `ReadModelChanged` if the code changed without its version, unless `on_change` asks for a rebuild then.
    """
    if is_of(connection, found, table):
        return False
    raised = found.version < table.definition.version or is_in_former_form(connection, found, table)
    if raised or on_change == "rebuild":
        return True
    raise table.definition.changed(found.version)


def judge(
    connection: sa.Connection, found: Checkpoint, table: Tables, log_id: str, *, on_change: OnChange
) -> tuple[bool, int]:
    """Return whether the tables have to be rebuilt, and the position of the rows; -1 if they cannot answer this code.

    They answer until they are replaced if they have the columns that the code selects, in a form that it can read.
    """
    exists = all(sa.inspect(connection).has_table(name) for name in found.tables.split())
    if found.log_id != log_id or not exists:
        return False, NOT_TO_BE_ANSWERED_FROM
    due = is_due(connection, found, table, on_change=on_change)
    answers = not due or (table.reads(form_in(found)) and table.answers(connection))
    return due, found.position if answers else NOT_TO_BE_ANSWERED_FROM


def check_owner(table: Tables, found: Checkpoint | None, where: str, log_id: str) -> None:
    """Raise `TableTaken` if this database keeps the model of another log: the two would undo each other's work."""
    if found is not None and found.log_id != log_id:
        raise TableTaken(table.name, table.tables[0], where, found.log_id, log_id)


def check_place(
    connection: sa.Connection, database: Database, tables: Tables, found: Checkpoint | None, log_id: str
) -> None:
    """Raise `TableTaken` if tables of these names are not of this log.

    In a database that belongs to one log, everything may be replaced.
    """
    if database.of_one_log or (found is not None and found.log_id == log_id):
        return
    present = sa.inspect(connection)
    taken = [name for name in tables.tables if present.has_table(name)]
    if taken:
        raise TableTaken(tables.name, taken[0], str(database.url), found.log_id if found else None, log_id)


def adopt(connection: sa.Connection, found: Checkpoint, table: Tables) -> Checkpoint:
    """Take over rows that an older leftfold made, or code without its source; later changes will be noticed."""
    present = table.definition.fingerprint()
    if present.matches(_code_in(found)) is not None or (not present.code and is_in_form(found.fingerprint)):
        return found
    own = checkpoint.c.model == found.model
    mark = mark_of(table)
    connection.execute(sa.update(checkpoint).where(own).values(fingerprint=mark))
    return found._replace(fingerprint=mark)


def _is_of_code(connection: sa.Connection, found: Checkpoint, table: Tables) -> bool:
    if found.version != table.definition.version:
        return False
    matches = table.definition.fingerprint().matches(_code_in(found))
    if matches is None:
        return found.tables.split() == list(table.tables) and table.answers(connection)
    return matches


def _code_in(found: Checkpoint) -> str:
    return found.fingerprint.partition("/")[0]


# --- rows


def _stored() -> sa.Select[Any]:
    """Select whatever columns there are: the table of a former release has fewer until something is written."""
    return sa.select(sa.text("*")).select_from(checkpoint)


def _of_row(row: sa.RowMapping) -> Checkpoint:
    """Return the checkpoint in a row; a damaged one is at a position that no log reaches, so the model starts again."""
    found = Checkpoint(**row)
    texts = found[2:6]  # from `build` to `tables`
    numbers = found.position, found.version
    sound = all(map(_is_text, texts)) and all(map(_is_number, numbers))
    if sound and found.position >= 0 and (found.anchor is None or _is_text(found.anchor)):
        return found
    build, fingerprint, log_id, tables = (each if _is_text(each) else "" for each in texts)
    version = found.version if _is_number(found.version) else 0
    return Checkpoint(found.model, POSITION_LIMIT, build, fingerprint, log_id, tables, version)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_number(value: object) -> bool:
    return isinstance(value, int)


def _names(shards: Iterable[Checkpoint]) -> list[str]:
    return [shard.model for shard in shards]


# --- the checkpoints of models that other processes fold


class Seen(NamedTuple):
    """How far a model's table is, -1 where it cannot answer this code; and the problem that forbids following it."""

    position: int
    parked: int = 0
    problem: ReadModelError | None = None
    checkpoint: Checkpoint | None = None
    identity: str | None = None  # of the event at the position, where it is known


NOTHING = Seen(NOT_TO_BE_ANSWERED_FROM)


class CheckpointReader:
    """Reads how far models are, with one small query; it asks more of a model only if it moved or was rebuilt."""

    def __init__(
        self,
        database: Database,
        tables: Mapping[ReadModelDefinition, Tables],
        log_id: str,
        *,
        on_change: OnChange,
        named: bool = False,
    ) -> None:
        self._on_change: OnChange = on_change
        self._named = named
        self._database = database
        self._tables = tables
        self._log_id = log_id
        self._own_tables_exist = False
        self._last: dict[ReadModelDefinition, tuple[Sequence[Checkpoint], Seen]] = {}

    def __repr__(self) -> str:
        return f"<CheckpointReader of {self._database!r}>"

    def read(self, shards: Collection[Shard]) -> tuple[dict[Shard, Seen], dict[ReadModelDefinition, str]]:
        """Return how far each of these shards is, and the build of every model; raise `ModelsUnavailable` on trouble.

        If a model is stored in other shards at present, each is as far as the last of the stored ones. A build changes
        whenever anything but a projector has written a model's rows.
        """
        with self._database.reading() as connection:
            self._own_tables_exist = self._own_tables_exist or own_tables_exist(connection)
            found = find_all(connection) if self._own_tables_exist else {}
            seen = {each: self._seen(connection, each, found.get(each.definition.table, ())) for each in shards}
        whole = {definition: combined(found.get(definition.table, ())) for definition in self._tables}
        return seen, {definition: each.build for definition, each in whole.items() if each is not None}

    def _seen(self, connection: sa.Connection, shard: Shard, stored: Sequence[Checkpoint]) -> Seen:
        model = self._seen_model(connection, shard.definition, stored)
        if model.checkpoint is None:
            return model
        own = next((each for each in stored if each.model == shard.checkpoint), model.checkpoint)
        return model._replace(position=own.position, identity=own.identity)

    def _seen_model(
        self, connection: sa.Connection, definition: ReadModelDefinition, stored: Sequence[Checkpoint]
    ) -> Seen:
        found = combined(stored)
        if found is None:
            return NOTHING
        before, last = self._last.get(definition, ((), NOTHING))
        if before == stored:
            return last
        if [each.build for each in before] == [each.build for each in stored] and last.position >= 0:
            seen = Seen(found.position, StoredParkedEvents(definition).recount(connection), checkpoint=found)
        else:
            seen = self._judge(connection, definition, found)
        self._last[definition] = stored, seen
        return seen

    def _judge(self, connection: sa.Connection, definition: ReadModelDefinition, found: Checkpoint) -> Seen:
        table = self._tables[definition]
        if self._named:
            try:
                check_owner(table, found, str(self._database.url), self._log_id)
            except TableTaken as taken:
                return NOTHING._replace(problem=taken)
        try:
            _, position = judge(connection, found, table, self._log_id, on_change=self._on_change)
        except ReadModelChanged as changed:
            return Seen(found.position, problem=changed)
        if position == NOT_TO_BE_ANSWERED_FROM:
            return NOTHING
        return Seen(found.position, StoredParkedEvents(definition).recount(connection), checkpoint=found)

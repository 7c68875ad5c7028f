"""A target that keeps its rows in a file as well: the file has what the stored table has, and never the past."""

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from leftfold import App, Command, Event, Query, ReadModels
from leftfold.query.folded_log import FoldedLog
from leftfold.query.rebuild import rebuild
from leftfold.query.sql_projection import SqlProjection
from leftfold.query.tables import models_database
from leftfold.query.tables.sql_target import SqlTables, SqlTarget


class FileTables(SqlTables):
    """The table whose rows are kept in a file."""

    path: Path

    def target(self, log: FoldedLog) -> SqlTarget:
        return FileTarget(self, log)


class FileTarget(SqlTarget):
    """Writes the rows under a temporary name, and renames the file after the commit."""

    def __init__(self, tables: FileTables, log: FoldedLog) -> None:
        super().__init__(tables, log)
        self._path = tables.path
        self._written: Path | None = None

    def changed(self, connection: sa.Connection) -> None:
        rows = connection.execute(sa.select(note).order_by(note.c.number)).mappings()
        self._written = self._path.with_suffix(".tmp")
        self._written.write_text("".join(f"{json.dumps(dict(row))}\n" for row in rows), encoding="utf-8")

    def committed(self) -> None:
        if self._written is not None:
            self._written.replace(self._path)
            self._written = None


note = sa.Table("note", sa.MetaData(), sa.Column("number", sa.Integer, primary_key=True), sa.Column("text", sa.Text))


class Noted(Event):
    number: int
    text: str


class Note(Command):
    number: int
    text: str


class Count(Query[int]):
    pass


class Notes:
    """The app, the file that its projection writes, and whether the projection fails."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notes.jsonl"
        self.log = folder / "log.db"
        self.fails = False
        self.app = App("notes")
        self.app.handles(self.note)
        self.app.projection("notes", tables=[note])(self.write)
        self.app.answers(self.count)

    @staticmethod
    def note(command: Note) -> Noted:
        return Noted(command.number, command.text)

    @property
    def write(self) -> Any:
        def write(event: Noted, connection: sa.Connection) -> None:
            if self.fails:
                raise ValueError("no room")
            connection.execute(sa.insert(note).values(number=event.number, text=event.text))

        return write

    @staticmethod
    def count(query: Count, models: ReadModels) -> int:
        return len(models.execute(sa.select(note)))

    @property
    def numbers(self) -> list[int]:
        """The rows in the file."""
        return [json.loads(line)["number"] for line in self.path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Notes:
    notes = Notes(tmp_path)

    def tables_for(definition: SqlProjection) -> FileTables:
        tables = FileTables(definition)
        tables.path = notes.path
        return tables

    monkeypatch.setattr(models_database, "tables_for", tables_for)
    return notes


async def test_the_file_has_the_rows_of_the_table(notes: Notes) -> None:
    async with notes.app.open(notes.log) as live:
        for number in range(5):
            receipt = await live.execute(Note(number, "x"))
        assert await live.query(Count(), after=receipt) == 5

    assert notes.numbers == [0, 1, 2, 3, 4]


async def test_a_query_of_the_past_leaves_the_file_as_it_is(notes: Notes) -> None:
    async with notes.app.open(notes.log) as live:
        for number in range(5):
            receipt = await live.execute(Note(number, "x"))
        await live.query(Count(), after=receipt)

        assert await live.query(Count(), as_of=2) == 2

    assert notes.numbers == [0, 1, 2, 3, 4]


async def test_a_retry_writes_the_file(notes: Notes) -> None:
    async with notes.app.open(notes.log) as live:
        receipt = await live.execute(Note(1, "x"))
        await live.query(Count(), after=receipt)
        notes.fails = True
        await live.execute(Note(2, "x"))
        await live.run_until_quiet()
        assert notes.numbers == [1]

        notes.fails = False
        assert await live.retry("notes") == []

        assert await live.query(Count()) == 2
    assert notes.numbers == [1, 2]


async def test_a_rebuild_writes_the_file_once_it_has_swapped(notes: Notes, tmp_path: Path) -> None:
    async with notes.app.open(notes.log) as live:
        receipt = await live.execute(Note(1, "x"))
        await live.query(Count(), after=receipt)
        notes.path.unlink()
        definition, models = notes.app.projections["notes"], f"sqlite:///{tmp_path}/log.models.db"

        await rebuild(definition, live.store, notes.app.registry, models, dry_run=True)
        assert not notes.path.exists()

        await rebuild(definition, live.store, notes.app.registry, models)
        assert notes.numbers == [1]

"""Rows that keep when, and by whom, they were changed last."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Self

import pytest

from leftfold import (
    App,
    ChangedAt,
    ChangedBy,
    Command,
    DecisionModel,
    Event,
    LiveApp,
    Query,
    ReadModel,
    ReadModels,
    Tag,
    recording,
    replace,
)
from leftfold.errors import InvalidModel
from leftfold.testing import FakeClock
from tests.query.places import Place, place, url

__all__ = ["place", "url"]

GuestId = Annotated[str, Tag("guest")]
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Renamed(Event):
    guest: GuestId
    name: str


class Left(Event):
    guest: GuestId


class Rename(Command):
    guest: GuestId
    name: str


class Leave(Command):
    guest: GuestId


class Ask(Query[list[tuple[str, datetime | None, str | None]]]):
    order_by: str = "guest"


class One(Query[Any]):
    guest: str


def hotel(*, version: int = 1, **options: Any) -> App:
    app = App("hotel")

    @app.handles
    def rename(command: Rename) -> Renamed:
        return Renamed(command.guest, command.name)

    @app.handles
    def leave(command: Leave) -> Left:
        return Left(command.guest)

    @app.read_model(version=version, indexes=["-changed_at", "changed_by"], **options)
    class Guest(ReadModel):
        guest: GuestId
        name: str = ""
        changed_at: Annotated[datetime | None, ChangedAt] = None
        changed_by: Annotated[str | None, ChangedBy] = None

        def evolve(self, event: Renamed | Left) -> Self | None:
            match event:
                case Renamed(name=self.name):
                    return self
                case Renamed(name=name):
                    return replace(self, name=name)
                case Left():
                    return None

    @app.answers
    def rows(query: Ask, models: ReadModels) -> list[tuple[str, datetime | None, str | None]]:
        found = models.select(Guest, order_by=query.order_by)
        return [(row.guest + row.name, row.changed_at, row.changed_by) for row in found]

    @app.answers
    def one(query: One, models: ReadModels) -> Any:
        return models.get(Guest, query.guest)

    return app


@asynccontextmanager
async def stay(folder: Path, url: str, **options: Any) -> AsyncIterator[LiveApp]:
    """A log with a history: at each minute one command, by the actor that its name begins with."""
    clock = FakeClock(START)
    app = hotel(**options)
    async with app.open(f"sqlite:///{folder}/hotel.db", models=url, clock=clock) as live:
        if await live.store.head() == 0:
            for actor, command in [
                ("ann", Rename("g-1", "Ada")),
                (None, Rename("g-2", "Bob")),
                ("ben", Rename("g-1", "Ada")),  # changes nothing
                ("cid", Rename("g-1", "Eve")),
                ("dee", Leave("g-2")),
                ("eva", Rename("g-2", "Bo")),
            ]:
                with recording(actor=actor):
                    await live.execute(command)
                clock.advance(timedelta(minutes=1))
        yield live


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


NOW = [("g-1Eve", at(3), "cid"), ("g-2Bo", at(5), "eva")]
THEN = {
    1: [("g-1Ada", at(0), "ann")],
    3: [("g-1Ada", at(0), "ann"), ("g-2Bob", at(1), None)],
    4: [("g-1Eve", at(3), "cid"), ("g-2Bob", at(1), None)],
    5: [("g-1Eve", at(3), "cid")],
    6: NOW,
}


@pytest.mark.parametrize("options", [{}, {"history": True}, {"shards": 3}])
async def test_a_row_says_who_changed_it_last_and_when_now_in_the_past_and_after_a_rebuild(
    options: dict[str, Any], tmp_path: Path, url: str
) -> None:
    for version in (1, 2):
        async with stay(tmp_path, url, version=version, **options) as live:
            assert await live.query(Ask(), after=6) == NOW
            assert await live.query(Ask("-changed_at")) == NOW[::-1]
            for position, rows in THEN.items():
                assert await live.query(Ask(), as_of=position) == rows
                found = await live.query(One("g-1"), as_of=position)
                assert (found.changed_at, found.changed_by) == rows[0][1:]


async def test_rows_that_are_folded_from_a_whole_log_at_once_say_it_too(tmp_path: Path, url: str, place: Place) -> None:
    async with stay(tmp_path, place.own()):
        pass

    async with stay(tmp_path, url) as live:
        assert await live.query(Ask(), after=6) == NOW


async def test_an_explanation_says_it_step_by_step(tmp_path: Path, place: Place) -> None:
    async with stay(tmp_path, place.own()) as live:
        row = await live.query(One("g-1"), after=6)
        with recording(actor="fay"):
            last = await live.execute(Rename("g-3", ""))  # evolve returns the state that a row begins with
        begun = await live.query(One("g-3"), after=last)

        steps = await live.explain(type(row), "g-1")
        [beginning] = await live.explain(type(row), "g-3")

    assert [(step.after.changed_at, step.after.changed_by) for step in steps] == [
        (at(0), "ann"),
        (at(0), "ann"),
        (at(3), "cid"),
    ]
    assert steps[-1].after == row
    assert beginning.after == begun
    assert begun.changed_by == "fay"
    assert [change.path for change in steps[1].changes] == []


# --- definitions


class Counted(Event):
    guest: GuestId


def model_of(hints: dict[str, Any], base: type = ReadModel) -> type:
    def evolve(self: Any, event: Any) -> Any:
        return self

    evolve.__annotations__ = {"event": Counted}
    body = {"__annotations__": {"guest": GuestId, **hints}, "__module__": __name__, "evolve": evolve}
    return type(base)("Model", (base,), {**body, **dict.fromkeys(hints)})


@pytest.mark.parametrize(
    ("hints", "said"),
    [
        ({"at": Annotated[datetime, ChangedAt]}, r"Model.at is marked with ChangedAt, and has another type"),
        ({"by": Annotated[int | None, ChangedBy]}, r"expected: by: Annotated\[str \| None, ChangedBy\] = None"),
        ({"at": Annotated[str | None, ChangedAt()]}, "Model.at is marked with ChangedAt"),
        (
            {"one": Annotated[str | None, ChangedBy], "other": Annotated[str | None, ChangedBy]},
            "Model marks one and other with ChangedBy",
        ),
    ],
)
def test_a_field_that_cannot_be_set_is_refused_by_name(hints: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidModel, match=said):
        model_of(hints)


def test_a_decision_model_does_not_keep_who_and_when() -> None:
    with pytest.raises(InvalidModel, match="Model marks at as set by leftfold, and is no read model"):
        model_of({"at": Annotated[datetime | None, ChangedAt]}, DecisionModel)

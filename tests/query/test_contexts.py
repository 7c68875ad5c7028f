"""Rows that are folded with the context of each event."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Self

import pytest

from leftfold import App, Command, Event, EventContext, Query, ReadModel, ReadModels, Tag, recording, replace
from leftfold.testing import FakeClock
from leftfold.testing.clock import START
from tests.query.places import Place, place, url

__all__ = ["place", "url"]

CardId = Annotated[str, Tag("card")]


class Written(Event):
    card: CardId
    text: str


class Write(Command):
    card: CardId
    text: str


class LastEntry(ReadModel):
    card: CardId
    at: datetime | None = None
    by: str | None = None
    position: int = 0
    texts: tuple[str, ...] = ()

    def evolve(self, event: Written, context: EventContext) -> Self | None:
        if event.text == "tear":
            return None
        if event.text == "burn":
            raise ValueError(f"burnt at {context.position}")
        texts = (*self.texts, event.text)
        return replace(self, at=context.time, by=context.actor, position=context.position, texts=texts)


class Row(Query[LastEntry | None]):
    card: str


def cards(**options: Any) -> App:
    app = App("cards")
    app.read_model(**options)(LastEntry)

    @app.handles
    def write(command: Write) -> Written:
        return Written(command.card, command.text)

    @app.answers
    def row(query: Row, models: ReadModels) -> LastEntry | None:
        return models.get(LastEntry, query.card)

    return app


@pytest.mark.parametrize("options", [{}, {"history": True}, {"shards": 2}])
async def test_a_row_is_folded_with_contexts_now_in_the_past_and_after_a_rebuild(
    options: dict[str, Any], tmp_path: Path, url: str
) -> None:
    log = f"sqlite:///{tmp_path}/cards.db"
    clock = FakeClock()
    for version in (1, 2):
        async with cards(version=version, **options).open(log, models=url, clock=clock) as live:
            if version == 1:
                with recording(actor="ann"):
                    await live.execute(Write("a", "one"))
                clock.advance(hours=1)
                await live.execute_many([Write("b", "other"), Write("a", "two")])

            row = await live.query(Row("a"), after=3)
            before = await live.query(Row("a"), as_of=1)

            assert row == LastEntry("a", START + timedelta(hours=1), None, 3, ("one", "two"))
            assert before == LastEntry("a", START, "ann", 1, ("one",))
            assert [each.after for each in await live.explain(LastEntry, "a")] == [before, row]


async def test_a_deleted_row_begins_again(tmp_path: Path, url: str) -> None:
    async with cards().open(f"sqlite:///{tmp_path}/cards.db", models=url, clock=FakeClock()) as live:
        for text in ("one", "tear", "two"):
            last = await live.execute(Write("a", text))

        assert await live.query(Row("a"), after=last) == LastEntry("a", START, None, 3, ("two",))


async def test_a_row_that_cannot_be_folded_is_parked_and_the_others_go_on(tmp_path: Path, place: Place) -> None:
    async with cards().open(f"sqlite:///{tmp_path}/cards.db", models=place.own(), clock=FakeClock()) as live:
        await live.execute(Write("a", "burn"))
        last = await live.execute(Write("b", "two"))

        assert await live.query(Row("b"), after=last) == LastEntry("b", START, None, 2, ("two",))
        [parked] = await live.parked()
        assert "burnt at 1" in parked.problem

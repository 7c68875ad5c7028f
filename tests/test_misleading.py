"""What used to mislead: decorators and their parentheses, cells that run twice, positions that are not there yet."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any, Self

import pytest

from leftfold import App, Command, DecisionModel, Event, Query, ReadModel, ReadModels, Tag, message
from leftfold.errors import DuplicateHandler, PositionAhead, TaglessEvent, WireNameTaken

Id = Annotated[str, Tag("account")]


class Plain(Event):
    """It carries no tag."""

    text: str


@pytest.mark.parametrize(("base", "advised"), [(DecisionModel, True), (ReadModel, False)])
def test_criteria_are_advised_only_where_a_model_may_state_them(base: type, advised: bool) -> None:
    def evolve(self: Any, event: Plain) -> Any: ...

    with pytest.raises(TaglessEvent) as refused:
        type(base)("Odd", (base,), {"__annotations__": {"account": Id}, "evolve": evolve, "__module__": __name__})

    assert ("criteria" in refused.value.remedy) is advised


def test_message_marks_a_class_with_and_without_parentheses() -> None:
    @message
    @dataclass(frozen=True)
    class One:
        account: Id

    @message()
    @dataclass(frozen=True)
    class Two:
        account: Id

    assert [vars(each)["__wire__"] for each in (One, Two)] == ["One", "Two"]


CELL = """
from typing import Annotated, Self
from leftfold import Command, DecisionModel, Event, ProcessManager, Query, Reaction, ReadModel, ReadModels, Tag

Id = Annotated[str, Tag("account")]

class Opened(Event, wire="cell.opened"):
    account: Id

class Open(Command):
    account: Id

class Account(DecisionModel):
    account: Id
    times: int = 0
    def evolve(self, event: Opened) -> Self:
        return type(self)(self.account, self.times + 1)

class Row(ReadModel):
    account: Id
    def evolve(self, event: Opened) -> Self:
        return self

class Count(Query[int]):
    pass

class Following(ProcessManager):
    account: Id
    def evolve(self, event: Opened) -> Self:
        return self
    def react(self, event: Opened) -> Reaction:
        return None

app.read_model()(Row)
app.process()(Following)

@app.handles()
def open_account(command: Open, account: Account) -> Opened:
    return Opened(command.account)

@app.answers()
def count(query: Count, models: ReadModels) -> int:
    return len(models.select(Row)) + MORE

@app.reactor("mail", start="from_now")
async def mail(event: Opened) -> None:
    seen.append(MORE)
"""


async def test_a_cell_that_runs_again_takes_the_place_of_what_it_defined_before() -> None:
    app, seen = App("notebook"), list[int]()
    notebook: dict[str, Any] = {"__name__": "notebook_cells", "app": app, "seen": seen}

    for number in range(3):
        exec(compile(CELL.replace("MORE", str(number)), f"<cell {number}>", "exec"), notebook)

    assert [len(each) for each in (app.command_handlers, app.query_handlers, app.read_models, app.processes)] == [1] * 4
    async with app.open("memory:", work=("projections",)) as live:
        for _ in range(2):
            await live.execute(notebook["Open"]("a"))
        await live.run_until_quiet()

        assert (await live.state(notebook["Account"], "a")).times == 2
        assert await live.query(notebook["Count"]()) == 1 + 2
    assert seen == [2, 2]


def test_two_of_one_name_in_one_file_are_a_clash_all_the_same() -> None:
    app = App("clash")

    class Open(Command):
        account: Id

    def handle(command: Open) -> None: ...

    first = app.handles(handle)

    def handle(command: Open) -> None: ...  # type: ignore[no-redef]

    with pytest.raises(DuplicateHandler):
        app.handles(handle)
    assert first is not handle

    class A(Event, wire="same"):
        pass

    class B(Event, wire="same"):
        pass

    app.event(A)
    with pytest.raises(WireNameTaken):
        app.event(B)


class Number(Query[int]):
    pass


class Named(Event):
    account: Id


class Names(ReadModel):
    account: Id

    def evolve(self, event: Named) -> Self:
        return self


async def test_after_beyond_the_head_is_said_at_once() -> None:
    app = App("ahead")
    app.read_model(Names)

    @app.answers
    def number(query: Number, models: ReadModels) -> int:
        return len(models.select(Names))

    async with app.open("memory:") as live, asyncio.timeout(10):
        await live.store.append([app.registry.encode(Named("a"), b"{}")])
        with pytest.raises(PositionAhead, match="after 7 has not happened yet; the newest event is at position 1"):
            await live.query(Number(), after=7, wait_timeout=600)

"""An event class that an annotation names stands for its subclasses too, wherever events are named."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, NewType, Self, TypeVar

import pytest
import sqlalchemy as sa
from typing_extensions import TypeAliasType

from leftfold import (
    App,
    Command,
    DecisionModel,
    Event,
    ProcessManager,
    Query,
    Reaction,
    ReadModel,
    ReadModels,
    Tag,
    criteria,
    message,
    replace,
)
from leftfold.errors import (
    DefinedTooLate,
    DefinitionError,
    InvalidCriteria,
    InvalidHandler,
    InvalidModel,
    NotAMessage,
    TaglessEvent,
)
from leftfold.model.fold import fold_of
from leftfold.model.message import MessageType
from leftfold.store import NewEvent

AccountId = Annotated[str, Tag("account")]
T = TypeVar("T")
Plain = Annotated[str, Tag("plain")]


class AccountEvent(Event):
    account: AccountId


class Deposited(AccountEvent):
    amount: int


class Bonus(Deposited, wire="bonus"):
    pass


class Withdrawn(AccountEvent):
    amount: int


class Account(DecisionModel):
    account: AccountId
    balance: int = 0

    def evolve(self, event: AccountEvent) -> Self:
        match event:
            case Deposited(amount=amount):
                return replace(self, balance=self.balance + amount)
            case Withdrawn(amount=amount):
                return replace(self, balance=self.balance - amount)
            case _:
                return self


class Balance(ReadModel):
    account: AccountId
    amount: int = 0

    def evolve(self, event: AccountEvent) -> Self:
        return replace(self, amount=self.amount + event.amount) if isinstance(event, Deposited) else self


class Pay(Command):
    account: AccountId
    amount: int


class Notice(Command):
    account: AccountId


class Noticed(Event):
    account: AccountId


class Notices(DecisionModel):
    account: AccountId
    count: int = 0

    def evolve(self, event: Noticed) -> Self:
        return replace(self, count=self.count + 1)


class Watching(ProcessManager):
    account: AccountId
    seen: int = 0

    def evolve(self, event: AccountEvent) -> Self:
        return replace(self, seen=self.seen + 1)

    def react(self, event: AccountEvent) -> Reaction:
        return Notice(self.account)


class BalanceOf(Query[list[Balance]]):
    pass


def wires(model: type) -> set[str]:
    return {event.wire for event in fold_of(model).events}


def _decides_on(app: App, base: Any) -> None:
    class Model(DecisionModel):
        account: AccountId

        def evolve(self, event: base) -> Self: ...

    @app.handles
    def handle(command: Pay, account: Model) -> None: ...


def _keeps(app: App, base: Any) -> None:
    @app.read_model
    class Row(ReadModel):
        account: AccountId

        def evolve(self, event: base) -> Self: ...


def _runs(app: App, base: Any) -> None:
    @app.process
    class Process(ProcessManager):
        account: AccountId

        def evolve(self, event: base) -> Self: ...

        def react(self, event: base) -> Reaction: ...


def _reacts_to(app: App, base: Any) -> None:
    @app.reactor("mail", start="from_start")
    def mail(event: base) -> None: ...


def _projects(app: App, base: Any) -> None:
    table = sa.Table("every", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True))

    @app.projection("every", tables=[table])
    def every(event: base, connection: sa.Connection) -> None: ...


each_kind = pytest.mark.parametrize(
    "take", [_decides_on, _keeps, _runs, _reacts_to, _projects], ids=lambda take: take.__name__.strip("_")
)


def bank(reacted: list[Any], kept: sa.Table) -> App:
    app = App("bank")
    app.read_model(Balance)
    app.process(Watching)

    @app.handles
    def pay(command: Pay, account: Account) -> list[AccountEvent]:
        bonus = [Bonus(command.account, 1)] if account.balance else []
        return [Deposited(command.account, command.amount), *bonus]

    @app.handles
    def notice(command: Notice, notices: Notices) -> Noticed:
        return Noticed(command.account)

    @app.answers
    def balances(query: BalanceOf, models: ReadModels) -> list[Balance]:
        return models.select(Balance)

    @app.reactor("mail", start="from_start")
    def mail(event: AccountEvent) -> None:
        reacted.append(event)

    @app.projection("every", tables=[kept])
    def every(events: Sequence[AccountEvent], connection: sa.Connection) -> None:
        connection.execute(kept.insert(), [{"kind": type(event).__name__} for event in events])

    return app


async def test_every_part_of_an_app_takes_the_subclasses_of_the_event_class_it_names(tmp_path: Path) -> None:
    kept = sa.Table("every", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("kind", sa.Text))
    reacted: list[Any] = []
    expected = [Deposited("a", 5), Deposited("a", 2), Bonus("a", 1)]
    url = f"sqlite:///{tmp_path}/bank.db"
    app = bank(reacted, kept)

    async with app.open(url, work=False) as live:
        await live.execute(Pay("a", 5))
        await live.execute(Pay("a", 2))
        await live.run_until_quiet()

    async with bank(reacted, kept).open(url) as live:
        assert await live.state(Account, "a") == Account("a", 8)
        head = await live.store.head()
        assert await live.query(BalanceOf(), after=head) == [Balance("a", 8)]
        await live.run_until_quiet()
        assert (await live.state(Notices, "a")).count == 3
        assert [step.event for step in await live.explain(Account, "a")] == expected
        assert [status.name for status in await live.read_models() if status.parked] == []
    assert reacted == expected
    with sa.create_engine(f"sqlite:///{tmp_path}/bank.models.db").connect() as connection:
        assert connection.execute(sa.select(kept.c.kind)).scalars().all() == ["Deposited", "Deposited", "Bonus"]


def test_a_base_that_is_not_abstract_keeps_its_own_events() -> None:
    assert wires(Account) == {"AccountEvent", "Deposited", "bonus", "Withdrawn"}


def test_a_subclass_of_a_class_in_a_union_is_folded() -> None:
    class Narrow(DecisionModel):
        account: AccountId

        def evolve(self, event: Deposited | Withdrawn) -> Self: ...

    assert wires(Narrow) == {"Deposited", "bonus", "Withdrawn"}


def test_the_order_of_subclasses_is_that_of_their_names() -> None:
    """So that a fingerprint does not depend on which module was imported first."""

    class Base(Event, abstract=True):
        account: AccountId

    class Second(Base): ...

    class First(Base): ...

    class Sees(DecisionModel):
        account: AccountId

        def evolve(self, event: Base) -> Self: ...

    assert [event.wire for event in fold_of(Sees).events] == ["First", "Second"]


def test_a_base_without_tags_is_no_obstacle_when_it_is_abstract() -> None:
    class Base(Event, abstract=True): ...

    class Model(DecisionModel):
        account: AccountId

        def evolve(self, event: Base) -> Self: ...

    class Late(Base):
        account: AccountId

    assert wires(Model) == {"Late"}


def test_a_base_without_tags_that_is_not_abstract_is_refused() -> None:
    class Base(Event): ...

    with pytest.raises(TaglessEvent, match=r"class Base\(\.\.\., abstract=True\)"):

        class Model(DecisionModel):
            account: AccountId

            def evolve(self, event: Base) -> Self: ...


async def test_a_subclass_without_the_tag_is_refused_when_the_app_is_opened() -> None:
    class Base(Event, abstract=True): ...

    class Model(DecisionModel):
        account: AccountId

        def evolve(self, event: Base) -> Self: ...

    app = App("late")

    @app.handles
    def handle(command: Pay, account: Model) -> None: ...

    class Tagless(Base):
        name: str

    with pytest.raises(TaglessEvent, match="Tagless"):
        async with app.open("memory:"):
            pass


@each_kind
async def test_what_names_a_base_without_any_subclass_is_refused_when_the_app_is_opened(
    take: Callable[[App, Any], None],
) -> None:
    class Base(Event, abstract=True):
        account: AccountId

    app = App("empty")
    take(app, Base)

    with pytest.raises(InvalidModel, match=r"takes .*Base"):
        async with app.open("memory:", work=False):
            pass


@each_kind
async def test_a_subclass_that_is_defined_after_the_app_was_registered_is_taken(
    take: Callable[[App, Any], None],
) -> None:
    class Base(Event, abstract=True):
        account: AccountId

    app = App("later")
    take(app, Base)

    class Later(Base): ...

    async with app.open("memory:", work=False):
        assert [type.owner for type in app.registry.types if issubclass(type.owner, Base)] == [Later]


async def test_a_subclass_that_is_defined_after_opening_is_refused_at_append() -> None:
    class Base(Event):
        account: AccountId

    class Model(DecisionModel):
        account: AccountId

        def evolve(self, event: Base) -> Self:
            return self

    made: list[type] = []
    app = App("late")

    @app.handles
    def handle(command: Pay, account: Model) -> Base:
        event: Base = made[0](command.account)
        return event

    async with app.open("memory:") as live:

        class Late(Base): ...

        made.append(Late)
        with pytest.raises(DefinedTooLate, match="Late was defined after"):
            await live.execute(Pay("a", 1))
        assert await live.store.head() == 0

    async with app.open("memory:") as live:
        receipt = await live.execute(Pay("a", 1))
        assert receipt.events == (Late("a"),)


async def test_an_event_of_an_abstract_class_is_refused_at_append() -> None:
    class Base(Event, abstract=True):
        account: AccountId

    app = App("abstract")

    @app.handles
    def handle(command: Pay, account: Account) -> Base:
        return Base(command.account)

    async with app.open("memory:") as live:
        with pytest.raises(NotAMessage, match="it is defined with abstract=True"):
            await live.execute(Pay("a", 1))


async def test_the_events_that_a_handler_returns_are_known_after_a_restart() -> None:
    """`-> AccountEvent` registers the subclasses: without, a process that has appended none could read none."""
    app = App("returns")

    @app.handles
    def handle(command: Pay, notices: Notices) -> AccountEvent:
        return Bonus(command.account, 1)

    async with app.open("memory:"):
        assert app.registry.of_wire("bonus") is not None


def test_a_class_of_another_library_is_a_base_without_a_mark() -> None:
    @dataclass(frozen=True)
    class Base:
        account: AccountId

    @message(wire="marked")
    @dataclass(frozen=True)
    class Marked(Base):
        amount: int

    class Model(DecisionModel):
        account: AccountId

        def evolve(self, event: Base) -> Self: ...

    assert wires(Model) == {"marked"}


def test_a_mixin_of_events_is_a_base() -> None:
    class Audited: ...

    class Checked(Audited, Event):
        account: AccountId

    class Model(DecisionModel):
        account: AccountId

        def evolve(self, event: Audited) -> Self: ...

    assert wires(Model) == {"Checked"}


def test_of_a_class_that_is_defined_again_the_last_counts() -> None:
    class Base(Event, abstract=True):
        account: AccountId

    def define() -> type:
        class Twice(Base): ...

        return Twice

    first, second = define(), define()

    class Model(DecisionModel):
        account: AccountId

        def evolve(self, event: Base) -> Self: ...

    assert first is not second
    assert [event.owner for event in fold_of(Model).events] == [second]


# --- how events may be named


AccountEvents = Deposited | Withdrawn
Named = TypeAliasType("Named", Deposited | Withdrawn)
Nested = TypeAliasType("Nested", Named | Noticed)
Documented = Annotated[Deposited | Withdrawn, "what moves money"]


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        (AccountEvents, {"Deposited", "bonus", "Withdrawn"}),
        (Named, {"Deposited", "bonus", "Withdrawn"}),
        (Nested, {"Deposited", "bonus", "Withdrawn", "Noticed"}),
        (Documented, {"Deposited", "bonus", "Withdrawn"}),
        (Documented | Noticed, {"Deposited", "bonus", "Withdrawn", "Noticed"}),
        ("Deposited | Withdrawn", {"Deposited", "bonus", "Withdrawn"}),
        ("Nested", {"Deposited", "bonus", "Withdrawn", "Noticed"}),
    ],
    ids=["union", "alias", "nested", "annotated", "annotated in a union", "text", "text of an alias"],
)
@each_kind
async def test_aliases_are_what_they_stand_for(take: Callable[[App, Any], None], hint: Any, expected: set[str]) -> None:
    app = App("aliases")
    take(app, hint)

    async with app.open("memory:", work=False):
        assert {type.wire for type in app.registry.types} == expected


async def test_an_alias_of_a_sequence_of_events_is_what_a_projection_takes_together() -> None:
    many = TypeAliasType("many", Sequence[AccountEvents])
    app = App("many")
    table = sa.Table("every", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True))

    @app.projection("every", tables=[table])
    def every(events: many, connection: sa.Connection) -> None: ...

    assert app.projections["every"].handler.many


@pytest.mark.parametrize("hint", [AccountEvents, Named, Documented, list[Named], Named | None, "list[Documented]"])
def test_a_handler_may_return_what_an_alias_stands_for(hint: Any) -> None:
    app = App("returns")

    @app.handles
    def handle(command: Pay, account: Account) -> hint: ...

    assert app.registry.of_wire("Withdrawn") is not None


class Changed(Event, Generic[T]):
    account: AccountId
    value: T


class Renamed(Changed[str]): ...


Big = NewType("Big", Deposited)


@pytest.mark.parametrize(
    ("hint", "problem"),
    [
        (Event, "Event stands for every event"),
        (Changed[str], "no wire name of its own"),
        (Deposited | Changed[str], "no wire name of its own"),
        (Big, "is a NewType"),
        (Deposited | None, "None"),
        (Deposited | int, "int is not an event class"),
        (Any, "Any"),
        (T, "is not an event class"),
        (Pay, "Pay"),
        (set[Deposited], "is not an event class"),
    ],
    ids=["Event", "generic", "generic in a union", "NewType", "None", "int", "Any", "TypeVar", "command", "set"],
)
@each_kind
def test_what_names_no_events_is_refused_at_definition(
    take: Callable[[App, Any], None], hint: Any, problem: str
) -> None:
    with pytest.raises((InvalidModel, InvalidHandler, NotAMessage), match=problem):
        take(App("wrong"), hint)


@pytest.mark.parametrize("hint", [Changed[str], list[Changed[str]], Big, int, Deposited | int])
def test_a_handler_that_returns_what_names_no_events_is_refused(hint: Any) -> None:
    with pytest.raises(InvalidHandler, match="is annotated to return"):

        @App("wrong").handles
        def handle(command: Pay, account: Account) -> hint: ...


def test_a_generic_event_stands_for_its_subclasses() -> None:
    class Model(DecisionModel):
        account: AccountId

        def evolve(self, event: Changed) -> Self: ...  # type: ignore[type-arg]

    assert wires(Model) == {"Changed", "Renamed"}


def test_a_tag_that_is_given_for_a_type_parameter_is_a_tag() -> None:
    """Without it a rule would see nothing of such events."""

    class Moved(Changed[Plain]): ...

    assert App("tags").registry.add(Moved).tags_of(Moved("a", "p")) == ("account:a", "plain:p")


def test_a_type_parameter_is_followed_through_several_bases() -> None:
    U = TypeVar("U")

    class Between(Changed[list[U]], Generic[U]): ...

    class Last(Between[Plain]): ...

    assert App("tags").registry.add(Last).tags_of(Last("a", ["p", "q"])) == ("account:a", "plain:p", "plain:q")


Branch = NewType("Branch", str)
BranchId = TypeAliasType("BranchId", Annotated[Branch, Tag("branch")])


def test_a_tag_in_an_alias_or_on_a_new_type_is_a_tag() -> None:
    class Moved(Event):
        branch: BranchId
        former: Annotated[Branch, Tag("branch")] | None = None

    assert MessageType(Moved).tags_of(Moved(Branch("b"), Branch("c"))) == ("branch:b", "branch:c")


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the type statement is new in Python 3.12")
def test_a_type_statement_is_an_alias() -> None:
    names: dict[str, Any] = {"Deposited": Deposited, "Withdrawn": Withdrawn}
    exec("type Moves = Deposited | Withdrawn", names)
    moves: Any = names["Moves"]

    class Model(DecisionModel):
        account: AccountId

        def evolve(self, event: moves) -> Self: ...

    assert wires(Model) == {"Deposited", "bonus", "Withdrawn"}


# --- criteria, upcasters, versions


def test_criteria_of_a_class_are_those_of_its_subclasses_too() -> None:
    assert criteria(Deposited, tags=["account:a"]) == criteria("Deposited", "bonus", tags=["account:a"])


@pytest.mark.parametrize("owner", [Event, int])
def test_criteria_of_a_class_that_stands_for_no_events_are_refused(owner: type) -> None:
    with pytest.raises(InvalidCriteria, match=owner.__name__):
        criteria(owner)


def test_criteria_of_an_abstract_class_without_subclasses_are_refused() -> None:
    class Base(Event, abstract=True): ...

    with pytest.raises(InvalidCriteria, match="so far"):
        criteria(Base)


async def test_events_of_a_former_name_of_a_subclass_are_folded() -> None:
    app = App("renamed")
    app.renamed("gift", "bonus")

    @app.handles
    def handle(command: Pay, account: Account) -> None: ...

    async with app.open("memory:") as live:
        await live.store.append([NewEvent("gift", b'{"account":"a","amount":7}', ("account:a",))])
        assert await live.state(Account, "a") == Account("a", 7)


def test_a_new_subclass_changes_the_fingerprint() -> None:
    """The log may hold events of it, written by code that knew it before this code did."""

    class Base(Event, abstract=True):
        account: AccountId

    class One(Base): ...

    class Model(DecisionModel):
        account: AccountId

        def evolve(self, event: Base) -> Self: ...

    before = fold_of(Model).fingerprint()

    class Two(Base): ...

    assert fold_of(Model).fingerprint() != before


def test_two_subclasses_of_one_wire_name_are_refused() -> None:
    class Base(Event, abstract=True): ...

    class Same(Base, wire="same"): ...

    class Other(Base, wire="same"): ...

    with pytest.raises(DefinitionError, match="same"):
        App("clash").event(Base)

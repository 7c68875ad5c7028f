"""Functions of the wrong kind, and results of the wrong type: named errors, at definition where they can be seen."""

import functools
import re
import warnings
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from decimal import Decimal
from typing import Annotated, Any, NewType, Protocol, Self, TypedDict

import pytest
import sqlalchemy as sa

from leftfold import (
    App,
    Command,
    Criteria,
    DecisionModel,
    Delivery,
    Event,
    NewEvent,
    ProcessManager,
    Query,
    Reaction,
    ReadModel,
    ReadModels,
    Tag,
    replace,
)
from leftfold.errors import CannotDecode, DefinitionError, EvolveFailed, InvalidHandler, InvalidModel, InvalidResult
from leftfold.query.handler import answer_hint, elements_of, outer_types, wrong_element


def named(value: object) -> str:
    """What a case is called: the same in every process, so without addresses."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


Id = Annotated[str, Tag("account")]
FAIL: list[Any] = []
"""What `Account.evolve` does with 13: raises it if it is an error, else returns it."""


class Opened(Event, wire="kinds.opened"):
    account: Id


class Deposited(Event, wire="kinds.deposited"):
    account: Id
    amount: int


class Deposit(Command):
    account: Id
    amount: int = 1


class Account(DecisionModel):
    account: Id
    balance: int = 0

    def evolve(self, event: Deposited) -> Self:
        if event.amount == 13 and FAIL:
            if isinstance(FAIL[0], Exception):
                raise FAIL[0]
            wrong: Self = FAIL[0]
            return wrong
        return replace(self, balance=self.balance + event.amount)


class Row(ReadModel):
    account: Id
    balance: int = 0

    def evolve(self, event: Deposited) -> Self | None:
        if event.amount == 13:
            raise ValueError("13")
        return None if event.amount == 0 else self


class Rows(Query[list[Row]]):
    pass


class Pairs(Query[list[tuple[str]]]):
    pass


class Total(Query[int]):
    pass


@pytest.fixture(autouse=True)
def fails() -> Iterator[list[Any]]:
    FAIL.clear()
    yield FAIL
    FAIL.clear()


def banking() -> App:
    app = App("kinds")

    @app.handles
    def deposit(command: Deposit, account: Account) -> Deposited:
        return Deposited(command.account, command.amount)

    app.read_model(Row)
    return app


# --- evolve


@pytest.mark.parametrize("wrong", [ValueError("no luck"), None, 7, "text", Row("a"), LookupError("gone")], ids=repr)
async def test_an_evolve_that_fails_on_an_old_event_names_model_key_position_and_type(
    wrong: Any, fails: list[Any]
) -> None:
    app = banking()
    async with app.open("memory:") as live, app.open(live.store, work=False) as other:
        for amount in (1, 13, 2):
            await live.execute(Deposit("a", amount))
        fails.append(wrong)
        asked: dict[str, Callable[[], Any]] = {
            "execute": lambda: other.execute(Deposit("a", 1)),
            "execute_many": lambda: other.execute_many([Deposit("a", 1)]),
            "state": lambda: other.state(Account, "a"),
            "as of": lambda: other.state(Account, "a", as_of=2),
            "explain": lambda: other.explain(Account, "a"),
        }
        for name, ask in asked.items():
            with pytest.raises(EvolveFailed) as failed:
                await ask()
            error = failed.value
            assert (name, error.model, error.key, error.event, error.position) == (
                name,
                "Account",
                ("a",),
                "kinds.deposited",
                2,
            )
            assert error.__cause__ is (wrong if isinstance(wrong, Exception) else None)
            assert (repr(wrong) if isinstance(wrong, int | str) else type(wrong).__name__) in str(
                error
            ) or wrong is None


async def test_an_evolve_that_fails_on_what_was_just_decided_says_so_and_nothing_is_stored(fails: list[Any]) -> None:
    fails.append(None)
    async with banking().open("memory:") as live:
        with pytest.raises(EvolveFailed, match=r"returned None, for kinds\.deposited, which was just decided"):
            await live.execute(Deposit("a", 13))
        assert await live.store.head() == 0


async def test_a_read_model_may_return_none_and_explain_names_what_it_cannot_fold() -> None:
    app = banking()
    async with app.open("memory:") as live:
        for amount in (1, 0, 13):
            await live.execute(Deposit("a", amount))

        assert [step.after for step in await live.explain(Row, "a", as_of=2)] == [Row("a"), None]
        with pytest.raises(EvolveFailed, match=r"Row\('a'\)\.evolve raised ValueError: 13.* at position 3"):
            await live.explain(Row, "a")


class Newer(Event, wire="kinds.newer", version=2):
    account: Id


class Has(DecisionModel):
    account: Id

    def evolve(self, event: Newer) -> Self:
        return self


@pytest.mark.parametrize("broken", [lambda it: it["account"].nothing, lambda it: 1 // 0, lambda it: it["x"]])
async def test_an_upcaster_that_fails_in_any_way_names_type_and_position(broken: Any) -> None:
    app = App("kinds")
    app.event(Newer)
    app.upcasts("kinds.newer", 1)(broken)
    async with app.open("memory:") as live:
        await live.store.append([NewEvent("kinds.newer", b'{"account":"a"}', ("account:a",))])
        with pytest.raises(CannotDecode, match=r"kinds\.newer v1 at position 1 cannot be read: \w+Error: "):
            await live.state(Has, "a")


# --- definitions


async def async_evolve(self: Any, event: Deposited) -> Any: ...


def yielding_evolve(self: Any, event: Deposited) -> Any:
    yield self


@pytest.mark.parametrize("base", [DecisionModel, ReadModel, ProcessManager])
@pytest.mark.parametrize("evolve", [async_evolve, yielding_evolve])
def test_an_evolve_that_is_async_or_yields_is_refused_when_its_model_is_defined(base: type, evolve: Any) -> None:
    with pytest.raises(InvalidModel, match=r"Odd\.evolve (is async|has a yield)"):
        type(base)("Odd", (base,), {"__annotations__": {"account": Id}, "evolve": evolve, "__module__": __name__})


def test_async_criteria_and_an_async_react_are_refused() -> None:
    with pytest.raises(InvalidModel, match=r"criteria is async"):

        class Odd(DecisionModel):
            account: Id

            def evolve(self, event: Deposited) -> Self:
                return self

            async def criteria(self) -> Criteria: ...

    class Answering(ProcessManager):
        account: Id

        def evolve(self, event: Deposited) -> Self:
            return self

        async def react(self, event: Deposited) -> Reaction: ...

    class Yielding(ProcessManager):
        account: Id

        def evolve(self, event: Deposited) -> Self:
            return self

        def react(self, event: Deposited) -> Any:
            yield None

    for process in (Answering, Yielding):
        with pytest.raises(InvalidModel, match=r"react (is async|has a yield)"):
            App("odd").process(process)


async def async_handler(command: Deposit) -> Deposited: ...


async def async_generator(command: Deposit) -> AsyncIterator[Deposited]:
    yield Deposited("a", 1)


def of_positional(command: Deposit, /) -> Deposited: ...


def of_many(command: Deposit, *accounts: Account) -> Deposited: ...


def of_options(command: Deposit, **options: Any) -> Deposited: ...


def with_default(command: Deposit, rate: int = 3) -> Deposited: ...


def unannotated(command, account): ...  # type: ignore[no-untyped-def]


@pytest.mark.parametrize(
    "handler",
    [
        async_handler,
        async_generator,
        of_positional,
        of_many,
        of_options,
        with_default,
        unannotated,
        lambda command: None,
        Deposit,
        int,
        print,
        functools.partial(async_handler),
        7,
    ],
    ids=named,
)
def test_a_command_handler_that_cannot_be_called_is_refused_at_definition(handler: Any) -> None:
    with pytest.raises(DefinitionError):
        App("odd").handles(handler)


class Depositing:
    """Handles in all the ways that an object can."""

    def __call__(self, command: Deposit, account: Account) -> Deposited:
        return Deposited(command.account, account.balance + command.amount)

    def method(self, command: Deposit, account: Account) -> Deposited:
        return self(command, account)

    @classmethod
    def of_class(cls, command: Deposit, account: Account) -> Deposited:
        return cls()(command, account)

    @staticmethod
    def static(command: Deposit, account: Account) -> Deposited:
        return Depositing()(command, account)


def scaled(factor: int, command: Deposit, *, account: Account) -> Deposited:
    return Deposited(command.account, (account.balance + command.amount) * factor)


def yielding(command: Deposit, account: Account) -> Iterator[Deposited]:
    yield Deposited(command.account, account.balance + command.amount)


@pytest.mark.parametrize(
    "handler",
    [
        Depositing(),
        Depositing().method,
        Depositing.of_class,
        Depositing.static,
        functools.partial(scaled, 1),
        functools.partial(scaled, factor=1),
        functools.partial(functools.partial(scaled, 1)),
        functools.partial(Depositing().method),
        yielding,
    ],
    ids=named,
)
async def test_a_command_handler_may_be_whatever_has_a_signature(handler: Any) -> None:
    app = App("any")
    app.handles(handler)
    async with app.open("memory:") as live:
        await live.execute(Deposit("a", 2))
        assert (await live.execute(Deposit("a", 3))).events == (Deposited("a", 5),)


async def coroutine() -> None: ...


@pytest.mark.parametrize("decided", [None, 7, "text", {"a": 1}, Deposited, Deposit("a")], ids=repr)
@pytest.mark.parametrize("wrap", [lambda it: it, lambda it: [it], lambda it: (Deposited("a", 1), it)])
async def test_what_is_no_event_is_refused_by_name(decided: Any, wrap: Callable[[Any], Any]) -> None:
    if wrap(decided) is None:
        return  # decides that nothing has to happen
    app = App("odd")

    @app.handles
    def deposit(command: Deposit) -> list[Deposited]:
        found: list[Deposited] = wrap(decided)
        return found

    async with app.open("memory:") as live:
        with pytest.raises(InvalidResult, match="deposit returned"):
            await live.execute(Deposit("a"))
        assert await live.store.head() == 0


async def test_a_coroutine_that_is_returned_is_refused_and_closed() -> None:
    app = App("odd")

    @app.handles
    def deposit(command: Deposit) -> Deposited:
        found: Any = coroutine()
        return found

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with app.open("memory:") as live:
            with pytest.raises(InvalidResult, match="coroutine"):
                await live.execute(Deposit("a"))


@pytest.mark.parametrize(
    "upcaster", [async_handler, async_generator, yielding_evolve, functools.partial(async_handler)]
)
def test_an_upcaster_that_is_async_or_yields_is_refused_at_definition(upcaster: Any) -> None:
    with pytest.raises(DefinitionError, match=r"the upcaster of 'kinds\.opened' from version 1"):
        App("odd").upcasts("kinds.opened", 1)(upcaster)


# --- queries


def of_total(query: Total, models: ReadModels) -> int:
    return 7


async def async_total(query: Total, models: ReadModels) -> int: ...


def yielding_total(query: Total, models: ReadModels) -> Iterator[int]:
    yield 1


def positional_total(query: Total, models: ReadModels, /) -> int: ...


class Totalling:
    def __call__(self, query: Total, models: ReadModels) -> int:
        return 7

    def with_rate(self, rate: int, query: Total, models: ReadModels) -> int:
        return 7


@pytest.mark.parametrize(
    "handler", [async_total, yielding_total, positional_total, lambda q, m: 1, functools.partial(async_total)]
)
def test_a_query_handler_that_is_async_yields_or_cannot_be_called_is_refused(handler: Any) -> None:
    with pytest.raises(InvalidHandler):
        App("odd").answers(handler)


@pytest.mark.parametrize(
    "handler",
    [of_total, Totalling(), functools.partial(Totalling().with_rate, 2), functools.partial(of_total)],
    ids=named,
)
async def test_a_query_handler_may_be_whatever_has_a_signature(handler: Any) -> None:
    app = App("any")
    app.answers(handler)
    async with app.open("memory:") as live:
        assert await live.query(Total()) == 7


@pytest.mark.parametrize("answer", [None, "7", [7], 7.5])
async def test_an_answer_of_another_type_than_the_query_says_is_an_error(answer: Any) -> None:
    app = banking()

    @app.answers
    def total(query: Total, models: ReadModels) -> int:
        models.select(Row)
        found: int = answer
        return found

    async with app.open("memory:") as live:
        with pytest.raises(InvalidResult, match=f"total returned {type(answer).__name__}"):
            await live.query(Total())


Number = NewType("Number", int)


class Shape(TypedDict):
    sides: int


class Unchecked(Protocol):
    side: int


@pytest.mark.parametrize(
    ("hint", "outer"),
    [
        (list[int], (list,)),
        (list[int] | None, (list, type(None))),
        (dict[str, int] | list[int], (dict, list)),
        (Sequence[Row], (Sequence,)),
        (float, (float, int)),
        (Decimal, (Decimal,)),
        (Annotated[int, "x"], (int,)),
        (Number, (int,)),
        (Shape, (dict,)),
        (None, (type(None),)),
        (Any, ()),
        (int | Any, ()),
        (Unchecked, ()),
    ],
    ids=named,
)
def test_what_is_asked_of_an_answer_itself_is_its_outer_type(hint: Any, outer: tuple[type, ...]) -> None:
    assert outer_types(hint) == outer


ELEMENTS: list[tuple[Any, list[Any], list[Any]]] = [
    (list[int], [[], [1], [True], [1] * 1_000 + ["x"]], [["1"], [1, None], [1] * 19 + ["x"], [[1]]]),
    (list[int] | None, [None, [1]], [["1"]]),
    (list[int | None], [[None, 1]], [[1.5]]),
    (list[int] | list[str], [[1], ["a"]], [[1, "a"], [None]]),
    (Sequence[Row], [[Row("a")], (Row("a"),)], [[1], ({},)]),
    (Sequence[str], ["abc", ["abc"]], [[1]]),
    (dict[str, int], [{"a": 1}], [{"a": "1"}, {1: 1}]),
    (dict[str, list[int]], [{"a": [1]}, {"a": ["x"]}], [{"a": 1}]),
    (tuple[int, ...], [(), (1, 2)], [(1, "2")]),
    (tuple[int, str], [(1, "2")], [("1", "2"), (1, 2)]),
    (frozenset[Number], [frozenset({1})], [frozenset({"1"})]),
    (Annotated[list[float], "x"], [[1, 1.5]], [["1"]]),
    (list[Any], [[1, "a"]], []),
    (list[Unchecked], [[1, "a"]], []),
    (list[tuple[str, int]], [[("a", 1)]], [[1]]),
    (list, [[1, "a"]], []),
]


@pytest.mark.parametrize(("hint", "right", "wrong"), ELEMENTS, ids=named)
def test_the_first_elements_of_an_answer_are_of_the_type_that_the_query_says(
    hint: Any, right: list[Any], wrong: list[Any]
) -> None:
    known = elements_of(hint)

    assert [wrong_element(known, each) for each in right] == [None] * len(right)
    assert all(wrong_element(known, each) for each in wrong)


async def test_an_answer_with_an_element_of_another_type_names_the_element() -> None:
    app = banking()

    @app.answers
    def rows(query: Rows, models: ReadModels) -> list[Row]:
        found: Any = [*models.select(Row), "no row"]
        return found  # type: ignore[no-any-return]

    async with app.open("memory:") as live:
        with pytest.raises(InvalidResult, match=r"rows returned \[0\] str: 'no row'") as caught:
            await live.query(Rows())
    assert (caught.value.place, caught.value.value) == ("[0]", "no row")


async def test_rows_of_the_database_stand_for_tuples() -> None:
    app = banking()

    @app.answers
    def pairs(query: Pairs, models: ReadModels) -> list[tuple[str]]:
        found: Any = models.execute(sa.select(sa.literal("a")))
        return list(found)

    async with app.open("memory:") as live:
        assert await live.query(Pairs()) == [("a",)]


def test_a_query_inherits_its_answer() -> None:
    class Base(Query[list[int]]):
        pass

    class Derived(Base):
        limit: int = 1

    assert answer_hint(Derived) == list[int]


# --- reactors


def yielding_reactor(event: Opened) -> Iterator[None]:
    yield


async def async_yielding_reactor(event: Opened) -> AsyncIterator[None]:
    yield


def keyword_reactor(*, event: Opened) -> None: ...


def many_reactor(event: Opened, *more: Delivery) -> None: ...


@pytest.mark.parametrize("reactor", [yielding_reactor, async_yielding_reactor, keyword_reactor, many_reactor, Opened])
def test_a_reactor_that_would_do_nothing_is_refused(reactor: Any) -> None:
    with pytest.raises(InvalidHandler):
        App("odd").reactor("odd", start="from_now")(reactor)


async def test_a_reactor_may_be_a_partial_or_an_object_async_or_not() -> None:
    app, seen = App("any"), list[str]()

    class Mail:
        async def __call__(self, event: Opened) -> None:
            seen.append("object")

        async def send(self, name: str, event: Opened, delivery: Delivery) -> None:
            seen.append(f"{name} {delivery.position}")

    def plain(name: str, event: Opened) -> None:
        seen.append(name)

    app.reactor("object", start="from_start")(Mail())
    app.reactor("method", start="from_start")(functools.partial(Mail().send, "partial of a method"))
    app.reactor("plain", start="from_start")(functools.partial(plain, "partial of a function"))
    async with app.open("memory:", work=False) as live:
        await live.store.append([app.registry.encode(Opened("a"), b"{}")])
        await live.run_until_quiet()

    assert sorted(seen) == ["object", "partial of a function", "partial of a method 1"]

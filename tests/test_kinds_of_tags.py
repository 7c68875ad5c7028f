"""Tags whose text is not simply the value: normalised, within another tag, hashed."""

import datetime
import itertools
import uuid
from pathlib import Path
from typing import Annotated, Any, Self

import msgspec
import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from leftfold import (
    EVERYTHING,
    App,
    Command,
    DecisionModel,
    Event,
    LiveApp,
    Many,
    NonKey,
    ProcessManager,
    Query,
    ReadModel,
    ReadModels,
    Rejected,
    Tag,
    replace,
)
from leftfold.errors import DefinitionError, InvalidField, InvalidKey, InvalidModel, TagFunctionFailed
from leftfold.model.fold import fold_of
from leftfold.model.message import MessageType
from leftfold.model.tag import quoted, unquoted
from leftfold.testing import FakeClock, check_laws, given
from tests.patience import examples

SECRET = "correct horse battery staple"


def first_of_month(day: datetime.date) -> datetime.date:
    return day.replace(day=1)


EMAIL = Tag("email", by=str.casefold)
SHOW = Tag("show")
SEAT = Tag("seat", within=SHOW)
Email = Annotated[str, EMAIL]
Month = Annotated[datetime.date, Tag("month", by=first_of_month)]
ShowId = Annotated[str, SHOW]
SeatNumber = Annotated[str, SEAT]
Phone = Annotated[str, Tag("phone", secret=SECRET)]


class Registered(Event):
    email: Email


class Written(Event):
    senders: list[Email]
    day: Month


class Sold(Event):
    show: ShowId
    seats: list[SeatNumber]


class Cancelled(Event):
    show: ShowId


class Called(Event):
    phone: Phone


class Person(DecisionModel):
    email: Email
    registered: int = 0

    def evolve(self, event: Registered) -> Self:
        return replace(self, registered=self.registered + 1)


class MonthOfLetters(DecisionModel):
    month: Month
    letters: int = 0

    def evolve(self, event: Written) -> Self:
        return replace(self, letters=self.letters + 1)


class Seat(DecisionModel):
    show: ShowId
    seat: SeatNumber
    sold: bool = False
    cancelled: bool = False

    def evolve(self, event: Sold | Cancelled) -> Self:
        match event:
            case Sold():
                return replace(self, sold=True)
            case Cancelled():
                return replace(self, cancelled=True)


class Caller(DecisionModel):
    phone: Phone
    calls: int = 0

    def evolve(self, event: Called) -> Self:
        return replace(self, calls=self.calls + 1)


class Register(Command):
    email: Email


class Sell(Command):
    show: ShowId
    seat: SeatNumber


class Call(Command):
    phone: Phone


class Person2(ReadModel):
    email: Email
    registered: int = 0
    spelling: str = ""

    def evolve(self, event: Registered) -> Self | None:
        if event.email == "never@x":
            raise ValueError("never")
        return replace(self, registered=self.registered + 1, spelling=event.email)


class SeatRow(ReadModel):
    show: ShowId
    seat: SeatNumber
    sold: int = 0

    def evolve(self, event: Sold) -> Self:
        return replace(self, sold=self.sold + 1)


class Find(Query[Any]):
    email: str


class Greeting(ProcessManager):
    email: Email
    greeted: int = 0

    def evolve(self, event: Registered) -> Self:
        return replace(self, greeted=self.greeted + 1)

    def react(self, event: Registered) -> None:
        if event.email == "Odd@x":
            raise ValueError("odd")


def app_with_everything() -> App:
    app = App("kinds")
    app.read_model(Person2)
    app.read_model(SeatRow)
    app.process(Greeting)

    @app.handles
    def register(command: Register, person: Person) -> Registered:
        if person.registered and command.email.startswith("a"):
            raise Rejected("taken", by=person.email)
        return Registered(command.email)

    @app.handles
    def sell(command: Sell, seat: Seat) -> Sold:
        if seat.sold or seat.cancelled:
            raise Rejected("not for sale")
        return Sold(command.show, [command.seat])

    @app.handles
    def call(command: Call, caller: Caller) -> Called:
        return Called(command.phone)

    @app.answers
    def find(query: Find, models: ReadModels) -> Any:
        row = models.get(Person2, query.email)
        assert models.select(Person2, email=query.email) == ([] if row is None else [row])
        assert models.select(Person2, where={"email": query.email}) == ([] if row is None else [row])
        return row

    return app


def tags(event: object) -> tuple[str, ...]:
    return MessageType(type(event)).tags_of(event)


async def stored_tags(live: LiveApp) -> list[tuple[str, ...]]:
    return [stored.tags async for batch in live.store.read(EVERYTHING) for stored in batch.events]


# --- one value for all its equals


def test_a_tag_has_the_value_that_stands_for_all_equal_ones() -> None:
    assert tags(Registered("Ann@X")) == ("email:ann@x",)
    assert tags(Written(["Ann@X", "ann@x", "Bob@X"], datetime.date(2026, 3, 31))) == (
        "email:ann@x",
        "email:bob@x",
        "month:2026-03-01",
    )
    assert EMAIL("Ann@X") == "email:ann@x"
    assert EMAIL.key("Ann@X") == "ann@x"


async def test_two_spellings_are_one_entity_everywhere() -> None:
    async with app_with_everything().test(FakeClock()) as live:
        await live.execute(Register("Bob@X"))
        await live.execute(Register("bob@x"))
        await live.run_until_quiet()

        assert (await stored_tags(live))[:2] == [("email:bob@x",)] * 2
        for spelling in ("BOB@x", "bob@x"):
            assert await live.state(Person, spelling) == Person("bob@x", 2)
            assert await live.state(Person, spelling, as_of=1) == Person("bob@x", 1)
            assert [each.after.registered for each in await live.explain(Person, spelling)] == [1, 2]
            assert [each.event.email for each in await live.explain(Person2, spelling)] == ["Bob@X", "bob@x"]
            assert await live.query(Find(spelling)) == Person2("bob@x", 2, "bob@x")
            assert await live.query(Find(spelling), as_of=1) == Person2("bob@x", 1, "Bob@X")
            assert (await live.process(Greeting, spelling)).state == Greeting("bob@x", 2)
            assert live.criteria_of(Person, spelling) == live.criteria_of(Person, "bob@x")


async def test_a_decision_sees_what_was_decided_under_another_spelling() -> None:
    async with app_with_everything().test(FakeClock()) as live:
        await live.execute_many([Register("ann@x"), Register("Bob@x"), Register("bob@X")])
        with pytest.raises(Rejected) as rejected:
            await live.execute(Register("aNN@x"))
        assert rejected.value.details == {"by": "ann@x"}
        assert (await live.state(Person, "bob@x")).registered == 2


def test_many_models_are_asked_for_by_every_spelling() -> None:
    class RegisterAll(Command):
        emails: list[Email]

    app = App("all")

    @app.handles
    def register_all(command: RegisterAll, people: Many[Person]) -> list[Registered]:
        assert "Cid@x" not in people
        return [Registered(email) for email in command.emails if not people[email].registered]

    decided = given(app, Registered("bob@x")).when(RegisterAll(["Ann@X", "BOB@x"]))

    decided.then(Registered("Ann@X"))
    assert "x" not in Many[Person]()


async def test_parked_work_is_found_under_every_spelling() -> None:
    async with app_with_everything().test(FakeClock()) as live:
        await live.execute(Register("Odd@x"))
        await live.execute(Register("never@x"))
        await live.run_until_quiet()

        assert {each.key for each in await live.parked()} == {("odd@x",), ("never@x",)}
        assert (await live.process(Greeting, "ODD@X")).progress.parked == 1
        assert await live.skip(Greeting, "ODD@x", reason="known") == []
        assert [each.key for each in await live.retry(Person2, "NEVER@x")] == [("never@x",)]


def test_scenarios_know_one_entity_by_every_spelling() -> None:
    scenario = given(app_with_everything(), Registered("Ann@X"))

    scenario.when(Register("ann@x")).then_rejected("taken", by="ann@x")
    scenario.then_row(Person2("ann@x", 1, "Ann@X"))
    with pytest.raises(AssertionError, match="has a row"):
        scenario.then_no_row(Person2, "ANN@x")


def test_rows_have_the_key_of_each_value_in_a_list_and_of_each_part() -> None:
    class Letters(ReadModel):
        email: Email
        letters: int = 0

        def evolve(self, event: Written) -> Self:
            return replace(self, letters=self.letters + 1)

    class Introduced(Event):
        email: Email
        day: Month

    class Introductions(ReadModel):
        email: Email
        month: Month
        count: int = 0

        def evolve(self, event: Introduced) -> Self:
            return replace(self, count=self.count + 1)

    app = App("letters")
    app.read_model(Letters)
    app.read_model(Introductions)
    march, april = datetime.date(2026, 3, 1), datetime.date(2026, 4, 1)

    given(app, Written(["Ann@X", "ann@x", "bob@X"], april)).then_rows(
        Letters, [Letters("ann@x", 1), Letters("bob@x", 1)]
    )
    given(app, Introduced("Ann@X", april), Introduced("ann@x", march.replace(day=9))).then_rows(
        Introductions, [Introductions("ann@x", april, 1), Introductions("ann@x", march, 1)]
    )


def test_a_group_is_keyed_by_one_of_its_values() -> None:
    [item] = fold_of(MonthOfLetters).criteria((datetime.date(2026, 3, 1),)).items

    assert item.tags == {"month:2026-03-01"}
    assert fold_of(MonthOfLetters).start((datetime.date(2026, 3, 17),)).month == datetime.date(2026, 3, 1)


def test_what_is_no_key_is_refused_before_the_function_sees_it() -> None:
    for wrong in ((7,), (None,), (), ("a", "b")):
        with pytest.raises(InvalidKey):
            fold_of(Person).start(wrong)


counter = itertools.count()


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (lambda value: value[5], "raised IndexError: string index out of range"),
        (len, "returned 1, a int"),
        (lambda value: None, "returned None, a NoneType"),
        (lambda value: f"{value}!", "returned 'a!', and 'a!!' for that"),
        (lambda value: f"{next(counter)}", "and '"),
        (lambda value: uuid.uuid4().hex, "for that"),
    ],
)
async def test_a_function_that_is_none_from_values_to_keys_is_named(function: Any, problem: str) -> None:
    class Odd(Event):
        name: Annotated[str, Tag("odd", by=function)]

    class OddModel(DecisionModel):
        name: Annotated[str, Tag("odd", by=function)]

        def evolve(self, event: Odd) -> Self:
            return self

    class DoOdd(Command):
        name: Annotated[str, Tag("odd", by=function)]

    app = App("odd")

    @app.handles
    def do(command: DoOdd) -> Odd:
        return Odd(command.name)

    async with app.test(FakeClock()) as live:
        with pytest.raises(TagFunctionFailed, match="the tag 'odd'") as failed:
            await live.execute(DoOdd("a"))
        with pytest.raises(TagFunctionFailed):
            await live.state(OddModel, "a")
        assert await live.store.head() == 0
    assert problem in str(failed.value)


# --- within another tag


def test_a_tag_within_another_has_both_values() -> None:
    assert tags(Sold("s-1", ["12A", "1/2"])) == ("show:s-1", "seat:s-1/12A", "seat:s-1/1%2F2")
    assert SEAT("s-1", "12A") == "seat:s-1/12A"


def test_no_two_keys_share_a_tag() -> None:
    assert SEAT("a/b", "c") != SEAT("a", "b/c")
    assert SEAT("a%2Fb", "c") != SEAT("a/b", "c")


@for_all(st.text(), st.text(), st.text(), st.text())
def test_quoting_can_be_undone_and_keeps_keys_apart(a: str, b: str, c: str, d: str) -> None:
    assert unquoted(quoted(a)) == a
    assert (SEAT(a, b) == SEAT(c, d)) == ((a, b) == (c, d))


def test_the_criteria_of_a_model_name_the_narrower_tag_alone() -> None:
    of_sold, of_cancelled = sorted(
        fold_of(Seat).criteria(("s-1", "12A")).items, key=lambda item: -len(item.types & {"Sold"})
    )

    assert (of_sold.types, of_sold.tags) == ({"Sold"}, {"seat:s-1/12A"})
    assert (of_cancelled.types, of_cancelled.tags) == ({"Cancelled"}, {"show:s-1"})


async def test_one_seat_is_sold_once_in_each_show() -> None:
    async with app_with_everything().test(FakeClock()) as live:
        await live.execute(Sell("s-1", "12A"))
        await live.execute(Sell("s-2", "12A"))
        with pytest.raises(Rejected):
            await live.execute(Sell("s-1", "12A"))
        await live.store.append([app_with_everything().registry.encode(Cancelled("s-2"), b"{}")])
        with pytest.raises(Rejected):
            await live.execute(Sell("s-2", "13B"))
        assert [each.position for each in await live.explain(SeatRow, "s-2", "12A")] == [2]


def test_an_event_with_several_values_within_one_has_their_keys_by_its_tags_alone() -> None:
    fold = fold_of(SeatRow)

    assert fold.keys_by_tags(tags(Sold("s-1", ["1/2", "3"]))) == [("s-1", "1/2"), ("s-1", "3")]
    assert fold.keys_by_tags(("show:s-1", "seat:s-2/3")) == []


def test_a_value_within_none_has_no_tag() -> None:
    class Held(Event):
        show: ShowId | None
        seats: list[SeatNumber]

    class HeldSeat(ReadModel):
        show: ShowId
        seat: SeatNumber
        held: int = 0

        def evolve(self, event: Held) -> Self:
            return replace(self, held=self.held + 1)

    app = App("held")
    app.read_model(HeldSeat)

    assert tags(Held(None, ["12A"])) == ()
    assert tags(Held("s-1", ["12A"])) == ("show:s-1", "seat:s-1/12A")
    given(app, Held(None, ["12A"]), Held("s-1", ["12A"])).then_rows(HeldSeat, [HeldSeat("s-1", "12A", 1)])


def test_tags_lie_within_each_other_to_any_depth() -> None:
    chair = Tag("chair", within=SEAT)

    class Moved(Event):
        show: ShowId
        seat: SeatNumber
        place: Annotated[int, chair]

    assert tags(Moved("s/1", "12A", 4)) == ("show:s/1", "seat:s%2F1/12A", "chair:s%252F1%2F12A/4")
    assert chair("s/1", "12A", 4) == tags(Moved("s/1", "12A", 4))[-1]


@pytest.mark.parametrize("fields", [{"seat": SeatNumber}, {"shows": list[ShowId], "seat": SeatNumber}])
def test_a_tag_within_one_that_the_class_does_not_have_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidField, match="the fields that have the tag Tag\\('show'\\) are:"):
        MessageType(type(Event)("Lost", (Event,), {"__annotations__": fields}))


def test_a_tag_within_one_of_two_is_refused() -> None:
    with pytest.raises(InvalidField, match="first and second"):
        MessageType(
            type(Event)("Lost", (Event,), {"__annotations__": {"first": ShowId, "second": ShowId, "seat": SeatNumber}})
        )


def test_a_key_within_a_field_that_is_no_key_is_refused() -> None:
    def evolve(self: Any, event: Sold) -> Any:
        return self

    hints = {"seat": SeatNumber, "show": Annotated[ShowId, NonKey]}
    with pytest.raises(InvalidModel, match=r"Odd.seat is part of the key, and show, which it is within, is not"):
        type(DecisionModel)("Odd", (DecisionModel,), {"__annotations__": hints, "show": "", "evolve": evolve})


@pytest.mark.parametrize("values", [(), ("12A",), ("s-1", "12A", "x")])
def test_a_tag_is_asked_with_as_many_values_as_it_has(values: tuple[str, ...]) -> None:
    with pytest.raises((TypeError, ValueError)):
        SEAT(*values)


# --- hashed


async def test_a_hashed_value_is_in_no_tag_and_its_entity_is_found() -> None:
    async with app_with_everything().test(FakeClock()) as live:
        await live.execute(Call("555-1234"))
        await live.execute(Call("555-1234"))
        [first, second] = await stored_tags(live)

        assert first == second
        assert "555" not in first[0]
        assert first[0].startswith("phone:")
        assert (await live.state(Caller, "555-1234")).calls == 2
        assert (await live.state(Caller, "555-4321")).calls == 0


def test_another_secret_gives_another_tag() -> None:
    assert Tag("phone", secret=SECRET)("1") != Tag("phone", secret=SECRET + "!")("1")
    assert Tag("phone", secret=SECRET)("1") == Tag("phone", secret=SECRET.encode())("1")


def test_a_secret_is_shown_nowhere() -> None:
    assert SECRET not in repr(Tag("phone", secret=SECRET))
    assert SECRET not in fold_of(Caller).fingerprint().shape


@pytest.mark.parametrize("secret", ["", "short", b"x" * 65])
def test_a_secret_that_is_too_short_or_too_long_is_refused(secret: str | bytes) -> None:
    with pytest.raises(DefinitionError, match="16 to 64 bytes"):
        Tag("phone", secret=secret)


def test_a_tag_of_before_the_function_names_the_key_of_today() -> None:
    assert fold_of(Person).keys_by_tags(("email:Ann@X",)) == [("ann@x",)]


def test_the_tags_alone_name_no_hashed_key() -> None:
    assert fold_of(Caller).keys_by_tags(tags(Called("555"))) is None


# --- one tag of one name


def test_a_model_and_an_event_with_two_tags_of_one_name_are_refused() -> None:
    def evolve(self: Any, event: Registered) -> Any:
        return self

    with pytest.raises(
        InvalidModel, match=r"Odd.email is tagged Tag\('email'\), and Registered.email Tag\('email', by=str.c"
    ):
        type(DecisionModel)(
            "Odd", (DecisionModel,), {"__annotations__": {"email": Annotated[str, Tag("email")]}, "evolve": evolve}
        )


def test_a_command_with_another_tag_of_the_name_is_refused() -> None:
    class Odd(Command):
        email: Annotated[str, Tag("email")]

    app = App("odd")
    with pytest.raises(InvalidModel, match=r"Person.email is tagged .*, and Odd.email Tag\('email'\)"):

        @app.handles
        def handle(command: Odd, person: Person) -> None: ...


def test_tags_are_equal_if_nothing_of_them_differs() -> None:
    assert Tag("a") == Tag("a")
    assert hash(Tag("a", by=str.casefold)) == hash(Tag("a", by=str.casefold))
    kinds = [Tag("a"), Tag("b"), Tag("a", by=str.lower), Tag("a", within=SHOW), Tag("a", secret=SECRET)]
    assert all(one != other for one, other in itertools.combinations(kinds, 2))


# --- fingerprints and laws


def model_with(tag: Tag) -> type[DecisionModel]:
    happened = type(Event)("Happened", (Event,), {"__annotations__": {"what": Annotated[str, tag]}})

    def evolve(self: Any, event: Any) -> Any:
        return self

    evolve.__annotations__["event"] = happened
    made: Any = type(DecisionModel)(
        "Made", (DecisionModel,), {"__annotations__": {"what": Annotated[str, tag]}, "evolve": evolve}
    )
    return made


def test_another_function_or_secret_is_another_fingerprint() -> None:
    def stripped(value: str) -> str:
        return value.strip()

    def stripped_otherwise(value: str) -> str:
        return value.strip().strip()

    stripped_otherwise.__qualname__ = stripped.__qualname__
    kinds = [
        Tag("a"),
        Tag("a", by=str.casefold),
        Tag("a", by=str.lower),
        Tag("a", by=stripped),
        Tag("a", by=stripped_otherwise),
        Tag("a", secret=SECRET),
        Tag("a", secret=SECRET + "!"),
    ]

    found = [str(fold_of(model_with(kind)).fingerprint()) for kind in kinds]

    assert len(set(found)) == len(kinds)


SPELLINGS = st.sampled_from(["ann@x", "Ann@X", "bob@x"])


@settings(max_examples=examples(20))
@for_all(
    st.lists(st.builds(Registered, SPELLINGS), max_size=5),
    st.lists(
        st.builds(Sold, st.sampled_from(["s", "t/"]), st.lists(st.sampled_from(["1", "/"]), max_size=2)), max_size=4
    ),
)
def test_models_with_such_tags_keep_the_laws(registered: list[Registered], sold: list[Sold]) -> None:
    check_laws(Person, registered)
    check_laws(Person2, registered)
    check_laws(SeatRow, sold)
    check_laws(Seat, sold)


async def test_a_state_comes_back_from_its_snapshot(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path}/log.db"
    for _ in range(2):
        async with app_with_everything().open(address) as live:
            if await live.store.head() == 0:
                for _ in range(4):
                    await live.execute_many([Register("Bob@X") for _ in range(300)])
            assert await live.state(Person, "bOb@x") == Person("bob@x", 1200)
            assert all(not report.findings for report in await live.verify(snapshots=True))


def test_a_stored_event_keeps_the_spelling_it_was_given() -> None:
    assert msgspec.json.decode(app_with_everything().registry.encode(Registered("Ann@X"), b"{}").data) == {
        "email": "Ann@X"
    }

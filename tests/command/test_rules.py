"""Numbers without gaps, and values that belong to one thing, as declared parts."""

from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from leftfold import App, Command, DecisionModel, Event, NonKey, NumberSeries, Receipt, Rejected, Tag, Unique, message
from leftfold.errors import InvalidField, InvalidModel
from leftfold.testing import check_laws, given
from tests.patience import examples
from tests.racing import CALLERS, Log, four, log, race

__all__ = ["log"]

TENANT = Tag("tenant")
TenantId = Annotated[str, TENANT]
Year = Annotated[int, Tag("year", within=TENANT)]
UserId = Annotated[str, Tag("user")]
Email = Annotated[str, Tag("email", by=str.casefold)]


class Invoiced(Event):
    tenant: TenantId
    year: Year
    number: int


class Credited(Event):
    tenant: TenantId
    year: Year
    number: int


class Documents(NumberSeries[Invoiced | Credited]):
    tenant: TenantId
    year: Year


class Credits(NumberSeries[Credited]):
    last: int = 1000


class Invoice(Command):
    tenant: TenantId
    year: Year
    amount: int = 1


class Registered(Event):
    user: UserId
    email: Email


class EmailChanged(Event):
    user: UserId
    former: Email
    email: Email


class Closed(Event):
    user: UserId
    former: Email


class EmailClaim(Unique[Registered | EmailChanged | Closed]):
    email: Email
    user: Annotated[UserId, NonKey] = ""


class User(DecisionModel):
    user: UserId
    email: Annotated[Email, NonKey] = ""

    def evolve(self, event: Registered | EmailChanged | Closed) -> "User":
        return User(self.user, "" if isinstance(event, Closed) else event.email)


class Register(Command):
    user: UserId
    email: Email


class ChangeEmail(Command):
    user: UserId
    email: Email


class Close(Command):
    user: UserId


app = App("rules")


@app.handles
def invoice(command: Invoice, documents: Documents) -> Invoiced:
    if command.amount == 0:
        raise Rejected("nothing to pay")
    return Invoiced(command.tenant, command.year, documents.next)


@app.handles
def register(command: Register, claim: EmailClaim) -> Registered:
    if claim.taken:
        raise Rejected("taken", by=claim.user)
    return Registered(command.user, command.email)


@app.handles
def change(command: ChangeEmail, user: User, claim: EmailClaim) -> EmailChanged:
    if claim.taken and claim.user != command.user:
        raise Rejected("taken", by=claim.user)
    return EmailChanged(command.user, user.email, command.email)


@app.handles
def close(command: Close, user: User) -> Closed:
    return Closed(command.user, user.email)


# --- numbers


def test_a_series_has_the_next_number_of_its_key() -> None:
    scenario = given(app, Invoiced("north", 2026, 1), Credited("north", 2026, 2), Invoiced("south", 2026, 7))

    scenario.when(Invoice("north", 2026)).then(Invoiced("north", 2026, 3))
    given(app, Invoiced("north", 2026, 5), Credited("north", 2026, 2)).when(Invoice("north", 2026)).then(
        Invoiced("north", 2026, 6)
    )
    scenario.when(Invoice("north", 2027)).then(Invoiced("north", 2027, 1))
    scenario.when(Invoice("east", 2026)).then(Invoiced("east", 2026, 1))


def test_a_series_may_begin_elsewhere() -> None:
    assert Credits().next == 1001


class FromThousand(NumberSeries[Invoiced]):
    first = 1001
    tenant: TenantId
    year: Year


def test_the_series_of_each_key_may_begin_elsewhere() -> None:
    empty = FromThousand("north", 2026)

    assert empty.next == 1001
    assert empty.evolve(Invoiced("north", 2026, 7)).next == 1001
    assert empty.evolve(Invoiced("north", 2026, 1001)).next == 1002


def test_a_series_may_have_its_key_after_another_default_of_last() -> None:
    class Later(NumberSeries[Invoiced], kw_only=True):
        tenant: TenantId
        last: int = 1000

    assert Later(tenant="north").next == 1001


@pytest.mark.parametrize("wrong", [0, -1, True, "1001", None])
def test_a_series_that_begins_with_no_number_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidModel, match=r"Wrong\.first is"):

        class Wrong(NumberSeries[Invoiced]):
            first = wrong
            tenant: TenantId
            year: Year


def test_a_default_that_comes_before_the_key_is_refused_by_name() -> None:
    with pytest.raises(InvalidField, match="Wrong cannot be defined: Required field 'tenant'") as refused:

        class Wrong(NumberSeries[Invoiced]):
            tenant: TenantId  # type: ignore[misc]
            last: int = 1000

    assert "class Wrong(..., kw_only=True)" in refused.value.remedy


def test_a_default_without_an_annotation_which_would_hide_the_field_is_refused() -> None:
    with pytest.raises(InvalidField, match=r"Wrong\.last is a field, and 1000 without an annotation hides it"):

        class Wrong(NumberSeries[Credited]):
            last = 1000


async def test_sixteen_callers_get_sixteen_numbers_without_a_gap(log: Log) -> None:
    async with four(app, log) as apps:
        commands = [Invoice("north", 2026, number % 4) for number in range(2 * CALLERS)]
        receipts, refused = await race(apps, [*commands, Invoice("south", 2026)])

        assert refused == {"nothing to pay"}
        numbers = [(each.events[0].tenant, each.events[0].number) for each in sorted(receipts, key=_position)]
        assert [number for tenant, number in numbers if tenant == "north"] == list(range(1, 3 * CALLERS // 2 + 1))
        assert ("south", 1) in numbers


def _position(receipt: Receipt) -> int:
    return receipt.position


def test_an_event_of_a_series_without_a_number_is_refused() -> None:
    wrong: Any = Registered
    with pytest.raises(InvalidModel, match="Wrong numbers Registered, which has no field number"):

        class Wrong(NumberSeries[wrong]):
            user: UserId


def test_a_series_that_does_not_say_of_what_is_refused() -> None:
    with pytest.raises(InvalidModel, match="Wrong does not say which events it folds") as refused:

        class Wrong(NumberSeries): ...  # type: ignore[type-arg]

    assert "class Wrong(NumberSeries[Opened | Closed])" in refused.value.remedy


def test_a_series_counts_events_of_other_libraries() -> None:
    @message
    @dataclass(frozen=True)
    class Ticketed:
        number: int

    class Tickets(NumberSeries[Ticketed]): ...

    assert Tickets().evolve(Ticketed(4)).next == 5


# --- values that belong to one thing


def test_a_value_is_taken_changed_and_given_up() -> None:
    ann = Registered("u-1", "Ann@X")

    given(app).when(Register("u-1", "Ann@X")).then(ann)
    given(app, ann).when(Register("u-2", "ann@x")).then_rejected("taken", by="u-1")
    given(app, ann).when(ChangeEmail("u-1", "bob@x")).then(EmailChanged("u-1", "Ann@X", "bob@x"))
    given(app, ann).when(ChangeEmail("u-1", "ANN@x")).then(EmailChanged("u-1", "Ann@X", "ANN@x"))
    moved = given(app, ann, EmailChanged("u-1", "ann@x", "bob@x"))
    moved.when(Register("u-2", "ann@x")).then(Registered("u-2", "ann@x"))
    moved.when(Register("u-2", "bob@x")).then_rejected("taken", by="u-1")
    closed = given(app, ann, Closed("u-1", "ann@x"))
    closed.when(Register("u-2", "Ann@x")).then(Registered("u-2", "Ann@x"))


def test_who_had_a_value_is_forgotten_with_it() -> None:
    claim = EmailClaim("ann@x").evolve(Registered("u-1", "ann@x"))

    assert claim == EmailClaim("ann@x", "u-1", taken=True)
    assert claim.evolve(Closed("u-1", "ann@x")) == EmailClaim("ann@x")


async def test_of_sixteen_callers_one_takes_a_value_and_after_its_release_one_again(log: Log) -> None:
    async with four(app, log) as apps:
        for address in ("ann@x", "bob@x"):
            users = [f"{address} {number}" for number in range(CALLERS)]
            spelled = [address.upper() if number % 2 else address for number in range(CALLERS)]
            won, refused = await race(apps, [Register(*each) for each in zip(users, spelled, strict=True)])
            assert (len(won), refused) == (1, {"taken"})

            [winner] = won[0].events
            await apps[1].execute(Close(winner.user))
            won, refused = await race(apps, [Register(*each) for each in zip(users, spelled, strict=True)])
            assert (len(won), refused) == (1, {"taken"})


async def test_of_sixteen_users_one_changes_to_a_value(log: Log) -> None:
    async with four(app, log) as apps:
        users = [f"u-{number}" for number in range(CALLERS)]
        await apps[0].execute_many([Register(user, f"{user}@x") for user in users])

        won, refused = await race(apps, [ChangeEmail(user, "ann@x") for user in users])

        assert (len(won), refused) == (1, {"taken"})
        assert (await apps[2].state(EmailClaim, "ANN@x")).user == won[0].events[0].user


def test_a_value_within_a_tenant_is_unique_there() -> None:
    Slug = Annotated[str, Tag("slug", within=TENANT)]

    class Published(Event):
        tenant: TenantId
        slug: Slug

    class Withdrawn(Event):
        tenant: TenantId
        former: Slug

    class SlugClaim(Unique[Published | Withdrawn]):
        tenant: TenantId
        slug: Slug

    taken = SlugClaim("north", "news").evolve(Published("north", "news"))

    assert taken.taken
    assert not taken.evolve(Withdrawn("north", "news")).taken


def test_an_event_takes_each_value_of_a_collection() -> None:
    class Named(Event):
        user: UserId
        email: list[Email]

    class Shed(Event):
        user: UserId
        former: frozenset[Email] | None

    class NameClaim(Unique[Named | Shed]):
        email: Email
        user: Annotated[UserId, NonKey] = ""

    free = NameClaim("ann@x")
    taken = free.evolve(Named("u-1", ["Bob@X", "Ann@X"]))

    assert taken == NameClaim("ann@x", "u-1", taken=True)
    assert not free.evolve(Named("u-1", ["bob@x"])).taken
    assert taken.evolve(Shed("u-1", frozenset({"ANN@x"}))) == free


def test_an_event_without_a_part_of_the_key_is_refused() -> None:
    Slug = Annotated[str, Tag("slug", within=TENANT)]

    class Published(Event):
        tenant: TenantId
        slug: Slug

    class TenantRenamed(Event):
        tenant: TenantId
        name: str

    with pytest.raises(InvalidModel, match="Wrong folds TenantRenamed, which has no field tagged 'slug'"):

        class Wrong(Unique[Published | TenantRenamed]):
            tenant: TenantId
            slug: Slug


def test_a_field_with_a_default_that_would_be_part_of_the_key_is_refused() -> None:
    with pytest.raises(InvalidModel, match=r"Wrong\.user has a default, and is part of the key") as refused:

        class Wrong(Unique[Registered | EmailChanged | Closed]):
            email: Email
            user: UserId = ""

    assert "user: Annotated[..., NonKey]" in refused.value.remedy


def test_a_unique_value_that_no_event_takes_is_refused() -> None:
    with pytest.raises(InvalidModel, match="none of the events of Wrong has email"):

        class Wrong(Unique[Closed]):
            email: Email


def test_a_unique_value_without_a_key_is_refused() -> None:
    with pytest.raises(InvalidModel, match="none of the events of Wrong has a tag-typed field"):

        class Wrong(Unique[Registered]): ...


def test_a_field_that_the_event_does_not_have_is_refused() -> None:
    with pytest.raises(InvalidModel, match="Wrong has the field owner, and Registered, which takes the value, has not"):

        class Wrong(Unique[Registered]):
            email: Email
            owner: str = ""


HAPPENED = st.lists(
    st.one_of(
        st.builds(Registered, st.sampled_from(["u", "v"]), st.sampled_from(["a", "A", "b"])),
        st.builds(EmailChanged, st.sampled_from(["u", "v"]), st.sampled_from(["a", "b"]), st.sampled_from(["A", "b"])),
        st.builds(Closed, st.sampled_from(["u", "v"]), st.sampled_from(["a", "B"])),
        st.builds(Invoiced, st.just("t"), st.just(2026), st.integers(1, 9)),
    ),
    max_size=6,
)


@settings(max_examples=examples(20))
@for_all(HAPPENED)
def test_both_keep_the_laws(events: list[Event]) -> None:
    check_laws(EmailClaim, [event for event in events if not isinstance(event, Invoiced)])
    check_laws(Documents, [event for event in events if isinstance(event, Invoiced)])

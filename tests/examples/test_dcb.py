"""The examples of dcb.events: their rules, and the races that they are about, on every backend."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from examples.dcb import (
    course_subscriptions,
    invoice_numbers,
    opt_in_tokens,
    product_prices,
    record_duplication,
    usernames,
)
from examples.dcb.course_subscriptions import (
    CapacityChanged,
    ChangeCapacity,
    CourseDefined,
    DefineCourse,
    Subscribe,
    Subscribed,
)
from examples.dcb.invoice_numbers import InvoiceIssued, IssueInvoice
from examples.dcb.opt_in_tokens import ConfirmSignUp, SignUpConfirmed, SignUpStarted, StartSignUp
from examples.dcb.product_prices import Order, Ordered, PriceSet, SetPrice
from examples.dcb.record_duplication import OrderPlaced, PlaceOrder
from examples.dcb.usernames import (
    AccountClosed,
    AccountRegistered,
    ChangeUsername,
    CloseAccount,
    Register,
    UsernameChanged,
)
from leftfold import LiveApp
from leftfold.testing import given
from leftfold.testing.clock import START
from tests.racing import CALLERS, Log, four, log, race

__all__ = ["log"]

EACH = range(CALLERS)
LONGEST = 90  # lines


# --- course subscriptions

ART, LAW = CourseDefined("art", 2), CourseDefined("law", 1)
FULL = [Subscribed("bob", "law")]
BUSY = [Subscribed("ann", f"c{number}") for number in range(5)]


def test_courses_are_defined_once_and_change_their_capacity() -> None:
    courses = course_subscriptions.app

    given(courses).when(DefineCourse("art", 2)).then(ART)
    given(courses, ART).when(DefineCourse("art", 3)).then_rejected("the course exists")
    given(courses, ART).when(ChangeCapacity("art", 3)).then(CapacityChanged("art", 3))
    given(courses, ART).when(ChangeCapacity("art", 2)).then_nothing()
    given(courses).when(ChangeCapacity("art", 3)).then_rejected("there is no such course")


def test_a_student_subscribes_to_a_course() -> None:
    courses = course_subscriptions.app

    given(courses, ART).when(Subscribe("ann", "art")).then(Subscribed("ann", "art"))
    given(courses).when(Subscribe("ann", "art")).then_rejected("there is no such course")
    given(courses, LAW, *FULL).when(Subscribe("ann", "law")).then_rejected("the course is full")
    given(courses, ART, *FULL).when(Subscribe("ann", "art")).then(Subscribed("ann", "art"))
    given(courses, LAW, *FULL, CapacityChanged("law", 2)).when(Subscribe("ann", "law")).then(Subscribed("ann", "law"))
    given(courses, ART, Subscribed("ann", "art")).when(Subscribe("ann", "art")).then_rejected("subscribed already")
    given(courses, ART, *BUSY).when(Subscribe("ann", "art")).then_rejected("too many courses")
    given(courses, ART, *BUSY[1:]).when(Subscribe("ann", "art")).then(Subscribed("ann", "art"))


async def test_of_sixteen_students_two_get_the_seats_and_a_student_gets_five_of_sixteen_courses(log: Log) -> None:
    async with four(course_subscriptions.app, log) as apps:
        await apps[0].execute_many([DefineCourse("art", 2), *(DefineCourse(f"c{each}", 9) for each in EACH)])

        won, refused = await race(apps, [Subscribe(f"s{each}", "art") for each in EACH])
        assert (len(won), refused) == (2, {"the course is full"})

        won, refused = await race(apps, [Subscribe("eve", f"c{each}") for each in EACH])
        assert (len(won), refused) == (5, {"too many courses"})


# --- unique user names


def test_a_user_name_is_unique_however_it_is_spelled() -> None:
    names = usernames.app

    given(names).when(Register("Ann")).then(AccountRegistered("Ann"))
    given(names, AccountRegistered("Ann")).when(Register("ann")).then_rejected("the name is taken")
    given(names, AccountRegistered("Ann")).when(ChangeUsername("ann", "ANN")).then(UsernameChanged("ann", "ANN"))
    given(names, AccountRegistered("Ann")).when(ChangeUsername("Ann", "Eve")).then(UsernameChanged("Ann", "Eve"))
    given(names).when(ChangeUsername("Ann", "Eve")).then_rejected("there is no such account")
    given(names).when(CloseAccount("Ann")).then_rejected("there is no such account")
    both = given(names, AccountRegistered("Ann"), AccountRegistered("Eve"))
    both.when(ChangeUsername("Ann", "eve")).then_rejected("the name is taken")


@pytest.mark.parametrize("event", [AccountClosed("Ann"), UsernameChanged("Ann", "Eve")])
def test_a_user_name_is_free_after_three_days(event: AccountClosed | UsernameChanged) -> None:
    scenario = given(usernames.app, AccountRegistered("Ann"), event)

    scenario.when(Register("ann"), now=START + timedelta(days=2.9)).then_rejected("the name is not free yet")
    scenario.when(Register("ann"), now=START + timedelta(days=3)).then(AccountRegistered("ann"))
    scenario.when(ChangeUsername("Eve", "ann"), now=START).then_rejected(
        "the name is not free yet" if isinstance(event, UsernameChanged) else "there is no such account"
    )


async def test_of_sixteen_accounts_one_gets_a_user_name(log: Log) -> None:
    async with four(usernames.app, log) as apps:
        won, refused = await race(apps, [Register("ann" if each % 2 else "Ann") for each in EACH])
        assert (len(won), refused) == (1, {"the name is taken"})

        await apps[0].execute_many([Register(f"user {each}") for each in EACH])
        won, refused = await race(apps, [ChangeUsername(f"user {each}", "eve") for each in EACH])
        assert (len(won), refused) == (1, {"the name is taken"})


# --- invoice numbers


def test_an_invoice_has_the_next_number() -> None:
    given(invoice_numbers.app).when(IssueInvoice(5)).then(InvoiceIssued(1, 5))
    given(invoice_numbers.app, InvoiceIssued(1, 5)).when(IssueInvoice(7)).then(InvoiceIssued(2, 7))


async def test_sixteen_invoices_have_sixteen_numbers(log: Log) -> None:
    async with four(invoice_numbers.app, log) as apps:
        won, _ = await race(apps, [IssueInvoice(each) for each in EACH])

        assert sorted(receipt.events[0].number for receipt in won) == [each + 1 for each in EACH]


# --- opt-in tokens


def test_a_sign_up_is_confirmed_once_within_an_hour() -> None:
    app = opt_in_tokens.app
    started = SignUpStarted("Ann@x", "123", "Ann")
    confirmed = SignUpConfirmed("ann@x", "123", "Ann")

    given(app).when(StartSignUp("Ann@x", "123", "Ann")).then(started)
    given(app, started).when(ConfirmSignUp("ann@x", "123")).then(confirmed)
    given(app, started).when(ConfirmSignUp("ann@x", "124")).then_rejected("there is no sign-up with this code")
    given(app, started).when(ConfirmSignUp("bob@x", "123")).then_rejected("there is no sign-up with this code")
    given(app, started, confirmed).when(ConfirmSignUp("ann@x", "123")).then_rejected("the code was used")
    in_time, late = START + timedelta(minutes=60), START + timedelta(minutes=61)
    given(app, started).when(ConfirmSignUp("ann@x", "123"), now=in_time).then(confirmed)
    given(app, started).when(ConfirmSignUp("ann@x", "123"), now=late).then_rejected("the code has expired")


async def test_of_sixteen_confirmations_one_counts(log: Log) -> None:
    async with four(opt_in_tokens.app, log) as apps:
        await apps[0].execute(StartSignUp("ann@x", "123", "Ann"))

        won, refused = await race(apps, [ConfirmSignUp("ann@x", "123") for _ in EACH])

        assert (len(won), refused) == (1, {"the code was used"})


# --- dynamic prices


def test_an_order_counts_at_the_price_that_was_shown_for_ten_minutes() -> None:
    later = START + timedelta(hours=1)
    app = product_prices.app
    cheap = given(app, PriceSet("lamp", 40), PriceSet("rug", 70))
    dear = cheap.and_given(PriceSet("lamp", 50), at=later)
    for prices in ([], [40, 70]):
        cheap.when(Order(["lamp"], prices)).then_rejected("each product needs its price")

    cheap.when(Order(["lamp", "rug"], [40, 70])).then(Ordered(["lamp", "rug"], [40, 70]))
    cheap.when(Order(["lamp"], [39])).then_rejected("the price has changed", product="lamp", price=40)
    cheap.when(Order(["sofa"], [1])).then_rejected("there is no such product", product="sofa")
    dear.when(Order(["lamp"], [50]), now=later).then(Ordered(["lamp"], [50]))
    in_time, late = later + timedelta(minutes=10), later + timedelta(minutes=11)
    dear.when(Order(["rug", "lamp"], [70, 40]), now=in_time).then(Ordered(["rug", "lamp"], [70, 40]))
    dear.when(Order(["rug", "lamp"], [70, 40]), now=late).then_rejected("the price has changed", product="lamp")
    again = dear.and_given(PriceSet("lamp", 60), at=late)
    again.when(Order(["lamp"], [50]), now=late).then(Ordered(["lamp"], [50]))
    again.when(Order(["lamp"], [40]), now=late).then_rejected("the price has changed", price=60)


async def test_orders_and_changes_of_a_price_meet_without_a_wrong_price(log: Log) -> None:
    async with four(product_prices.app, log) as apps:
        await apps[0].execute_many([SetPrice("lamp", 0), SetPrice("rug", 7)])
        commands = [SetPrice("lamp", each) if each % 4 == 0 else Order(["lamp", "rug"], [each, 7]) for each in EACH]
        _, refused = await race(apps, commands)

        assert refused <= {"the price has changed"}
        shown = set[int]()
        for event in await history(apps[1]):
            match event:
                case PriceSet(product="lamp", price=price):
                    shown.add(price)
                case Ordered(prices=[price, _]):
                    assert price in shown
                case _:
                    pass


# --- no duplicate records


def test_a_form_is_taken_once() -> None:
    app = record_duplication.app

    given(app).when(PlaceOrder("o-1", "t-1")).then(OrderPlaced("o-1", "t-1"))
    given(app, OrderPlaced("o-1", "t-1")).when(PlaceOrder("o-2", "t-1")).then_rejected("this form was sent before")
    given(app, OrderPlaced("o-1", "t-1")).when(PlaceOrder("o-2", "t-2")).then(OrderPlaced("o-2", "t-2"))


async def test_of_sixteen_copies_of_a_form_one_is_taken(log: Log) -> None:
    async with four(record_duplication.app, log) as apps:
        won, refused = await race(apps, [PlaceOrder(f"o-{each}", "t-1") for each in EACH])

        assert (len(won), refused) == (1, {"this form was sent before"})


# --- all of them


def test_each_example_is_short() -> None:
    lines = {
        path.name: len(path.read_text("utf-8").splitlines()) for path in Path(usernames.__file__).parent.glob("*.py")
    }

    assert len(lines) == 7
    assert {name: count for name, count in lines.items() if count > LONGEST} == {}


async def history(live: LiveApp) -> Sequence[Any]:
    """Every event of the log, decoded, in order."""
    return product_prices.app.registry.decode_all(
        [stored async for batch in live.store.read() for stored in batch.events]
    )

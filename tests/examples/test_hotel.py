"""The hotel: its rules one by one, raced by sixteen callers, and what its lists show."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from examples.hotel import (
    FREE_TO_CANCEL,
    MAY,
    PREPARED,
    Arrivals,
    Book,
    Booked,
    Booking,
    Cancel,
    Cancelled,
    CheckedOut,
    CheckOut,
    EmailClaim,
    Guest,
    GuestRow,
    Invoiced,
    Invoices,
    InvoiceSent,
    Register,
    Registered,
    Rename,
    Renamed,
    Revenue,
    Room,
    RoomNight,
    RoomOpened,
    Stay,
    Stays,
    Voucher,
    VoucherIssued,
    hotel,
    main,
    nights,
    outbox,
)
from leftfold import Event, LiveApp, Receipt, Rejected, open_store
from leftfold.store import MemoryStore
from leftfold.testing import FakeClock, check_laws, given
from leftfold.testing.clock import START
from tests.patience import examples
from tests.postgres import fresh_log

HAPPENED: Sequence[Event] = [
    Registered("ann", "Ann Miller", "Ann@example.org"),
    RoomOpened(1, 100),
    RoomOpened(2, 80),
    VoucherIssued("SPRING", 10),
]
BOOKED = Booked("b-1", "ann", 1, nights(MAY, 3), 270, "SPRING")
LATER = START + timedelta(days=1)


async def test_the_example_prints_what_its_guide_says(capsys: pytest.CaptureFixture[str]) -> None:
    outbox.clear()

    await main()

    assert capsys.readouterr().out.splitlines() == [
        "the room is not free {'nights': ['2026-05-03']}",
        "the voucher is not valid",
        "this address is registered",
        "to Ann@example.org: invoice 1 for Ann Smith, 270",
        "[(1, 'Ann Smith'), (2, 'Bob')]",
    ]


# --- the rules


def test_a_booking_takes_each_of_its_nights_once() -> None:
    given(hotel, *HAPPENED).when(Book("b-1", "ann", 1, (*nights(MAY, 2), MAY))).then(
        Booked("b-1", "ann", 1, nights(MAY, 2), 200)
    )


def test_a_room_is_booked_once_for_each_night() -> None:
    booked = given(hotel, *HAPPENED, BOOKED)

    booked.when(Book("b-2", "ann", 1, nights(MAY + timedelta(days=2), 2))).then_rejected(
        "the room is not free", nights=["2026-05-03"]
    )
    booked.when(Book("b-2", "ann", 2, nights(MAY, 3))).then(Booked("b-2", "ann", 2, nights(MAY, 3), 240))
    booked.when(Book("b-2", "ann", 1, nights(MAY + timedelta(days=3), 1))).then(
        Booked("b-2", "ann", 1, (date(2026, 5, 4),), 100)
    )
    booked.when(Book("b-2", "ann", 2, ())).then_rejected("the room is not free")


def test_a_voucher_is_used_once_and_only_if_it_was_issued() -> None:
    given(hotel, *HAPPENED).when(Book("b-1", "ann", 1, nights(MAY, 3), "SPRING")).then(BOOKED)
    for log in ([*HAPPENED, BOOKED], HAPPENED[:-1]):
        given(hotel, *log).when(Book("b-2", "ann", 2, nights(MAY, 1), "SPRING")).then_rejected(
            "the voucher is not valid"
        )
    given(hotel, *HAPPENED, BOOKED, Cancelled("b-1", 1, nights(MAY, 3), "SPRING")).when(
        Book("b-2", "ann", 2, nights(MAY, 1), "SPRING")
    ).then(Booked("b-2", "ann", 2, nights(MAY, 1), 72, "SPRING"))


@pytest.mark.parametrize(
    "command",
    [
        Book("b-1", "bob", 1, nights(MAY, 1)),
        Book("b-1", "ann", 3, nights(MAY, 1)),
        Book("b-9", "ann", 1, nights(MAY, 1)),
    ],
)
def test_an_unknown_guest_an_unknown_room_and_a_second_booking_of_one_name_are_refused(command: Book) -> None:
    log = [*HAPPENED, Booked("b-9", "ann", 2, nights(MAY, 1), 80)]

    given(hotel, *log).when(command).then_rejected("this cannot be booked")


def test_a_booking_can_be_cancelled_for_a_day() -> None:
    booked = given(hotel, *HAPPENED, BOOKED)

    booked.when(Cancel("b-1"), now=START + FREE_TO_CANCEL).then(Cancelled("b-1", 1, nights(MAY, 3), "SPRING"))
    booked.when(Cancel("b-1"), now=START + FREE_TO_CANCEL + timedelta(seconds=1)).then_rejected(
        "too late to cancel", until=LATER
    )
    booked.when(Cancel("b-2")).then_rejected("there is no such booking")
    given(hotel, *HAPPENED, BOOKED, CheckedOut("b-1", "ann")).when(Cancel("b-1")).then_rejected(
        "there is no such booking"
    )


def test_nights_of_a_cancelled_booking_are_free_again() -> None:
    given(hotel, *HAPPENED, BOOKED, Cancelled("b-1", 1, nights(MAY, 3), "SPRING")).when(
        Book("b-2", "ann", 1, nights(MAY, 3))
    ).then(Booked("b-2", "ann", 1, nights(MAY, 3), 300))


def test_an_invoice_has_the_next_number_and_the_name_of_today() -> None:
    log = [*HAPPENED, BOOKED, Renamed("ann", "Ann Smith"), Invoiced(6, "b-0", "bob", "Bob", 1)]

    given(hotel, *log).when(CheckOut("b-1")).then(CheckedOut("b-1", "ann"), Invoiced(7, "b-1", "ann", "Ann Smith", 270))
    given(hotel, *log).when(CheckOut("b-2")).then_rejected("there is no such booking")
    given(hotel, *log, CheckedOut("b-1", "ann")).when(CheckOut("b-1")).then_rejected("there is no such booking")


def test_an_address_belongs_to_one_guest_however_it_is_spelled() -> None:
    given(hotel, *HAPPENED).when(Register("eve", "Eve", "ANN@example.ORG")).then_rejected("this address is registered")
    given(hotel, *HAPPENED).when(Register("ann", "Ann", "ann@home.example")).then_rejected("this guest is registered")
    given(hotel, *HAPPENED).when(Rename("ghost", "Boo")).then_rejected("there is no such guest")


# --- what is shown


def test_a_stay_shows_its_invoice_and_that_it_was_sent() -> None:
    log = [*HAPPENED, BOOKED, Invoiced(1, "b-1", "ann", "Ann", 270), InvoiceSent("b-1", "r")]

    given(hotel, *log).then_row(Stay("b-1", "ann", 1, MAY, 270, 1, sent=True))
    given(hotel, *log, Cancelled("b-1", 1, nights(MAY, 3))).then_no_row(Stay, "b-1")


def test_arrivals_have_the_present_name_of_the_guest() -> None:
    given(hotel, *HAPPENED, BOOKED, Renamed("ann", "Ann Smith")).when(Arrivals(MAY)).then_answer([(1, "Ann Smith")])
    given(hotel, *HAPPENED, BOOKED).when(Revenue("ann")).then_answer(270)
    given(hotel, *HAPPENED).when(Revenue("ann")).then_answer(0)


async def test_stays_are_shown_page_by_page_and_as_of_the_past() -> None:
    async with hotel.open("memory:") as live:
        await live.execute_many(PREPARED)
        booked = [await live.execute(Book(f"b-{n}", "ann", 1, nights(MAY + timedelta(days=n), 1))) for n in range(5)]

        first = await live.query(Stays(limit=3), after=booked[-1])
        second = await live.query(Stays(limit=3, after=first.next))
        then = await live.query(Stays(), as_of=booked[1].position)

    assert [stay.booking for stay in (*first.rows, *second.rows)] == [f"b-{n}" for n in range(5)]
    assert second.next is None
    assert [stay.booking for stay in then.rows] == ["b-0", "b-1"]


async def test_an_invoice_is_sent_and_that_is_recorded_once() -> None:
    outbox.clear()
    async with hotel.test(FakeClock()) as live:
        await live.execute_many([*PREPARED, Book("b-1", "ann", 1, nights(MAY, 1)), CheckOut("b-1")])
        await live.run_until_quiet()
        [stay] = (await live.query(Stays())).rows
        sent = [event async for batch in live.store.read() for event in batch.events if event.type == "invoice.sent"]

    assert outbox == ["to Ann@example.org: invoice 1 for Ann Miller, 100"]
    assert stay.sent
    assert len(sent) == 1


# --- races: four live apps on one log, sixteen callers


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def apps(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[list[LiveApp]]:
    async with AsyncExitStack() as opened:
        if request.param == "memory":
            logs: list[Any] = [MemoryStore()] * 4
        else:
            postgres = request.param == "postgres"
            url = fresh_log(request.getfixturevalue("postgres")) if postgres else f"sqlite:///{tmp_path}/hotel.db"
            logs = [await opened.enter_async_context(open_store(url)) for _ in range(4)]
        apart: Any = {"work": False, "attempts": 100}
        yield [
            await opened.enter_async_context(hotel.open(log, models=tmp_path / f"models-{number}.db", **apart))
            for number, log in enumerate(logs)
        ]


async def race(apps: list[LiveApp], commands: Sequence[Any]) -> tuple[list[Receipt], set[str]]:
    """Send the commands at once through all apps; return the receipts, and why the others were rejected."""
    outcomes = await asyncio.gather(
        *(apps[number % len(apps)].execute(command) for number, command in enumerate(commands)), return_exceptions=True
    )
    assert [each for each in outcomes if not isinstance(each, Receipt | Rejected)] == []
    return (
        [each for each in outcomes if isinstance(each, Receipt)],
        {each.reason for each in outcomes if isinstance(each, Rejected)},
    )


async def test_of_sixteen_bookings_that_share_a_night_one_is_made(apps: list[LiveApp]) -> None:
    await apps[0].execute_many(PREPARED)

    for room in (1, 2):
        shared = MAY + timedelta(days=16)
        commands = [Book(f"b-{room}-{n}", "ann", room, nights(shared - timedelta(days=n), n + 1)) for n in range(16)]
        receipts, reasons = await race(apps, commands)

        assert (len(receipts), reasons) == (1, {"the room is not free"})
        assert (await apps[1].state(RoomNight, room, shared)).taken


async def test_of_sixteen_guests_one_uses_the_voucher_and_gets_the_address(apps: list[LiveApp]) -> None:
    await apps[0].execute_many(PREPARED)

    booked, reasons = await race(
        apps, [Book(f"b-{n}", "ann", 1, nights(MAY + timedelta(days=n), 1), "SPRING") for n in range(16)]
    )
    registered, others = await race(apps, [Register(f"g-{n}", "Eve", "eve@x" if n % 2 else "EVE@X") for n in range(16)])

    assert (len(booked), reasons) == (1, {"the voucher is not valid"})
    assert (len(registered), others) == (1, {"this address is registered"})


async def test_sixteen_invoices_are_numbered_without_gaps(apps: list[LiveApp]) -> None:
    await apps[0].execute_many(PREPARED)
    await apps[0].execute_many([Book(f"b-{n}", "ann", 1, nights(MAY + timedelta(days=n), 1)) for n in range(16)])

    receipts, _ = await race(apps, [CheckOut(f"b-{n}") for n in range(16)])

    assert sorted(receipt.events[1].number for receipt in receipts) == list(range(1, 17))


async def test_a_guest_who_is_renamed_while_checking_out_gets_an_invoice_with_one_of_the_names(
    apps: list[LiveApp],
) -> None:
    await apps[0].execute_many([*PREPARED, Book("b-1", "ann", 1, nights(MAY, 1))])

    renames = [Rename("ann", f"Ann {n}") for n in range(15)]
    receipts, _ = await race(apps, [*renames[:8], CheckOut("b-1"), *renames[8:]])

    log = [event async for batch in apps[0].store.read() for event in batch.events]
    [invoice] = [receipt.events[1] for receipt in receipts if len(receipt.events) == 2]
    [position] = [event.position for event in log if event.type == "invoice.issued"]
    names = [
        receipt.events[0].name
        for receipt in sorted(receipts, key=lambda each: each.position)
        if receipt.position < position
    ]
    assert invoice.name == ["Ann Miller", *names][-1]


# --- laws

bookings, guests, rooms = st.sampled_from(["b-1", "b-2"]), st.sampled_from(["ann", "bob"]), st.integers(1, 2)
some_nights = st.lists(st.sampled_from(nights(MAY, 4)), min_size=1, max_size=3, unique=True).map(tuple)
vouchers = st.one_of(st.none(), st.just("SPRING"))
events = st.one_of(
    st.builds(Registered, guests, st.just("Ann"), st.sampled_from(["a@x", "A@X", "b@x"])),
    st.builds(Renamed, guests, st.sampled_from(["Ann", "Bob"])),
    st.builds(RoomOpened, rooms, st.integers(1, 99)),
    st.builds(VoucherIssued, st.just("SPRING"), st.integers(1, 99)),
    st.builds(Booked, bookings, guests, rooms, some_nights, st.integers(1, 99), vouchers),
    st.builds(Cancelled, bookings, rooms, some_nights, vouchers),
    st.builds(CheckedOut, bookings, guests),
    st.builds(Invoiced, st.integers(1, 9), bookings, guests, st.just("Ann"), st.integers(1, 99)),
    st.builds(InvoiceSent, bookings, st.just("r")),
)


@for_all(st.lists(events, max_size=12))
@settings(max_examples=examples(25), deadline=None)
@pytest.mark.parametrize("model", [EmailClaim, Guest, Room, RoomNight, Voucher, Booking, Invoices, GuestRow, Stay])
def test_the_models_keep_the_laws(model: Any, events: Sequence[Event]) -> None:
    check_laws(model, events, app=hotel)

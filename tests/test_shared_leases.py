"""Leases that are shared: each process holds its even part, and all of them together the whole."""

import pytest

from leftfold.follow.lease import is_presence
from leftfold.follow.lease_store import LeaseStore, MemoryLeaseStore
from tests.holders import Stopwatch
from tests.test_leases import Party, book, now

__all__ = ["book", "now"]

FOUR = ("work 1", "work 2", "work 3", "work 4")


async def turns(*parties: Party) -> list[int]:
    """Enough for what one leaves to be taken by the next; how many each holds then."""
    for _ in range(2):
        for party in parties:
            await party.keeper.turn()
    return [len(party.keeper.held) for party in parties]


def parties(book: LeaseStore, now: Stopwatch, *names: str) -> list[Party]:
    return [Party(book, now, name, shared=FOUR) for name in names]


async def test_one_alone_holds_all_at_once(book: LeaseStore, now: Stopwatch) -> None:
    [one] = parties(book, now, "one")

    await one.keeper.turn()

    assert one.keeper.held == list(FOUR)


@pytest.mark.parametrize(
    ("names", "held"),
    [("ab", [2, 2]), ("abc", [2, 1, 1]), ("abcd", [1, 1, 1, 1]), ("abcdef", [1, 1, 1, 1, 0, 0])],
)
async def test_those_who_take_part_hold_even_parts(
    book: LeaseStore, now: Stopwatch, names: str, held: list[int]
) -> None:
    found = parties(book, now, *names)

    assert await turns(*found) == held
    assert sorted(name for party in found for name in party.keeper.held) == list(FOUR)


async def test_what_is_too_much_is_left_before_another_takes_it(book: LeaseStore, now: Stopwatch) -> None:
    one, two = parties(book, now, "one", "two")
    await one.keeper.turn()

    await two.keeper.turn()  # it says that it is there; nothing is free yet
    assert (one.told[4:], two.told) == ([], [])
    await one.keeper.turn()
    await two.keeper.turn()

    assert one.told[4:] == ["lost work 3", "lost work 4"]
    assert two.told == ["gained work 3", "gained work 4"]
    assert two.formers == [None, None]  # the former holder has stopped by itself: it need not be fenced


async def test_even_parts_stay_where_they_are(book: LeaseStore, now: Stopwatch) -> None:
    one, two = parties(book, now, "one", "two")
    await turns(one, two)
    before = [list(one.told), list(two.told)]

    await turns(one, two)

    assert [one.told, two.told] == before


async def test_who_leaves_is_reckoned_with_no_more(book: LeaseStore, now: Stopwatch) -> None:
    one, two = parties(book, now, "one", "two")
    await turns(one, two)

    await two.keeper.release()

    assert await turns(one) == [4]
    assert [entry.holder for entry in (await book.read()).values()] == ["one"] * 5


async def test_of_whom_nothing_is_heard_is_reckoned_with_no_more_and_wakes_up_to_its_part(
    book: LeaseStore, now: Stopwatch
) -> None:
    one, two = parties(book, now, "one", "two")
    await turns(one, two)

    now.seconds = 4.9
    assert await turns(two) == [2]
    now.seconds = 5.0
    assert await turns(two) == [4]
    assert two.formers[2:] == ["one", "one"]
    assert sum(map(is_presence, (await book.read()).values())) == 1

    assert await turns(one, two) == [2, 2]


async def test_other_leases_are_held_as_ever(book: LeaseStore, now: Stopwatch) -> None:
    one = Party(book, now, "one", "alone", shared=FOUR)
    two = Party(book, now, "two", "alone", shared=FOUR)

    await turns(one, two)

    assert (one.keeper.held, two.keeper.held) == (["alone", "work 1", "work 2"], ["work 3", "work 4"])


async def test_all_leases_are_taken_or_none(book: LeaseStore, now: Stopwatch) -> None:
    holder, taker = Party(book, now, "holder", "b"), Party(book, now, "taker", "a", "b", "c")
    await holder.keeper.turn()

    assert not await taker.keeper.take_all()
    assert (taker.told, taker.keeper.held) == ([], [])
    now.seconds = 5.0
    assert await taker.keeper.take_all()

    assert taker.keeper.held == ["a", "b", "c"]
    assert taker.formers == [None, "holder", None]


async def test_whoever_lost_a_presence_says_again_that_it_is_there(now: Stopwatch) -> None:
    book = MemoryLeaseStore()
    one, two = parties(book, now, "one", "two")
    await turns(one, two)
    await book.release([entry for entry in (await book.read()).values() if is_presence(entry)])

    assert await turns(one, two) == [2, 2]
    assert sum(map(is_presence, (await book.read()).values())) == 2

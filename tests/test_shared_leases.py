"""Leases that are shared: each process holds its even part, and all of them together the whole."""

import pytest

from leftfold.follow.lease import is_presence
from leftfold.follow.lease_store import LeaseStore
from tests.holders import MemoryLeaseStore, Stopwatch
from tests.test_leases import Party, lease_store, now

__all__ = ["lease_store", "now"]

FOUR = ("work 1", "work 2", "work 3", "work 4")


async def turns(*parties: Party) -> list[int]:
    """Enough for what one leaves to be taken by the next; how many each holds then."""
    for _ in range(2):
        for party in parties:
            await party.leases.turn()
    return [len(party.leases.held) for party in parties]


def parties(lease_store: LeaseStore, now: Stopwatch, *names: str) -> list[Party]:
    return [Party(lease_store, now, name, shared=FOUR) for name in names]


async def test_one_alone_holds_all_at_once(lease_store: LeaseStore, now: Stopwatch) -> None:
    [one] = parties(lease_store, now, "one")

    await one.leases.turn()

    assert one.leases.held == list(FOUR)


@pytest.mark.parametrize(
    ("names", "held"),
    [("ab", [2, 2]), ("abc", [2, 1, 1]), ("abcd", [1, 1, 1, 1]), ("abcdef", [1, 1, 1, 1, 0, 0])],
)
async def test_those_who_take_part_hold_even_parts(
    lease_store: LeaseStore, now: Stopwatch, names: str, held: list[int]
) -> None:
    found = parties(lease_store, now, *names)

    assert await turns(*found) == held
    assert sorted(name for party in found for name in party.leases.held) == list(FOUR)


async def test_what_is_too_much_is_left_before_another_takes_it(lease_store: LeaseStore, now: Stopwatch) -> None:
    one, two = parties(lease_store, now, "one", "two")
    await one.leases.turn()

    await two.leases.turn()  # it says that it is there; nothing is free yet
    assert (one.told[4:], two.told) == ([], [])
    await one.leases.turn()
    await two.leases.turn()

    assert one.told[4:] == ["lost work 3", "lost work 4"]
    assert two.told == ["gained work 3", "gained work 4"]
    assert two.formers == [None, None]  # the former holder has stopped by itself: it need not be fenced


async def test_even_parts_stay_where_they_are(lease_store: LeaseStore, now: Stopwatch) -> None:
    one, two = parties(lease_store, now, "one", "two")
    await turns(one, two)
    before = [list(one.told), list(two.told)]

    await turns(one, two)

    assert [one.told, two.told] == before


async def test_who_leaves_is_reckoned_with_no_more(lease_store: LeaseStore, now: Stopwatch) -> None:
    one, two = parties(lease_store, now, "one", "two")
    await turns(one, two)

    await two.leases.release()

    assert await turns(one) == [4]
    assert [entry.holder for entry in (await lease_store.read()).values()] == ["one"] * 5


async def test_of_whom_nothing_is_heard_is_reckoned_with_no_more_and_wakes_up_to_its_part(
    lease_store: LeaseStore, now: Stopwatch
) -> None:
    one, two = parties(lease_store, now, "one", "two")
    await turns(one, two)

    now.seconds = 4.9
    assert await turns(two) == [2]
    now.seconds = 5.0
    assert await turns(two) == [4]
    assert two.formers[2:] == ["one", "one"]
    assert sum(map(is_presence, (await lease_store.read()).values())) == 1

    assert await turns(one, two) == [2, 2]


async def test_other_leases_are_held_as_ever(lease_store: LeaseStore, now: Stopwatch) -> None:
    one = Party(lease_store, now, "one", "alone", shared=FOUR)
    two = Party(lease_store, now, "two", "alone", shared=FOUR)

    await turns(one, two)

    assert (one.leases.held, two.leases.held) == (["alone", "work 1", "work 2"], ["work 3", "work 4"])


async def test_all_leases_are_taken_or_none(lease_store: LeaseStore, now: Stopwatch) -> None:
    holder, taker = Party(lease_store, now, "holder", "b"), Party(lease_store, now, "taker", "a", "b", "c")
    await holder.leases.turn()

    assert not await taker.leases.take_all()
    assert (taker.told, taker.leases.held) == ([], [])
    now.seconds = 5.0
    assert await taker.leases.take_all()

    assert taker.leases.held == ["a", "b", "c"]
    assert taker.formers == [None, "holder", None]


async def test_whoever_lost_a_presence_says_again_that_it_is_there(now: Stopwatch) -> None:
    lease_store = MemoryLeaseStore()
    one, two = parties(lease_store, now, "one", "two")
    await turns(one, two)
    await lease_store.release([entry for entry in (await lease_store.read()).values() if is_presence(entry)])

    assert await turns(one, two) == [2, 2]
    assert sum(map(is_presence, (await lease_store.read()).values())) == 2

"""Promises of what an append may ask for: a condition, and an idempotency key."""

import asyncio

import pytest

from leftfold.errors import Conflict, KeyReused, PartsAppended
from leftfold.model.criteria import ALL, EVERYTHING, NOTHING, Criteria, CriteriaItem, criteria
from leftfold.model.record import NewEvent
from leftfold.store.contract import AppendCondition, Appended, EventStore, IdempotencyKey
from leftfold.testing.conformance.records import Promise, about, case, events_of, none_since, opened, outcomes_of


class Condition(Promise):
    """A condition is checked and the events written in one serialised step."""

    async def test_append_with_a_condition_that_holds_is_made(self, store: EventStore) -> None:
        await store.append([opened("a"), opened("b")])

        appended = await store.append([opened("a")], condition=none_since(1, "a"))

        assert appended == Appended(3, 3)

    async def test_append_with_stale_position_reports_the_conflicting_events(self, store: EventStore) -> None:
        await store.append([opened("a"), opened("b"), NewEvent("moved", b"", ("account:a", "account:b")), opened("a")])

        with pytest.raises(Conflict) as caught:
            await store.append([opened("a")], condition=none_since(1, "a"))

        conflict = caught.value
        assert (conflict.item, conflict.after, conflict.positions) == (CriteriaItem(tags=["account:a"]), 1, (3, 4))
        assert [match.type for match in conflict.matches] == ["moved", "opened"]
        assert [match.tags for match in conflict.matches] == [("account:a", "account:b"), ("account:a",)]

    async def test_a_conflict_says_what_was_found_expected_and_to_do(self, store: EventStore) -> None:
        await store.append([opened("a")])

        with pytest.raises(Conflict) as caught:
            await store.append([opened("a")], condition=none_since(0, "a"))

        assert "opened at 1" in caught.value.found
        assert "account:a" in caught.value.found
        assert all((caught.value.expected, caught.value.remedy))

    async def test_a_conflict_writes_nothing(self, store: EventStore) -> None:
        await store.append([opened("a")])

        await outcomes_of([store.append([opened("b"), opened("a")], condition=none_since(0, "a"), key="k")])

        assert (await store.head(), await store.lookup("k")) == (1, None)
        assert await events_of(store.read(about("b"))) == []

    async def test_a_conflict_among_many_events_names_the_first(self, store: EventStore) -> None:
        await store.append([opened("a") for _ in range(1_000)])

        with pytest.raises(Conflict) as caught:
            await store.append([opened("a")], condition=none_since(500, "a"))

        assert caught.value.positions[0] == 501
        assert list(caught.value.positions) == sorted(caught.value.positions)

    async def test_the_failing_item_of_several_is_named(self, store: EventStore) -> None:
        await store.append([opened("a"), NewEvent("closed", b"", ("account:b",))])
        closed_b = CriteriaItem(["closed"], ["account:b"])
        watched = about("c") | Criteria(closed_b) | criteria("moved")

        with pytest.raises(Conflict) as caught:
            await store.append([opened("b")], condition=AppendCondition(watched, 0))

        assert (caught.value.item, caught.value.positions) == (closed_b, (2,))

    async def test_a_type_alone_and_a_tag_alone_each_conflict(self, store: EventStore) -> None:
        await store.append([opened("a")])

        for watched in (criteria("opened"), about("a"), criteria("opened", tags=["account:a"]), ALL):
            with pytest.raises(Conflict):
                await store.append([opened("a")], condition=AppendCondition(watched, 0))

    async def test_a_condition_on_all_holds_where_only_leftfold_itself_has_appended(self, store: EventStore) -> None:
        own = NewEvent("leftfold.own", b"", ("leftfold.x:1",))
        await store.append([opened("a"), *[own] * 5])

        await store.append([NewEvent("moved", b"")], condition=AppendCondition(ALL, 1))
        await store.append([own] * 5)
        both = AppendCondition(ALL | about("a"), 1), AppendCondition(ALL, 7)
        with pytest.raises(Conflict) as first:
            await store.append([opened("b")], condition=both)
        with pytest.raises(Conflict) as second:
            await store.append([opened("b")], condition=AppendCondition(EVERYTHING, 7))
        late = await store.append([opened("b")], condition=AppendCondition(ALL | about("a"), 7), key="k")
        again = await store.append([opened("b")], condition=AppendCondition(ALL | about("a"), 7), key="k")

        assert (first.value.item, first.value.after, first.value.positions) == (ALL.items[0], 1, (7,))
        assert second.value.positions == (8, 9, 10)
        assert (late.first, again.first, again.duplicate) == (13, 13, True)

    async def test_of_racers_on_all_one_commits_whatever_leftfold_itself_appends(self, store: EventStore) -> None:
        own = [NewEvent("leftfold.own", b"")]
        racers = [store.append([opened(f"{n}")], condition=AppendCondition(ALL, 0)) for n in range(8)]
        turns = [turn for racer in racers for turn in (store.append(own), racer)]

        outcomes = await asyncio.gather(*turns, return_exceptions=True)

        refused = [each for each in outcomes if isinstance(each, Conflict)]
        assert (len(refused), len(await events_of(store.read(ALL)))) == (7, 1)
        assert {each.after for each in refused} == {0}
        assert {each.matches[0].type for each in refused} == {"opened"}

    async def test_events_that_only_nearly_match_do_not_conflict(self, store: EventStore) -> None:
        await store.append([opened("a"), NewEvent("moved", b"", ("account:b",))])
        near = [criteria("moved", tags=["account:a"]), criteria("open"), criteria(tags=["account:"]), NOTHING]
        near += [criteria(tags=["account:a", "account:b"]), criteria("opened", tags=["account:b"])]

        for watched in near:
            await store.append([NewEvent("noted", b"")], condition=AppendCondition(watched, 0))

        assert await store.head() == 2 + len(near)

    async def test_several_conditions_must_all_hold(self, store: EventStore) -> None:
        await store.append([opened("a"), opened("b")])
        holds, fails = none_since(1, "a"), none_since(1, "b")

        appended = await store.append([opened("c")], condition=[holds, none_since(2, "b")])
        with pytest.raises(Conflict) as caught:
            await store.append([opened("d")], condition=iter([holds, fails]))

        assert appended == Appended(3, 3)
        assert (caught.value.item, caught.value.after, caught.value.positions) == (
            CriteriaItem(tags=["account:b"]),
            1,
            (2,),
        )

    async def test_no_condition_at_all_holds(self, store: EventStore) -> None:
        await store.append([opened("a")])

        assert await store.append([opened("a")], condition=[]) == Appended(2, 2)

    async def test_an_append_does_not_conflict_with_its_own_events(self, store: EventStore) -> None:
        appended = await store.append([opened("a"), opened("a")], condition=none_since(0, "a"))

        assert appended == Appended(1, 2)

    async def test_a_condition_may_have_a_thousand_items(self, store: EventStore) -> None:
        await store.append([opened(str(n)) for n in range(5)])
        others = (CriteriaItem([f"type-{n}"], [f"account:{n}"]) for n in range(999))
        watched = Criteria(*others, CriteriaItem(["opened"], ["account:4"]))

        appended = await store.append([opened("a")], condition=AppendCondition(watched, 5))
        with pytest.raises(Conflict) as caught:
            await store.append([opened("b")], condition=AppendCondition(watched, 0))

        assert (appended.first, caught.value.positions) == (6, (5,))


class Idempotency(Promise):
    """A key is stored in the append's own transaction, whatever becomes of its condition."""

    async def test_a_retry_with_the_same_key_returns_the_first_result(self, store: EventStore) -> None:
        await store.append([opened("a")])

        first = await store.append([opened("b"), opened("c")], key="k")
        again = await store.append([opened("b"), opened("c")], key="k")

        assert (first, again) == (Appended(2, 3), Appended(2, 3, duplicate=True))
        assert await store.head() == 3

    async def test_a_retry_is_recognised_although_its_condition_fails_by_now(self, store: EventStore) -> None:
        await store.append([opened("a")], condition=none_since(0, "a"), key="k")

        again = await store.append([opened("a")], condition=none_since(0, "a"), key="k")

        assert again == Appended(1, 1, duplicate=True)

    async def test_a_retry_is_recognised_with_another_condition_or_none(self, store: EventStore) -> None:
        await store.append([opened("a")], condition=none_since(0, "a"), key="k")
        await store.append([opened("a")])

        without = await store.append([opened("a")], key="k")
        later = await store.append([opened("a")], condition=none_since(2, "a"), key="k")

        assert without == later == Appended(1, 1, duplicate=True)
        assert await store.head() == 2

    async def test_a_key_without_a_condition_is_not_stored_twice(self, store: EventStore) -> None:
        for _ in range(3):
            await store.append([NewEvent("noted", b"")], key="k")

        assert await store.head() == 1

    async def test_a_key_is_free_again_after_a_conflict(self, store: EventStore) -> None:
        await store.append([opened("a")])

        await outcomes_of([store.append([opened("a")], condition=none_since(0, "a"), key="k")])
        appended = await store.append([opened("a")], condition=none_since(1, "a"), key="k")

        assert appended == Appended(2, 2)

    async def test_a_key_that_comes_back_with_other_content_is_refused(self, store: EventStore) -> None:
        first = NewEvent("opened", b"1", ("account:a",))
        await store.append([first], key="k")

        for name, other in {
            "data": [NewEvent("opened", b"other", ("account:a",))],
            "type": [NewEvent("closed", b"1", ("account:a",))],
            "tags": [NewEvent("opened", b"1", ("account:b",))],
            "version": [NewEvent("opened", b"1", ("account:a",), 2)],
            "number": [first, first],
        }.items():
            with case(name), pytest.raises(KeyReused) as caught:
                await store.append(other, key="k", condition=none_since(0, "a"))

            assert (caught.value.key, caught.value.first, caught.value.last) == ("k", 1, 1)
            assert await store.head() == 1

    async def test_each_of_several_keys_stands_for_its_part_of_an_append(self, store: EventStore) -> None:
        await store.append([opened("before")])
        parts = [IdempotencyKey("k-1", b"1", place=0, events=2), IdempotencyKey("k-2", b"2", place=3, events=1)]

        appended = await store.append([opened(name) for name in "abcd"], key=parts)

        assert appended == Appended(2, 5)
        assert await store.lookup(IdempotencyKey("k-1", b"1")) == Appended(2, 3)
        assert await store.lookup("k-2") == Appended(5, 5)

    async def test_nothing_is_appended_when_one_of_several_keys_was_used_before(self, store: EventStore) -> None:
        await store.append([opened("a")], key=IdempotencyKey("k-2", b"2"))
        parts = [IdempotencyKey("k-1", b"1", place=0, events=1), IdempotencyKey("k-2", b"2", place=1, events=1)]

        with pytest.raises(PartsAppended) as caught:
            await store.append([opened("b"), opened("c")], key=parts)
        with pytest.raises(KeyReused):
            await store.append([opened("b")], key=[IdempotencyKey("k-2", b"other", place=0, events=1)])

        assert caught.value.keys == ("k-2",)
        assert await store.head() == 1
        assert await store.lookup("k-1") is None

    async def test_a_retry_may_carry_other_metadata(self, store: EventStore) -> None:
        await store.append([NewEvent("noted", b"1", metadata=b'{"try":1}')], key="k")

        again = await store.append([NewEvent("noted", b"1", metadata=b'{"try":2}')], key="k")

        (stored,) = await events_of(store.read())
        assert (again.duplicate, stored.metadata) == (True, b'{"try":1}')

    async def test_a_key_may_stand_for_a_payload_of_its_own(self, store: EventStore) -> None:
        request, other = IdempotencyKey("k", b"request"), IdempotencyKey("k", b"other request")
        await store.append([opened("a")], key=request)

        again = await store.append([opened("decided again")], key=request)
        with pytest.raises(KeyReused):
            await store.append([opened("a")], key=other)

        assert again == Appended(1, 1, duplicate=True)

    async def test_keys_of_any_script_and_length_are_kept_apart(self, store: EventStore) -> None:
        keys = ["k", "K", "k ", "schlüssel", "schlu\u0308ssel", "鍵", "k" * 1_000, "'; --", "0", "00"]

        for key in keys:
            await store.append([opened(key[:100])], key=key)

        assert [await store.lookup(key) for key in keys] == [Appended(n, n) for n in range(1, 11)]

    async def test_lookup_finds_where_a_key_was_used(self, store: EventStore) -> None:
        await store.append([opened("a")])
        await store.append([opened("b"), opened("c")], key="k")

        found = await store.lookup("k")

        assert found is not None
        assert (found.first, found.last) == (2, 3)
        assert await store.lookup("other") is None

    async def test_lookup_of_a_key_that_stands_for_another_payload_is_refused(self, store: EventStore) -> None:
        await store.append([opened("a")], key=IdempotencyKey("k", b"request"))

        same, plain = await store.lookup(IdempotencyKey("k", b"request")), await store.lookup("k")
        with pytest.raises(KeyReused):
            await store.lookup(IdempotencyKey("k", b"other request"))

        assert [found and found.first for found in (same, plain)] == [1, 1]
        assert await store.lookup(IdempotencyKey("other", b"request")) is None

    async def test_of_many_at_once_with_one_key_one_is_written(self, store: EventStore) -> None:
        appended, refused = await outcomes_of(store.append([opened("a")], key="k") for _ in range(50))

        assert refused == []
        assert sorted(one.duplicate for one in appended) == [False] + [True] * 49
        assert {(one.first, one.last) for one in appended} == {(1, 1)}
        assert await store.head() == 1

    async def test_of_many_at_once_with_one_key_and_other_content_one_is_written(self, store: EventStore) -> None:
        appended, refused = await outcomes_of(store.append([opened(str(n))], key="k") for n in range(50))

        assert len(appended) == 1
        assert {type(error) for error in refused} == {KeyReused}
        assert await store.head() == 1

"""Metadata: who, why, and caused by what; said for a block or for a call, kept with each event."""

import asyncio
import enum
import math
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from leftfold import LiveApp, Metadata, recording
from leftfold.errors import InvalidMetadata
from leftfold.model.metadata import decode_metadata, encode_command, encode_metadata, present_metadata
from tests.accounts import Account, Deposit, Withdraw, accounts_app

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def said_of(live: LiveApp, account: str) -> list[Metadata]:
    return [step.metadata for step in await live.explain(Account, account)]


async def test_an_event_knows_the_command_that_made_it() -> None:
    async with accounts_app().open("memory:") as live:
        receipt = await live.execute(Deposit("a", 1))

        [said] = await said_of(live, "a")

    assert said == Metadata(command=receipt.command_id, command_type="Deposit", correlation=receipt.command_id)


async def test_what_a_block_says_goes_to_every_event_in_it_and_to_none_after_it() -> None:
    async with accounts_app().open("memory:") as live:
        with recording(actor="ann", reason="salary", cause=7, traceparent=TRACE, tenant="north"):
            await live.execute(Deposit("a", 1))
            await live.execute(Deposit("a", 1))
        await live.execute(Deposit("a", 1))

        first, second, third = await said_of(live, "a")

    for said in (first, second):
        assert (said.actor, said.reason, said.cause, said.traceparent) == ("ann", "salary", 7, TRACE)
        assert said.extra == {"tenant": "north"}
    assert (third.actor, third.reason, third.extra) == (None, None, {})


def test_blocks_nest_and_the_inner_one_wins() -> None:
    with recording(actor="ann", reason="outer", tenant="north", shift="day") as outer:
        with recording(reason="inner", shift="night", correlation="c") as inner:
            assert present_metadata() is inner
        assert present_metadata() is outer

    assert outer == Metadata(actor="ann", reason="outer", extra={"tenant": "north", "shift": "day"})
    assert inner == Metadata(actor="ann", reason="inner", correlation="c", extra={"tenant": "north", "shift": "night"})
    assert present_metadata() == Metadata()


def test_a_block_that_fails_says_nothing_afterwards() -> None:
    with pytest.raises(ZeroDivisionError), recording(actor="ann"):
        1 / 0  # noqa: B018

    assert present_metadata() == Metadata()


async def test_what_a_call_says_wins_over_the_block() -> None:
    async with accounts_app().open("memory:") as live:
        with recording(actor="ann", reason="salary", tenant="north"):
            await live.execute(Deposit("a", 1), metadata=Metadata(reason="gift", extra={"channel": "post"}))

        [said] = await said_of(live, "a")

    assert (said.actor, said.reason) == ("ann", "gift")
    assert said.extra == {"tenant": "north", "channel": "post"}


async def test_each_task_has_its_own_block() -> None:
    async def deposit(live: LiveApp, account: str) -> None:
        with recording(actor=account):
            await asyncio.sleep(0)
            await live.execute(Deposit(account, 1))

    async with accounts_app().open("memory:") as live:
        await asyncio.gather(*(deposit(live, account) for account in "abc"))

        actors = [(await said_of(live, account))[0].actor for account in "abc"]

    assert actors == ["a", "b", "c"]


async def test_commands_of_a_batch_have_ids_of_their_own_and_share_what_is_said() -> None:
    async with accounts_app().open("memory:") as live:
        await live.execute_many([Deposit("a", 5), Withdraw("a", 1)], metadata=Metadata(actor="import", correlation="c"))

        first, second = await said_of(live, "a")

    assert first.command != second.command
    assert (first.command_type, second.command_type) == ("Deposit", "Withdraw")
    assert (first.actor, first.correlation) == (second.actor, second.correlation) == ("import", "c")


def test_the_stored_form_says_only_what_was_said() -> None:
    assert encode_metadata(Metadata(actor="ann")) == b'{"actor":"ann"}'
    assert encode_metadata(Metadata()) == b"{}"


@pytest.mark.parametrize("wire", ["Deposit", "account.deposit", 'a "quoted" \\ name', "größer", "名"])
def test_the_stored_form_of_a_command_that_says_nothing_is_the_same(wire: str) -> None:
    identity = UUID(int=7).hex

    assert encode_command(identity, wire) == encode_metadata(Metadata().of_command(identity, wire))


def test_the_stored_form_comes_back_equal() -> None:
    metadata = Metadata(
        command="c", cause=3, corrects=2, actor="ann", traceparent=TRACE, extra={"nested": {"list": [1, None]}}
    )

    assert decode_metadata(encode_metadata(metadata)) == metadata


def test_metadata_of_another_form_is_shown_as_it_is() -> None:
    assert decode_metadata(b"written by another program") == Metadata(extra={"raw": "written by another program"})
    assert decode_metadata(b"[1]") == Metadata(extra={"raw": "[1]"})


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        (b'{"actor":42,"command":"c","correlation":"k"}', Metadata(actor="42", command="c", correlation="k")),
        (b'{"actor":{"id":1},"cause":7}', Metadata(cause=7, extra={"raw": {"actor": {"id": 1}}})),
        (b'{"actor":true,"extra":{"tenant":"n"}}', Metadata(extra={"tenant": "n", "raw": {"actor": True}})),
        (b'{"extra":5,"reason":"r"}', Metadata(reason="r", extra={"raw": {"extra": 5}})),
        (b'{"cause":1.5,"actor":"ann"}', Metadata(cause="1.5", actor="ann")),
        (b'{"corrects":3,"actor":"ann"}', Metadata(corrects=3, actor="ann")),
        (b'{"corrects":"3","actor":"ann"}', Metadata(actor="ann", extra={"raw": {"corrects": "3"}})),
        (b'{"corrects":0,"actor":"ann"}', Metadata(actor="ann", extra={"raw": {"corrects": 0}})),
    ],
)
def test_a_field_that_cannot_be_read_hides_no_other(stored: bytes, read: Metadata) -> None:
    assert decode_metadata(stored) == read


class Role(enum.StrEnum):
    ADMIN = "admin"


UNREADABLE: list[tuple[str, Any]] = [
    *((field, value) for field in ("actor", "reason", "correlation", "traceparent") for value in (42, b"x", "\ud800")),
    ("cause", True),
    ("cause", 1.5),
    ("cause", "\ud800"),
    *(("corrects", value) for value in (True, 0, -1, 1.0, "1", 2.5)),
    ("tenant", object()),
    ("tenant", [math.nan]),
    ("tenant", {"deep": math.inf}),
    ("tenant", "\ud800"),
    ("tenant", {(1, 2): 3}),
]


@pytest.mark.parametrize(("field", "value"), UNREADABLE)
def test_what_could_not_be_read_back_is_refused_when_it_is_said(field: str, value: Any) -> None:
    with pytest.raises(InvalidMetadata) as refused, recording(**{field: value}):
        pass

    assert (refused.value.field, refused.value.given) == (field, value)
    assert present_metadata() == Metadata()


@pytest.mark.parametrize(("field", "value"), UNREADABLE)
def test_the_same_is_refused_of_metadata_for_a_call(field: str, value: Any) -> None:
    said: dict[str, Any] = {"extra": {field: value}} if field == "tenant" else {field: value}

    with pytest.raises(InvalidMetadata):
        Metadata(**said)


@pytest.mark.parametrize("said", [{"command": 7}, {"command_type": 7}, {"extra": "tenant"}])
def test_ids_and_extras_of_another_type_are_refused(said: dict[str, Any]) -> None:
    with pytest.raises(InvalidMetadata):
        Metadata(**said)


def test_what_is_said_is_what_is_read_back() -> None:
    with recording(actor=Role.ADMIN, tenant=UUID(int=1), pair=(1, 2), at=datetime(2026, 1, 1, tzinfo=UTC)) as said:
        assert type(said.actor) is str
        assert said.extra == {"tenant": str(UUID(int=1)), "pair": [1, 2], "at": "2026-01-01T00:00:00Z"}
        assert decode_metadata(encode_metadata(said)) == said


def test_an_extra_that_is_changed_afterwards_is_refused_when_it_is_stored() -> None:
    said = Metadata(extra={"tenant": "n"})
    said.extra["tenant"] = object()

    with pytest.raises(InvalidMetadata):
        encode_metadata(said)


def test_fields_that_are_not_known_are_passed_over() -> None:
    assert decode_metadata(b'{"actor":"ann","later":1}') == Metadata(actor="ann")

"""Many events of one append are checked together; what is said of them is what is said of each."""

from datetime import UTC, datetime

import pytest

from leftfold.errors import EventTooLarge, InvalidAppend, InvalidTag, InvalidType
from leftfold.store import NewEvent
from leftfold.store.admission import AppendRequest
from leftfold.store.bounds import BULK_CHECK_EVENTS

FINE = NewEvent("noted", b"{}", ("owner:ann", "owner:bob"), metadata=b"{}")


def request_with(event: NewEvent) -> AppendRequest:
    return AppendRequest([*[FINE] * BULK_CHECK_EVENTS, event], None, None)


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (NewEvent("noted", b"{}", ("owner:ann", "")), InvalidTag),
        (NewEvent("noted", b"{}", ("owner:\n",)), InvalidTag),
        (NewEvent("noted", b"{}", ("n" * 513,)), InvalidTag),
        (NewEvent("noted", b"{}", ("\ud800",)), InvalidTag),
        (NewEvent("", b"{}"), InvalidType),
        (NewEvent("no\0ted", b"{}"), InvalidType),
        (NewEvent("noted", b"{}", version=0), InvalidType),
        (NewEvent("noted", bytes(100)), EventTooLarge),
    ],
)
def test_the_one_event_among_many_that_no_log_may_take_is_named(event: NewEvent, error: type[InvalidAppend]) -> None:
    with pytest.raises(error) as alone:
        AppendRequest([event], None, None).check(64)
    with pytest.raises(error) as among:
        request_with(event).check(64)

    assert str(among.value) == str(alone.value).replace("event 0", f"event {BULK_CHECK_EVENTS}")


@pytest.mark.parametrize(
    "event",
    [
        FINE,
        NewEvent("noted", b""),
        NewEvent("noted", b"{}", ("owner:\u2028",)),
        NewEvent("noted", b"{}", time=datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_many_events_are_as_large_as_all_of_them(event: NewEvent) -> None:
    request = request_with(event)

    request.check()

    of_tags = len("".join(event.tags).encode())
    assert (
        request.size
        == BULK_CHECK_EVENTS * (4 + len("owner:annowner:bob")) + len(event.data) + len(event.metadata) + of_tags
    )
    assert request.events == [*[FINE] * BULK_CHECK_EVENTS, event]


@pytest.mark.parametrize("before", [0, BULK_CHECK_EVENTS])
@pytest.mark.parametrize("tags", [("a:1", "a:1"), ("a:1", "b:1", "a:1")])
def test_a_repeated_tag_is_kept_once(before: int, tags: tuple[str, ...]) -> None:
    request = AppendRequest([*[FINE] * before, NewEvent("noted", b"{}", tags)], None, None)

    request.check()

    assert request.events[-1].tags == tuple(dict.fromkeys(tags))
    assert len(request.events) == before + 1

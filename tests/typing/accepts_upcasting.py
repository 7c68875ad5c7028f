# pyright: strict
"""Upcasters as a user writes them: from the data alone, or with the context of the event; and corrections."""

from datetime import UTC, datetime
from typing import Any, assert_type

from leftfold import App, EventContext, ExplainedEvent, Metadata, recording

bank = App("bank")


@bank.upcasts("account.opened", 1)
def split(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "first": "", "last": ""}


@bank.upcasts("account.opened", 2)
def with_time(data: dict[str, Any], context: EventContext) -> dict[str, Any]:
    assert_type(context.time, datetime)
    assert_type(context.corrects, int | None)
    return {**data, "opened": context.time.isoformat(), "by": context.actor}


with_time({}, EventContext(1, datetime.now(UTC), Metadata(corrects=3)))

with recording(corrects=17) as said:
    assert_type(said.corrects, int | None)


def corrections(step: ExplainedEvent) -> None:
    assert_type(step.corrected_by, tuple[int, ...])
    assert_type(step.corrects, int | None)

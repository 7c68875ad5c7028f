"""A trace as Mermaid and as Graphviz: every node and edge, and no text that means something there."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from leftfold.trace import Trace, TracedAttempt, TracedCommand, TracedEvent, TracedReaction
from leftfold.trace.pictures import dot, mermaid, waited_text

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def trace_of(type: str = "Pay", problem: str | None = None) -> Trace:
    ship = TracedCommand("c-2", "Ship", "rejected", NOON, 0.004, problem=problem or "out of stock")
    reaction = TracedReaction("process Fulfilment/o-1", "answered", NOON, 1.5, commands=(ship,))
    event = TracedEvent(7, "paid", 1, NOON, ("order:o-1",), None, reactions=(reaction,))
    attempt = TracedAttempt(NOON, 1, "no connection", NOON + timedelta(minutes=1))
    return Trace("c-1", 9, (TracedCommand("c-1", type, "handled", NOON, 60.0, attempts=(attempt,), events=(event,)),))


def test_a_flowchart_has_a_node_for_each_step_and_the_waits_on_its_arrows() -> None:
    assert (
        mermaid(trace_of())
        == """\
flowchart LR
    n1["Pay<br/>handled after 1 failed attempt"]
    n2(["7 paid"])
    n3{{"process Fulfilment/o-1<br/>answered"}}
    n4["Ship<br/>rejected: out of stock"]
    n1 --> n2
    n2 -->|1.5 s| n3
    n3 -->|4 ms| n4
"""
    )


def test_a_graph_for_graphviz_has_the_same_nodes_and_edges() -> None:
    assert (
        dot(trace_of())
        == """\
digraph trace {
    rankdir=LR;
    n1 [shape=box, label="Pay\\nhandled after 1 failed attempt"];
    n2 [shape=oval, label="7 paid"];
    n3 [shape=hexagon, label="process Fulfilment/o-1\\nanswered"];
    n4 [shape=box, label="Ship\\nrejected: out of stock"];
    n1 -> n2 [label=""];
    n2 -> n3 [label="1.5 s"];
    n3 -> n4 [label="4 ms"];
}
"""
    )


@pytest.mark.parametrize(
    "hostile",
    [
        '"]; n9[',
        "</script><script>alert(1)</script>",
        "a|b",
        "%%{init: {}}%%",
        "end\nn9",
        "\x1b[31m",
        "`x`",
        '\\"',
        "#quot;",
    ],
)
def test_a_text_cannot_leave_its_label(hostile: str) -> None:
    for picture in (mermaid, dot):
        plain = picture(trace_of()).splitlines()
        found = picture(trace_of(hostile, hostile)).splitlines()
        assert len(found) == len(plain)
        for before, after in zip(plain, found, strict=True):
            opening = before.split('"')[0]
            assert after.startswith(opening)
            assert all(each.isprintable() for each in after)
    assert not set('<>[](){}|`"').intersection(mermaid_labels(hostile))


def mermaid_labels(hostile: str) -> str:
    label = mermaid(trace_of(hostile)).splitlines()[1].split('"')[1]
    return label.replace("<br/>", "")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 ms"), (0.0204, "20 ms"), (1, "1.0 s"), (119, "119.0 s"), (120, "2 min"), (7_200, "2 h"), (172_800, "2 d")],
)
def test_a_wait_is_shown_in_the_largest_unit_that_fits(seconds: Any, text: str) -> None:
    assert waited_text(seconds) == text

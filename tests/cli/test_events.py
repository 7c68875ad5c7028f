"""`leftfold events`: choosing events, the listing, and JSON."""

import base64

import pytest

from tests.cli.conftest import Run


def positions(run: Run, log: str, *options: object) -> list[int]:
    ended = run("events", log, "--json", *options)
    assert ended.code == 0, ended.err
    return [event["position"] for event in ended.objects]


def test_without_options_every_event_is_listed_in_order(run: Run, log: str) -> None:
    assert positions(run, log) == [1, 2, 3, 4, 5, 6]


def test_types_are_alternatives_and_tags_must_all_be_there(run: Run, log: str) -> None:
    opened, moved = ("--type", "account.opened"), ("--type", "account.transferred")
    ann, bob = ("--tag", "account:a-1"), ("--tag", "account:b-2")

    assert positions(run, log, *opened) == [1, 2]
    assert positions(run, log, *opened, *moved) == [1, 2, 4]
    assert positions(run, log, *bob) == [2, 4, 5]
    assert positions(run, log, *ann, *bob) == [4]
    assert positions(run, log, *opened, *moved, *bob) == [2, 4]


def test_positions_limit_and_reverse_cut_the_list(run: Run, log: str) -> None:
    assert positions(run, log, "--after", 2) == [3, 4, 5, 6]
    assert positions(run, log, "--after", 2, "--upto", 4) == [3, 4]
    assert positions(run, log, "--limit", 2) == [1, 2]
    assert positions(run, log, "--limit", 2, "--reverse") == [6, 5]
    assert positions(run, log, "--limit", 0) == []


def test_since_and_until_include_their_moments(run: Run, log: str) -> None:
    assert positions(run, log, "--since", "2026-01-01T10:03:00Z") == [3, 4, 5, 6]
    assert positions(run, log, "--since", "2026-01-01T10:03:00.000001Z") == [4, 5, 6]
    assert positions(run, log, "--until", "2026-01-01T10:03:00Z") == [1, 2, 3]
    assert positions(run, log, "--since", "2026-01-01T11:02+01:00", "--until", "2026-01-01T05:04-05:00") == [2, 3, 4]
    assert positions(run, log, "--since", "0001-01-01T00:00Z", "--until", "9999-12-31T23:59Z") == [1, 2, 3, 4, 5, 6]
    assert positions(run, log, "--until", "2026-01-01T10:04Z", "--upto", 2) == [1, 2]


def test_an_event_says_where_when_what_and_who(run: Run, log: str) -> None:
    ended = run("events", log, "--limit", 2, "--tag", "account:b-2")

    where, data, who, *_ = ended.lines
    assert where == "2  2026-01-01T10:02:00Z  account.opened  account:b-2"
    assert data == '  account=b-2 owner="Bob Smith"'
    assert who.startswith("  by ann · because new customer · command Open ")
    assert ended.lines[3] == "4  2026-01-01T10:04:00Z  account.transferred  account:a-1  account:b-2"


def test_json_has_everything_of_an_event(run: Run, log: str) -> None:
    [event] = run("events", log, "--json", "--after", 4, "--limit", 1).objects

    metadata = event.pop("metadata")
    assert event == {
        "position": 5,
        "time": "2026-01-01T10:05:00Z",
        "type": "account.withdrawn",
        "version": 1,
        "tags": ["account:b-2"],
        "data": {"account": "b-2", "amount": 300},
    }
    assert (metadata["actor"], metadata["reason"], metadata["command_type"]) == ("bob", "fee", "Withdraw")


def test_json_keeps_one_line_an_event_and_data_that_is_not_json_as_base64(run: Run, strange_log: str) -> None:
    raw, text, empty = run("events", strange_log, "--json").objects

    assert base64.b64decode(raw["data_base64"]) == b"\xff\x00"
    assert base64.b64decode(raw["metadata_base64"]) == b"plain words"
    assert "data" not in raw
    assert text["data"] == {"colour": "\x1b[31mred"}
    assert empty["data_base64"] == ""


def test_the_listing_lets_nothing_colour_the_terminal(run: Run, strange_log: str) -> None:
    ended = run("events", strange_log)

    assert [line.split("Z  ")[-1] for line in ended.lines] == [
        *("raw  x:1", "  2 bytes that are not JSON", '  raw="plain words"'),
        *("raw", '  colour="\\u001b[31mred"'),
        "raw",
    ]


def test_no_such_event_is_said_on_the_side(run: Run, log: str) -> None:
    assert run("events", log, "--type", "unheard.of") == (0, "", "no such event\n")
    assert run("events", log, "--type", "unheard.of", "--json") == (0, "", "no such event\n")


def test_following_ends_at_its_limit(run: Run, log: str) -> None:
    assert positions(run, log, "--follow", "--limit", 3) == [1, 2, 3]
    assert positions(run, log, "--follow", "--limit", 2, "--after", 3, "--tag", "account:b-2") == [4, 5]


@pytest.mark.parametrize("end", [("--reverse",), ("--upto", 3), ("--until", "2026-01-01T10:03:00Z")])
def test_following_has_no_end_of_another_kind(run: Run, log: str, end: tuple[object, ...]) -> None:
    ended = run("events", log, "--follow", *end)

    assert ended.code == 2
    assert "--follow has no end" in ended.err


@pytest.mark.parametrize("tag", ["account", "account:", ":a-1", ""])
def test_a_tag_without_name_or_value_is_wrong_usage(run: Run, log: str, tag: str) -> None:
    ended = run("events", log, "--tag", tag)

    assert ended.code == 2
    assert "'--tag'" in ended.err
    assert "name:value" in ended.err


def test_a_time_without_a_zone_is_an_error_with_three_parts(run: Run, log: str) -> None:
    for option in ("--since", "--until"):
        ended = run("events", log, option, "2026-01-01T10:00:00")

        assert (ended.code, ended.out) == (3, "")
        found, expected, to_do = ended.err.splitlines()
        assert found == "error: the datetime 2026-01-01T10:00:00 has no time zone"
        assert expected.startswith("  expected: ")
        assert to_do.startswith("  to do: ")


def test_a_text_that_is_no_time_is_wrong_usage(run: Run, log: str) -> None:
    ended = run("events", log, "--since", "yesterday")

    assert ended.code == 2
    assert "'--since'" in ended.err
    assert "ISO 8601" in ended.err

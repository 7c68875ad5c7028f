"""`leftfold explain`, `state` and `query`: what models hold, why, and what queries answer."""

import re
from pathlib import Path

import pytest

from examples.bank import Deposit, Open, Withdraw, bank
from examples.dcb import usernames
from leftfold import NewEvent, open_store_sync, recording
from tests.cli.conftest import BANK, Run


def test_explain_shows_what_each_event_changed(run: Run, log: str) -> None:
    ended = run("explain", *BANK, log, "Account", "a-1")

    assert ended.code == 0
    assert [line for line in ended.lines if not line.startswith("  ")] == [
        "1  2026-01-01T10:01:00Z  account.opened",
        "",
        "3  2026-01-01T10:03:00Z  account.deposited",
        "",
        "4  2026-01-01T10:04:00Z  account.transferred",
        "",
        "6  2026-01-01T10:06:00Z  account.withdrawn",
        "",
        "Account a-1: 4 events",
    ]
    assert [line.split() for line in ended.lines if line.startswith("    ")] == [
        ["status", "unknown", "→", "open"],
        ["balance", "0", "→", "10000"],
        ["balance", "10000", "→", "7500"],
        ["balance", "7500", "→", "7300"],
    ]


def test_on_a_terminal_changes_are_coloured_and_long_lines_go_on_below(run_on_terminal: Run, log: str) -> None:
    ended = run_on_terminal("explain", *BANK, log, "Account", "a-1")

    assert "\x1b[31m0\x1b[0m\x1b[2m → \x1b[0m\x1b[32m10000\x1b[0m" in ended.out
    plain = re.sub(r"\x1b\[[\d;]*m", "", ended.out).splitlines()
    assert max(map(len, plain)) <= 60
    assert plain[2].startswith("  by ann · because new customer")
    assert plain[3].startswith("    ")
    assert plain[-2:] == ["", "Account a-1: 4 events"]


def test_explain_in_json_has_states_changes_and_metadata(run: Run, log: str) -> None:
    steps = run("explain", *BANK, log, "Account", "b-2", "--json").objects

    assert [step["position"] for step in steps] == [2, 4, 5]
    assert steps[2]["changes"] == [{"path": "balance", "before": 2500, "after": 2200}]
    assert steps[2]["before"] == {"account": "b-2", "status": "open", "balance": 2500}
    assert steps[2]["event"] == {"account": "b-2", "amount": 300}
    assert steps[2]["metadata"]["reason"] == "fee"


def test_explain_ends_at_the_asked_moment(run: Run, log: str) -> None:
    for moment in ("4", "2026-01-01T10:04:30Z"):
        steps = run("explain", *BANK, log, "Account", "a-1", "--as-of", moment, "--json").objects

        assert [step["position"] for step in steps] == [1, 3, 4]


def test_explain_a_read_model_s_row(run: Run, log: str) -> None:
    steps = run("explain", *BANK, log, "Balance", "a-1", "--json").objects

    assert [step["changes"] for step in steps] == [
        [{"path": "owner", "before": "", "after": "Ann"}],
        [{"path": "amount", "before": 0, "after": 10_000}],
        [{"path": "amount", "before": 10_000, "after": 7_500}],
        [{"path": "amount", "before": 7_500, "after": 7_300}],
    ]


def test_explain_of_a_key_that_nothing_concerns(run: Run, log: str) -> None:
    assert run("explain", *BANK, log, "Account", "c-3") == (1, "", "Account c-3 has no events\n")


def test_state_shows_each_field(run: Run, log: str) -> None:
    ended = run("state", *BANK, log, "Account", "a-1")

    assert ended.lines == ["account  a-1", "status   open", "balance  7300"]
    assert ended.err == "as of position 6, 2026-01-01T10:06:00Z\n"


def test_state_as_of_a_position_or_a_time(run: Run, log: str) -> None:
    for moment in ("3", "2026-01-01T10:03:59Z", "2026-01-01T11:03:00+01:00"):
        ended = run("state", *BANK, log, "Account", "a-1", "--as-of", moment, "--json")

        assert ended.objects == [{"account": "a-1", "status": "open", "balance": 10_000}]
        assert ended.err == ""


def test_state_of_a_read_model_is_its_row(run: Run, log: str) -> None:
    row = {"account": "b-2", "owner": "Bob Smith", "amount": 2_500}

    assert run("state", *BANK, log, "Balance", "b-2", "--as-of", 4, "--json").objects == [row]
    assert run("state", *BANK, log, "Balance", "c-3", "--json").objects == [None]
    assert run("state", *BANK, log, "Balance", "c-3").err.startswith("Balance c-3 has no events up to position 6")


def test_query_answers_with_a_table(run: Run, log: str) -> None:
    ended = run("query", *BANK, log, "Richest", "limit=5")

    head, _, *rows = [line.split() for line in ended.lines]
    assert head == ["account", "owner", "amount"]
    assert rows == [["a-1", "Ann", "7300"], ["b-2", "Bob", "Smith", "2200"]]


def test_query_converts_the_fields_to_their_types(run: Run, log: str) -> None:
    [richest] = run("query", *BANK, log, "Richest", "limit=1", "--json").objects
    [balance] = run("query", *BANK, log, "BalanceOf", "account=b-2", "--json").objects

    assert richest == [{"account": "a-1", "owner": "Ann", "amount": 7_300}]
    assert balance == {"account": "b-2", "owner": "Bob Smith", "amount": 2_200}


def test_query_as_of_a_position_or_a_time(run: Run, log: str) -> None:
    for moment in ("3", "2026-01-01T10:03:30Z"):
        [answer] = run("query", *BANK, log, "Richest", "--as-of", moment, "--json").objects

        assert [row["amount"] for row in answer] == [10_000, 0]


def test_query_includes_what_was_appended_since_the_read_models_were_kept(run: Run, log: str) -> None:
    with bank.open_sync(log, models="sqlite:///elsewhere.db") as live:
        live.execute(Deposit("a-1", 1))

    [balance] = run("query", *BANK, log, "BalanceOf", "account=a-1", "--json").objects

    assert balance["amount"] == 7_301


def test_query_folds_in_memory_what_is_not_kept(run: Run, log: str, folder: Path) -> None:
    for file in folder.glob("bank.models.db*"):
        file.unlink()

    [balance] = run("query", *BANK, log, "BalanceOf", "account=a-1", "--json").objects

    assert balance["amount"] == 7_300
    assert list(folder.glob("bank.models.db*")) == []


@pytest.mark.parametrize("command", ["explain", "state"])
def test_an_unknown_model_names_those_that_there_are(run: Run, log: str, command: str) -> None:
    ended = run(command, *BANK, log, "Acount", "a-1")

    assert ended.code == 3
    assert "no decision model or read model 'Acount'" in ended.err
    assert "'Account', 'Balance'" in ended.err


@pytest.mark.parametrize("key", [(), ("a-1", "b-2")])
def test_a_key_of_the_wrong_length_names_the_key_s_fields(run: Run, log: str, key: tuple[str, ...]) -> None:
    ended = run("state", *BANK, log, "Account", *key)

    assert ended.code == 3
    assert "one value of the field's type for each of 'account'" in ended.err


def test_a_moment_that_is_still_to_come_is_an_error(run: Run, log: str) -> None:
    for moment in ("7", "2999-01-01T00:00Z"):
        ended = run("state", *BANK, log, "Account", "a-1", "--as-of", moment)

        assert ended.code == 3
        assert "has not happened yet" in ended.err


def test_a_moment_that_is_neither_position_nor_time_is_wrong_usage(run: Run, log: str) -> None:
    ended = run("state", *BANK, log, "Account", "a-1", "--as-of", "-5")

    assert ended.code == 2
    assert "neither a position" in ended.err


def test_an_unknown_query_names_those_that_there_are(run: Run, log: str) -> None:
    ended = run("query", *BANK, log, "Poorest")

    assert ended.code == 3
    assert "'BalanceOf', 'Richest'" in ended.err


@pytest.mark.parametrize(
    ("field", "problem"),
    [("limit", "is not field=value"), ("size=3", "has no field 'size'"), ("limit=many", "Expected `int`")],
)
def test_a_field_that_does_not_fit_is_wrong_usage(run: Run, log: str, field: str, problem: str) -> None:
    ended = run("query", *BANK, log, "Richest", field)

    assert ended.code == 2
    assert problem in " ".join(ended.err.split())


def test_query_shows_its_plan_with_the_indexes_that_it_uses(run: Run, log: str) -> None:
    shown = run("query", *BANK, log, "Richest", "limit=5", "--plan")
    [[plan]] = run("query", *BANK, log, "Richest", "limit=5", "--plan", "--json").objects

    assert shown.lines[0].startswith("SELECT balance.account")
    assert "  uses the index balance (-amount, account)" in shown.lines
    assert (plan["indexes"], plan["scans"]) == (["balance (-amount, account)"], [])


def test_a_correction_is_shown_at_both_events(run: Run, folder: Path) -> None:
    log = f"sqlite:///{folder / 'corrected.db'}"
    with bank.open_sync(log) as live:
        live.execute(Open("a-1", "Ann"))
        live.execute(Deposit("a-1", 1_000))
        with recording(corrects=2):
            live.execute(Withdraw("a-1", 900))

    shown = run("explain", *BANK, log, "Account", "a-1").out
    assert "corrected by position 3" in shown
    assert "corrects position 2" in shown
    assert "corrects position 2" in run("events", log).out
    steps = run("explain", *BANK, log, "Account", "a-1", "--json").objects
    assert [step.get("corrected_by") for step in steps] == [None, [3], None]


def test_a_correction_of_what_is_not_before_it_is_found_by_verify(run: Run, folder: Path) -> None:
    log = f"sqlite:///{folder / 'corrected.db'}"
    with bank.open_sync(log) as live, recording(corrects=1):
        live.execute(Open("a-1", "Ann"))
        live.execute(Deposit("a-1", 1_000))

    ended = run("verify", log)
    assert "position 1: corrects position 1, which is not before it" in ended.out + ended.err
    assert "position 2" not in ended.out + ended.err


def test_events_of_before_a_tag_had_a_function_are_found_once_they_are_retagged(run: Run, folder: Path) -> None:
    old, new = (f"sqlite:///{folder}/{name}.db" for name in ("old", "new"))
    with open_store_sync(old) as store:
        store.append([NewEvent("AccountRegistered", b'{"username":"Ann"}', ("username:Ann",))])
    names = ("--app", "examples.dcb.usernames:app")

    assert run("state", *names, old, "UsernameClaim", "Ann").code == 1
    assert run("copy", *names, "--retag", old, new).code == 0
    [state] = run("state", *names, new, "UsernameClaim", "Ann", "--json").objects
    assert state["taken"]


def test_a_key_may_be_spelled_as_any_value_that_is_equal(run: Run, folder: Path) -> None:
    log = f"sqlite:///{folder}/names.db"
    with usernames.app.open_sync(log) as live:
        live.execute(usernames.Register("Ann"))
    names = ("--app", "examples.dcb.usernames:app", log)

    for spelling in ("ann", "ANN"):
        [state] = run("state", *names, "UsernameClaim", spelling, "--json").objects
        assert (state["username"], state["taken"]) == ("ann", True)
        [step] = run("explain", *names, "UsernameClaim", spelling, "--json").objects
        assert step["event"] == {"username": "Ann"}
    [event] = run("events", log, "--tag", "username:ann", "--json").objects
    assert event["tags"] == ["username:ann"]

"""`--models`: commands find the read models where the app keeps them."""

from pathlib import Path

from examples.bank import Open, Richest, bank
from leftfold_torture.postgres_server import PostgresServer
from tests.cli.conftest import BANK, Run
from tests.postgres import fresh_schema


def test_each_command_finds_the_models_where_they_are_said_to_be(
    run: Run, folder: Path, postgres: PostgresServer
) -> None:
    models = fresh_schema(postgres)
    with bank.open_sync("sqlite:///bank.db", models=models) as live:
        live.query(Richest(), after=live.execute(Open("a-1", "ann")))
    here, there = ("sqlite:///bank.db", *BANK), ("--models", models)

    informed = run("info", *here, *there, "--json").objects[0]
    listed = run("projections", *here, *there, "--json").objects[0]
    answered = run("query", "sqlite:///bank.db", "Richest", *BANK, *there, "--json")
    rebuilt = run("rebuild", "sqlite:///bank.db", "Balance", *BANK, *there, "--json")
    dropped = run("rebuild", "sqlite:///bank.db", "Balance", *BANK, *there, "--drop-old")

    assert [model["position"] for model in informed["read_models"]] == [1]
    assert [row["state"] for row in listed["projections"]] == ["current"]
    assert answered.objects[0][0]["account"] == "a-1"
    assert (rebuilt.code, rebuilt.objects[0]["swapped"]) == (0, True)
    assert dropped.out == "the former table is dropped\n"
    assert run("rebuild", "sqlite:///bank.db", "Balance", *BANK).code != 0
    assert not list(folder.glob("*.models.db"))

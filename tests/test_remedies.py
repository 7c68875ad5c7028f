"""What errors tell to do names options, functions and commands that there are."""

import ast
import builtins
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

import leftfold
from leftfold import errors
from leftfold.cli.program import program
from leftfold.live import LiveApp
from leftfold.live_sync import SyncLive
from leftfold.model.message import Command, Event
from leftfold.query import ReadModels
from leftfold.store import EventStore
from leftfold.store.open import OPTIONS, POSTGRES_OPTIONS

SOURCE = Path(errors.__file__).parent
ERRORS = {name for name, each in vars(errors).items() if isinstance(each, type) and issubclass(each, Exception)}
MODELS = {
    "__init__",
    "evolve",
    "react",
    "criteria",
    "save",
    "answer",
    "handle",
    "upcast",
}  # what users write themselves
OTHERS = {
    "cast",
    "now",
    "expanduser",
    "func",
    "is_",
    "is_not",
    "filter",
    "count",
    "avg",
    "sum",
    "field",
    "wire",
    "tags",
}
OTHERS |= {"datetime", "commit", "rollback", "begin_nested", "start"}
LIBPQ = {"balance", "tag", "tzinfo", "options", "client_encoding", "target_session_attrs", "schema", "type_"}
NAMESPACES: dict[str, Any] = {"app": leftfold.App, "live": LiveApp, "leftfold": leftfold, "models": ReadModels}


def texts() -> Iterator[tuple[str, str]]:
    """Every text of an error, wherever it is made, with its place."""
    for path in sorted(SOURCE.rglob("*.py")):
        tree = ast.parse(path.read_text())
        calls = [each for each in ast.walk(tree) if isinstance(each, ast.Call) and _called(each) in ERRORS | {"super"}]
        whole = [tree] if path.name == "errors.py" else calls
        for each in whole:
            for part in ast.walk(each):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield f"{path.relative_to(SOURCE)}:{part.lineno}", part.value


def _called(call: ast.Call) -> str:
    function = call.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def public() -> Iterator[tuple[str, Any]]:
    """Every public function and method, with its name."""
    for owner in (*vars(leftfold).values(), LiveApp, SyncLive, ReadModels, EventStore):
        if inspect.isclass(owner):
            yield owner.__name__, owner
            yield from ((name, each) for name, each in vars(owner).items() if callable(each))
        elif inspect.isfunction(owner):
            yield owner.__name__, owner


NAMES = {name for name, _ in public()} | set(leftfold.__all__)
COMMANDS = typer.main.get_command(program).commands  # type: ignore[attr-defined]
SWITCHES = {option for command in COMMANDS.values() for each in command.params for option in each.opts} | {"--help"}


def parameters() -> set[str]:
    found: set[str] = set()
    for _, each in public():
        try:
            found |= set(inspect.signature(each).parameters)
        except (TypeError, ValueError):
            continue
    metaclass = inspect.signature(type(Event).__new__).parameters | inspect.signature(type(Command).__new__).parameters
    return found | set(metaclass) | {*OPTIONS, *POSTGRES_OPTIONS, *LIBPQ}


def unknown(text: str) -> list[str]:
    """What a text names that there is not."""
    wrong = [
        f"{owner}.{name}"
        for owner, name in re.findall(r"\b(app|live|leftfold|models)\.([a-z_]\w*)", text)
        if not hasattr(NAMESPACES[owner], name) and owner + "." + name not in MODULES
    ]
    wrong += [f"leftfold {name}" for name in re.findall(r"`leftfold ([a-z]+)", text) if name not in COMMANDS]
    wrong += [switch for switch in re.findall(r"(?<![-\w])--[a-z-]+", text) if switch not in SWITCHES]
    wrong += [f"{name}=" for name in re.findall(r"(?<![\w.\-{?&])([a-z_]+)=(?![=\s])", text) if name not in PARAMETERS]
    wrong += [
        f"{name}("
        for name in re.findall(r"(?<![\w.@])([a-z_]+)\((?=[\w.\"')\[=]|\.\.\.)", text)
        if name not in NAMES | MODELS | OTHERS and not hasattr(builtins, name)
    ]
    return wrong


MODULES = {f"leftfold.{path.stem}" for path in SOURCE.iterdir()}
PARAMETERS = parameters()


def test_what_errors_tell_to_do_can_be_done() -> None:
    found = {f"{place}: {name}" for place, text in texts() for name in unknown(text)}

    assert found == set()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("write tries=3", ["tries="]),
        ("call live.redo(key)", ["live.redo"]),
        ("run `leftfold mend --quick`", ["leftfold mend", "--quick"]),
        ("put @app.event(...) above it, or @app.evnt", ["app.evnt"]),
        ("ask open_stoer(url)", ["open_stoer("]),
    ],
)
def test_a_text_that_names_what_there_is_not_is_found(text: str, names: list[str]) -> None:
    assert unknown(text) == names

"""ARCHITECTURE.md maps the code: what it names exists, every package is in it, and its counts are right."""

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "leftfold"
TEXT = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
MAP = TEXT.partition("\n## Map\n")[2].partition("\n## ")[0]
JOURNEYS = TEXT.partition("\n## Journeys\n")[2].partition("\n## ")[0].split("\n### ")[1:]
FILE = re.compile(r"`((?:[\w.-]+/)*[\w.-]+\.(?:md|py|sql|toml|txt)|(?:[\w.-]+/)+)`")
PLACED = re.compile(r"((?:`[\w.]+`(?:, | and )?)+) in `([\w/]+\.py)`")
METHOD = re.compile(r"`(_?[A-Z]\w*\.(?!md`)\w+)`")
NAME = re.compile(r"`([\w.]+)`")
STEP = re.compile(rf"^( *)(?:\d+\.|-) {PLACED.pattern}", re.MULTILINE)
COUNT = re.compile(r"Count: (\d+) functions in (\d+) files; with what they call on the way (\d+) in (\d+)\.")


@cache
def defined_in(path: Path) -> frozenset[str]:
    """Return the functions, classes, methods and constants of a file by their names, methods as `Class.method`."""
    return frozenset(_names(ast.parse(path.read_text(encoding="utf-8")).body))


def _names(body: list[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        if isinstance(node, ast.ClassDef):
            yield from (f"{node.name}.{name}" for name in _names(node.body))
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        yield from (target.id for target in targets if isinstance(target, ast.Name))


def present(path: str) -> Path | None:
    """Return the file or folder that a name stands for, in the package or in the repository."""
    return next((folder / path for folder in (PACKAGE, ROOT) if (folder / path).exists()), None)


def test_each_file_and_folder_that_it_names_exists() -> None:
    named = {path for path in FILE.findall(TEXT) if path != "events.py"}

    assert {path for path in named if present(path) is None} == set()
    assert len(named) > 100


def test_each_function_that_it_names_in_a_file_is_defined_there() -> None:
    missing = {
        f"{name} in {path}"
        for names, path in PLACED.findall(TEXT)
        for name in NAME.findall(names)
        if (found := present(path)) is None or name not in defined_in(found)
    }

    assert missing == set()


def test_each_method_that_it_names_exists() -> None:
    known = frozenset[str]().union(*(defined_in(path) for path in PACKAGE.rglob("*.py")))

    assert set(METHOD.findall(TEXT)) - known == set()


def test_each_module_at_the_top_and_each_package_but_those_of_testing_is_in_the_map() -> None:
    modules = {path.name for path in PACKAGE.glob("*.py")}
    packages = {path.parent.relative_to(PACKAGE) for path in PACKAGE.rglob("__init__.py")} - {Path()}
    needed = {f"{path}/" for path in packages if path.parent != Path("testing")}

    assert (modules | needed) - set(FILE.findall(MAP)) == set()


def test_the_layers_are_those_of_the_import_contract() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = {each["id"]: each for each in project["tool"]["importlinter"]["contracts"]}

    drawn = TEXT.partition("```text\n")[2].partition("\n```")[0]

    assert re.split(r"\s*>\s*", drawn) == contracts["layers"]["layers"]


@pytest.mark.parametrize("journey", JOURNEYS, ids=lambda journey: journey.partition("\n")[0])
def test_the_functions_and_files_of_a_journey_are_counted(journey: str) -> None:
    steps = [(not indent, name, path) for indent, names, path in STEP.findall(journey) for name in NAME.findall(names)]
    chain = [(name, path) for is_chain, name, path in steps if is_chain]
    counted = [len(chain), len({path for _, path in chain}), len(steps), len({path for _, _, path in steps})]

    [said] = COUNT.findall(journey)

    assert [int(number) for number in said] == counted
    assert len(re.findall(r"^ *(?:\d+\.|-) ", journey, re.MULTILINE)) == len(STEP.findall(journey))

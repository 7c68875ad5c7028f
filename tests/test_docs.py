"""The documentation is true: its code prints what it shows, its links lead somewhere, nothing public is missing."""

import asyncio
import importlib
import pkgutil
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import settings

from leftfold import errors
from leftfold.store.open import OPTIONS, POSTGRES_OPTIONS
from leftfold_torture.postgres_server import PostgresServer
from tests.commands_forked import ForkedCommands
from tests.error_classes import error_classes
from tests.pages import PageRunner, blocks_of
from tests.postgres import fresh_schema
from tests.query.places import outside

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = [*(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")), *sorted(DOCS.rglob("*.md"))]
FENCED = re.compile(r"^(`{3,}).*?^\1$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\((?P<path>[^)#\s]*)(?:#(?P<anchor>[^)]*))?\)")
NAMED_FILE = re.compile(r"`((?:[\w-]+/)+[\w-]+\.(?:py|sql))`")
HEADING = re.compile(r"^(?P<level>#+) +(?P<text>.*)$", re.MULTILINE)
NOT_DOCUMENTED_ONE_BY_ONE = {"--help", "--install-completion", "--show-completion"}


@contextmanager
def few_examples() -> Iterator[None]:
    """Let a page's property tests try ten examples: they show that the page is right, not that the laws hold."""
    before = settings.default
    settings.register_profile("page", before, max_examples=10)
    settings.load_profile("page")
    try:
        yield
    finally:
        settings.register_profile("before", before)
        settings.load_profile("before")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_shows_what_its_code_prints(
    page: Path, forked: ForkedCommands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("documented")
    module.__file__ = str(page)
    monkeypatch.setitem(sys.modules, "documented", module)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "examples", "examples", ignore=shutil.ignore_patterns("__pycache__"))

    with asyncio.Runner() as runner, few_examples():
        PageRunner(page, module, runner, forked).run()


async def test_the_upsert_of_the_docs_runs_on_both_databases(postgres: PostgresServer, tmp_path: Path) -> None:
    page = DOCS / "projections.md"
    first = next(block for block in blocks_of(page.read_text(encoding="utf-8")) if block.language == "python")
    module = ModuleType("documented_upsert")
    exec(compile(first.source, str(page), "exec", dont_inherit=True), vars(module))

    for models in (f"sqlite:///{tmp_path}/models.db", fresh_schema(postgres)):
        async with module.bank.open("memory:", models=models) as live:
            for amount in (30, 12):
                await live.execute(module.Deposit("a-1", amount))
            await live.run_until_quiet()
        with outside(models) as connection:
            assert [row.amount for row in connection.execute(sa.select(module.daily))] == [42]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page: Path) -> None:
    broken = [
        f"{path}#{anchor}" if anchor else path
        for path, anchor in LINK.findall(FENCED.sub("", page.read_text(encoding="utf-8")))
        if ":" not in path and not leads_somewhere(page.parent / path if path else page, anchor)
    ]

    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_of_the_project_that_a_page_names_exist(page: Path) -> None:
    named = NAMED_FILE.findall(FENCED.sub("", page.read_text(encoding="utf-8")))

    missing = [path for path in named if not any((folder / path).exists() for folder in (ROOT, ROOT / "src/leftfold"))]

    assert missing == []


def leads_somewhere(target: Path, anchor: str) -> bool:
    """Whether there is such a file and, in a page, such a heading."""
    return target.exists() and (not anchor or target.suffix != ".md" or anchor in map(anchor_of, headings_of(target)))


def anchor_of(heading: str) -> str:
    """Return the anchor of a heading, as GitHub and the documentation's generator make it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def text_of(page: Path) -> str:
    """A page's text, in which no comment of a code block looks like a heading."""
    return FENCED.sub(lambda block: block[0].replace("\n#", "\n #"), page.read_text(encoding="utf-8"))


def headings_of(page: Path) -> list[str]:
    """The texts of a page's headings, without back quotes."""
    return [match["text"].replace("`", "") for match in HEADING.finditer(text_of(page))]


def test_every_error_has_its_heading_and_no_heading_is_stale() -> None:
    title, *documented = headings_of(DOCS / "errors.md")

    assert title == "Errors"
    assert sorted(documented) == sorted(["LeftfoldError", *(each.__name__ for each in error_classes())])


def test_the_tree_in_the_docstring_of_errors_is_the_tree_of_classes() -> None:
    tree = (errors.__doc__ or "").partition("LeftfoldError\n")[2]
    drawn = dict[str, str]()
    for line in re.sub(r",\n[ │]*", ", ", tree).splitlines():
        owner, _, below = line.strip(" │├└─").partition(": ")
        drawn.setdefault(owner, "LeftfoldError")
        drawn |= {name: owner for name in below.split(", ") if name}

    here = [each for each in error_classes() if each.__module__ == errors.__name__]
    parents = {each.__name__: each.__bases__[0].__name__.replace("Declared", "LeftfoldError") for each in here}
    assert drawn == parents


def test_every_option_of_a_store_url_has_its_heading() -> None:
    headings = headings_of(DOCS / "store.md")

    assert [option for option in {*OPTIONS, *POSTGRES_OPTIONS} if option not in headings] == []


@pytest.mark.parametrize("module", ["leftfold", "leftfold.testing", "leftfold.columns"])
def test_the_reference_has_every_name_that_a_package_exports_once(module: str) -> None:
    page = DOCS / "api" / f"{module.partition('.')[2] or module}.md"

    documented = re.findall(
        r"^\.\. (?:auto)?(?:class|function|data):: (\w+)", page.read_text(encoding="utf-8"), re.MULTILINE
    )

    assert sorted(documented) == sorted(importlib.import_module(module).__all__)


def command_line() -> dict[str, Any]:
    """The commands of `leftfold` by their names."""
    import typer
    from typer.main import get_command

    import leftfold.cli

    names = [
        leftfold.cli.__name__,
        *(f"leftfold.cli.{module.name}" for module in pkgutil.iter_modules(leftfold.cli.__path__)),
    ]
    defined = [
        value
        for name in names
        for value in vars(importlib.import_module(name)).values()
        if isinstance(value, typer.Typer)
    ]
    assert defined, "no typer.Typer found in leftfold.cli"
    group: Any = get_command(max(defined, key=lambda app: len(app.registered_commands)))
    return {name: command for name, command in group.commands.items() if not command.hidden}


def sections_of(page: Path) -> dict[str, str]:
    """The text under each heading up to the next one of the same or a higher level."""
    text = text_of(page)
    found = list(HEADING.finditer(text))
    ends = [
        next((later.start() for later in found[index + 1 :] if len(later["level"]) <= len(heading["level"])), len(text))
        for index, heading in enumerate(found)
    ]
    return {
        heading["text"].replace("`", ""): text[heading.end() : end] for heading, end in zip(found, ends, strict=True)
    }


def test_every_command_has_its_heading() -> None:
    headings = headings_of(DOCS / "cli.md")

    assert [name for name in command_line() if f"leftfold {name}" not in headings] == []


def test_every_option_is_named_under_the_heading_of_its_command() -> None:
    sections = sections_of(DOCS / "cli.md")

    missing = [
        f"leftfold {name} {option}"
        for name, command in command_line().items()
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("--") and option not in NOT_DOCUMENTED_ONE_BY_ONE
        if not re.search(rf"{option}\b(?!-)", sections.get(f"leftfold {name}", ""))
    ]

    assert missing == []


def test_no_command_is_documented_that_does_not_exist() -> None:
    documented = {
        found[1] for heading in headings_of(DOCS / "cli.md") if (found := re.fullmatch(r"leftfold (\w+)", heading))
    }

    assert documented - set(command_line()) == set()

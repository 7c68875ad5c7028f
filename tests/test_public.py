"""What users import: sorted, complete, light; and errors and values that say what they are."""

import asyncio
import importlib
import inspect
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec
import pytest
import sqlalchemy

import leftfold
from leftfold import (
    AppendCondition,
    Appended,
    Batch,
    Context,
    Event,
    IdempotencyKey,
    Metadata,
    NewEvent,
    Receipt,
    StoredEvent,
    Tag,
)
from leftfold.errors import Rejected
from leftfold.model.codec import JsonCodec
from leftfold.model.criteria import ALL, EVERYTHING, NOTHING, criteria
from leftfold.model.message import MessageType
from leftfold.model.tag import NonKey, tag_fields
from leftfold.store import MemoryStore
from leftfold.testing import FakeClock
from tests.accounts import Deposit, Deposited, accounts_app
from tools.signatures import GOLDEN, signatures

ROOT = Path(__file__).resolve().parent.parent
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
PUBLIC = [
    "leftfold",
    "leftfold.audit",
    "leftfold.command",
    "leftfold.process",
    "leftfold.query",
    "leftfold.store",
    "leftfold.testing",
]


# --- what can be imported


def constants_then_classes_then_functions(name: str) -> tuple[bool, bool, str]:
    return not name.isupper(), not name[0].isupper(), name


@pytest.mark.parametrize("name", PUBLIC)
def test_what_a_package_offers_is_sorted_and_there(name: str) -> None:
    package = importlib.import_module(name)

    assert list(package.__all__) == sorted(package.__all__, key=constants_then_classes_then_functions)
    assert [missing for missing in package.__all__ if not hasattr(package, missing)] == []


@pytest.mark.parametrize("name", PUBLIC)
def test_a_package_offers_all_that_it_imports(name: str) -> None:
    package = importlib.import_module(name)
    mine = {
        public
        for public, value in vars(package).items()
        if not public.startswith("_") and not inspect.ismodule(value) and public not in package.__all__
    }

    assert mine == set()


def test_what_is_offered_is_documented() -> None:
    offered = [getattr(leftfold, name) for name in leftfold.__all__]

    assert [value for value in offered if inspect.isclass(value) and not value.__doc__] == []


# What public methods name and users do not need: typing protocols behind CommandLike, the events that a public fold
# takes, and what the command line and the loop thread pass.
NOT_FOR_USERS = {
    "Answer",
    "AttrsLike",
    "CommandCancelled",
    "CommandFailed",
    "CommandHandled",
    "CommandPostponed",
    "CommandRejected",
    "CommandRetried",
    "CommandSubmitted",
    "DataclassLike",
    "Fold",
    "Home",
    "LoopThread",
    "ProcessCancelled",
    "ProcessParked",
    "ProcessReacted",
    "ProcessRetried",
    "ProcessSkipped",
    "PydanticLike",
    "ReadModelDefinition",
}


def types_named_by(function: Any) -> Iterator[type]:
    hints = get_type_hints(function, localns={"sa": sqlalchemy, "Where": Any})
    waiting: list[Any] = list(hints.values())
    while waiting:
        hint = waiting.pop()
        if isinstance(hint, list | tuple):
            waiting += hint
        elif get_origin(hint) is not None:
            waiting += get_args(hint)
        elif isinstance(hint, type):
            yield hint


def functions_of(value: Any) -> Iterator[Any]:
    """The public methods and properties of a class, or a function itself; a struct as well, for its fields."""
    if not inspect.isclass(value):
        return iter([value] if inspect.isfunction(value) else [])
    members = [inspect.getattr_static(value, name) for name in dir(value) if not name.startswith("_")]
    plain = [getattr(getattr(each, "fget", None) or each, "__func__", getattr(each, "fget", each)) for each in members]
    own = [each for each in plain if inspect.isfunction(each) and each.__module__.startswith("leftfold")]
    return iter([*own, value] if issubclass(value, msgspec.Struct) else own)


@pytest.mark.parametrize("name", leftfold.__all__)
def test_every_type_that_a_public_method_names_is_public(name: str) -> None:
    named = {each for function in functions_of(getattr(leftfold, name)) for each in types_named_by(function)}
    missing = {each.__name__ for each in named if each.__module__.startswith("leftfold.")} - {*leftfold.__all__}

    assert missing - NOT_FOR_USERS == set()


def test_the_public_signatures_are_those_of_the_golden_file() -> None:
    """A change of the public surface is a decision: `make signatures` writes the file again."""
    assert signatures() == GOLDEN.read_text(encoding="utf-8")


def test_the_version_of_the_package_is_the_distributions() -> None:
    assert leftfold.__version__ == version("leftfold")


# --- what need not be installed

BLOCKED = """
import sys
from collections.abc import Iterator

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocked())
"""
OPTIONAL = {"sqlalchemy", "typer", "rich", "click", "pytest", "hypothesis", "attrs", "attr", "pydantic"}


def run_without(optional: set[str], source: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a process in which these packages cannot be imported."""
    program = BLOCKED.format(blocked=optional) + source
    return subprocess.run((sys.executable, "-c", program), cwd=ROOT, capture_output=True, text=True, check=False)


def test_an_app_of_commands_needs_msgspec_alone() -> None:
    done = run_without(
        OPTIONAL,
        """
import asyncio
import leftfold, leftfold.testing
from leftfold.testing import given
from tests.accounts import Account, Deposit, Deposited, accounts_app

app = accounts_app()
given(app, Deposited("a", 1)).when(Deposit("a", 2)).then(Deposited("a", 2))

async def main():
    async with app.open("memory:") as live:
        await live.execute(Deposit("a", 5), key="k")
        print(await live.state(Account, "a"), [verified.ok for verified in await live.verify(snapshots=True)])

asyncio.run(main())
with app.open_sync("memory:") as live:
    print(live.execute(Deposit("a", 5)).position)
print(sorted(name for name in sys.modules if name in {"sqlalchemy", "typer", "rich", "pytest"}))
""",
    )

    assert done.stderr == ""
    assert done.stdout.splitlines() == ["Account(account='a', balance=5, frozen=False) [True, True]", "1", "[]"]


def test_a_read_model_is_defined_without_sqlalchemy_and_opened_with_it() -> None:
    done = run_without(
        {"sqlalchemy"},
        """
import asyncio
from examples.bank import Balance, Opened, bank, main
from leftfold.testing import given

given(bank, Opened("a-1", "Ann")).then_row(Balance("a-1", "Ann"))
asyncio.run(main())
""",
    )

    assert done.returncode != 0
    assert "leftfold.errors.MissingExtra: the package 'sqlalchemy' is not installed" in done.stderr
    assert "pip install 'leftfold[models]'" in done.stderr


def test_the_command_line_says_which_extra_is_missing() -> None:
    done = run_without({"typer", "rich"}, "import leftfold.cli; leftfold.cli.main()")

    assert done.returncode != 0
    assert "leftfold[cli]" in done.stderr


# --- errors


def test_a_rejection_is_equal_to_one_with_the_same_reason_and_details() -> None:
    assert Rejected("no", a=1) == Rejected("no", a=1)
    assert Rejected("no", a=1) != Rejected("no", a=2)
    assert Rejected("no") != Rejected("yes")
    assert Rejected("no") != "no"
    assert len({Rejected("no", a=[1]), Rejected("no", a=[1])}) == 1


def test_a_rejection_shows_its_reason_and_details() -> None:
    rejected = Rejected("insufficient funds", balance=3)

    assert repr(rejected) == "Rejected('insufficient funds', balance=3)"
    assert str(rejected).startswith("rejected: insufficient funds (balance=3)\n")
    assert rejected.found == "rejected: insufficient funds (balance=3)"


# --- values


class Moved(Event, wire="book.moved", version=3):
    shelf: Annotated[str, Tag("shelf")]
    books: list[Annotated[UUID, Tag("book")]]


STORED = StoredEvent(7, 1_767_225_600_000_000, "book.moved", 3, b"{}", b"{}", ("shelf:a",))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Tag("shelf"), "Tag('shelf')"),
        (NonKey(), "NonKey()"),
        (tag_fields(Moved)[0], "<TagField shelf: shelf>"),
        (tag_fields(Moved)[1], "<TagField books: book (many)>"),
        (MessageType(Moved), "<MessageType book.moved v3>"),
        (ALL, "<Criteria any type but leftfold.*>"),
        (EVERYTHING, "<Criteria any type>"),
        (NOTHING, "<Criteria nothing>"),
        (
            criteria("a", "b", tags=["x:1", "y:2"]) | criteria("c"),
            "<Criteria a or b with x:1 and y:2, or c>",
        ),
        (JsonCodec(), "<JsonCodec>"),
        (MemoryStore(), "<MemoryStore at 0>"),
        (FakeClock(), "<FakeClock 2026-01-01T00:00:00+00:00>"),
        (Context(MOMENT, Metadata(command="c")), "<Context of command c at 2026-01-01T00:00:00+00:00>"),
        (IdempotencyKey("k", b"d"), "IdempotencyKey(value='k', digest=b'd', place=0, events=None)"),
        (Appended(1, 2), "Appended(first=1, last=2, duplicate=False)"),
        (Batch([], 3), "Batch(events=[], through=3)"),
        (AppendCondition(criteria("a"), 3), "AppendCondition(criteria=<Criteria a>, after=3)"),
        (Receipt(1, (Deposited("a", 5),), "c"), "Receipt(position=1, events=(Deposited(account='a', amount=5),), "
                                                "command_id='c', duplicate=False)"),
        (
            NewEvent("book.moved", b"{}", ("shelf:a",)),
            "NewEvent(type='book.moved', data=b'{}', tags=('shelf:a',), version=1, metadata=b'{}', time=None)",
        ),
        (
            STORED,
            "StoredEvent(position=7, microseconds=1767225600000000, type='book.moved', version=3, data=b'{}', "
            "metadata=b'{}', tags=('shelf:a',))",
        ),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_a_value_shows_what_it_is(value: object, shown: str) -> None:
    assert repr(value) == shown


def test_what_is_open_shows_what_it_is() -> None:
    async def shown() -> list[str]:
        app = accounts_app()
        async with app.open("memory:") as live:
            await live.execute(Deposit("a", 1))
            return [repr(app), repr(live)]

    assert asyncio.run(shown()) == [
        "<App accounts: 5 commands, 0 queries, 0 read models, 0 projections>",
        "<LiveApp on <MemoryStore at 1>>",
    ]

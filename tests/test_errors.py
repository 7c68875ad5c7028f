"""Errors survive copying and pickling, have standard parents, and say what was found, expected and to be done."""

import copy
import inspect
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import NoReturn

import pytest

from leftfold import errors
from leftfold.errors import (
    Conflict,
    InvalidTag,
    KeyReused,
    LeftfoldError,
    ReadModelBehind,
    Rejected,
    StoreBusy,
    UsageError,
)
from tests.error_classes import error_classes, made_up

ERRORS = error_classes()
PARENTS: dict[type[Exception], set[str]] = {
    ConnectionError: {"OutcomeUnknown", "StoreUnreachable"},
    FileNotFoundError: {"StoreNotFound"},
    ImportError: {"AppNotFound", "MissingExtra"},
    LookupError: {"NotHandled", "NotKept", "NotLoaded", "NotParked", "UnknownName", "UnknownTicket", "UnknownTrace"},
    NameError: {"UnresolvedAnnotation"},
    OSError: {"LogReplaced", "ModelsUnavailable", "PortUnavailable", "StoreFailed", "StoreFull"},
    PermissionError: {"StoreReadOnly"},
    RuntimeError: {"ForkedStore", "InsideRunningLoop", "WrongLoop"},
    TimeoutError: {"ExecutedButBehind", "ReadModelBehind", "StoreBusy", "TicketOpen"},
    TypeError: {
        "InvalidField",
        "InvalidHandler",
        "InvalidModel",
        "InvalidResult",
        "MissingOption",
        "NotAMessage",
        "TaglessEvent",
        "UnmatchedParameter",
        "UnsupportedExpression",
    },
    ValueError: {
        "AppendTooLarge",
        "CannotDecode",
        "CannotEncode",
        "CriteriaTooLarge",
        "DuplicateHandler",
        "EmptyAppend",
        "EventTooLarge",
        "ForeignTarget",
        "InvalidAppend",
        "InvalidCriteria",
        "InvalidEvent",
        "InvalidIdempotencyKey",
        "InvalidCursor",
        "InvalidKey",
        "InvalidMessage",
        "InvalidMetadata",
        "TagFunctionFailed",
        "InvalidOption",
        "InvalidPosition",
        "InvalidProjection",
        "InvalidTag",
        "InvalidType",
        "InvalidUrl",
        "KeyReused",
        "LogNotEmpty",
        "NaiveDatetime",
        "PositionAhead",
        "ReservedKey",
        "SameLog",
        "TimeRefused",
        "TooManyEntities",
        "UnsupportedValue",
        "WireNameTaken",
        "WrongVerb",
    },
    Exception: {
        "AlreadyEnded",
        "ArgumentMutated",
        "ClockJumped",
        "CodecError",
        "Conflict",
        "DefinedTooLate",
        "DefinitionError",
        "EvolveFailed",
        "LeaseLost",
        "LeaseOfAnotherApp",
        "MissingMetadata",
        "NothingToRun",
        "PartsAppended",
        "ProjectionFailed",
        "ProjectionParked",
        "ReadModelChanged",
        "ReadModelDiverged",
        "ReadModelError",
        "ReadModelsChanged",
        "Rejected",
        "RoleTaken",
        "StoreClosed",
        "StoreCopied",
        "StoreCorrupt",
        "StoreError",
        "StoreUnavailable",
        "TableTaken",
        "TicketCancelled",
        "TicketError",
        "TicketFailed",
        "TooManyConflicts",
        "UnsuitableDatabase",
        "UsageError",
    },
}


def raise_it(error: LeftfoldError) -> NoReturn:
    raise error


class Overdrawn(Rejected):
    """A user's own subclass, whose constructor has other parameters than its parent's."""

    def __init__(self, balance: int) -> None:
        super().__init__("overdrawn", balance=balance)


@pytest.mark.parametrize("owner", ERRORS, ids=lambda owner: owner.__name__)
def test_an_error_says_what_was_found_what_was_expected_and_what_to_do(owner: type[LeftfoldError]) -> None:
    error = made_up(owner)

    assert all((error.found, error.expected, error.remedy))
    assert str(error) == f"{error.found}\n  expected: {error.expected}\n  to do: {error.remedy}"
    assert owner.__doc__


@pytest.mark.parametrize("owner", ERRORS, ids=lambda owner: owner.__name__)
def test_a_copied_and_an_unpickled_error_equal_the_original(owner: type[LeftfoldError]) -> None:
    error = made_up(owner)

    for same in (copy.copy(error), copy.deepcopy(error), pickle.loads(pickle.dumps(error))):
        assert type(same) is owner
        assert same == error
        assert hash(same) == hash(error)
        assert (str(same), repr(same), same.args) == (str(error), repr(error), error.args)


def test_an_error_of_a_user_is_copied_and_pickled_whatever_its_constructor_takes() -> None:
    error = Overdrawn(3)

    assert pickle.loads(pickle.dumps(error)) == error == copy.copy(error)
    assert type(pickle.loads(pickle.dumps(error))) is Overdrawn


def test_notes_are_pickled_and_do_not_count_for_equality_and_the_cause_is_not_pickled() -> None:
    error = StoreBusy("a.db", "locked")
    error.add_note("while importing")
    error.__cause__ = OSError("locked")

    read = pickle.loads(pickle.dumps(error))

    assert read.__notes__ == ["while importing"]
    assert read.__cause__ is None
    assert read == error == StoreBusy("a.db", "locked")


def test_errors_of_different_classes_or_with_different_values_are_not_equal() -> None:
    assert KeyReused("k", 1, 2) == KeyReused("k", 1, 2)
    assert KeyReused("k", 1, 2) != KeyReused("k", 1, 3)
    assert ReadModelBehind("Balance", 1, 2, 3) != InvalidTag(1, "a", "is empty")


@pytest.mark.parametrize("error", [KeyReused("k", 1, 2), Rejected("insufficient funds", balance=1)], ids=repr)
def test_an_error_crosses_a_pool_of_processes(error: LeftfoldError) -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        raised = pool.submit(raise_it, error).exception()

    assert raised == error


def test_each_error_has_its_standard_parent() -> None:
    def standard(owner: type[Exception]) -> type[Exception]:
        return next(each for each in owner.__mro__ if each.__module__ == "builtins")

    parents = {each: {owner.__name__ for owner in ERRORS if standard(owner) is each} for each in PARENTS}

    assert parents == PARENTS
    assert sum(map(len, parents.values())) == len(ERRORS)


def test_the_constructor_of_an_error_takes_its_fields() -> None:
    assert str(inspect.signature(KeyReused)) == "(key: str, first: int, last: int, digest: bytes | None = None)"
    assert KeyReused("k", 1, last=2).last == 2
    with pytest.raises(TypeError, match="missing a required argument: 'last'"):
        KeyReused("k", 1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="too many positional arguments"):
        KeyReused("k", 1, 2, b"", 3)  # type: ignore[call-arg,arg-type]
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        KeyReused("k", 1, 2, lost=3)  # type: ignore[call-arg]


def test_an_error_shows_its_class_and_its_fields() -> None:
    assert repr(KeyReused("k", 1, 2)) == "KeyReused(key='k', first=1, last=2, digest=None)"
    assert repr(UsageError("a", "b", "c")) == "UsageError(found='a', expected='b', remedy='c')"


def test_sequences_are_kept_as_tuples() -> None:
    assert Conflict("item", 3, []).matches == ()


@pytest.mark.parametrize(
    ("behind", "found"),
    [
        (
            ReadModelBehind("Balance", 3, 5, 2.0, 1.2),
            "Balance is at position 3, 2 behind position 5 for 1.2 s, after 2 s",
        ),
        (ReadModelBehind("Balance", 3, 5, 0), "Balance is at position 3, 2 behind position 5"),
        (ReadModelBehind("Balance", 0, 0, 0), "Balance is at position 0"),
        (ReadModelBehind("Balance", -1, 0, 0), "Balance has not been built from this log by this code yet"),
    ],
)
def test_a_read_model_that_is_behind_says_only_what_is_the_case(behind: ReadModelBehind, found: str) -> None:
    assert behind.found == found


def test_no_error_is_a_key_error_whose_text_would_be_quoted() -> None:
    assert [owner for owner in ERRORS if issubclass(owner, KeyError)] == []
    assert not hasattr(errors, "KeyError")

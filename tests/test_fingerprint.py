"""Fingerprints: what of a model's source counts, what does not, and that every process finds the same."""

import linecache
import subprocess
import sys
import types
import zipfile
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from leftfold.model.fingerprint import Fingerprint
from leftfold.model.fold import Fold

PRELUDE = """
import functools
import re
from abc import ABC
from collections import namedtuple
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, NewType, Optional, Union
from msgspec import Meta, Struct, field
from leftfold import DecisionModel, Event, NonKey, Tag, replace

AccountId = Annotated[str, Tag("account")]
OwnerId = Annotated[str, Tag("owner")]

class Opened(Event):
    account: AccountId
    owner: OwnerId = ""

class Moved(Event):
    account: AccountId
"""
MODEL = """
class Model(DecisionModel):
    account: AccountId
    amount: int = 0
    def evolve(self, event: Opened):
        return replace(self, amount=self.amount + 1)
"""
_files = count()


def module_of(source: str, *, name: str = "somewhere", kept: bool = True) -> dict[str, Any]:
    """A module that was made from this source, which is kept as that of a notebook's cell is, or is not."""
    text, file = PRELUDE + source, f"<model {next(_files)}>"
    if kept:
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    namespace: dict[str, Any] = {"__name__": name}
    exec(compile(text, file, "exec", dont_inherit=True), namespace)
    return namespace


def fingerprint_of(source: str, model: str = "Model", *, name: str = "somewhere") -> Fingerprint:
    """The fingerprint of a model that is defined by this source."""
    return Fold(module_of(source, name=name)[model]).fingerprint()


def using(expression: str, before: str = "") -> str:
    """A model whose evolve computes this, with what stands before it in the module."""
    return before + MODEL.replace("self.amount + 1", expression)


# --- what does not count


@pytest.mark.parametrize(
    ("what", "source", "same"),
    [
        ("comments and lines", MODEL, MODEL.replace("    def evolve", "\n\n    # a comment\n    def evolve")),
        ("formatting", MODEL, MODEL.replace("self.amount + 1", "(\n   self.amount  +  0x1\n  )")),
        ("a docstring", MODEL, MODEL.replace("Opened):\n", 'Opened):\n        """It counts."""\n')),
        ("a docstring of the class", MODEL, MODEL.replace("Model):\n", 'Model):\n    """It counts."""\n')),
        ("the event's parameter", MODEL, MODEL.replace("event", "happened")),
        (
            "the names of parameters and variables of a helper",
            using("plus(self.amount)", "def plus(n):\n    one = 1\n    return [n + i for i in [one]][0]\n"),
            using("plus(self.amount)", "def plus(m):\n    two = 1\n    return [m + k for k in [two]][0]\n"),
        ),
        (
            "the name of what a pattern captures",
            using("0").replace(
                "return", "match event:\n            case Opened(owner=o):\n                return o or"
            ),
            using("0").replace(
                "return", "match event:\n            case Opened(owner=x):\n                return x or"
            ),
        ),
        (
            "annotations of functions and variables",
            using("plus(self.amount)", "def plus(n):\n    m = n\n    return m\n"),
            using("plus(self.amount)", "def plus(n: int) -> 'Any':\n    m: int = n\n    return m\n"),
        ),
        (
            "the spelling of a field's type",
            MODEL.replace("= 0", "= 0\n    o: Optional[int] = None\n    k: Annotated[OwnerId, NonKey] = ''"),
            MODEL.replace("= 0", "= 0\n    o: 'None | int' = None\n    k: Annotated[OwnerId, NonKey()] = ''"),
        ),
        (
            "the order of a union",
            MODEL.replace("Opened)", "Opened | Moved)"),
            MODEL.replace("Opened)", "Moved | Opened)"),
        ),
        ("a pass", using("0", "def idle():\n    pass\n"), using("0", "def idle():\n    '''Idle.'''\n")),
        ("what nothing names", MODEL, "STEP = 2\ndef plus(n): return n\n" + MODEL),
        ("pieces of a text", using("f'a{event}b'"), using("f'a' f'{event}' 'b'")),
        (
            "a field of an event",
            using("0")
            .replace("Opened)", "Here)")
            .replace("class Model", "class Here(Event):\n    account: AccountId\nclass Model"),
            using("0")
            .replace("Opened)", "Here)")
            .replace("class Model", "class Here(Event):\n    account: AccountId\n    more: int = 0\nclass Model"),
        ),
    ],
)
def test_what_means_the_same_has_the_same_fingerprint(what: str, source: str, same: str) -> None:
    assert source != same
    assert fingerprint_of(source).code
    assert fingerprint_of(source) == fingerprint_of(same), what


def test_a_model_that_is_run_and_one_that_is_imported_have_the_same_fingerprint() -> None:
    source = using(
        "plus(self.amount, Colour.RED.value)", "class Colour(Enum):\n    RED = 1\ndef plus(n, m): return n + m\n"
    )
    source = source.replace("= 0", "= 0\n    c: Colour | None = None")

    assert fingerprint_of(source, name="__main__") == fingerprint_of(source, name="shop.models")


# --- what counts


@pytest.mark.parametrize(
    ("what", "changed"),
    [
        ("a constant in evolve", MODEL.replace("+ 1", "+ 2")),
        ("the type of a constant", MODEL.replace("+ 1", "+ True")),
        ("an operator in evolve", MODEL.replace("+ 1", "- 1")),
        ("a field that evolve reads", MODEL.replace("self.amount +", "self.count +")),
        ("the name of a field", MODEL.replace("amount: int", "total: int")),
        ("the type of a field", MODEL.replace("amount: int", "amount: float")),
        ("bounds of a field", MODEL.replace("amount: int", "amount: Annotated[int, Meta(ge=0)]")),
        ("the default of a field", MODEL.replace("int = 0", "int = 1")),
        ("another field", MODEL.replace("    def", "    open: bool = False\n    def")),
        ("the events", MODEL.replace("event: Opened", "event: Opened | Moved")),
        ("a tagged field's part in the key", MODEL.replace("= 0", "= 0\n    o: Annotated[OwnerId, NonKey()] = ''")),
        ("stated criteria", MODEL + "    def criteria(self): return None\n"),
        ("an option of the class", MODEL.replace("(DecisionModel)", "(DecisionModel, rename='camel')")),
        (
            "the version of an event",
            MODEL.replace("\nclass", "class Opened(Event, version=2):\n    account: AccountId\nclass"),
        ),
        ("an assertion", MODEL.replace("        return", "        assert self.amount\n        return")),
    ],
)
def test_a_changed_model_has_another_fingerprint(what: str, changed: str) -> None:
    assert fingerprint_of(changed) != fingerprint_of(MODEL), what


RULES = "def first(n): return n + 1\ndef second(n): return n + 2\n"
IN_TURN = "functools.reduce(lambda n, rule: rule(n), RULES, self.amount)"


@pytest.mark.parametrize(
    ("what", "source", "before", "after"),
    [
        ("a function", using("plus(self.amount)", "def plus(n): return n + 1\n"), "n + 1", "n + 2"),
        (
            "a function of a function",
            using("p(1)", "def q(n): return n + 1\ndef p(n): return q(n)\n"),
            "n + 1",
            "n + 2",
        ),
        ("a lambda", using("plus(self.amount)", "plus = lambda n: n + 1\n"), "n + 1", "n + 2"),
        ("one of two lambdas", using("p(q(1))", "p, q = lambda n: n + 1, lambda n: n + 3\n"), "n + 3", "n + 4"),
        ("an inner function", using("p()", "def p():\n    def q(): return 1\n    return q()\n"), "1", "2"),
        ("a default", using("plus(2)", "def plus(n, by=1): return n + by\n"), "by=1", "by=2"),
        (
            "a default that has a name",
            using("plus(2)", "ONE = 1\ndef plus(n, by=ONE): return n + by\n"),
            "ONE = 1",
            "ONE = 2",
        ),
        ("which parameter a keyword means", using("p(a=1, b=2)", "def p(a, b): return a - b\n"), "p(a, b)", "p(b, a)"),
        ("a parameter that must be named", using("p(**{})", "def p(*, a=1, b=2): return 0\n"), "a=1, b=2", "b=1, a=2"),
        (
            "what spread keywords mean",
            using("p(**{'a': 1, 'b': 2})", "def p(a, b): return a - b\n"),
            "p(a, b)",
            "p(b, a)",
        ),
        ("names that are read as text", using("p(1)", "def p(a): return locals()['a']\n"), "p(a)", "p(b)"),
        ("a number", using("STEP", "STEP = 1\n"), "= 1", "= 2"),
        ("a decimal number", using("STEP", "STEP = Decimal('1')\n"), "'1'", "'2'"),
        ("a day", using("FIRST.year", "FIRST = date(2026, 1, 1)\n"), "2026", "2027"),
        ("a list", using("len(NAMES)", "NAMES = ['a']\n"), "['a']", "['b']"),
        ("a set", using("len(NAMES)", "NAMES = {'a'}\n"), "{'a'}", "{'b'}"),
        ("a dict", using("RATES['a']", "RATES = {'a': Decimal(1)}\n"), "Decimal(1)", "Decimal(2)"),
        ("a list that grows", using("len(NAMES)", "NAMES = []\nNAMES.append('a')\n"), "'a'", "'b'"),
        (
            "a dict that is filled",
            using("RATES['a']", "RATES = {}\nfor k in 'ab':\n    RATES[k] = 1\n"),
            "'ab'",
            "'abc'",
        ),
        ("a condition", using("STEP", "if 1 > 0:\n    STEP = 1\nelse:\n    STEP = 2\n"), "1 > 0", "1 < 0"),
        ("a constant of a constant", using("TWO", "ONE = 1\nTWO = ONE + 1\n"), "ONE = 1", "ONE = 0"),
        ("a pattern", using("bool(NAME.match('a'))", "NAME = re.compile('a')\n"), "compile('a')", "compile('b')"),
        ("a tuple of functions", using(IN_TURN, f"{RULES}RULES = (first, second)\n"), "n + 2", "n + 3"),
        (
            "the order of functions",
            using(IN_TURN, f"{RULES}RULES = (first, second)\n"),
            "(first, second)",
            "(second, first)",
        ),
        (
            "functions that registered themselves",
            using(
                IN_TURN,
                "RULES = []\ndef rule(f):\n    RULES.append(f)\n    return f\n@rule\ndef first(n): return n + 1\n",
            ),
            "n + 1",
            "n + 2",
        ),
        (
            "a partial",
            using("two()", "def plus(n): return n + 1\ntwo = functools.partial(plus, 1)\n"),
            "n + 1",
            "n + 2",
        ),
        (
            "an argument of a partial",
            using("two()", "def plus(n): return n\ntwo = functools.partial(plus, 1)\n"),
            ", 1)",
            ", 2)",
        ),
        ("a cached function", using("p(1)", "@functools.lru_cache\ndef p(n): return n + 1\n"), "n + 1", "n + 2"),
        (
            "an argument of a decorator",
            using("p(1)", "@functools.lru_cache(maxsize=1)\ndef p(n): return n\n"),
            "=1",
            "=2",
        ),
        (
            "a decorator",
            using("p(1)", "def d(f):\n    def w(n): return f(n) + 1\n    return w\n@d\ndef p(n): return n\n"),
            "f(n) + 1",
            "f(n) + 2",
        ),
        (
            "a decorated function",
            using("p(1)", "def d(f):\n    def w(n): return f(n)\n    return w\n@d\ndef p(n): return n + 1\n"),
            "n + 1",
            "n + 2",
        ),
        (
            "a single dispatch",
            using("p(1)", "@functools.singledispatch\ndef p(n): return n\n@p.register\ndef _(n: int): return n + 1\n"),
            "n + 1",
            "n + 2",
        ),
        ("a method", using("self.next()") + "    def next(self): return 1\n", "return 1", "return 2"),
        ("a property", using("self.next") + "    @property\n    def next(self): return 1\n", "return 1", "return 2"),
        ("a static method", MODEL + "    @staticmethod\n    def next(): return 1\n", "return 1", "return 2"),
        ("a class method", MODEL + "    @classmethod\n    def next(cls): return 1\n", "return 1", "return 2"),
        (
            "what a decorator makes of a method",
            MODEL + "    @staticmethod\n    def next(): return 1\n",
            "static",
            "class",
        ),
        ("an attribute of the class", MODEL.replace("= 0", "= 0\n    STEP: ClassVar[int] = 1"), "= 1", "= 2"),
        ("a default factory", MODEL.replace("= 0", "= field(default_factory=lambda: 0)"), "lambda: 0", "lambda: 1"),
        (
            "a class that a field holds",
            MODEL.replace("\nclass", "class Line(Struct):\n    n: int = 0\nclass").replace(
                "int = 0\n    def", "int = 0\n    lines: dict[str, tuple[Line, ...]] = {}\n    def"
            ),
            "n: int",
            "m: int",
        ),
        (
            "an enumeration that a field holds",
            "class Colour(Enum):\n    RED = 1\n" + MODEL.replace("= 0", "= 0\n    c: Colour | None = None"),
            "RED = 1",
            "RED = 2",
        ),
        ("an enumeration", using("Colour.RED.value", "class Colour(IntEnum):\n    RED = 1\n"), "RED = 1", "RED = 2"),
        (
            "a method of an enumeration",
            using("Colour.RED.next()", "class Colour(Enum):\n    RED = 1\n    def next(self): return 1\n"),
            "return 1",
            "return 2",
        ),
        (
            "a method of a helper class",
            using(
                "Policy(1).next()", "@dataclass(frozen=True)\nclass Policy:\n    n: int\n    def next(self): return 1\n"
            ),
            "return 1",
            "return 2",
        ),
        (
            "an option of a helper class",
            using("P()", "@dataclass(order=True)\nclass P:\n    n: int = 0\n"),
            "order",
            "eq",
        ),
        ("a default of a helper class", using("P()", "@dataclass\nclass P:\n    n: int = 0\n"), "int = 0", "int = 1"),
        ("a constant of a helper class", using("P.N", "class P:\n    N = 1\n"), "N = 1", "N = 2"),
        ("a named tuple", using("P().n", "class P(NamedTuple):\n    n: int = 1\n"), "int = 1", "int = 2"),
        (
            "a base of a helper class",
            using("Q().p()", "class P:\n    def p(self): return 1\nclass Q(P): pass\n"),
            " 1",
            " 2",
        ),
        ("an object", using("P.p()", "class C:\n    def p(self): return 1\nP = C()\n"), "return 1", "return 2"),
        (
            "a method of an event",
            MODEL.replace("\nclass", "class Opened(Event):\n    account: AccountId\n    def n(self): return 1\nclass"),
            "return 1",
            "return 2",
        ),
        (
            "a base that is no model",
            "class Counting:\n    def next(self): return 1\n"
            + MODEL.replace("(DecisionModel)", "(Counting, DecisionModel)"),
            "return 1",
            "return 2",
        ),
        ("an inherited evolve", MODEL + "class Derived(Model):\n    pass\n", "+ 1", "+ 2"),
        (
            "an evolve that is a function of the module",
            MODEL.replace("    def evolve", "    evolve = fold\n    def other").replace(
                "\nclass", "def fold(self, event: Opened): return replace(self, amount=1)\nclass"
            ),
            "amount=1",
            "amount=2",
        ),
    ],
)
def test_what_a_model_uses_is_part_of_its_fingerprint(what: str, source: str, before: str, after: str) -> None:
    model = "Derived" if "class Derived" in source else "Model"
    changed = source.replace(before, after)

    assert changed != source
    assert fingerprint_of(source, model).code
    assert fingerprint_of(source, model) == fingerprint_of(source, model)
    assert fingerprint_of(source, model) != fingerprint_of(changed, model), what


@pytest.mark.parametrize("value", ["{step}", "[{step}]", "Decimal({step})", "Line({step})"])
def test_variables_of_an_enclosing_function_are_part_of_the_fingerprint(value: str) -> None:
    source = "class Line(Struct):\n    n: int\ndef make(step):\n" + MODEL.replace("\n", "\n    ").replace(
        "+ 1", "+ step"
    )
    module = module_of(f"{source}\n    return Model\n")

    def made(step: int) -> Fingerprint:
        return Fold(module["make"](eval(value.format(step=step), module))).fingerprint()

    assert made(1) == made(1)
    assert made(1).code
    assert made(1) != made(2)


def test_a_value_that_changes_while_the_app_runs_does_not_count() -> None:
    module = module_of(using("KNOWN.setdefault(1, len(KNOWN))", "KNOWN = {}\n"))
    before = Fold(module["Model"]).fingerprint()

    module["KNOWN"][7] = 7

    assert Fold(module["Model"]).fingerprint() == before


def test_names_of_another_module_do_not_count_but_constants_by_their_value(monkeypatch: pytest.MonkeyPatch) -> None:
    def with_other(value: int, text: str) -> Fingerprint:
        other = types.ModuleType("other_module")
        exec(f"VALUE = {value}\ndef helper(): return {text!r}", vars(other))
        monkeypatch.setitem(sys.modules, "other_module", other)
        return fingerprint_of(using("helper() or VALUE", "from other_module import VALUE, helper\n"))

    assert with_other(1, "a") == with_other(1, "b")
    assert with_other(1, "a") != with_other(2, "a")


# --- where the source cannot be had


def test_without_its_source_nothing_tells_whether_a_model_has_changed() -> None:
    with_source = fingerprint_of(MODEL)
    found = Fold(module_of(MODEL, kept=False)["Model"]).fingerprint()

    assert found == Fingerprint(with_source.shape, "")
    assert str(found).endswith(":unknown")
    assert found.matches(str(found)) is None
    assert found.matches(str(with_source)) is None
    assert with_source.matches(str(found)) is None
    assert with_source.matches(str(with_source)) is True


def test_without_its_source_a_model_with_other_fields_has_changed_all_the_same() -> None:
    found = Fold(module_of(MODEL.replace("int", "float"), kept=False)["Model"]).fingerprint()

    assert found.matches(str(fingerprint_of(MODEL))) is False


def test_of_a_fingerprint_in_an_older_form_nothing_is_known() -> None:
    assert fingerprint_of(MODEL).matches("0123456789abcdef0123456789abcdef") is None


def test_source_that_was_changed_after_its_import_is_none() -> None:
    module = module_of(using("plus(self.amount)", "def plus(n): return n + 1\n"))
    file = module["Model"].evolve.__code__.co_filename
    lines = [line.replace("def plus(n)", "def plus(m)") for line in linecache.getlines(file)]
    linecache.cache[file] = (0, None, lines, file)

    assert Fold(module["Model"]).fingerprint().code == ""


PRINT = "import sys; sys.path.insert(0, {path!r}); from leftfold.model.fold import Fold; import models_here as m; "
PRINT += "print(Fold(m.Model).fingerprint())"


def printed(path: Path, *options: str, code: str = PRINT) -> str:
    """What a process prints that imports the models in this folder, archive, or file."""
    command = (sys.executable, *options, "-c", code.format(path=str(path)))
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()


def test_a_model_in_an_archive_has_its_source_and_one_that_was_only_compiled_has_none(tmp_path: Path) -> None:
    import compileall

    source = PRELUDE + MODEL
    (tmp_path / "models_here.py").write_text(source)
    with zipfile.ZipFile(tmp_path / "models.zip", "w") as archive:
        archive.writestr("models_here.py", source)
    plain, zipped = printed(tmp_path), printed(tmp_path / "models.zip")
    compileall.compile_dir(tmp_path, quiet=1, legacy=True)
    (tmp_path / "models_here.py").unlink()

    assert plain == zipped == str(fingerprint_of(MODEL))
    assert printed(tmp_path) == str(fingerprint_of(MODEL)._replace(code=""))

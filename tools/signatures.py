"""Write the public signatures to tests/golden/signatures.txt: `python -m tools.signatures`.

The file makes a change of the public surface visible in a diff. A test compares it with the code.
"""

import ast
import importlib
import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "golden" / "signatures.txt"
MODULES = ("leftfold", "leftfold.columns", "leftfold.testing")


def signatures() -> str:
    """Return the public names of the public modules, with their signatures, one a line."""
    return "".join(f"{line}\n" for module in MODULES for line in _module(module))


def _module(module: str) -> Iterator[str]:
    package = importlib.import_module(module)
    for name in package.__all__:
        yield from _value(f"{module}.{name}", getattr(package, name))


def _value(name: str, value: Any) -> Iterator[str]:
    if inspect.isclass(value) and value.__module__.startswith("leftfold"):
        yield f"{name}({', '.join(base.__name__ for base in value.__bases__ if base is not object)})"
        yield from sorted({f"{name}.{member}" for owner in value.__mro__ for member in _members(owner)})
    elif inspect.isfunction(value) and value.__module__.startswith("leftfold"):
        yield f"{name}{_signature(_parsed(value))}"
    else:
        yield name


def _members(owner: type) -> Iterator[str]:
    if not owner.__module__.startswith("leftfold"):
        return
    body: list[ast.stmt] = getattr(_parsed(owner), "body", [])
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if node.name == "__init__" or not node.name.startswith("_"):
                yield f"{node.name}{_signature(node)}"
        elif isinstance(node, ast.AnnAssign) and not ast.unparse(node.target).startswith("_"):
            default = "" if node.value is None else f" = {ast.unparse(node.value)}"
            yield f"{ast.unparse(node.target)}: {ast.unparse(node.annotation)}{default}"


def _signature(node: ast.stmt) -> str:
    assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    returns = "" if node.returns is None else f" -> {ast.unparse(node.returns)}"
    if any(ast.unparse(each) == "property" for each in node.decorator_list):
        return returns.replace(" ->", ":")
    coroutine = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
    return f"({ast.unparse(node.args)}){' ' + coroutine.strip() if coroutine else ''}{returns}"


def _parsed(value: Any) -> ast.stmt:
    return ast.parse(textwrap.dedent(inspect.getsource(value))).body[0]


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(signatures(), encoding="utf-8")

"""The source of a module, and where in it a function, a class or the value of a name is written."""

import ast
import linecache
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from types import FunctionType
from typing import Any

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class ModuleSource:
    """Parsed source text: functions by line and name, classes by qualified name, statements by the names they bind.

    `imported` are the names that the module has from others.
    """

    def __init__(self, text: str) -> None:
        self._functions: dict[tuple[int, str], list[ast.AST]] = defaultdict(list)
        self._classes: dict[str, list[ast.ClassDef]] = defaultdict(list)
        self._values: dict[str, list[Sequence[ast.AST]]] = defaultdict(list)
        self.imported: set[str] = set()
        tree = ast.parse(text)
        self._index_definitions(tree, "")
        self._index_values(tree.body, ())

    def functions(self, function: FunctionType) -> Sequence[ast.AST]:
        """The function; of several lambdas on one line all, since a line is all that is known in every Python."""
        code = function.__code__
        found = self._functions.get((code.co_firstlineno, code.co_name), ())
        return [node for node in found if _takes(node, code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])]

    def classes(self, owner: type, functions: Sequence[FunctionType]) -> Sequence[ast.ClassDef]:
        """The class statement that has these functions; where it has none, every one of this name."""
        found = self._classes.get(owner.__qualname__, [])
        lines = [function.__code__.co_firstlineno for function in functions]
        holding = [node for node in found if any(is_in(node, line) for line in lines)]
        return holding if lines else found

    def values(self, name: str) -> Sequence[Sequence[ast.AST]]:
        """The statements of the module that give a name its value or change it, with the conditions they are under."""
        return self._values.get(name, ())

    def _index_definitions(self, node: ast.AST, path: str) -> None:
        for child in ast.iter_child_nodes(node):
            inside = path
            if isinstance(child, ast.Lambda):
                self._functions[child.lineno, "<lambda>"].append(child)
                inside = f"{path}<lambda>.<locals>."
            elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                self._functions[first_line(child), child.name].append(child)
                inside = f"{path}{child.name}.<locals>."
            elif isinstance(child, ast.ClassDef):
                self._classes[f"{path}{child.name}"].append(child)
                inside = f"{path}{child.name}."
            self._index_definitions(child, inside)

    def _index_values(self, statements: Sequence[ast.stmt], conditions: tuple[ast.AST, ...]) -> None:
        for statement in statements:
            if isinstance(statement, ast.Import | ast.ImportFrom):
                self.imported.update(each.asname or each.name.partition(".")[0] for each in statement.names)
            if isinstance(statement, DEFINITIONS):
                continue
            blocks = list(_blocks_of(statement))
            within = (*conditions, *_headers_of(statement)) if blocks else conditions
            for block in blocks:
                self._index_values(block, within)
            names = {name for part in _headers_of(statement) for name in _bound(part)} if blocks else _bound(statement)
            for name in names:
                self._values[name].append(within if blocks else (*conditions, statement))


def source_of(function: FunctionType) -> ModuleSource | None:
    """The source of the module of a function; None where it cannot be had."""
    compiled = function.__code__.co_filename
    present = str(function.__globals__.get("__file__"))
    moved = Path(compiled).name == Path(present).name  # the working directory may be another one by now
    return _source_in(compiled, function.__globals__) or (_source_in(present, function.__globals__) if moved else None)


def source_of_module(names: dict[str, Any]) -> ModuleSource | None:
    """The source of a module with these names; None where it cannot be had."""
    return _source_in(str(names.get("__file__")), names)


def _source_in(file: str, names: dict[str, Any]) -> ModuleSource | None:
    linecache.checkcache(file)
    lines = linecache.getlines(file, names)
    try:
        return _parsed("".join(lines)) if lines else None
    except (SyntaxError, ValueError):
        return None


def first_line(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> int:
    """Where a definition begins, with its decorators."""
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def is_in(node: ast.ClassDef, line: int) -> bool:
    """Whether a line is one of the class statement's."""
    return first_line(node) <= line <= (node.end_lineno or node.lineno)


@lru_cache(maxsize=4)
def _parsed(text: str) -> ModuleSource:
    return ModuleSource(text)


def _takes(node: ast.AST, names: Sequence[str]) -> bool:
    """Whether a function has these parameters: if not, the text is not the one that was compiled."""
    given = getattr(node, "args", None)
    assert isinstance(given, ast.arguments), "a function without parameters"
    written = [each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len(written) == len(names) and all(name.endswith(each) for each, name in zip(written, names, strict=True))


def _blocks_of(statement: ast.stmt) -> Iterator[Sequence[ast.stmt]]:
    """The blocks of a compound statement."""
    for name in ("body", "orelse", "finalbody"):
        block = getattr(statement, name, None)
        if isinstance(block, list) and block:
            yield block
    for part in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
        yield part.body


def _headers_of(statement: ast.stmt) -> Sequence[ast.AST]:
    """What a compound statement has beside its blocks."""
    match statement:
        case ast.If(test=test) | ast.While(test=test):
            return [test]
        case ast.For(target=target, iter=iterated):
            return [target, iterated]
        case ast.With(items=items):
            return list(items)
        case ast.Match(subject=subject, cases=cases):
            return [subject, *(case.pattern for case in cases)]
        case _:
            return []


def _bound(statement: ast.AST) -> set[str]:
    """The names that a statement gives a value, or whose value it changes in place."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return set()
    found: set[str] = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Name | ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
            found.add(_root_of(node))
        if isinstance(node, ast.Call) and isinstance(statement, ast.Expr) and isinstance(node.func, ast.Attribute):
            found.add(_root_of(node.func))
    return found - {""}


def _root_of(node: ast.AST) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""

"""Source code in a canonical form: equal for equal meaning, on every version of Python."""

import ast
import linecache
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from types import FunctionType
from typing import Any

from leftfold.model.type_form import is_a

IGNORED = frozenset({"ctx", "kind", "type_comment", "type_ignores", "type_params", "level"})
NOT_OF_FIELDS = frozenset({"wire", "version"})  # class keywords that are recorded separately
SEES_NAMES = frozenset({"locals", "vars", "eval", "exec", "dir"})
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


class Scope:
    """The names that a function, comprehension or class binds; local names of functions are numbered."""

    def __init__(self, names: Iterable[str], first: int, parent: "Scope | None", *, is_class: bool = False) -> None:
        self.names = {name: first + i for i, name in enumerate(dict.fromkeys(names))}
        self.parent = parent
        self.is_class = is_class

    def number_of(self, name: str) -> int | None:
        """Return the number of a local name; None for a global name or a class attribute."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names and (scope is self or not scope.is_class):
                return None if scope.is_class else scope.names[name]
            scope = scope.parent
        return None

    def is_attribute(self, name: str) -> bool:
        """Tell whether the class statement that uses the name also binds it."""
        return self.is_class and name in self.names


class SourceForm:
    """Writes syntax trees so that trees with the same meaning come out equal.

    Positions, comments, docstrings, annotations of functions and the spelling of literals leave no trace. Local names
    and parameters are numbered; a parameter's name counts where some call passes it by keyword.
    """

    def __init__(self) -> None:
        self._text: list[str] = []
        self._numbered = 0
        self._free: dict[str, None] = {}
        self._keywords: set[str] = set()
        self._spread: set[str] = set()
        self._parameters: list[tuple[str, Sequence[str], Sequence[str]]] = []

    def write(self, nodes: Iterable[ast.AST], *, decorators: bool = False) -> list[str]:
        """Write statements, expressions or one function; the global names that are used in them, in order."""
        self._free = {}
        for node in nodes:
            if isinstance(node, Function):
                self._write_function(node, None, decorators=decorators)
            else:
                self._write(node, None)
        return list(self._free)

    def write_class(self, node: ast.ClassDef, *, fields: bool, decorators: bool) -> list[str]:
        """Write a class statement without its bases; the same for those of messages without their fields."""
        self._free = {}
        for keyword in node.keywords:
            if keyword.arg not in NOT_OF_FIELDS:
                self._write(keyword, None)
        self._write_all(node.decorator_list if decorators else (), None)
        scope = Scope(bound_in(node.body), 0, None, is_class=True)
        for statement in _meaningful(node.body):
            if isinstance(statement, ast.AnnAssign):
                if fields or "ClassVar" in ast.dump(statement.annotation):
                    self._write(statement.target, scope)
                    self._write_all([statement.value] if statement.value else (), scope)
            else:
                self._write(statement, scope)
        return list(self._free)

    def text(self) -> str:
        """Return everything written, with the parameters whose names count."""
        lines = ["".join(self._text)]
        for place, (name, by_either, by_keyword) in enumerate(self._parameters):
            spread = name in self._spread or "" in self._spread
            known = [f"{i}:{each}" for i, each in enumerate(by_either) if spread or each in self._keywords]
            if known or by_keyword:
                lines.append(f"{place} {' '.join(known)} {' '.join(by_keyword)}")
        return "\n".join(lines)

    def note(self, text: str) -> None:
        """Write text that comes from outside the source."""
        self._text.append(f"<{text}>")

    # --- nodes

    def _write(self, node: Any, scope: Scope | None) -> None:
        special = getattr(self, f"_write_{type(node).__name__}", None)
        if special is not None:
            special(node, scope)
        elif isinstance(node, Function):
            self._write_function(node, scope, decorators=True)
        elif isinstance(node, COMPREHENSIONS):
            self._write_comprehension(node, scope)
        elif isinstance(node, ast.AST):
            self._write_fields(node, scope)
        elif is_a(node, list):
            self._text.append("[")
            self._write_all(_meaningful(node), scope)
            self._text.append("]")
        else:
            self._text.append(f"{node!r} ")

    def _write_all(self, nodes: Iterable[Any], scope: Scope | None) -> None:
        for node in nodes:
            self._write(node, scope)

    def _write_fields(self, node: ast.AST, scope: Scope | None, *, without: Sequence[str] = ()) -> None:
        self._text.append(f"({type(node).__name__} ")
        for name, value in ast.iter_fields(node):
            if name not in IGNORED and name not in without and value is not None and value != []:
                self._text.append(f"{name}=")
                self._write(value, scope)
        self._text.append(")")

    def _write_name(self, name: str | None, scope: Scope | None) -> None:
        number = scope.number_of(name) if scope is not None and name is not None else None
        self._text.append(f"{name} " if number is None else f"#{number} ")
        if name is not None and number is None and not (scope is not None and scope.is_attribute(name)):
            self._free.setdefault(name)

    def _write_Name(self, node: ast.Name, scope: Scope | None) -> None:
        self._write_name(node.id, scope)
        seen = scope if node.id in SEES_NAMES else None
        while seen is not None:
            self._text.append(repr(list(seen.names)))
            seen = seen.parent

    def _write_Constant(self, node: ast.Constant, scope: Scope | None) -> None:
        self._text.append(f"{type(node.value).__name__}:{node.value!r} ")

    def _write_JoinedStr(self, node: ast.JoinedStr, scope: Scope | None) -> None:
        self._text.append("(f ")
        for part in _pieces(node):
            self._write(part, scope)
        self._text.append(")")

    def _write_Call(self, node: ast.Call, scope: Scope | None) -> None:
        called = str(getattr(node.func, "id", None) or getattr(node.func, "attr", ""))
        for keyword in node.keywords:
            if keyword.arg is None:
                self._spread.add(called)
            else:
                self._keywords.add(keyword.arg)
        self._write_fields(node, scope)

    def _write_AnnAssign(self, node: ast.AnnAssign, scope: Scope | None) -> None:
        if scope is not None and scope.is_class:
            self._write_fields(node, scope)
        elif node.value is not None:
            self._write(ast.Assign(targets=[node.target], value=node.value), scope)

    def _write_Global(self, node: ast.Global, scope: Scope | None) -> None:
        """Write nothing: the use of the name shows the declaration."""

    def _write_Nonlocal(self, node: ast.Nonlocal, scope: Scope | None) -> None:
        """Write nothing: the use of the name shows the declaration."""

    def _write_alias(self, node: ast.alias, scope: Scope | None) -> None:
        self._text.append(f"(import {node.name} ")
        self._write_name(node.asname or node.name.partition(".")[0], scope)
        self._text.append(")")

    def _write_ExceptHandler(self, node: ast.ExceptHandler, scope: Scope | None) -> None:
        self._write_binding(node, "name", scope)

    def _write_MatchAs(self, node: ast.MatchAs, scope: Scope | None) -> None:
        self._write_binding(node, "name", scope)

    def _write_MatchStar(self, node: ast.MatchStar, scope: Scope | None) -> None:
        self._write_binding(node, "name", scope)

    def _write_MatchMapping(self, node: ast.MatchMapping, scope: Scope | None) -> None:
        self._write_binding(node, "rest", scope)

    def _write_binding(self, node: ast.AST, field: str, scope: Scope | None) -> None:
        """Write a node that holds the name it binds as text."""
        if getattr(node, field) is not None:
            self._write_name(getattr(node, field), scope)
        self._write_fields(node, scope, without=(field,))

    # --- what has a scope of its own

    def _scope(self, names: Iterable[str], parent: Scope | None) -> Scope:
        scope = Scope(names, self._numbered, parent)
        self._numbered += len(scope.names)
        return scope

    def _write_function(self, node: Function, scope: Scope | None, *, decorators: bool) -> None:
        given, is_lambda = node.args, isinstance(node, ast.Lambda)
        name = "" if isinstance(node, ast.Lambda) else node.name
        self._text.append(f"({type(node).__name__} ")
        if scope is not None and not is_lambda:
            self._write_name(name, scope)
        if decorators and not isinstance(node, ast.Lambda):
            self._write(node.decorator_list, scope)
        self._write([*given.defaults, None, *given.kw_defaults], scope)
        parameters = [*given.posonlyargs, *given.args, given.vararg, *given.kwonlyargs, given.kwarg]
        names = [each.arg for each in parameters if each is not None]
        counts = len(given.posonlyargs), len(given.args), bool(given.vararg), len(given.kwonlyargs), bool(given.kwarg)
        self._text.append(f"{counts}")
        self._parameters.append((name, [each.arg for each in given.args], [each.arg for each in given.kwonlyargs]))
        body: list[Any] = node.body if isinstance(node.body, list) else [node.body]
        self._write(body, self._scope([*names, *bound_in(body)], scope))
        self._text.append(")")

    def _write_comprehension(self, node: Any, scope: Scope | None) -> None:
        targets = (each for generator in node.generators for each in ast.walk(generator.target))
        inner = self._scope([each.id for each in targets if isinstance(each, ast.Name)], scope)
        self._text.append(f"({type(node).__name__} ")
        for place, generator in enumerate(node.generators):
            self._write(generator.iter, inner if place else scope)
            self._write([generator.target, *generator.ifs, generator.is_async], inner)
        self._write([node.key, node.value] if isinstance(node, ast.DictComp) else node.elt, inner)
        self._text.append(")")

    def _write_ClassDef(self, node: ast.ClassDef, scope: Scope | None) -> None:
        self._write_name(node.name, scope)
        self._write([*node.decorator_list, *node.bases, *node.keywords], scope)
        self._write(node.body, Scope(bound_in(node.body), 0, scope, is_class=True))


def bound_in(body: Iterable[Any]) -> list[str]:
    """Return the names that statements or expressions bind in the scope in which they stand."""
    bound: dict[str, None] = {}
    elsewhere: set[str] = set()
    for node in body:
        for name, is_declared_elsewhere in _bindings(node):
            if is_declared_elsewhere:
                elsewhere.add(name)
            else:
                bound.setdefault(name)
    return [name for name in bound if name not in elsewhere]


def _bindings(node: ast.AST) -> Iterator[tuple[str, bool]]:
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            yield name, False
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name, False
        case ast.MatchMapping(rest=str(name)):
            yield name, False
        case ast.alias():
            yield node.asname or node.name.partition(".")[0], False
        case ast.Global() | ast.Nonlocal():
            yield from ((name, True) for name in node.names)
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.name, False
        case _:
            pass
    for child in _in_same_scope(node):
        yield from _bindings(child)


def _in_same_scope(node: ast.AST) -> Iterable[ast.AST]:
    """Return the children of a node that are evaluated in its scope."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return [*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)]
        case ast.Lambda():
            return [*node.args.defaults, *filter(None, node.args.kw_defaults)]
        case ast.ClassDef():
            return [*node.decorator_list, *node.bases, *node.keywords]
        case ast.AnnAssign():
            return [node.target, *filter(None, [node.value])]
        case ast.comprehension():
            return [node.iter, *node.ifs]
        case _:
            return ast.iter_child_nodes(node)


def _meaningful(nodes: Iterable[Any]) -> Iterator[Any]:
    """Drop statements that do nothing: docstrings, `...` and `pass`."""
    for node in nodes:
        nothing = isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        if not nothing:
            yield node


def _pieces(node: ast.JoinedStr) -> Iterator[ast.expr]:
    """Yield the parts of an f-string with adjacent texts joined: Python versions split them differently."""
    text = ""
    for part in _flat(node):
        if isinstance(part, ast.Constant):
            text += str(part.value)
            continue
        if text:
            yield ast.Constant(text)
        text = ""
        yield part
    if text:
        yield ast.Constant(text)


def _flat(node: ast.JoinedStr) -> Iterator[ast.expr]:
    for part in node.values:
        if isinstance(part, ast.JoinedStr):
            yield from _flat(part)
        else:
            yield part


DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class ModuleSource:
    """Parsed source text: functions by line and name, classes by qualified name, statements by the names they bind.

    `imported` holds the names that the module imports.
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
        """Return the function, or every lambda of a line: some Python versions know only the line."""
        code = function.__code__
        found = self._functions.get((code.co_firstlineno, code.co_name), ())
        return [node for node in found if _takes(node, code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])]

    def classes(self, owner: type, functions: Sequence[FunctionType]) -> Sequence[ast.ClassDef]:
        """Return the class statement with these functions; without functions, every class of this name."""
        found = self._classes.get(owner.__qualname__, [])
        lines = [function.__code__.co_firstlineno for function in functions]
        holding = [node for node in found if any(is_in(node, line) for line in lines)]
        return holding if lines else found

    def values(self, name: str) -> Sequence[Sequence[ast.AST]]:
        """Return the module's statements that assign or change a name, with their enclosing conditions."""
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
    """Return the source of the module of a function; None if it is not available."""
    compiled = function.__code__.co_filename
    present = str(function.__globals__.get("__file__"))
    moved = Path(compiled).name == Path(present).name  # the working directory may have changed since
    return _source_in(compiled, function.__globals__) or (_source_in(present, function.__globals__) if moved else None)


def source_of_module(names: dict[str, Any]) -> ModuleSource | None:
    """Return the source of a module with these names; None if it is not available."""
    return _source_in(str(names.get("__file__")), names)


def _source_in(file: str, names: dict[str, Any]) -> ModuleSource | None:
    linecache.checkcache(file)
    lines = linecache.getlines(file, names)
    try:
        return _parsed("".join(lines)) if lines else None
    except (SyntaxError, ValueError):
        return None


def first_line(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> int:
    """Return the line where a definition begins, including its decorators."""
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def is_in(node: ast.ClassDef, line: int) -> bool:
    """Tell whether a line belongs to the class statement."""
    return first_line(node) <= line <= (node.end_lineno or node.lineno)


@lru_cache(maxsize=4)
def _parsed(text: str) -> ModuleSource:
    return ModuleSource(text)


def _takes(node: ast.AST, names: Sequence[str]) -> bool:
    """Tell whether a function has these parameters; if not, the source is not what was compiled."""
    given = getattr(node, "args", None)
    assert isinstance(given, ast.arguments), "a function without parameters"
    written = [each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len(written) == len(names) and all(name.endswith(each) for each, name in zip(written, names, strict=True))


def _blocks_of(statement: ast.stmt) -> Iterator[Sequence[ast.stmt]]:
    """Yield the blocks of a compound statement."""
    for name in ("body", "orelse", "finalbody"):
        block = getattr(statement, name, None)
        if isinstance(block, list) and block:
            yield block
    for part in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
        yield part.body


def _headers_of(statement: ast.stmt) -> Sequence[ast.AST]:
    """Return the parts of a compound statement other than its blocks."""
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
    """Return the names that a statement assigns, or whose value it changes in place."""
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

"""Write `src/leftfold/live_sync.py`, the app without `await`, from `live.py` and the ticket: `make sync-twin`.

Every public method of `LiveApp` and `Ticket` gets a twin with the same signature, whose call runs on the loop thread.
"""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "leftfold"
TWIN = PACKAGE / "live_sync.py"
LIVE = PACKAGE / "live.py"
TICKET = PACKAGE / "command" / "submitted" / "ticket.py"
TWINS = {"Ticket": "SyncTicket", "Watch[R]": "SyncWatch[R]"}  # what a method returns, and what its twin returns

HEAD = '''"""The app without `await`. Written by `make sync-twin` from live.py: change that file, not this one."""

from contextlib import AbstractAsyncContextManager
from functools import partial
from types import TracebackType
from typing import Self
from leftfold.live import {names}
from leftfold.loop_thread import LoopCaller, LoopThread, Opened, RunningLoop, SyncWatch, check_no_loop
'''

LIVE_HEAD = '''

class SyncLive:
    """`LiveApp` without `await`: the same names, the same arguments. Safe to use from several threads."""

    def __init__(self, live: LiveApp, loop: LoopCaller, opened: Opened | None = None) -> None:
        self._live = live
        self._loop = loop
        self._opened = opened

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Finish the calls that are running and close the log. Closing twice is fine.

        The end of the program closes it too. In a forked child this does nothing: the parent closes it. Nor does it
        in a reactor: the app that calls the reactor stays open.
        """
        if self._opened is not None:
            self._opened.close()

    def __repr__(self) -> str:
        return f"<SyncLive on {self._live.store!r}>"
'''

TICKET_HEAD = '''

class SyncTicket:
    """`Ticket` without `await`."""

    def __init__(self, ticket: Ticket, loop: LoopCaller) -> None:
        self.id = ticket.id
        self._ticket = ticket
        self._loop = loop

    def __repr__(self) -> str:
        return f"<SyncTicket {self.id}>"
'''

TAIL = '''

def open_sync(opening: AbstractAsyncContextManager[LiveApp], *, callers_run_it: bool) -> SyncLive:
    """Open a live app on a loop thread, see `LoopThread`; closing it, or the end of the program, closes both."""
    check_no_loop()
    loop = LoopThread(callers_run_it=callers_run_it)
    try:
        live = loop.run(opening.__aenter__())
        return SyncLive(live, loop, Opened(loop, partial(opening.__aexit__, None, None, None)))
    except BaseException:
        loop.close()
        raise


def sync_live(live: LiveApp) -> SyncLive:
    """Return a live app of the event loop that runs in this thread, for other threads; it stays open."""
    return SyncLive(live, RunningLoop())
'''

Method = ast.FunctionDef | ast.AsyncFunctionDef


def twin() -> str:
    """Return the source of the twin, as `ruff` formats it."""
    live, ticket = (ast.parse(path.read_text(encoding="utf-8")) for path in (LIVE, TICKET))
    parts = [HEAD.format(names=", ".join(_names(live))), *_imports(live), *_type_variables(live)]
    parts += [TICKET_HEAD, *(_method(each, "Ticket", "_ticket") for each in _public(ticket, "Ticket"))]
    parts += [LIVE_HEAD, *(_method(each, "LiveApp", "_live") for each in _public(live, "LiveApp")), TAIL]
    return _formatted("\n".join(parts))


def _names(module: ast.Module) -> list[str]:
    """Return what the module defines that a signature may name."""
    assigned = [target.id for each in module.body if isinstance(each, ast.Assign) for target in each.targets
                if isinstance(target, ast.Name) and not _is_type_variable(each)]  # fmt: skip
    return ["LiveApp", *(name for name in assigned if not name.startswith("_"))]


def _imports(module: ast.Module) -> list[str]:
    return [ast.unparse(each) for each in module.body if isinstance(each, ast.Import | ast.ImportFrom)]


def _type_variables(module: ast.Module) -> list[str]:
    return [ast.unparse(each) for each in module.body if isinstance(each, ast.Assign) and _is_type_variable(each)]


def _is_type_variable(node: ast.Assign) -> bool:
    called = node.value.func if isinstance(node.value, ast.Call) else None
    return isinstance(called, ast.Name) and called.id == "TypeVar"


def _public(module: ast.Module, owner: str) -> list[Method]:
    [found] = [each for each in module.body if isinstance(each, ast.ClassDef) and each.name == owner]
    return [each for each in found.body if isinstance(each, Method) and not each.name.startswith("_")]


def _method(method: Method, owner: str, inner: str) -> str:
    arguments = ast.unparse(method.args)
    returned = ast.unparse(method.returns) if method.returns else "None"
    lines = [f"@{ast.unparse(each)}" for each in method.decorator_list]
    lines += [f"def {method.name}({arguments}) -> {TWINS.get(returned, returned)}:"]
    lines += [f'    """{_first_line(method)}{" " if _is_short(method, owner) else f"{chr(10)}{chr(10)}    "}'
              f'See `{owner}.{method.name}`."""']  # fmt: skip
    is_overload = any("overload" in each for each in lines[: len(method.decorator_list)])
    lines += ["    ..."] if is_overload else [f"    {'' if returned == 'None' else 'return '}{_call(method, inner)}"]
    return "\n" + "\n".join(f"    {line}" if line else "" for text in lines for line in text.split("\n"))


def _first_line(method: Method) -> str:
    return (ast.get_docstring(method) or "").partition("\n")[0]


def _is_short(method: Method, owner: str) -> bool:
    return len(f'        """{_first_line(method)} See `{owner}.{method.name}`."""') <= 120


def _call(method: Method, inner: str) -> str:
    call = f"self.{inner}.{method.name}"
    if not any(isinstance(each, ast.Name) and each.id == "property" for each in method.decorator_list):
        call = f"{call}({_passed(method.args)})"
    if isinstance(method, ast.AsyncFunctionDef):
        call = f"self._loop.run({call})"
    returned = TWINS.get(ast.unparse(method.returns) if method.returns else "")
    return f"{returned.partition('[')[0]}({call}, self._loop)" if returned else call


def _passed(arguments: ast.arguments) -> str:
    passed = [each.arg for each in (*arguments.posonlyargs, *arguments.args)][1:]
    passed += [f"*{arguments.vararg.arg}"] if arguments.vararg else []
    return ", ".join([*passed, *(f"{each.arg}={each.arg}" for each in arguments.kwonlyargs)])


def _formatted(source: str) -> str:
    """Return the source without the imports that it does not need, sorted and formatted."""
    for arguments in (("check", "--fix", "--exit-zero", "--quiet"), ("format", "--quiet")):
        ruff = (sys.executable, "-m", "ruff", *arguments, "--stdin-filename", str(TWIN), "-")
        source = subprocess.run(ruff, input=source, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    return source


if __name__ == "__main__":
    TWIN.write_text(twin(), encoding="utf-8")

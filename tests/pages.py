"""Run the code and commands of a documentation page as a reader would, and compare what they print.

Python and console blocks of one page run in their order in one fresh directory, the Python ones in one namespace.

* ```` ```python ```` runs. What it prints has to stand in the next ```` ```output ```` block.
* ```` ```python title="bank.py" ```` is also appended to that file, so that commands can use it.
* ```` ```python file="bank.py" ```` is only written to that file, in place of what it held, and `add="bank.py"` is
  appended to it, whatever the language. Neither runs in the page's namespace: a console block runs the program.
* In a ```` ```console ```` block the lines after `$ ` are run, and the lines below a command are what it prints.
  A shell runs them, but for `leftfold` alone, which is forked from a process that has imported it.
* `…` in output stands for any text of one line; a line of `…` alone stands for any number of lines.
* A comment `<!-- not run: reason -->` right above a block leaves it out.
"""

import ast
import asyncio
import contextlib
import inspect
import io
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from tests.commands_forked import ForkedCommands, environment
from tests.patience import PATIENCE

FENCE = re.compile(r"^(?P<fence>`{3,})(?P<language>\w*)(?P<rest>.*)$")
NOT_RUN = re.compile(r"<!-- not run: \S.* -->")
PLAIN_COMMAND = re.compile(r"leftfold (?P<arguments>[^|&;<>$`*\n]*)(?:; test \$\? = (?P<code>\d+))?")
ATTRIBUTE = re.compile(r'(?P<name>title|file|add)="(?P<path>[\w./-]+)"')


@dataclass
class Block:
    """A fenced block: `line` is that of its first line of content."""

    language: str
    files: dict[str, str]
    line: int
    source: str
    run: bool


def blocks_of(text: str) -> Iterator[Block]:
    """Yield the fenced blocks of a Markdown text."""
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        opened = FENCE.match(lines[number])
        if not opened:
            number += 1
            continue
        end = lines.index(opened["fence"], number + 1)
        before = next((line for line in reversed(lines[:number]) if line.strip()), "")
        files = {found["name"]: found["path"] for found in ATTRIBUTE.finditer(opened["rest"])}
        source = "\n".join(lines[number + 1 : end]) + "\n"
        yield Block(opened["language"], files, number + 2, source, run=not NOT_RUN.match(before))
        number = end + 1


def commands_of(block: Block) -> Iterator[tuple[str, str]]:
    """Yield the commands of a console block, each with the output shown below it."""
    command, shown = "", list[str]()
    for line in block.source.splitlines():
        if line.startswith("$ "):
            if command:
                yield command, "\n".join(shown)
            command, shown = line[2:], []
        elif command.endswith("\\") and not shown:
            command += "\n" + line.removeprefix("> ")
        else:
            shown.append(line)
    if command:
        yield command, "\n".join(shown)


def expected(shown: str) -> re.Pattern[str]:
    """Return the pattern of output that is shown with ellipses."""
    lines = [
        r"(?:.*\n)*" if line.strip() == "…" else r".*?".join(map(re.escape, line.rstrip().split("…"))) + r"[ \t]*\n"
        for line in shown.splitlines()
    ]
    return re.compile("".join(lines))


def difference(shown: str, printed: str, where: str) -> str | None:
    """Return both texts where the output on the page is not what was printed."""
    text = printed.rstrip() + "\n" if printed.strip() else ""
    if expected(shown.rstrip()).fullmatch(text):
        return None
    return f"{where}: the page shows\n{shown.rstrip()}\n--- but this was printed:\n{text}"


class PageRunner:
    """Runs the blocks of one page in the current directory."""

    def __init__(self, page: Path, module: ModuleType, runner: asyncio.Runner, commands: ForkedCommands) -> None:
        self._page, self._module, self._runner, self._commands = page, module, runner, commands
        self._printed, self._printed_by = "", ""
        self._differences: list[str] = []

    def run(self) -> None:
        """Run every block, then fail with each output that differs from the page."""
        for block in blocks_of(self._page.read_text(encoding="utf-8")):
            if block.run:
                self._run_block(block, f"{self._page.name}:{block.line}")
        self._compare("", self._printed, self._printed_by)
        assert not self._differences, "\n\n".join(self._differences)

    def _compare(self, shown: str, printed: str, where: str) -> None:
        if found := difference(shown, printed, where):
            self._differences.append(found)

    def _run_block(self, block: Block, where: str) -> None:
        if block.language == "output":
            self._compare(block.source, self._printed, where)
            self._printed = ""
            return
        self._compare("", self._printed, self._printed_by)
        write_files(block)
        if block.language == "python" and not block.files.keys() & {"file", "add"}:
            self._run_python(block, where)
        elif block.language == "console":
            for command, shown in commands_of(block):
                self._compare(shown, self._printed_by_command(command, where), f"{where}: {command}")

    def _printed_by_command(self, command: str, where: str) -> str:
        plain = PLAIN_COMMAND.fullmatch(command)
        if plain is None:
            return printed_by(command, where)
        code, printed = self._commands.run(shlex.split(plain["arguments"]))
        assert code == int(plain["code"] or 0), f"{where}: {command}\nexit code {code}\n{printed}"
        return printed

    def _run_python(self, block: Block, where: str) -> None:
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            self._execute(block)
        self._printed, self._printed_by = output.getvalue(), where

    def _execute(self, block: Block) -> None:
        """Run a block at the top level of the page's module, with `await` allowed there."""
        tree = ast.parse(block.source, str(self._page))
        ast.increment_lineno(tree, block.line - 1)
        code = compile(tree, str(self._page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        if code.co_flags & inspect.CO_COROUTINE:
            self._runner.run(eval(code, vars(self._module)))
        else:
            exec(code, vars(self._module))


def write_files(block: Block) -> None:
    """Write a block to the files that it names."""
    for attribute, path in block.files.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with Path(path).open("w" if attribute == "file" else "a", encoding="utf-8") as file:
            file.write(block.source)


def printed_by(command: str, where: str) -> str:
    """Return what a shell prints that runs a command."""
    done = subprocess.run(
        command,
        shell=True,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, f"{where}: {command}\nexit code {done.returncode}\n{done.stdout}"
    return done.stdout

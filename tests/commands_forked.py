"""Run `leftfold` in processes that are forked from one that has imported it: imports are most of a command's start.

A test asks for the fixture: `code, said = forked.run(["info", "sqlite:///bank.db"])`.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

PREPARED = """
import contextlib, gc, io, json, os, sys
import leftfold.cli, leftfold.query.tables.models_database, leftfold.query.tables.sqlite, sqlalchemy.ext.asyncio
from leftfold.cli.program import program

with contextlib.redirect_stdout(io.StringIO()):
    for arguments in (["--version"], ["info", "--help"]):  # which import what every command needs
        with contextlib.suppress(SystemExit):
            program(arguments)

gc.freeze()
for line in sys.stdin:
    folder, arguments, said = json.loads(line)
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        output = os.open(said, os.O_WRONLY)
        for stream, descriptor in enumerate((os.open(os.devnull, os.O_RDONLY), output, output)):
            os.dup2(descriptor, stream)
        sys.argv = ["leftfold", *arguments]
        try:
            leftfold.cli.main()
        except SystemExit as ended:
            sys.stdout.flush()
            os._exit(ended.code or 0)  # the ordinary end would go through all that was imported
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def environment() -> dict[str, str]:
    """Return the environment of commands: this one's own programs come first on the path."""
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": programs, "COLUMNS": "120", "NO_COLOR": "1"}


class ForkedCommands:
    """Runs commands one after the other, in the present directory."""

    def __init__(self) -> None:
        self._said = tempfile.NamedTemporaryFile()  # noqa: SIM115 - closed at the end of `with`

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-c", PREPARED],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()
        self._said.close()

    def run(self, arguments: Sequence[str]) -> tuple[int, str]:
        """Run `leftfold` with these arguments; its exit code and all that it printed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        said = Path(self._said.name)
        said.write_bytes(b"")
        self._process.stdin.write(json.dumps([str(Path.cwd()), list(arguments), str(said)]) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        return code, said.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def forked() -> Iterator[ForkedCommands]:
    """Commands of `leftfold`, for the whole run."""
    with ForkedCommands() as commands:
        yield commands

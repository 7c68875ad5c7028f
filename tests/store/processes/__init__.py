"""Programs that the tests run as processes of their own, and how they are run."""

import subprocess
import sys
from pathlib import Path
from typing import IO

from tests.patience import PATIENCE

HERE = Path(__file__).parent


class Process:
    """A running program that talks to the test in lines."""

    def __init__(self, program: str, *arguments: object) -> None:
        command = [sys.executable, str(HERE / f"{program}.py"), *map(str, arguments)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def say(self, line: object) -> None:
        """Send one line."""
        stdin = _stream(self._process.stdin)
        stdin.write(f"{line}\n")
        stdin.flush()

    def hear(self) -> str:
        """Wait for one line; empty when the process has ended."""
        return _stream(self._process.stdout).readline().rstrip("\n")

    def signal(self, number: int) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def kill(self) -> list[str]:
        """Kill with signal 9, and return what it had said before but was not heard yet."""
        self._process.kill()
        rest = _stream(self._process.stdout).read().splitlines()
        self.end()
        return rest

    def end(self) -> int:
        """Close its input, wait for its end and return its exit code."""
        for stream in (self._process.stdin, self._process.stdout):
            _stream(stream).close()
        return self._process.wait(timeout=PATIENCE)

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.kill()


def _stream(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream

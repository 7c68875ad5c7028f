"""A `leftfold work` in a process of its own: started, asked for its health, killed, started again, stopped."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.request import urlopen

SECONDS = 600.0  # how long it may take on a busy machine
HEALTH = re.compile(r"health at (http://\S+)/health")


class WorkerProcess:
    """Runs `leftfold work` with these arguments; what it says goes to the file `said`.

    It is in a session of its own, so that Ctrl-C reaches only whoever started it. Leaving the `with` block ends it.
    """

    def __init__(self, said: Path, *arguments: str) -> None:
        self.said = said
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None
        self._from = 0

    def __repr__(self) -> str:
        return f"<WorkerProcess {' '.join(self._arguments)}>"

    @property
    def pid(self) -> int:
        """The process id of the present process."""
        assert self._process is not None, "it was never started"
        return self._process.pid

    def start(self) -> None:
        """Start it, for the first time or again."""
        command = [sys.executable, "-m", "leftfold", "work", *self._arguments, "--health", "0"]
        environment = {**os.environ, "NO_COLOR": "1"}
        self._from = self.said.stat().st_size if self.said.exists() else 0
        with self.said.open("ab") as said:
            self._process = subprocess.Popen(
                command, stdout=said, stderr=said, stdin=subprocess.DEVNULL, env=environment, start_new_session=True
            )

    def lines(self) -> list[str]:
        """Return what it has printed since it was last started."""
        with self.said.open("rb") as said:
            said.seek(self._from)
            return said.read().decode(errors="replace").splitlines()

    def until(self, found: Callable[[str], Any], seconds: float = SECONDS) -> Any:
        """Return what `found` makes of the first line of which it makes anything."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            ended = self._process is not None and self._process.poll() is not None
            for line in self.lines():
                if answer := found(line):
                    return answer
            if ended:
                break
            time.sleep(0.02)
        raise TimeoutError(f"{self!r} did not say it; it said:\n" + "\n".join(self.lines()))

    @property
    def health_url(self) -> str:
        """Where its health is served, once it is."""
        return str(self.until(HEALTH.search)[1])

    def wait_until_healthy(self) -> None:
        """Return when `/health` says so; an `HTTPError` when it says otherwise."""
        with urlopen(f"{self.health_url}/health", timeout=SECONDS) as answer:
            assert json.load(answer)["status"] == "ok"

    def status(self) -> Any:
        """Return what `/status` says."""
        with urlopen(f"{self.health_url}/status", timeout=SECONDS) as answer:
            return json.load(answer)

    def kill(self) -> None:
        """End it with signal 9."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Ask it to end, and wait until it has; its exit code."""
        return self._end(signal.SIGTERM)

    def wait(self) -> int:
        """Wait until it has ended; its exit code."""
        assert self._process is not None, "it was never started"
        return self._process.wait(SECONDS)

    def _end(self, by: signal.Signals) -> int:
        assert self._process is not None, "it was never started"
        self._process.send_signal(by)
        return self.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.kill()

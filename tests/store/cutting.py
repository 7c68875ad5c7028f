"""A proxy between a store and its server that cuts a connection at the moment that a test names."""

import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Literal, Self

Moment = Literal["request", "half a request", "answer"]
SOCKET = ".s.PGSQL.5432"
PIECE = 1 << 20


class CuttingProxy:
    """Listens in a folder of its own; a store has the folder for its host.

    `cut(moment)` concerns whichever connection carries something next: its request does not reach the server, or half
    of it does, or all of it does and the answer does not come back. `deaf` refuses new connections.
    """

    def __init__(self, server: Path, folder: Path) -> None:
        self.deaf = False
        self._server = str(server / SOCKET)
        self._moment: Moment | None = None
        self._lines: set[tuple[socket.socket, socket.socket]] = set()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / SOCKET))
        self._listener.listen(100)

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut_all()

    def cut(self, moment: Moment) -> None:
        """Cut the next exchange."""
        self._moment = moment

    def cut_all(self) -> None:
        """Cut every connection, at once."""
        for line in list(self._lines):
            self._cut(line)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                here, _ = self._listener.accept()
                if self.deaf:
                    here.close()
                    continue
                there = socket.socket(socket.AF_UNIX)
                there.connect(self._server)
                line = here, there
                self._lines.add(line)
                threading.Thread(target=self._carry_requests, args=(line,), daemon=True).start()
                threading.Thread(target=self._carry_answers, args=(line,), daemon=True).start()

    def _carry_requests(self, line: tuple[socket.socket, socket.socket]) -> None:
        here, there = line
        with suppress(OSError):
            while piece := here.recv(PIECE):
                if self._moment in ("request", "half a request"):
                    there.sendall(piece[: len(piece) // 2] if self._moment == "half a request" else b"")
                    self._moment = None
                    break
                there.sendall(piece)
        self._cut(line)

    def _carry_answers(self, line: tuple[socket.socket, socket.socket]) -> None:
        here, there = line
        with suppress(OSError):
            while piece := there.recv(PIECE):
                if self._moment == "answer":
                    self._moment = None
                    break
                here.sendall(piece)
        self._cut(line)

    def _cut(self, line: tuple[socket.socket, socket.socket]) -> None:
        self._lines.discard(line)
        for end in line:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

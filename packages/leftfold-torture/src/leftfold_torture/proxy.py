"""A TCP proxy that cuts connections in the middle of what they carry."""

import asyncio
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Self

PIECE = 65_536


class Proxy:
    """Listens on 127.0.0.1 and passes everything on, to a socket of the file system or to a host and port.

    While it is `cutting`, each connection may carry a random number of bytes more, in both directions together; then
    it ends without a word. So a commit is cut off before it is sent, half sent, under way, or before its answer came.
    """

    def __init__(self, target: Path | tuple[str, int], seed: int) -> None:
        self.cuts = 0
        self._target = target
        self._random = Random(f"{seed}/cuts")
        self._cutting = False
        self._server: asyncio.Server | None = None
        self._lines: set[ProxiedConnection] = set()
        self._serving: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<Proxy to {self._target}, {len(self._lines)} connections>"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._server is not None:
            self._server.close()
            for line in self._lines:
                line.cut()
            await asyncio.gather(*self._serving, return_exceptions=True)
            await self._server.wait_closed()

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None, "the proxy has been opened"
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def cut(self) -> None:
        """From now on, cut every connection after some more bytes."""
        self._cutting = True
        for line in self._lines:
            line.left = self._bytes()

    def heal(self) -> None:
        """From now on, pass on everything."""
        self._cutting = False
        for line in self._lines:
            line.left = None

    def _bytes(self) -> int:
        return int(self._random.expovariate(1 / 4_000))

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await self._connect()
        except OSError:
            writer.close()
            return
        line = ProxiedConnection((reader, writer), there, self._bytes() if self._cutting else None)
        self._lines.add(line)
        try:
            await line.carry()
        finally:
            self._lines.discard(line)
            self.cuts += line.left == 0

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._target, Path):
            return await asyncio.open_unix_connection(str(self._target))
        return await asyncio.open_connection(*self._target)


Side = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class ProxiedConnection:
    """One connection through the proxy; `left` is how many bytes it may still carry, None for any number."""

    def __init__(self, here: Side, there: Side, left: int | None) -> None:
        self.left = left
        self._here, self._there = here, there

    async def carry(self) -> None:
        """Pass bytes on in both directions until one side ends, or until it is cut."""
        ways = [
            asyncio.create_task(self._pass_on(self._here[0], self._there[1])),
            asyncio.create_task(self._pass_on(self._there[0], self._here[1])),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.cut()
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    def cut(self) -> None:
        """End both sides without a word."""
        for _, writer in (self._here, self._there):
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(PIECE):
                if self.left is not None:
                    piece = piece[: self.left]
                    self.left -= len(piece)
                writer.write(piece)
                await writer.drain()
                if self.left == 0:
                    return

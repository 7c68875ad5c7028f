"""Health over HTTP: `/health` for whoever restarts workers, `/status` for whoever looks at them."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from leftfold.errors import LeftfoldError, PortUnavailable
from leftfold.health import Health, failing, health_of, in_words, work_of
from leftfold.live import LiveApp

LOOPBACK = "127.0.0.1"
CLOSING_SECONDS = 2


class Server(uvicorn.Server):
    """A server that leaves signals to whoever runs the event loop."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Capture none."""
        yield


@asynccontextmanager
async def serve_health(live: LiveApp, port: int = 0, host: str = LOOPBACK) -> AsyncGenerator[str]:
    """Serve the health of a live app from this event loop: `async with serve_health(live, 8080) as url`.

    `GET /health` answers 200 when the work goes on ("ok", or "degraded" when something is parked or has failed) and 503
    when it does not ("failing"), with the reasons; `GET /status` answers where everything stands. Both are JSON. Port 0
    is any free one; `PortUnavailable` when it cannot be had.
    """
    listening = _listen(host, port)
    server = Server(uvicorn.Config(_application(live), **_SETTINGS))
    serving = asyncio.create_task(server.serve([listening]), name="health server")
    try:
        yield _url(listening)
    finally:
        server.should_exit = True
        await asyncio.gather(serving, return_exceptions=True)
        listening.close()


_SETTINGS: dict[str, Any] = {
    "log_config": None,
    "log_level": "warning",
    "access_log": False,
    "lifespan": "off",
    "timeout_graceful_shutdown": CLOSING_SECONDS,
}


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise PortUnavailable(host, port, str(getattr(error, "strerror", None) or error)) from error


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _application(live: LiveApp) -> Starlette:
    async def health(request: Request) -> Response:
        found = await _health(live)
        return _json(found, 503 if found.status == "failing" else 200)

    async def status(request: Request) -> Response:
        try:
            return _json(await live.status(), 200)
        except LeftfoldError as error:
            return _json(failing(error), 503)

    return Starlette(routes=[Route("/health", health), Route("/status", status)])


async def _health(live: LiveApp) -> Health:
    try:
        return health_of(await work_of(live))
    except LeftfoldError as error:
        return failing(error)


def _json(value: Any, code: int) -> Response:
    return Response(msgspec.json.encode(value, enc_hook=_plain), code, media_type="application/json")


def _plain(value: Any) -> str:
    return in_words(value) if isinstance(value, BaseException) else str(value)

"""Health over HTTP: `/health` for programs that restart workers, `/status` for people who look at them."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Collection, Generator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from leftfold.errors import LeftfoldError, UsageError
from leftfold.health import Health, class_and_problem, failing, health_of, work_of
from leftfold.live import LiveApp
from leftfold.web.guard import GuardedProtocol, KnownHosts, Limits, Refusals

LOOPBACK = "127.0.0.1"
CLOSING_SECONDS = 2
WAITING = 128  # connections that the kernel keeps until they are accepted
LARGEST_HEADER = 16_384
DEFAULT_LIMITS = Limits()


class PortUnavailable(UsageError, OSError):
    """The health of a worker cannot be served on this port."""

    host: str
    port: int
    problem: str
    found = "port {port} of {host} cannot be used: {problem}"
    expected = "a free port that this user may use"
    remedy = "stop the program that uses it, or choose another port; 0 takes any free one and prints which"


class Server(uvicorn.Server):
    """A server that leaves signals to the owner of the event loop, and accepts one connection at a time.

    Where descriptors run out, asyncio tries to accept as many connections as its backlog has places, and logs each.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        await super().startup(sockets)
        for each in sockets or ():
            each.listen(WAITING)
        self.listening.set()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Capture none."""
        yield


@asynccontextmanager
async def serve_health(
    live: LiveApp,
    port: int = 0,
    host: str = LOOPBACK,
    *,
    hosts: Collection[str] = (),
    limits: Limits = DEFAULT_LIMITS,
) -> AsyncGenerator[str]:
    """Serve the health of a live app from this event loop: `async with serve_health(live, 8080) as url`.

    `GET /health` answers 200 when the work goes on ("ok", or "degraded" when something is parked or has failed) and 503
    when it does not ("failing"), with the reasons; `GET /status` answers where everything stands. Both are JSON. Port 0
    is any free one; `PortUnavailable` when it cannot be had.

    It may be asked for by any address, by `localhost`, by `host` and by the names in `hosts`; a request for another
    name gets 403. `limits` bounds what clients may take of the process.
    """
    listening = _listen(host, port)
    refusals = Refusals()
    application = KnownHosts(_application(live), [host, *hosts], refusals)
    protocol: Any = partial(GuardedProtocol, limits=limits, refusals=refusals)
    server = Server(uvicorn.Config(application, http=protocol, **_SETTINGS))
    serving = asyncio.create_task(server.serve([listening]), name="health server")
    ready = asyncio.create_task(server.listening.wait())
    try:
        await asyncio.wait([serving, ready], return_when=asyncio.FIRST_COMPLETED)
        yield _url(listening)
    finally:
        ready.cancel()
        server.should_exit = True
        await asyncio.gather(serving, return_exceptions=True)
        listening.close()
        refusals.tell()


_SETTINGS: dict[str, Any] = {
    "headers": [("connection", "close"), ("cache-control", "no-store"), ("x-content-type-options", "nosniff")],
    "backlog": 1,
    "h11_max_incomplete_event_size": LARGEST_HEADER,
    "ws": "none",
    "proxy_headers": False,
    "server_header": False,
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
    return class_and_problem(value) if isinstance(value, BaseException) else str(value)

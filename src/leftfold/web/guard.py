"""What clients of the health may take: so many connections, for so long, and only by names that it is served by."""

import asyncio
import ipaddress
import logging
import re
from collections import Counter
from collections.abc import Collection
from time import monotonic
from typing import Any, NamedTuple, cast

import h11
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

log = logging.getLogger("leftfold.web")
requests_log = logging.getLogger("leftfold.web.requests")
requests_log.setLevel(logging.ERROR)  # uvicorn says a line for each request that is no HTTP

BUSY = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
UNKNOWN_NAME = "this server does not answer to the name {!r}; --health-host, or hosts= of serve_health, adds a name"
ANSWERING = (h11.SEND_RESPONSE, h11.SEND_BODY)
SECONDS_BETWEEN_LINES = 60.0
HOST = re.compile(r"(\[(?P<address>[^\[\]]+)\]|(?P<name>[^:\[\]@/]+))(:[0-9]*)?")


class Limits(NamedTuple):
    """What clients of the health endpoint may use.

    Each of `connections` carries one request. It is cut off when its request has not come within `request_seconds`, and
    when its answer has not gone within `answer_seconds`. If there are too many, the oldest one without a
    complete request is closed, so that a client that sends its request at once is always answered.
    """

    connections: int = 32
    request_seconds: float = 5.0
    answer_seconds: float = 60.0


class Refusals:
    """What was refused, told in one line a minute at most."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._told = -SECONDS_BETWEEN_LINES

    def __repr__(self) -> str:
        return f"<Refusals {sum(self._counts.values())} not told>"

    def add(self, what: str) -> None:
        """Count one; log all that were not logged yet, unless a line was logged just now."""
        self._counts[what] += 1
        now = monotonic()
        if now - self._told >= SECONDS_BETWEEN_LINES:
            self._told = now
            self.tell()

    def tell(self) -> None:
        """Log what was not logged yet."""
        if self._counts:
            log.warning("health: %s", "; ".join(f"{what}: {count:,}" for what, count in self._counts.items()))
            self._counts.clear()


class GuardedProtocol(H11Protocol):
    """A connection that carries one request and is cut off when it does not."""

    def __init__(self, *arguments: Any, limits: Limits, refusals: Refusals, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.logger = requests_log
        self._limits = limits
        self._refusals = refusals
        self._timer: asyncio.TimerHandle | None = None
        self._begun = self.loop.time()

    def __repr__(self) -> str:
        return f"<GuardedProtocol {'idle' if self.is_idle else 'being answered'}>"

    @property
    def is_idle(self) -> bool:
        """Whether no answer is being made: the request has not come yet, or the answer has only to be fetched."""
        return self.conn.our_state not in ANSWERING

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the request, or refuse the connection."""
        self.transport = cast("asyncio.Transport", transport)
        if not self._make_room():
            self._refusals.add("connections refused, since all that there may be were being answered")
            self.transport.write(BUSY)
            self.transport.close()
            return
        super().connection_made(self.transport)
        self._set_timer(self._limits.request_seconds, "connections cut off, since no whole request came in time")

    def data_received(self, data: bytes) -> None:
        """Read on, and give the answer its own time once the request is there."""
        waited = self.conn.our_state is h11.IDLE
        super().data_received(data)
        if waited and self.conn.our_state is not h11.IDLE:
            self._set_timer(self._limits.answer_seconds, "connections cut off, since the answer did not go in time")

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP."""
        self._refusals.add("requests refused that were not HTTP")
        super().send_400_response(msg)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def _make_room(self) -> bool:
        connections = cast("set[GuardedProtocol]", self.connections)
        if len(connections) < self._limits.connections:
            return True
        idle = [each for each in connections if each.is_idle]
        if not idle:
            return False
        min(idle, key=lambda each: each._begun)._cut("connections cut off before their request came, to make room")
        return True

    def _set_timer(self, seconds: float, reason: str) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, self._cut, reason)

    def _cut(self, reason: str) -> None:
        self._refusals.add(reason)
        self.connections.discard(self)
        self.transport.abort()


class KnownHosts:
    """An application that answers only requests for an address, for `localhost`, and for names that it was given.

    A web page whose own name is made to lead to this machine (DNS rebinding) asks by that name, which is none of them.
    """

    def __init__(self, application: ASGIApp, names: Collection[str], refusals: Refusals) -> None:
        self._application = application
        self._names = {"localhost", *(name.lower().rstrip(".") for name in names)}
        self._refusals = refusals

    def __repr__(self) -> str:
        return f"<KnownHosts {', '.join(sorted(self._names))}>"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse by name."""
        given = [value.decode("latin-1") for name, value in scope.get("headers", ()) if name == b"host"]
        unknown = [each for each in given if not self._knows(each)]
        if not unknown:
            await self._application(scope, receive, send)
            return
        self._refusals.add("requests refused for a Host that is not known")
        await JSONResponse({"error": UNKNOWN_NAME.format(unknown[0])}, 403)(scope, receive, send)

    def _knows(self, host: str) -> bool:
        name = _name_in(host)
        return name in self._names or name.endswith(".localhost") or _is_address(name)


def _name_in(host: str) -> str:
    """Return the name or address of a Host header, without brackets and port; "" if it is malformed."""
    found = HOST.fullmatch(host)
    return (found["address"] or found["name"]).lower().rstrip(".") if found else ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True

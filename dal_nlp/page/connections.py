"""The connections of the page's server: none is held open by a client that does not ask for anything.

A browser sends its request at once. What has not sent the whole head of one in ``HEAD_SECONDS`` is closed, and where a
peer address has ``PER_PEER`` connections, or all have ``most_connections()``, a new one takes the place of the one
that has been silent longest. So the page stays there for people, however many connections somebody leaves half open.
"""

import asyncio
import resource
from collections.abc import Iterable
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

#: Seconds in which the head of a request is to be there, and connections that one address may have.
HEAD_SECONDS, PER_PEER = 10.0, 64
#: Connections that wait to be taken up; few, as each that is taken up takes a file of the process.
BACKLOG = 64
#: Seconds between two refusals of a wrong token to one address, and how many of them it gets at once first.
BETWEEN_GUESSES, AT_ONCE = 1.0, 10


def settings(app: ASGIApp) -> uvicorn.Config:
    """Return how the page is served."""
    return uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        log_level="warning",
        access_log=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=3,
    )


def most_connections() -> int:
    """Return how many connections there may be at a time: half of the files that the process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 512 if soft == resource.RLIM_INFINITY else max(16, min(512, soft // 2))


class Connection(H11Protocol):
    """One connection, which is closed while it asks for nothing."""

    _waits_for_head: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection up, if there is room for it."""
        super().connection_made(transport)
        self.peer = self.client[0] if self.client else ""
        self._since = self.loop.time()
        others = [other for other in self.connections if isinstance(other, Connection) and other is not self]
        of_peer = [other for other in others if other.peer == self.peer]
        if len(of_peer) >= PER_PEER:
            _make_room(of_peer, self)
        elif len(others) >= most_connections():
            _make_room(others, self)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_watching()
        super().connection_lost(exc)

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def idle_since(self) -> float:
        """When the connection was made; the longest silent one is the oldest of those that are idle."""
        return self._since

    def close(self) -> None:
        """End the connection without waiting for the client."""
        self._stop_watching()
        self.transport.abort()
        self.connections.discard(self)

    def _watch(self) -> None:
        """Start the clock where a head is to come, and stop it where one is there."""
        if not self.is_idle:
            self._stop_watching()
        elif self._waits_for_head is None:
            self._waits_for_head = self.loop.call_later(HEAD_SECONDS, self.close)

    def _stop_watching(self) -> None:
        if self._waits_for_head is not None:
            self._waits_for_head.cancel()
            self._waits_for_head = None


def _make_room(others: Iterable[Connection], new: Connection) -> None:
    """Close the oldest of the connections that ask for nothing; where all are being answered, the new one."""
    idle = [other for other in others if other.is_idle]
    (min(idle, key=lambda other: other.idle_since) if idle else new).close()


class Brake:
    """Slows down who guesses the token: after a few, an address is refused once in ``BETWEEN_GUESSES`` seconds."""

    def __init__(self) -> None:
        self._next: dict[str, float] = {}

    async def wait(self, scope: Any) -> None:
        """Wait until this client's next refusal is due."""
        loop = asyncio.get_running_loop()
        now, peer = loop.time(), (scope.get("client") or ("",))[0]
        self._next = {other: due for other, due in self._next.items() if due > now}
        due = self._next.get(peer, now)
        self._next[peer] = due + BETWEEN_GUESSES
        await asyncio.sleep(max(0.0, due - now - (AT_ONCE - 1) * BETWEEN_GUESSES))

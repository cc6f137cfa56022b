"""The port of `[schedule] listen`: two pages of HTTP, and nothing that a stranger can hold up."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from ipaddress import ip_address
from typing import TYPE_CHECKING

from invites.errors import SettingsError
from invites.jobs.health import Health

if TYPE_CHECKING:
    from invites.settings.types import Listen

MOST_CONNECTIONS = 64
"""More than these at once would take the file handles that ledger and mail need."""

REQUEST_SECONDS = 5.0
"""How long a request may take, all of it; a supervisor's comes in one piece."""

REQUEST_BYTES = 8192


@contextmanager
def serving(health: Health, listen: Listen | None) -> Iterator[int | None]:
    """Answer on `listen` while the block lasts; gives the port, None where nothing listens.

    Raises SettingsError for an address that can't be listened on.
    """
    if listen is None:
        yield None
        return
    try:
        family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
        sock = socket.create_server((listen.host, listen.port), family=family, backlog=128)
    except OSError as error:
        raise SettingsError(
            f"[schedule] listen: {listen.host}:{listen.port} can't be listened on "
            f"({error.strerror or error}); expected a free address of this machine"
        ) from None
    loop = asyncio.new_event_loop()
    # Whoever resets a connection is no news for the log.
    loop.set_exception_handler(lambda _loop, _context: None)
    endpoint = _Endpoint(health, _names_of(listen))
    thread = threading.Thread(
        target=loop.run_until_complete, args=(endpoint.serve(sock),), name="health", daemon=True
    )
    thread.start()
    try:
        yield sock.getsockname()[1]
    finally:
        loop.call_soon_threadsafe(endpoint.ended.set)
        thread.join()
        loop.close()


class _Endpoint:
    """Answers each connection once, and closes it."""

    def __init__(self, health: Health, names: frozenset[str]) -> None:
        self.ended = asyncio.Event()
        self._health, self._names = health, names
        self._open: dict[asyncio.StreamWriter, None] = {}

    async def serve(self, sock: socket.socket) -> None:
        server = await asyncio.start_server(self._connected, sock=sock, limit=REQUEST_BYTES)
        await self.ended.wait()
        server.close()
        for writer in self._open:
            writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Slow ones can't keep a supervisor out: whoever came first makes room for the latest.
        self._open[writer] = None
        if len(self._open) > MOST_CONNECTIONS:
            oldest = next(iter(self._open))
            self._open.pop(oldest)
            oldest.transport.abort()
        faults = (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError)
        with suppress(*faults):
            async with asyncio.timeout(REQUEST_SECONDS):
                request = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer_to(request.decode("latin-1")))
                await writer.drain()
        self._open.pop(writer, None)
        writer.close()

    def _answer_to(self, request: str) -> bytes:
        line, *headers = request.split("\r\n")
        method, _, rest = line.partition(" ")
        hosts = [h.partition(":")[2].strip() for h in headers if h.lower().startswith("host:")]
        if any(_host(host) not in self._names and not _is_ip(_host(host)) for host in hosts):
            # A page in somebody's browser reaches this port under a name of its own.
            text = "this name is not the one of [schedule] listen\n"
            return _page(HTTPStatus.MISDIRECTED_REQUEST, text)
        if method not in {"GET", "HEAD"}:
            return _page(HTTPStatus.METHOD_NOT_ALLOWED, "GET /healthz or /metrics\n")
        answer = self._page_at(rest.split(" ")[0].partition("?")[0])
        return answer if method == "GET" else answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"

    def _page_at(self, path: str) -> bytes:
        match path:
            case "/healthz":
                alive, facts = self._health.healthz()
                status = HTTPStatus.OK if alive else HTTPStatus.SERVICE_UNAVAILABLE
                return _page(status, json.dumps(facts) + "\n", "application/json")
            case "/metrics":
                return _page(HTTPStatus.OK, self._health.metrics(), "text/plain; version=0.0.4")
            case _:
                return _page(HTTPStatus.NOT_FOUND, "/healthz or /metrics\n")


def _page(status: HTTPStatus, text: str, kind: str = "text/plain") -> bytes:
    body = text.encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        "Server: invites",
        f"Content-Type: {kind}; charset=utf-8",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "Connection: close",
    )
    return "\r\n".join((*head, "", "")).encode() + body


def _names_of(listen: Listen) -> frozenset[str]:
    """Return the names, besides plain addresses, by which this port is asked for."""
    names = {listen.host, "localhost"}
    if not (_is_ip(listen.host) and ip_address(listen.host).is_loopback):
        names |= {socket.gethostname(), socket.getfqdn()}
    return frozenset(name.lower() for name in names)


def _host(text: str) -> str:
    """Return a Host header's name or address without its port."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0].lower()


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True

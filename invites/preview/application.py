"""The page and what it asks for, on loopback and behind a random access key."""

from __future__ import annotations

import hmac
import re
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from threading import Lock
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from invites.errors import InvitesError
from invites.invitation import Invitation
from invites.messages.mime import html_of
from invites.preview.view import View, Watcher, described

HOST: Final = "127.0.0.1"
_DARK_SCHEME = re.compile(rb"\(\s*prefers-color-scheme\s*:\s*dark\s*\)")
_ALWAYS, _NEVER = b"(min-width: 0)", b"(max-width: 0)"

# The page loads nothing from elsewhere and sends its address, which holds the key, nowhere.
_PAGE_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "connect-src 'self'; frame-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'"
)
# A mail runs no script here either; a logo or an avatar may come from where the roster says.
_MAIL_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src https: data:; sandbox"
_PRIVATE = {
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
_NOT_FOUND = PlainTextResponse("not found", 404, headers=_PRIVATE)


def application(watcher: Watcher, key: str) -> Starlette:
    """Return the application; whoever does not know `key` gets 404 for everything."""
    answers = _Answers(watcher)
    routes = {
        "/{key}/": answers.page,
        "/{key}/state.json": answers.state,
        "/{key}/mail/{meeting:int}/{attendee:int}/{kind}/{part}": answers.part,
    }
    return Starlette(
        routes=[Route(path, _guarded(answer, key)) for path, answer in routes.items()],
        # Another site's script can point a name at this address; its Host is not ours.
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])],
    )


def _guarded(
    answer: Callable[[Request], Response], key: str
) -> Callable[[Request], Awaitable[Response]]:
    async def handle(request: Request) -> Response:
        if not hmac.compare_digest(request.path_params["key"].encode(), key.encode()):
            return _NOT_FOUND
        return await run_in_threadpool(answer, request)

    return handle


class _Answers:
    """What each address answers, from the state of now."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._reading = Lock()  # two tabs ask at once; everything is read once
        self._page = files("invites.preview").joinpath("page.html").read_text(encoding="utf-8")

    def _view(self) -> View:
        with self._reading:
            return self._watcher.current()

    def page(self, _request: Request) -> Response:
        """Return the page itself, which asks for all else."""
        headers = {**_PRIVATE, "Content-Security-Policy": _PAGE_POLICY}
        return HTMLResponse(self._page, headers=headers)

    def state(self, request: Request) -> Response:
        """Return what is listed; 204 where the page has it already."""
        view = self._view()
        if request.query_params.get("known") == str(view.version):
            return Response(status_code=204, headers=_PRIVATE)
        return JSONResponse(view.document(), headers=_PRIVATE)

    def part(self, request: Request) -> Response:
        """Return one message, or a part of it; 422 with the reason where it can't be made."""
        view, asked = self._view(), request.path_params
        language = request.query_params.get("language", "")
        try:
            invitation = view.message(asked["meeting"], asked["attendee"], asked["kind"], language)
        except InvitesError as error:
            return PlainTextResponse(str(error), 422, headers=_PRIVATE)
        if invitation is None:
            return _NOT_FOUND
        if asked["part"] == "parts.json":
            return JSONResponse(described(invitation, view), headers=_PRIVATE)
        return _part(invitation, asked["part"], dark=request.query_params.get("dark") == "1")


def _part(invitation: Invitation, part: str, *, dark: bool) -> Response:
    """Return one part of a message as a browser shows or saves it."""
    match part:
        case "mail.html":
            # The scheme is chosen on the page, not in the browser's settings.
            html = _DARK_SCHEME.sub(_ALWAYS if dark else _NEVER, html_of(invitation.eml))
            return HTMLResponse(html, headers={**_PRIVATE, "Content-Security-Policy": _MAIL_POLICY})
        case "invitation.eml":
            return _download(invitation.eml, "message/rfc822", part)
        case "invitation.ics" if invitation.ics:
            return _download(invitation.ics, "text/calendar; charset=utf-8", part)
        case _:
            return _NOT_FOUND


def _download(octets: bytes, media_type: str, name: str) -> Response:
    disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(octets, media_type=media_type, headers={**_PRIVATE, **disposition})


class _Server(uvicorn.Server):
    """A server that a signal ends in order, as it is meant to be ended."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        def end(_number: int, _frame: object) -> None:
            self.should_exit = True

        before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def serve(app: Starlette, *, port: int, on_ready: Callable[[int], None]) -> None:
    """Serve until a signal comes; `on_ready` is told the port, a free one where `port` is 0.

    Raises OSError where the port is taken.
    """
    config = uvicorn.Config(
        app, log_level="critical", access_log=False, lifespan="off", server_header=False
    )
    with socket.create_server((HOST, port)) as listening:
        on_ready(listening.getsockname()[1])
        _Server(config).run([listening])

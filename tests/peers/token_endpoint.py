"""A sign-in service over HTTPS that gives tokens for client credentials (RFC 6749 4.4)."""

from __future__ import annotations

import json
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qs, urlsplit


@dataclass
class TokenEndpoint:
    """Knows one tenant and its clients; used as a context manager."""

    tls: ssl.SSLContext
    tenant: str
    clients: dict[str, str]
    token: str = "made-up-access-token"
    asked: list[dict[str, str]] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Listen on a free port of 127.0.0.1."""
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                endpoint._discover(self)

            def do_POST(self) -> None:
                endpoint._give(self)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._server.shutdown()
        self._thread.join(5)
        self._server.server_close()

    @property
    def authority(self) -> str:
        """The address of the tenant."""
        return f"https://localhost:{self._server.server_port}/{self.tenant}"

    def _discover(self, request: BaseHTTPRequestHandler) -> None:
        if not urlsplit(request.path).path.startswith(f"/{self.tenant}/v2.0/.well-known"):
            self._answer(request, 404, {"error": "invalid_tenant"})
            return
        facts = {
            "issuer": f"{self.authority}/v2.0",
            "token_endpoint": f"{self.authority}/oauth2/v2.0/token",
            "authorization_endpoint": f"{self.authority}/oauth2/v2.0/authorize",
        }
        self._answer(request, 200, facts)

    def _give(self, request: BaseHTTPRequestHandler) -> None:
        length = int(request.headers["Content-Length"])
        form = {
            key: values[0] for key, values in parse_qs(request.rfile.read(length).decode()).items()
        }
        self.asked.append(form)
        if self.clients.get(form.get("client_id", "")) != form.get("client_secret"):
            fault = {
                "error": "invalid_client",
                "error_description": f"AADSTS7000215: not {form.get('client_secret')}",
                "error_codes": [7000215],
            }
            self._answer(request, 401, fault)
            return
        grant = {"token_type": "Bearer", "expires_in": 3599, "access_token": self.token}
        self._answer(request, 200, grant)

    def _answer(self, request: BaseHTTPRequestHandler, status: int, facts: object) -> None:
        body = json.dumps(facts).encode()
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

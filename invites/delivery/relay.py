"""The relay that mail is handed to, as one frozen value, and where its secret comes from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from invites.settings.values import RateLimit

Security = Literal["starttls", "tls", "none"]
Mechanism = Literal["login", "plain", "xoauth2"]


def no_secret() -> str:
    """Return the secret of a relay that wants no login."""
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """A mail server and how to talk to it.

    `username` None means no login.  `secret` gives the password, or for xoauth2 a fresh access
    token; it is called at each login and its answer is kept nowhere.
    `timeout` and `data_timeout` are seconds for one whole phase, however slowly a server trickles.
    `ca_file` stands in for the system's certificate authorities, as SSL_CERT_FILE does.
    `pipelining` false forgoes RFC 2920 where the server offers it.
    """

    host: str
    port: int = 587
    security: Security = "starttls"
    allow_plaintext: bool = False
    username: str | None = None
    auth: Mechanism = "login"
    secret: Callable[[], str] = field(default=no_secret, repr=False)
    rate: tuple[RateLimit, ...] = ()
    connections: int = 1
    timeout: float = 60.0
    data_timeout: float = 600.0
    ca_file: Path | None = None
    pipelining: bool = True

    @property
    def name(self) -> str:
        """The relay as messages name it."""
        return f"{self.host}:{self.port}"

"""The url of the Jitsi server, and which hosts are this machine itself."""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import urlsplit

from invites.jitsi.rooms import tenant_from_path
from invites.settings.values import Unfit, text

JAAS_URL: Final = "https://8x8.vc"
"""Where 8x8 serves JaaS; an app's rooms are below its AppID."""

_EXPECTED = "an address such as https://meet.example.com or https://meet.example.com/tenant"


def server_url(value: object) -> str:
    """Return the url without trailing slash: https (or http), a host, at most a tenant's path."""
    url = text(value)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Unfit(_EXPECTED) from None
    if parts.scheme not in {"https", "http"} or not parts.hostname or port == 0:
        raise Unfit(_EXPECTED)
    if parts.username is not None or parts.query or parts.fragment or "?" in url or "#" in url:
        raise Unfit(_EXPECTED, remedy="leave out login, ?query and #fragment")
    if any(char.isspace() for char in url):
        raise Unfit(_EXPECTED, remedy="leave out the blanks")
    tenant_from_path(parts.path)
    host = _ascii_host(parts.hostname)
    bracketed = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{bracketed}{f':{port}' if port else ''}{parts.path.rstrip('/')}"


def _ascii_host(host: str) -> str:
    """Return a host in lower case and A-labels, as browsers and certificates have it."""
    if host.isascii():
        return host.lower()
    import idna  # noqa: PLC0415 - only where a name needs it

    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError:
        raise Unfit(_EXPECTED) from None


def is_loopback(host: str) -> bool:
    """Return whether `host` (a name or an address, no port) is this machine itself."""
    bare = host.strip("[]").rstrip(".").lower()
    if bare == "localhost" or bare.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return False


def host_name(value: object) -> str:
    """Return the name or address of a mail server, without port or scheme."""
    host = text(value)
    bare = host.removeprefix("[").removesuffix("]")
    try:
        ipaddress.ip_address(bare)
    except ValueError:
        if any(char in host for char in ":/@ []"):
            raise Unfit(
                "a host name or address such as smtp.example.com",
                remedy="the port has its own key, port",
            ) from None
        return host
    return bare

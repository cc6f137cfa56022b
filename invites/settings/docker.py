"""The names of Jitsi's docker set-up: whoever has its `.env` at hand has nothing to translate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from invites.settings.layers import Layer

DEFAULT_XMPP_DOMAIN: Final = "meet.jitsi"
"""The XMPP domain of docker-jitsi-meet where `.env` names none."""

_TRUE: Final = frozenset({"1", "true", "yes", "on", "y", "t"})


def docker_layer(environ: Mapping[str, str]) -> Layer:
    """Return the layer of docker-jitsi-meet's variables; an empty one counts as absent."""
    layer = Layer()
    if url := environ.get("PUBLIC_URL", "").strip():
        layer.give(("jitsi", "url"), url if "://" in url else f"https://{url}", "PUBLIC_URL")
    _take_issuer(layer, environ)
    audiences = _listed(environ, "JWT_ACCEPTED_AUDIENCES")
    if audiences:
        layer.give(("jitsi", "audience"), audiences[0], "JWT_ACCEPTED_AUDIENCES")
    if secret := environ.get("JWT_APP_SECRET"):
        layer.give(("jitsi", "secret"), secret, "JWT_APP_SECRET")
    if algorithm := environ.get("JWT_SIGN_TYPE", "").strip():
        layer.give(("jitsi", "algorithm"), algorithm, "JWT_SIGN_TYPE")
    elif environ.get("JWT_ASAP_KEYSERVER"):
        layer.give(("jitsi", "algorithm"), "RS256", "JWT_ASAP_KEYSERVER")
    return layer


def _take_issuer(layer: Layer, environ: Mapping[str, str]) -> None:
    """The token's issuer: the app id, unless the server accepts others and not that one."""
    app_id = environ.get("JWT_APP_ID", "").strip()
    accepted = _listed(environ, "JWT_ACCEPTED_ISSUERS")
    if accepted and app_id not in accepted:
        layer.give(("jitsi", "app_id"), accepted[0], "JWT_ACCEPTED_ISSUERS")
    elif app_id:
        layer.give(("jitsi", "app_id"), app_id, "JWT_APP_ID")


def _listed(environ: Mapping[str, str], name: str) -> list[str]:
    """Return the names of a comma-separated variable; none where it accepts everything."""
    items = [item.strip() for item in environ.get(name, "").split(",") if item.strip()]
    return [] if "*" in items else items


def xmpp_domain(environ: Mapping[str, str]) -> str | None:
    """Return the domain that the server compares `sub` with, where the environment says it."""
    if domain := environ.get("XMPP_DOMAIN", "").strip():
        return domain
    verifies = environ.get("JWT_ENABLE_DOMAIN_VERIFICATION", "").strip().lower() in _TRUE
    return DEFAULT_XMPP_DOMAIN if verifies else None

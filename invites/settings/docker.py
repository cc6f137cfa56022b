"""The names of Jitsi's docker set-up: whoever has its `.env` at hand has nothing to translate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from invites.settings.layers import KeyPath, Layer, key_name

DEFAULT_XMPP_DOMAIN: Final = "meet.jitsi"
"""The XMPP domain of docker-jitsi-meet where `.env` names none."""

NAMES: Final[dict[KeyPath, str]] = {
    ("jitsi", "url"): "PUBLIC_URL",
    ("jitsi", "app_id"): "JWT_APP_ID",
    ("jitsi", "secret"): "JWT_APP_SECRET",
}
"""The variable that gives a value which `invites` can't do without."""

ANY: Final = "*"
"""What a list has where the server accepts everything."""

_TRUE: Final = frozenset({"1", "true", "yes", "on", "y", "t"})


def docker_layer(environ: Mapping[str, str]) -> Layer:
    """Return the layer of docker-jitsi-meet's variables; an empty one counts as absent."""
    layer = Layer()

    def give(key: str, value: str, name: str) -> None:
        path = ("jitsi", key)
        layer.give(path, value, f"{name}: {key_name(path)}")

    if url := environ.get("PUBLIC_URL", "").strip():
        give("url", url if "://" in url else f"https://{url}", "PUBLIC_URL")
    if issuer := _issuer(environ):
        give("app_id", *issuer)
    audiences = _listed(environ, "JWT_ACCEPTED_AUDIENCES")
    if audiences and audiences[0] != ANY:
        give("audience", audiences[0], "JWT_ACCEPTED_AUDIENCES")
    if secret := environ.get("JWT_APP_SECRET"):
        give("secret", secret, "JWT_APP_SECRET")
    if algorithm := environ.get("JWT_SIGN_TYPE", "").strip():
        give("algorithm", algorithm, "JWT_SIGN_TYPE")
    elif environ.get("JWT_ASAP_KEYSERVER", "").strip():
        give("algorithm", "RS256", "JWT_ASAP_KEYSERVER")
    return layer


def _issuer(environ: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the token's issuer and its variable: the app id, or the first accepted issuer.

    The second only where the server accepts others and not the app id: it would refuse that.
    """
    app_id = environ.get("JWT_APP_ID", "").strip()
    accepted = _listed(environ, "JWT_ACCEPTED_ISSUERS")
    if accepted and ANY not in accepted and app_id not in accepted:
        return accepted[0], "JWT_ACCEPTED_ISSUERS"
    return (app_id, "JWT_APP_ID") if app_id else None


def _listed(environ: Mapping[str, str], name: str) -> list[str]:
    return [item.strip() for item in environ.get(name, "").split(",") if item.strip()]


def xmpp_domain(environ: Mapping[str, str]) -> str | None:
    """Return the domain that the server compares `sub` with, where the environment says it.

    A server that verifies domains and names none has the docker set-up's own.
    """
    if domain := environ.get("XMPP_DOMAIN", "").strip():
        return domain
    verifies = environ.get("JWT_ENABLE_DOMAIN_VERIFICATION", "").strip().lower() in _TRUE
    return DEFAULT_XMPP_DOMAIN if verifies else None

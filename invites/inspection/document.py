"""An inspection as one JSON document; neither token nor secret is in it."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

from invites.core.claims import instant, is_number

if TYPE_CHECKING:
    from invites.core.admission import Verdict
    from invites.core.claims import Sentence
    from invites.core.links import Link
    from invites.inspection.assessing import Inspected, Inspection


def document(inspection: Inspection) -> dict[str, Any]:
    """Return the facts for `--json`; times are in UTC, as `2031-01-01T08:44:00Z`."""
    return {
        "kind": inspection.material.kind,
        "admitted": inspection.admitted,
        "disagreement": list(inspection.material.disagreement),
        "tokens": [_token(each) for each in inspection.tokens],
    }


def _token(each: Inspected) -> dict[str, Any]:
    token, link = each.found.token, each.found.link
    return {
        "found_in": list(each.found.places),
        "link": None if link is None else _link(link),
        "header": _printable(dict(token.header)),
        "claims": _printable(dict(token.claims)),
        "not_before": _time(token.claims.get("nbf")),
        "expires": _time(token.claims.get("exp")),
        "signature": {"state": each.signature.state, "text": each.signature.text},
        "roles": [
            {"server": role.server, "moderator": role.moderator, "text": role.text}
            for role in each.roles
        ],
        "cautions": _sentences(each.cautions),
        "verdicts": [_verdict(verdict) for verdict in each.verdicts],
    }


def _link(link: Link) -> dict[str, Any]:
    return {
        "host": link.host,
        "tenant": link.tenant or None,
        "room": link.room,
        "token_in": "query" if link.place == "query" else "fragment",
        "characters": link.length,
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "at": f"{verdict.at:%Y-%m-%dT%H:%M:%SZ}",
        "admitted": verdict.admitted,
        "reasons": _sentences(verdict.refusals),
    }


def _sentences(sentences: tuple[Sentence, ...]) -> list[dict[str, str]]:
    return [{"code": each.code, "text": each.text} for each in sentences]


def _time(value: object) -> str | None:
    moment = instant(value) if is_number(value) else None
    return None if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _printable(value: Any) -> Any:
    """Return a JSON value whose lone surrogates, which no stream takes, are escapes; infinity is text."""
    match value:
        case str():
            return value.encode("utf-8", "backslashreplace").decode("utf-8")
        case dict():
            return {_printable(name): _printable(each) for name, each in value.items()}
        case float() if not isfinite(value):
            return str(value)
        case list():
            return [_printable(each) for each in value]
        case _:
            return value

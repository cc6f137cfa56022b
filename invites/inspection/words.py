"""An inspection in lines for people; neither token nor secret is in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, assert_never

from invites.jitsi.admission import AdmissionState
from invites.jitsi.claims import (
    in_words,
    instant_text,
    is_any_of,
    is_number,
    is_text,
    mapping,
    numeric_date,
)
from invites.jitsi.rooms import room_text
from invites.planning.changes import told_series
from invites.problems import escaped
from invites.text import counted
from invites.times import iso_z

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

    from invites.inspection.judging import InspectedToken, Inspection
    from invites.jitsi.admission import Admission, Remark
    from invites.jitsi.links import Link
    from invites.model import Meeting, Occurrence

_LABEL: Final = 11
_TOLD: Final = {"iss", "aud", "sub", "room", "nbf", "exp", "moderator", "context"}
_USER_TOLD: Final = {"name", "email", "moderator", "affiliation", "lobby_bypass"}


def lines(inspection: Inspection, *, zone: tzinfo | None) -> Iterator[str]:
    """Yield the lines that explain an inspection, with times in `zone` (None: the machine's)."""
    for each in inspection.contents.disagreement:
        yield f"! {each}"
    if (date := inspection.contents.date) is not None:
        times = f"{_local(date.start, zone)} to {_local(date.end, zone)}"
        times = "cancelled, it does not take place" if date.cancelled else times
        by_rule = f"one date of a series, by its rule {_local(date.original, zone)}"
        yield _labelled("Date", f"{by_rule}: {times}")
    if inspection.contents.meeting is not None:
        instants = [verdict.at for one in inspection.tokens[:1] for verdict in one.verdicts]
        yield from _date_lines(inspection.contents.meeting, instants, zone)
    if inspection.contents.of_dates:
        has = counted(len(inspection.tokens), "link") if inspection.tokens else "none yet"
        yield _labelled(
            "Links", f"each date has a link of its own; this {inspection.contents.kind} has {has}"
        )
    for number, token in enumerate(inspection.tokens, start=1):
        if number > 1:
            yield ""
        if len(inspection.tokens) > 1:
            yield f"Link {number} of {len(inspection.tokens)}"
        yield from _token_lines(token, zone)


def _token_lines(each: InspectedToken, zone: tzinfo | None) -> Iterator[str]:
    token, link = each.found.token, each.found.link
    for verdict in each.verdicts:
        yield from _verdict_lines(verdict, zone)
    yield from (f"! {caution.text}" for caution in each.cautions)
    if each.found.places:
        yield _labelled("Found in", ", ".join(each.found.places))
    if link is not None:
        yield _labelled("Link", _link_words(link))
    yield from _claim_lines(token.claims)
    yield from _window_lines(token.claims, zone)
    yield _labelled("Signature", f"{_algorithm(token.header)}. {each.signature.text}")
    yield _labelled("Role", "what the token makes of its bearer depends on the server's plugins:")
    yield from (f"{'':{_LABEL}} - {role.server}: {role.text}" for role in each.roles)


def _date_lines(
    meeting: Meeting, instants: Sequence[datetime], zone: tzinfo | None
) -> Iterator[str]:
    """Yield how the meeting repeats, and what its dates are at these instants."""
    from invites.templating.repeating import told_words  # noqa: PLC0415 - it brings Babel

    told = told_series(meeting)
    if isinstance(told, str):
        dates = counted(len(meeting.starts), "date")
        yield _labelled("Dates", f"{told_words(told)}; {dates}")
    for at in instants:
        date = meeting.next_date(at)
        then = time_words(at.timestamp(), zone)
        if date is None:
            yield f"{'':{_LABEL}} - at {then} the last date is over"
        elif date.start <= at:
            yield f"{'':{_LABEL}} - at {then} a date runs, until {_local(date.end, zone)}"
        else:
            yield f"{'':{_LABEL}} - at {then} no date runs; the next is {_local(date.start, zone)}"


def _labelled(label: str, text: str) -> str:
    return f"{label:<{_LABEL}} {text}"


def _link_words(link: Link) -> str:
    room = "no room" if link.room is None else f'room "{escaped(room_text(link.room))}"'
    tenant = f', tenant "{escaped(link.tenant)}"' if link.tenant else ""
    where = "in the query" if link.place == "query" else "in the fragment"
    return f"{room} on {escaped(link.host)}{tenant}; the token stands {where}"


def _claim_lines(claims: Mapping[str, Any]) -> Iterator[str]:
    context = mapping(claims.get("context"))
    user = mapping(context.get("user"))
    yield _labelled("For", _person(user))
    yield _labelled("Room", _room_words(claims.get("room")))
    for label, name in (("Issuer", "iss"), ("Audience", "aud"), ("Subject", "sub")):
        yield _labelled(label, f"{_said(claims.get(name))} ({name})")
    yield _labelled("Features", _feature_words(context))
    others = {f"context.user.{name}": user[name] for name in user if name not in _USER_TOLD}
    others |= {
        f"context.{name}": context[name] for name in context if name not in ("user", "features")
    }
    others |= {name: claims[name] for name in claims if name not in _TOLD}
    if others:
        told = ", ".join(f"{escaped(name)} {in_words(value)}" for name, value in others.items())
        yield _labelled("Also", told)


def _person(user: Mapping[str, Any]) -> str:
    name, email = user.get("name"), user.get("email")
    known = [escaped(name)] if is_text(name) else []
    known += [f"<{escaped(email)}>"] if is_text(email) else []
    return " ".join(known) or "nobody by name"


def _room_words(claim: object) -> str:
    if claim == "*":
        return "* (EVERY room of the server)"
    if not is_text(claim):
        return _said(claim)
    plain = room_text(claim)
    return (
        f'"{escaped(plain)}"'
        if plain == claim
        else f'"{escaped(plain)}", claimed as {escaped(claim)}'
    )


def _feature_words(context: Mapping[str, Any]) -> str:
    features = context.get("features")
    if not isinstance(features, Mapping):
        return "none named: moderators get the server's defaults"
    allowed = [
        escaped(name) for name, value in features.items() if is_any_of(value, (True, "true"))
    ]
    return f"exactly these: {', '.join(allowed)}" if allowed else "none, as the token says"


def _said(value: object) -> str:
    return "missing" if value is None else in_words(value)


def _algorithm(header: Mapping[str, Any]) -> str:
    algorithm, key_id = header.get("alg"), header.get("kid")
    named = escaped(algorithm) if is_text(algorithm) else "no algorithm"
    return f"{named}, key {escaped(key_id)}" if is_text(key_id) else named


def _window_lines(claims: Mapping[str, Any], zone: tzinfo | None) -> Iterator[str]:
    opens, closes = claims.get("nbf"), claims.get("exp")
    yield _labelled("Valid from", time_words(opens, zone) if is_number(opens) else "no beginning")
    yield _labelled("Valid until", time_words(closes, zone) if is_number(closes) else "NO END")


def time_words(seconds: float, zone: tzinfo | None) -> str:
    """Return a time claim in the reader's zone and in UTC."""
    moment = numeric_date(seconds)
    if moment is None:
        return instant_text(seconds)
    try:
        return f"{_local(moment, zone)} = {instant_text(seconds)}"
    except (ValueError, OverflowError):
        return instant_text(seconds)


def _local(moment: datetime, zone: tzinfo | None) -> str:
    local = moment.astimezone(zone)
    offset = f"{local:%z}"
    return f"{local:%a %Y-%m-%d %H:%M:%S %Z} (UTC{offset[:3]}:{offset[3:5]})"


def _verdict_lines(verdict: Admission, zone: tzinfo | None) -> Iterator[str]:
    at = time_words(verdict.at.timestamp(), zone)
    match verdict.state:
        case AdmissionState.ADMITTED:
            yield f"ADMITTED at {at}"
        case AdmissionState.DEPENDS:
            yield f"DEPENDS ON THE SERVER at {at}"
        case AdmissionState.OPENS:
            opens = time_words((verdict.opens or verdict.at).timestamp(), zone)
            yield f"OPENS at {opens}"
            yield f"  - It is not open yet at {at}; Jitsi allows no leeway."
        case AdmissionState.REFUSED:
            yield f"REFUSED at {at}"
            yield from (f"  - {refusal.text}" for refusal in verdict.refusals)
        case _:
            assert_never(verdict.state)
    before = "" if verdict.state is AdmissionState.DEPENDS else "It depends on the server: "
    yield from (f"  - {before}{doubt.text}" for doubt in verdict.doubts)


def document(inspection: Inspection) -> dict[str, Any]:
    """Return the facts for `--json`; times are in UTC, as `2031-01-01T08:44:00Z`."""
    return {
        "kind": inspection.contents.kind,
        "admitted": inspection.admitted,
        "disagreement": list(inspection.contents.disagreement),
        "dates": _dates(inspection.contents.meeting),
        "date": _date(inspection.contents.date),
        "links_of_dates": inspection.contents.of_dates,
        "tokens": [_token(each) for each in inspection.tokens],
    }


def _date(date: Occurrence | None) -> dict[str, str | bool] | None:
    if date is None:
        return None
    times = {"original": date.original, "start": date.start, "end": date.end}
    return {**{name: iso_z(at) for name, at in times.items()}, "cancelled": date.cancelled}


def _dates(meeting: Meeting | None) -> list[dict[str, str]] | None:
    if meeting is None or meeting.series is None:
        return None
    dates = sorted(meeting.series.taking_place, key=lambda one: one.start)
    return [{"start": iso_z(one.start), "end": iso_z(one.end)} for one in dates]


def _token(each: InspectedToken) -> dict[str, Any]:
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
        "cautions": _remarks(each.cautions),
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


def _verdict(verdict: Admission) -> dict[str, Any]:
    return {
        "at": iso_z(verdict.at.replace(microsecond=0)),
        "admitted": verdict.admitted,
        "state": verdict.state.value,
        "opens_at": None if verdict.opens is None else iso_z(verdict.opens),
        "reasons": _remarks(verdict.refusals),
        "depends_on": _remarks(verdict.doubts),
    }


def _remarks(remarks: tuple[Remark, ...]) -> list[dict[str, str]]:
    return [{"code": each.code, "text": each.text} for each in remarks]


def _time(value: object) -> str | None:
    moment = numeric_date(value) if is_number(value) else None
    return None if moment is None else iso_z(moment.replace(microsecond=0))


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

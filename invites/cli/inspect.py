"""`invites inspect`: a link, token, .eml or .ics explained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from invites.cli.options import Call, clock
from invites.errors import Exit, SettingsError, UsageError
from invites.problems import on_one_line

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

    from invites.invitation import Server
    from invites.jitsi.tokens import SigningKey
    from invites.settings import Settings

STANDARD_INPUT = "-"

InputArgument = Annotated[
    str,
    typer.Argument(metavar="LINK|TOKEN|FILE|-", help="What to explain; - reads standard input."),
]
AtOption = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="TIME",
        help="Judge at this time too, and exit by it: ISO 8601; without offset in the zone shown.",
    ),
]
TimezoneOption = Annotated[
    str | None,
    typer.Option(
        "--timezone", metavar="ZONE", help="Show times in this IANA zone, not the meeting's."
    ),
]


def inspect(
    call: Call, what: InputArgument, at: AtOption = None, timezone: TimezoneOption = None
) -> int:
    """Explain a join link, token, .eml or .ics: whether, when and as what it is admitted.

    Keep a token out of the process list and the shell's history by piping it:

        ... | invites inspect -

    The signature is checked where the settings have the secret or key.  What hangs on how the
    server is set up is said to; JWT_ENABLE_DOMAIN_VERIFICATION and Jitsi's other docker names in
    the environment decide it.  Times are in the meeting's zone where the message tells it, else in
    that of [roster], else in the machine's.

    Exit code 0: admitted (now, or at --at); 4: it would be refused, is not open yet, or depends on
    the server; 2: no token in the input.
    """
    import os

    from invites.inspection import contents_of, document, inspected, lines
    from invites.jitsi.deployment import from_docker

    asked = _zone(timezone)
    contents = contents_of(_octets(what))
    settings = call.settings(warn=False)
    zone = asked or _zone_of(contents.zone) or _zone_of(settings.roster.timezone)
    instants = [clock(), *([_instant(at, zone)] if at is not None else [])]
    server, key, why = _expectations(call, settings)
    inspection = inspected(
        contents,
        instants,
        server=server,
        key=key,
        why_no_key=why,
        deployment=from_docker(os.environ, whole=False),
    )
    if call.as_json:
        call.document(**document(inspection))
    else:
        for line in lines(inspection, zone=zone):
            call.say(line)
    return Exit.DONE if inspection.admitted else Exit.IN_PART


def _octets(what: str) -> bytes:
    """Return what is to be explained; the argument may be the thing itself or name its file."""
    from invites.inspection.reading import OCTETS_AT_MOST
    from invites.jitsi.links import looks_like_token
    from invites.roster.csv_file import standard_input

    if what == STANDARD_INPUT:
        return standard_input().read(OCTETS_AT_MOST + 1)
    if what.lower().startswith(("https://", "http://")):
        return what.encode("utf-8", "surrogateescape")
    file = Path(what)
    try:
        if file.is_file():
            with file.open("rb") as opened:
                return opened.read(OCTETS_AT_MOST + 1)
    except ValueError:
        pass  # a NUL, or a token too long for a file name: then it is no file
    except OSError as error:
        if not looks_like_token(what):
            raise UsageError(f"the file can't be read: {error.strerror}") from None
    if looks_like_token(what):
        return what.encode("utf-8", "surrogateescape")
    raise UsageError(
        "LINK|TOKEN|FILE|-: found neither a link, a token nor a file of that name, expected one "
        "of them, or - for standard input"
    )


def _zone(name: str | None) -> tzinfo | None:
    """Return the reader's zone; None stands for the machine's."""
    from invites.times import ZoneRefused, zone

    if name is None:
        return None
    try:
        return zone(name)
    except ZoneRefused as refused:
        raise UsageError(f'--timezone: found "{name[:60]}", expected {refused.expected}') from None


def _zone_of(name: str | None) -> tzinfo | None:
    """Return a zone that is named in a message or in the settings, where UTC stands for none."""
    from invites.times import ZoneRefused, zone

    try:
        return None if name is None or name == "UTC" else zone(name)
    except ZoneRefused:
        return None


def _instant(text: str, zone: tzinfo | None) -> datetime:
    from datetime import UTC, datetime

    try:
        instant = datetime.fromisoformat(text)
        if instant.tzinfo is None and zone is not None:
            instant = instant.replace(tzinfo=zone)
        return instant.astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError):
        raise UsageError(
            f'--at: found "{text[:60]}", expected a time such as 2026-12-01T09:00:00+01:00'
        ) from None


def _expectations(call: Call, settings: Settings) -> tuple[Server | None, SigningKey | None, str]:
    """Return what the settings say of the server, its key, and why there is none.

    Settings that were asked for by name have to be whole; others help as far as they go.
    """
    for warning in settings.warnings:
        call.warn(warning)
    if call.config is not None:
        settings.require(type(settings).server, type(settings).signing_key)
    server, key, why = None, None, ""
    try:
        server = settings.server()
    except SettingsError as fault:
        call.detail(f"not judged by your server's settings: {fault}")
    try:
        key = settings.signing_key()
    except SettingsError as fault:
        why = on_one_line("; ".join(str(fault).splitlines())) + "."
    return server, key, why

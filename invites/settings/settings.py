"""The frozen settings, and the methods that demand what a piece of work needs.

The logo that mails bring along is a file that every mail program can show, and small enough.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from invites.errors import SettingsError
from invites.invitation import Brand, Organizer, Picture, Server
from invites.jitsi.links import LinkLengths
from invites.jitsi.rooms import room_key_from, tenant_from_path
from invites.jitsi.tokens import hmac_octets
from invites.settings.checks import place_of
from invites.settings.layers import NAMES, variable_name, xmpp_domain
from invites.settings.secrets import Source, private_key, room_key, secret_key, source_from
from invites.settings.sections import (
    SECTIONS,
    SOURCES,
    BrandSection,
    CalendarSection,
    DeliverySection,
    Guard,
    Jitsi,
    Job,
    KeyPath,
    LedgerSection,
    MailSection,
    OrganizerSection,
    RosterSection,
    ScheduleSection,
    SeriesSection,
    Smtp,
    ValiditySection,
    key_name,
)
from invites.settings.types import JAAS_URL
from invites.shipped import languages

if TYPE_CHECKING:
    from invites.jitsi.tokens import SigningKey
    from invites.jitsi.validity import ValidityRule
    from invites.roster.parse import RosterRules


_EXAMPLES: Final[dict[KeyPath, str]] = {
    ("jitsi", "url"): '"https://meet.example.com"',
    ("jitsi", "app_id"): '"my_app"',
    ("jitsi", "secret"): '"…" (or secret_file, secret_env, secret_command)',
    ("jitsi", "private_key_file"): '"jitsi.key" (`invites keygen` makes a key)',
    ("jitsi", "key_id"): '"…" (the kid that `invites keygen` was given)',
    ("organizer", "email"): '"meetings@example.com"',
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of a call; sections and keys are named as in invites.toml.

    `source` is the file that they came from, None without one; `base` the folder that relative
    paths start from; `warnings` are lines for people; `origins` say where each key was given.
    """

    jitsi: Jitsi
    validity: ValiditySection
    roster: RosterSection
    organizer: OrganizerSection
    calendar: CalendarSection
    mail: MailSection
    brand: BrandSection
    series: SeriesSection
    delivery: DeliverySection
    smtp: Smtp
    ledger: LedgerSection
    guard: Guard
    schedule: ScheduleSection
    jobs: tuple[Job, ...] = ()
    source: Path | None = None
    base: Path = Path()
    warnings: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    origins: Mapping[KeyPath, str] = field(default_factory=dict, repr=False, compare=False)

    def server(self) -> Server:
        """Return the Jitsi server; raises SettingsError that names all that is missing."""
        jitsi, jaas = self.jitsi, self.jitsi.profile == "jaas"
        self._demand(("jitsi", "app_id"), *(() if jaas else (("jitsi", "url"),)))
        app_id = str(jitsi.app_id)
        url = jitsi.url or f"{JAAS_URL}/{app_id}"
        parts = urlsplit(url)
        tenant = tenant_from_path(parts.path)
        default = app_id if jaas else tenant or xmpp_domain(self.environ) or parts.hostname
        return Server(
            url=url,
            host=parts.netloc,
            app_id=app_id,
            subject=jitsi.subject or default or parts.netloc,
            tenant=tenant,
            audience=jitsi.audience,
            algorithm=jitsi.algorithm,
            key_id=self._key_id(),
            link=jitsi.link,
            moderator_claims=jitsi.moderator_claims,
            profile=jitsi.profile,
        )

    def _key_id(self) -> str | None:
        """Return the header's kid; that of JaaS starts with the AppID."""
        key_id, app_id = self.jitsi.key_id, self.jitsi.app_id
        if key_id and self.jitsi.profile == "jaas" and not key_id.startswith(f"{app_id}/"):
            return f"{app_id}/{key_id}"
        return key_id

    def signing_key(self) -> SigningKey:
        """Return what signs the tokens, loaded once; raises SettingsError where it can't be had."""
        return self._signing_key

    @cached_property
    def _signing_key(self) -> SigningKey:
        jitsi = self.jitsi
        if jitsi.algorithm.startswith("RS"):
            self._demand(("jitsi", "private_key_file"), ("jitsi", "key_id"))
            path = ("jitsi", "private_key_file")
            file, place = Path(str(jitsi.private_key_file)), self._place(path)
            return private_key(file, jitsi.algorithm, key_id=self._key_id(), place=place)
        source = self._source("jitsi")
        if source is None:
            raise SettingsError(self._missing(("jitsi", "secret")))
        weak = jitsi.allow_weak_secret
        return secret_key(source, jitsi.algorithm, key_id=self._key_id(), allow_weak=weak)

    def room_key(self) -> bytes:
        """Return the key of derived rooms: the room key file's, else one made from the secret.

        Raises SettingsError for a room key file that is not there: another key would move rooms.
        """
        file = self.jitsi.room_key_file
        if file is not None:
            return room_key(file, self._place(("jitsi", "room_key_file")))
        return room_key_from(self.signing_key().octets)

    def service_mailbox(self) -> Organizer:
        """Return the mailbox that sends; without a name its address stands for one."""
        self._demand(("organizer", "email"))
        email = str(self.organizer.email)
        return Organizer(name=self.organizer.name or email, email=email)

    def namespace(self) -> str:
        """Return what makes UIDs with the meeting id: the setting, else the organizer's domain."""
        given = self.calendar.namespace
        return given or self.service_mailbox().email.rpartition("@")[2]

    def validity_rule(self) -> ValidityRule:
        """Return how a token's window follows from its meeting."""
        from invites.jitsi.validity import ValidityRule  # noqa: PLC0415

        return ValidityRule(
            opens_before=self.validity.opens_before,
            closes_after=self.validity.closes_after,
            skew=self.validity.skew,
            longest=self.validity.longest,
            longest_series=self.series.longest,
            tokens=self.series.tokens,
            link_ahead=self.series.link_ahead,
        )

    def brand_of_letters(self) -> Brand:
        """Return how letters look and greet; SettingsError for a logo that mails can't show."""
        brand, logo, picture = self.brand, self.brand.logo or "", None
        if isinstance(logo, Path):
            picture = picture_in(logo, self._place(("brand", "logo")))
            logo = f"cid:{picture.content_id}"
        return Brand(
            name=brand.name or "",
            colour=brand.colour or "",
            logo=logo,
            picture=picture,
            footer=brand.footer or "",
            greeting=brand.greeting or "",
        )

    def roster_rules(self) -> RosterRules:
        """Return how a roster is read."""
        from invites.roster.parse import RosterRules  # noqa: PLC0415

        return RosterRules(
            timezone=self.roster.timezone,
            date_format=self.roster.date_format,
            yes=frozenset(map(str.casefold, self.roster.yes)),
            no=frozenset(map(str.casefold, self.roster.no)),
            encoding=self.roster.encoding,
            attendees=self.roster.attendees,
            series=self.roster.series,
            derived_rooms=self.roster.rooms == "derived",
            columns=self.roster.columns,
            extra=self.roster.extra,
            special_domains=self.roster.special_domains,
            validity=self.validity_rule(),
            links=self.link_scales(),
            language=self.mail.language,
            languages=languages(self.mail.templates),
        )

    def link_scales(self) -> LinkLengths | None:
        """Return what weighs join links, without asking for the secret.

        None where the server, or the private key whose size counts, is not to be had.
        """
        algorithm = self.jitsi.algorithm
        try:
            server = self.server()
            octets = (
                hmac_octets(algorithm)
                if algorithm.startswith("HS")
                else self.signing_key().signature_octets
            )
        except SettingsError:
            return None
        return LinkLengths(server, signature_octets=octets)

    def smtp_password(self) -> str | None:
        """Return the password of [smtp], None where none is set; a command is run each time."""
        source = self._source("smtp")
        return None if source is None else _as_text(source)

    def smtp_access_token(self) -> str | None:
        """Return a fresh access token of token_command, None where none is set."""
        command, place = self.smtp.token_command, self._place(("smtp", "token_command"))
        if command is None:
            return None
        return _as_text(Source(place=place, command=command, environ=self.environ, base=self.base))

    def m365_client_secret(self) -> str | None:
        """Return the client secret of [smtp.m365], None where none is set."""
        file = self.smtp.m365.client_secret_file
        place = self._place(("smtp", "m365", "client_secret_file"))
        return None if file is None else _as_text(Source(place=place, file=file))

    def require(self, *demands: Callable[[Settings], object]) -> None:
        """Try demands such as `Settings.server` and raise all that is missing or wrong at once."""
        lines: list[str] = []
        for demand in demands:
            try:
                demand(self)
            except SettingsError as error:
                lines += str(error).splitlines()
        if lines:
            raise SettingsError("\n".join(dict.fromkeys(lines)))

    def require_minting(self) -> None:
        """Raise a SettingsError with all that lacks for making invitations; nothing where none."""
        self.require(
            Settings.server,
            Settings.signing_key,
            Settings.room_key,
            Settings.service_mailbox,
            Settings.namespace,
        )

    def digest(self) -> str:
        """Return 16 hex digits that change with any setting and tell nothing about secrets."""
        names = [*SECTIONS, "jobs"]
        shown = "\0".join(f"{name}={getattr(self, name)!r}" for name in names)
        return sha256(shown.encode("utf-8", "surrogateescape")).hexdigest()[:16]

    def _source(self, section: str) -> Source | None:
        """Return the way to a section's secret that was given; there is one at most."""
        values = getattr(self, section)
        for key in SOURCES[section]:
            if (value := getattr(values, key)) is not None:
                place = self._place((section, key))
                return source_from(value, key, place=place, environ=self.environ, base=self.base)
        return None

    def _place(self, path: KeyPath) -> str:
        return place_of(path, self.origins, None if self.source is None else str(self.source))

    def _demand(self, *paths: KeyPath) -> None:
        lacking = [path for path in paths if getattr(getattr(self, path[0]), path[1]) is None]
        if lacking:
            raise SettingsError("\n".join(self._missing(path) for path in lacking))

    def _missing(self, path: KeyPath) -> str:
        """Return the line for a value that is not set, with each way to give it."""
        file = self.source or "invites.toml (`invites init` writes one)"
        variables = [variable_name(path), *([NAMES[path]] if path in NAMES else [])]
        return (
            f"{key_name(path)}: found nothing, expected {path[1]} = {_EXAMPLES[path]}; set it in "
            f"{file}, or {' or '.join(variables)} in the environment"
        )


def _as_text(source: Source) -> str:
    fault = f"{source.place}: found bytes that are not UTF-8, expected text"
    try:
        return source.fetch().decode()
    except UnicodeDecodeError:
        pass
    raise SettingsError(fault)


OCTETS_AT_MOST: Final = 64 * 1024
"""Of a logo: each mail brings it along, a third larger in base64."""

_MEDIA_TYPES: Final = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}
"""By what a file begins with: its name may say anything."""


def picture_in(file: Path, place: str) -> Picture:
    """Return the picture in `file`; SettingsError, which begins with `place`, where there is none."""
    try:
        with file.open("rb") as opened:
            content = opened.read(OCTETS_AT_MOST + 1)
    except OSError as error:
        raise SettingsError(
            f"{place}: found {file} that can't be read ({error.strerror}), expected a picture; "
            "correct the path or put the picture there"
        ) from None
    found = [kind for beginning, kind in _MEDIA_TYPES.items() if content.startswith(beginning)]
    if not found:
        raise SettingsError(
            f"{place}: found {_named(content)} in {file}, expected a PNG, JPEG or GIF picture, "
            "which all mail programs show; save it as PNG, 72 pixels high"
        )
    if len(content) > OCTETS_AT_MOST:
        raise SettingsError(
            f"{place}: found a picture of {file.stat().st_size:,} bytes in {file}, expected at most "
            f"{OCTETS_AT_MOST:,}, for each mail brings it along; save it smaller (mails show it 36 "
            "pixels high), or set its https URL"
        )
    return Picture(content=content, media_type=found[0])


def _named(content: bytes) -> str:
    """Return the words for a file that is no picture, or one that mail programs do not show."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "a WebP picture"
    if b"<svg" in content[:4096].lower():
        return "an SVG drawing"
    return "something else" if content else "nothing"

"""The frozen settings, and the methods that demand what a piece of work needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from invites.core.model import Organizer, Server
from invites.core.rooms import TenantRefused, room_key_from, tenant_from_path
from invites.errors import SettingsError
from invites.settings import secrets
from invites.settings.docker import xmpp_domain
from invites.settings.environment import variable_name
from invites.settings.sections import (
    CalendarSection,
    DeliverySection,
    Guard,
    Jitsi,
    Job,
    LedgerSection,
    MailSection,
    OrganizerSection,
    RosterSection,
    ScheduleSection,
    Smtp,
    ValiditySection,
)

if TYPE_CHECKING:
    from invites.core.roster import RosterRules
    from invites.core.tokens import SigningKey
    from invites.core.validity import ValidityRule

JAAS_URL = "https://8x8.vc"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of a call; sections and keys are named as in invites.toml.

    `source` is the file that they came from, `base` the folder that relative paths start from;
    `warnings` are for people to read.
    """

    jitsi: Jitsi
    validity: ValiditySection
    roster: RosterSection
    organizer: OrganizerSection
    calendar: CalendarSection
    mail: MailSection
    delivery: DeliverySection
    smtp: Smtp
    ledger: LedgerSection
    guard: Guard
    schedule: ScheduleSection
    jobs: tuple[Job, ...] = ()
    source: Path | None = None
    base: Path = Path()
    warnings: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)

    def server(self) -> Server:
        """Return the Jitsi server; raises SettingsError that names all that is missing."""
        jitsi = self.jitsi
        jaas = jitsi.profile == "jaas"
        self._demand(
            *(() if jitsi.url or jaas else (("jitsi", "url"),)),
            *(() if jitsi.app_id else (("jitsi", "app_id"),)),
        )
        url = jitsi.url or f"{JAAS_URL}/{jitsi.app_id}"
        parts = urlsplit(url)
        tenant = self._tenant(parts.path)
        host = parts.netloc.lower()
        subject = jitsi.subject or tenant or xmpp_domain(self.environ) or parts.hostname or host
        if jaas:
            subject = jitsi.subject or str(jitsi.app_id)
        return Server(
            url=url,
            host=host,
            app_id=str(jitsi.app_id),
            subject=subject,
            tenant=tenant,
            audience=jitsi.audience,
            algorithm=jitsi.algorithm,
            key_id=self._key_id(),
            link=jitsi.link,
            moderator_claims=jitsi.moderator_claims,
            profile=jitsi.profile,
        )

    def _tenant(self, path: str) -> str | None:
        expected = ""
        try:
            return tenant_from_path(path)
        except TenantRefused as refused:
            expected = refused.expected
        raise SettingsError(f"{self._file()}: [jitsi] url: expected {expected}")

    def _key_id(self) -> str | None:
        key_id, app_id = self.jitsi.key_id, self.jitsi.app_id
        if key_id and self.jitsi.profile == "jaas" and not key_id.startswith(f"{app_id}/"):
            return f"{app_id}/{key_id}"
        return key_id

    def signing_key(self) -> SigningKey:
        """Return what signs the tokens; raises SettingsError for one missing, weak or broken."""
        return secrets.signing_key(self)

    def room_key(self) -> bytes:
        """Return the key of derived rooms: the room key file's, else one made from the secret."""
        if self.jitsi.room_key_file is not None:
            return secrets.room_key(self.jitsi.room_key_file)
        return room_key_from(secrets.key_material(self))

    def service_mailbox(self) -> Organizer:
        """Return the mailbox that sends; raises SettingsError where [organizer] has no email."""
        email = self.organizer.email
        if not email:
            self._demand(("organizer", "email"))
        return Organizer(name=self.organizer.name or str(email), email=str(email))

    def namespace(self) -> str:
        """Return what makes UIDs with the meeting id: the setting, else the organizer's domain."""
        given = self.calendar.namespace
        return given or self.service_mailbox().email.rpartition("@")[2]

    def validity_rule(self) -> ValidityRule:
        """Return how a token's window follows from its meeting."""
        from invites.core.validity import ValidityRule  # noqa: PLC0415

        return ValidityRule(**dict(self.validity))

    def roster_rules(self) -> RosterRules:
        """Return how a roster is read."""
        from invites.core.roster import RosterRules  # noqa: PLC0415

        return RosterRules(
            timezone=self.roster.timezone,
            date_format=self.roster.date_format,
            columns=self.roster.columns,
            extra=self.roster.extra,
            special_domains=self.roster.special_domains,
            validity=self.validity_rule(),
        )

    def smtp_password(self) -> str | None:
        """Return the password of [smtp], None where none is set."""
        return secrets.smtp_password(self)

    def require(self, *demands: Callable[[Settings], object]) -> None:
        """Try several demands, such as `Settings.server`, and raise all that is missing at once."""
        lines: list[str] = []
        for demand in demands:
            try:
                demand(self)
            except SettingsError as error:
                lines += str(error).splitlines()
        if lines:
            raise SettingsError("\n".join(dict.fromkeys(lines)))

    def _file(self) -> str:
        return str(self.source or "invites.toml")

    def _demand(self, *paths: tuple[str, str]) -> None:
        if paths:
            raise SettingsError("\n".join(missing(self, section, key) for section, key in paths))


_DOCKER_NAMES = {("jitsi", "url"): "PUBLIC_URL", ("jitsi", "app_id"): "JWT_APP_ID"}
_EXAMPLES = {
    ("jitsi", "url"): 'url = "https://meet.example.com"',
    ("jitsi", "app_id"): 'app_id = "my_app"',
    ("organizer", "email"): 'email = "meetings@example.com"',
}


def missing(settings: Settings, section: str, key: str) -> str:
    """Return the line for a value that is missing, with each way to give it."""
    where = f"[{section}] {key}"
    ways = [variable_name((section, key))]
    if (section, key) in _DOCKER_NAMES:
        ways.append(_DOCKER_NAMES[section, key])
    example = _EXAMPLES.get((section, key), f"{key} = …")
    file = settings.source or "invites.toml (`invites init` writes one)"
    return f"{where} is missing: set {example} in {file}, or {' or '.join(ways)} in the environment"

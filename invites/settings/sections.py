"""The sections of invites.toml with their keys, forms and defaults; one model per section."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import time, timedelta
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from invites.invitation import DeliveryName
from invites.model import SeriesTokens
from invites.settings import quantities, secrets, types
from invites.settings.quantities import Duration, PositiveDuration, RateLimit, Share
from invites.settings.secrets import Secret
from invites.settings.types import (
    Email,
    Listen,
    Names,
    RosterPaths,
    Switch,
    Text,
    WholeNumber,
    Zone,
)

KeyPath = tuple[str, ...]
"""Where a key stands: ("jitsi", "url"), ("smtp", "m365", "tenant")."""

if TYPE_CHECKING:
    from invites.roster.source import RosterSource

SettingsPath = Annotated[Path, BeforeValidator(types.path)]
Command = Annotated[tuple[str, ...], BeforeValidator(types.command)]
Algorithm = Literal["HS256", "HS384", "HS512", "RS256", "RS384", "RS512"]
MODERATOR_CLAIMS: Final = ("context", "affiliation", "root", "lobby_bypass")


class Section(BaseModel):
    """What every section is: frozen, no unknown keys, and silent about its input in errors."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, arbitrary_types_allowed=True
    )


class Jitsi(Section):
    """[jitsi]: where links point, and what signs the tokens."""

    url: Annotated[str, BeforeValidator(types.server_url)] | None = None
    app_id: Text | None = None
    secret: Annotated[Secret | None, BeforeValidator(secrets.secret)] = None
    secret_file: SettingsPath | None = None
    secret_env: Text | None = Field(None, repr=False)
    secret_command: Command | None = Field(None, repr=False)
    allow_weak_secret: Switch = False
    algorithm: Algorithm = "HS256"
    audience: Text = "jitsi"
    subject: Text | None = None
    link: Literal["query", "fragment"] = "query"
    moderator_claims: Annotated[
        tuple[str, ...], BeforeValidator(types.some_of(*MODERATOR_CLAIMS))
    ] = ("context",)
    room_key_file: SettingsPath | None = None
    private_key_file: SettingsPath | None = None
    key_id: Text | None = None
    profile: Literal["jitsi", "jaas"] = "jitsi"


class ValiditySection(Section):
    """[validity]: how a token's window follows from the meeting's times."""

    opens_before: Duration = timedelta(minutes=15)
    closes_after: Duration = timedelta(minutes=30)
    skew: Duration = timedelta(seconds=60)
    longest: PositiveDuration = timedelta(hours=24)


class RosterSection(Section):
    """[roster]: how a roster is read; `columns` maps our names to theirs."""

    timezone: Zone = "UTC"
    date_format: Annotated[tuple[str, ...], BeforeValidator(quantities.date_formats)] = ()
    yes: Names = ()
    no: Names = ()
    encoding: Literal["", "cp1252"] = ""
    attendees: Names = ()
    series: str = ""
    rooms: Literal["any", "derived"] = "any"
    extra: Names = ()
    special_domains: Names = ()
    columns: Annotated[dict[str, tuple[str, ...]], BeforeValidator(types.columns)] = Field(
        default_factory=dict
    )


class OrganizerSection(Section):
    """[organizer]: the service mailbox that sends."""

    name: Annotated[str, BeforeValidator(types.display_name)] | None = None
    email: Email | None = None


class CalendarSection(Section):
    """[calendar]: what a meeting's UID is made of beside its id."""

    namespace: Text | None = None


class MailSection(Section):
    """[mail]: how letters and calendar entries look."""

    language: Annotated[str, BeforeValidator(types.language)] = "en"
    templates: Annotated[Path | None, BeforeValidator(types.path_or_none)] = None
    show_attendees: Switch = False
    reminder: Annotated[timedelta | None, BeforeValidator(quantities.duration_or_none)] = timedelta(
        minutes=10
    )
    address: Literal["formal", "informal"] = "formal"


class BrandSection(Section):
    """[brand]: how letters look and greet as one's own."""

    name: Text | None = None
    colour: Annotated[str | None, BeforeValidator(types.colour)] = None
    logo: Annotated[str | Path | None, BeforeValidator(types.logo)] = None
    footer: Text | None = None
    greeting: Annotated[str | None, BeforeValidator(types.greeting)] = None


class SeriesSection(Section):
    """[series]: the links of meetings that repeat."""

    tokens: SeriesTokens = "series"
    longest: PositiveDuration = timedelta(days=200)
    link_ahead: PositiveDuration = timedelta(hours=24)


class DeliverySection(Section):
    """[delivery]: where messages go."""

    to: DeliveryName = "folder"
    folder: SettingsPath = Field(Path("outbox"), validate_default=True)
    keep_batches: PositiveDuration = timedelta(days=30)
    on_unknown: Literal["resend", "hold"] = "resend"
    unknown_copies: WholeNumber = 2
    budget: PositiveDuration = timedelta(hours=2)


class M365(Section):
    """[smtp.m365]: client credentials for Exchange Online."""

    tenant: Text | None = None
    client_id: Text | None = None
    client_secret_file: SettingsPath | None = None


class Smtp(Section):
    """[smtp]: the relay that takes the messages; used where `host` is set."""

    host: Annotated[str, BeforeValidator(types.host_name)] | None = None
    port: Annotated[int, BeforeValidator(types.whole_number(1, 65_535))] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    allow_plaintext: Switch = False
    username: Text | None = None
    password_file: SettingsPath | None = None
    password_env: Text | None = Field(None, repr=False)
    password_command: Command | None = Field(None, repr=False)
    auth: Literal["login", "plain", "xoauth2"] = "login"
    token_command: Command | None = Field(None, repr=False)
    m365: M365 = M365()
    rate: Annotated[tuple[RateLimit, ...], BeforeValidator(quantities.rate)] = ()
    connections: Annotated[int, BeforeValidator(types.whole_number(1, 100))] = 1
    timeout: PositiveDuration = timedelta(seconds=60)
    data_timeout: PositiveDuration = timedelta(minutes=10)


class LedgerSection(Section):
    """[ledger]: what remembers who was sent what; `url` may hold a password."""

    url: Annotated[str, BeforeValidator(types.ledger_url)] = Field(
        "sqlite:///invites.db", validate_default=True, repr=False
    )
    keep: PositiveDuration = timedelta(days=400)


class Guard(Section):
    """[guard]: when a run holds back; shares are from 0 to 1."""

    growth: Annotated[Fraction, BeforeValidator(quantities.growth)] = Fraction(1)
    shrink: Share = Fraction(1, 10)
    window: PositiveDuration = timedelta(days=14)
    change: Share = Fraction(1, 2)
    withdraw_after: WholeNumber = 2
    clock_ahead: PositiveDuration = timedelta(days=100)


class ScheduleSection(Section):
    """[schedule]: the health endpoint of `invites schedule`."""

    listen: Annotated[Listen | None, BeforeValidator(types.listen)] = None


class Job(Section):
    """One [[job]]: a run that recurs; `days` are `datetime.weekday()` numbers.

    `timezone` and `deliver` are those of [roster] and [delivery] where the job names none.
    `horizon` and `newest` of None: no limit.
    """

    name: Text
    roster: RosterPaths
    newest: PositiveDuration | None = None
    settle: Duration = timedelta(seconds=60)
    at: Annotated[time | str, BeforeValidator(quantities.due_at)]
    timezone: Zone = "UTC"
    days: Annotated[frozenset[int], BeforeValidator(quantities.weekdays)] = frozenset(range(7))
    horizon: PositiveDuration | None = None
    invalid: Literal["refuse", "skip"] = "refuse"
    retry_for: Duration = timedelta(hours=12)
    deliver: DeliveryName = "folder"
    reminders: Annotated[tuple[timedelta, ...], BeforeValidator(quantities.reminders)] = ()
    require: Annotated[
        tuple[str, ...], BeforeValidator(types.some_of("digest", "rows", or_none=True))
    ] = ()
    ping: Annotated[str, BeforeValidator(types.ping)] = ""
    notify: Annotated[tuple[str, ...], BeforeValidator(types.emails)] = ()
    notify_always: Switch = False

    def source(self) -> RosterSource:
        """Return where the job's roster is, and what it must be like."""
        from invites.roster.source import RosterSource  # noqa: PLC0415 - it brings the CSV reader

        return RosterSource(
            places=self.roster, settle=self.settle, newest=self.newest, require=self.require
        )


SECTIONS: Final[dict[str, type[Section]]] = {
    "jitsi": Jitsi,
    "validity": ValiditySection,
    "roster": RosterSection,
    "organizer": OrganizerSection,
    "calendar": CalendarSection,
    "mail": MailSection,
    "brand": BrandSection,
    "series": SeriesSection,
    "delivery": DeliverySection,
    "smtp": Smtp,
    "ledger": LedgerSection,
    "guard": Guard,
    "schedule": ScheduleSection,
}
"""The sections by name, in the order of invites.example.toml; [[job]] stands apart."""

SUBSECTIONS: Final[dict[tuple[str, str], type[Section] | None]] = {
    ("roster", "columns"): None,
    ("smtp", "m365"): M365,
}
"""The tables inside a section; None where the keys are not fixed."""

SOURCES: Final[dict[str, tuple[str, ...]]] = {
    "jitsi": ("secret", "secret_file", "secret_env", "secret_command"),
    "smtp": ("password_file", "password_env", "password_command"),
}
"""Keys that are ways to give one secret: one of them at a level, and the highest level wins."""

NEVER_SHOWN: Final = frozenset(
    {
        ("jitsi", "secret"),
        ("jitsi", "secret_env"),
        ("jitsi", "secret_command"),
        ("smtp", "password_env"),
        ("smtp", "password_command"),
        ("smtp", "token_command"),
        ("ledger", "url"),
        ("job", "ping"),
    }
)
"""Keys whose value no error shows: it is a secret, may hold one, or is one by mistake."""


def keys_of(section: str) -> dict[str, Any]:
    """Return the keys of a section (or of `job`) with pydantic's description of each."""
    model: type[Section] = Job if section == "job" else SECTIONS[section]
    return dict(model.model_fields)


def key_name(path: Sequence[str]) -> str:
    """Return `[section] key` for the path of a key."""
    return f"[{'.'.join(path[:-1])}] {path[-1]}"

"""What is wrong in the settings: single faults as values, and the rules that look at several keys."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import time, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from invites.errors import SettingsError
from invites.problems import escaped
from invites.roster.cells import FALSE_WORDS, TRUE_WORDS
from invites.settings.sections import (
    NEVER_SHOWN,
    DeliverySection,
    Jitsi,
    Job,
    KeyPath,
    RosterSection,
    SeriesSection,
    Smtp,
    ValiditySection,
    key_name,
)
from invites.settings.types import JAAS_URL, Unfit, is_loopback
from invites.shipped import SOURCE_LANGUAGE, languages
from invites.text import CellRefused, catalog_for

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from invites.settings.layers import Given

_LOGIN: Final = re.compile(r"//.*@", re.DOTALL)
"""Up to the last @: a password may hold @ and / as they are, though a url should not."""

_QUERY: Final = re.compile(r"([?#]).*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong in the settings: where, and a sentence with what to do."""

    place: str
    sentence: str

    @classmethod
    def of_value(
        cls, place: str, expected: str, *, found: str | None = None, remedy: str = ""
    ) -> Fault:
        """Return the fault of a value; `found` of None: not to be shown."""
        seen = f"found {found}, " if found is not None else ""
        end = f"; {remedy}" if remedy else ""
        return cls(place=place, sentence=f"{seen}expected {expected}{end}")

    def text(self) -> str:
        """Return the fault as one line."""
        return f"{self.place}: {self.sentence}"


def refuse(faults: Sequence[Fault]) -> None:
    """Raise a SettingsError that names every fault, a line each; nothing where there is none."""
    if faults:
        raise SettingsError("\n".join(dict.fromkeys(each.text() for each in faults)))


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known name that was probably meant, or nothing."""
    by_folded = {each.lower(): each for each in known}
    folded = name.lower().replace("-", "_").replace(" ", "_")
    near = get_close_matches(folded, list(by_folded), n=1, cutoff=0.6)
    return by_folded[near[0]] if near else ""


def shown(path: tuple[str, ...], value: object) -> str | None:
    """Return how an error shows a found value; None for one that may be a secret."""
    return None if path[:2] in NEVER_SHOWN else _in_toml(value)


def _in_toml(value: object) -> str:
    """Return a value about as the file has it, cut where it is long."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case list() | tuple():
            inner = [_in_toml(item) for item in value[:5]]
            return "[" + ", ".join(inner + ["…"] * (len(value) > 5)) + "]"
        case dict():
            return "a table"
        case _:
            return f'"{escaped(_without_login_or_token(str(value)))}"'


def _without_login_or_token(text: str) -> str:
    """Return `text` with what a url must not show: its login, and what follows its path."""
    if "://" not in text:
        return text
    return _QUERY.sub(r"\1…", _LOGIN.sub("//…@", text))


def expected_of(error: ErrorDetails) -> tuple[str, str]:
    """Return the words for what was expected, and what to do, of one error of pydantic's."""
    context = error.get("ctx", {})
    cause = context.get("error")
    if isinstance(cause, Unfit):
        return cause.expected, cause.remedy
    if isinstance(cause, CellRefused):
        return cause.expected, ""
    if error["type"] == "literal_error":
        return "one of " + str(context["expected"]).replace("'", '"').replace(" or ", ", "), ""
    if error["type"] == "missing":
        return "a value", "add the line"
    return "text in quotes" if "string" in error["type"] else "another kind of value", ""


Broken = Iterator[tuple[KeyPath, str]]
"""Rules that are broken: the key to look at, and the sentence."""

SECRET_FILES: Final[tuple[KeyPath, ...]] = (
    ("jitsi", "secret_file"),
    ("jitsi", "private_key_file"),
    ("jitsi", "room_key_file"),
    ("smtp", "password_file"),
    ("smtp", "m365", "client_secret_file"),
)
MOUNTED: Final = ("/run/secrets", "/var/run/secrets")
"""Where containers find their secrets: readable for all there, for nobody else is there."""


def faults(
    sections: Mapping[str, Any],
    jobs: Sequence[Job],
    origins: Mapping[KeyPath, str],
    *,
    file: str | None,
) -> list[Fault]:
    """Return a fault for each rule that is broken; a section that is itself wrong is None."""
    broken: list[tuple[KeyPath, str]] = []
    for section, rule in _RULES.items():
        if sections[section] is not None:
            broken += rule(sections[section])
    smtp = sections["smtp"]
    has_relay = smtp is None or smtp.host is not None
    if not has_relay and sections["delivery"] is not None:
        broken += _delivery(sections["delivery"])
    found: list[Fault] = [
        Fault(place_of(path, origins, file), sentence) for path, sentence in broken
    ]
    for job in jobs if not has_relay else ():
        found += _job_without_relay(job, file)
    for job in jobs:
        found += _days_twice(job, file)
    return found + _same_names(jobs, file)


def place_of(path: KeyPath, origins: Mapping[KeyPath, str], file: str | None) -> str:
    """Return where a key was given; for one with its default the file where it can be."""
    beside = key_name(path) if file is None else f"{file}: {key_name(path)}"
    return origins.get(path, beside)


def _jitsi(jitsi: Jitsi) -> Broken:
    for key in ("app_id", "audience", "subject"):
        if getattr(jitsi, key) == "*":
            sentence = (
                'found "*", expected one name: a token never admits everywhere; write the name '
                "that the server is set to"
            )
            yield ("jitsi", key), sentence
    if jitsi.profile == "jaas" and not jitsi.algorithm.startswith("RS"):
        yield (
            ("jitsi", "algorithm"),
            f'found "{jitsi.algorithm}" with profile "jaas", expected "RS256"; remove the line',
        )


def _validity(validity: ValiditySection) -> Broken:
    if validity.opens_before + validity.closes_after + validity.skew >= validity.longest:
        sentence = (
            "opens_before, closes_after and skew take all of it, expected more than their sum, so "
            "that a meeting has room; raise longest or lower the others"
        )
        yield ("validity", "longest"), sentence


def _roster(roster: RosterSection) -> Broken:
    """Refuse words for true and false that mean the other, or both: one would win unseen."""
    for key, words, other in (("yes", roster.yes, FALSE_WORDS), ("no", roster.no, TRUE_WORDS)):
        for word in words:
            if word.casefold() in other:
                meant = "false" if key == "yes" else "true"
                yield (
                    ("roster", key),
                    (
                        f'found "{escaped(word)}", which means {meant} already, expected further '
                        "words alone"
                    ),
                )
    yes = set(map(str.casefold, roster.yes))
    for word in roster.no:
        if word.casefold() in yes:
            yield (
                ("roster", "no"),
                (
                    f'found "{escaped(word)}", which [roster] yes has too, expected each word in one '
                    "of them"
                ),
            )


def _smtp(smtp: Smtp) -> Broken:
    if smtp.host is None:
        return
    if smtp.security == "none" and not smtp.allow_plaintext and not is_loopback(smtp.host):
        sentence = (
            f'found "none" for {smtp.host}, expected "starttls" or "tls": join links would cross '
            "the network in the clear; set allow_plaintext = true where that is meant"
        )
        yield ("smtp", "security"), sentence
    if smtp.auth == "xoauth2":
        yield from _oauth(smtp)
        return
    if smtp.token_command is not None or smtp.m365 != type(smtp.m365)():
        yield (
            ("smtp", "auth"),
            f'found "{smtp.auth}" with token_command or [smtp.m365], expected "xoauth2"',
        )
    if smtp.username and not (smtp.password_file or smtp.password_env or smtp.password_command):
        sentence = (
            "found no password for this login, expected password_file, password_env or "
            "password_command; set one, or remove username where no login is wanted"
        )
        yield ("smtp", "username"), sentence


def _oauth(smtp: Smtp) -> Broken:
    if not smtp.username:
        yield (("smtp", "auth"), 'found "xoauth2" without username, expected the mailbox\'s name')
    m365 = smtp.m365
    parts = {key: getattr(m365, key) for key in type(m365).model_fields}
    if smtp.token_command is not None:
        if any(parts.values()):
            yield (
                ("smtp", "token_command"),
                "found [smtp.m365] as well, expected one source of access tokens; remove one",
            )
        return
    lacking = [key for key, value in parts.items() if value is None]
    if lacking:
        sentence = (
            'found "xoauth2" without an access token, expected token_command, or [smtp.m365] '
            f"complete (missing: {', '.join(lacking)})"
        )
        yield ("smtp", "auth"), sentence


_NEEDS_RELAY: Final = 'needs a mail server; set host = "smtp.example.com" in [smtp]'


def _delivery(delivery: DeliverySection) -> Broken:
    if delivery.to == "smtp":
        yield (("delivery", "to"), f'"smtp" {_NEEDS_RELAY}')


def _job_without_relay(job: Job, file: str | None) -> list[Fault]:
    wanting = [key for key in ("reminders", "notify") if getattr(job, key)]
    wanting += ['deliver = "smtp"'] if job.deliver == "smtp" else []
    place = f'{file}: [[job]] "{job.name}"'
    return [Fault(place, f"{each} {_NEEDS_RELAY}") for each in wanting]


def _days_twice(job: Job, file: str | None) -> list[Fault]:
    if isinstance(job.at, time) or "days" not in job.model_fields_set:
        return []
    sentence = "days: found it beside a cron expression, which says the days itself; remove one"
    return [Fault(f'{file}: [[job]] "{job.name}"', sentence)]


def _same_names(jobs: Sequence[Job], file: str | None) -> list[Fault]:
    names = [job.name for job in jobs]
    return [
        Fault(
            f'{file}: [[job]] "{name}"',
            f"found {names.count(name)} jobs of this name, expected one; a job's name "
            "says whose meetings are whose: rename the others",
        )
        for name in dict.fromkeys(names)
        if names.count(name) > 1
    ]


_RULES: Final[Mapping[str, Any]] = {
    "jitsi": _jitsi,
    "roster": _roster,
    "validity": _validity,
    "smtp": _smtp,
}


def exposed_secret(source: Path | None, given: Mapping[KeyPath, Given]) -> list[Fault]:
    """Return a fault where the secret itself stands in a settings file that others can read."""
    path = ("jitsi", "secret")
    inline = given.get(path)
    if source is None or inline is None or inline.place != f"{source}: {key_name(path)}":
        return []
    mode = stat.S_IMODE(source.stat().st_mode)
    if not mode & (stat.S_IRWXG | stat.S_IRWXO):
        return []
    sentence = (
        f"found a secret in a file of mode {mode:04o}, expected a file that nobody else can read; "
        f"run: chmod 600 {source}, or move the secret to a file of its own and set secret_file"
    )
    return [Fault(inline.place, sentence)]


def warnings(
    sections: Mapping[str, Any],
    jobs: Sequence[Job],
    origins: Mapping[KeyPath, str],
    environ: Mapping[str, str],
    source: Path | None,
) -> Iterator[str]:
    """Return what is allowed and should be looked at, a line each."""
    url, smtp = sections["jitsi"].url, sections["smtp"]
    if url is not None and url.startswith("http://"):
        yield f"{origins['jitsi', 'url']}: join links go through the network in the clear; use https"
    yield from _jaas_warnings(sections["jitsi"], origins)
    yield from _early_reminders(jobs, sections["series"])
    mail = sections["mail"]
    if catalog_for(mail.language, known := languages(mail.templates)) is None:
        yield (
            f'{origins["mail", "language"]}: no catalog for "{mail.language}", so mails are in '
            f"{SOURCE_LANGUAGE}; there are {', '.join(sorted(known))}"
        )
    if smtp.host is not None and smtp.security == "tls" and smtp.port == 587:
        yield '[smtp] port: 587 is rarely served with security "tls"; that is port 465 as a rule'
    listen = sections["schedule"].listen
    if listen is not None and not is_loopback(listen.host):
        yield f"{origins['schedule', 'listen']}: other machines can read it; 127.0.0.1 is this one"
    if source is not None and _has_password(sections["ledger"].url) and _all_can_read(source):
        yield f"{source}: [ledger] url holds a password that everybody here can read: chmod 600"
    trusted = (*MOUNTED, environ.get("CREDENTIALS_DIRECTORY") or MOUNTED[0])
    for path in SECRET_FILES:
        file = sections[path[0]]
        for key in path[1:]:
            file = getattr(file, key)
        if file is not None and _all_can_read(file) and not _is_below(file, trusted):
            yield f"{origins[path]}: everybody on this machine can read it; run: chmod 600 {file}"


def _early_reminders(jobs: Sequence[Job], series: SeriesSection) -> Iterator[str]:
    """Warn of reminders of dates that have no link of their own yet."""
    for job in jobs if series.tokens != "series" else ():
        early = max(job.reminders, default=series.link_ahead)
        if early > series.link_ahead:
            hour = timedelta(hours=1)
            yield (
                f'[[job]] "{job.name}" reminders: {early / hour:g} h before a date of a series its '
                f"own link may not be out yet ([series] link_ahead is {series.link_ahead / hour:g} "
                "h): then that reminder does not go out; make link_ahead longer"
            )


def _jaas_warnings(jitsi: Jitsi, origins: Mapping[KeyPath, str]) -> Iterator[str]:
    """Warn of a url whose path is not the AppID: JaaS has each app's rooms below its AppID."""
    if jitsi.profile != "jaas" or jitsi.url is None or jitsi.app_id is None:
        return
    named = unquote(urlsplit(jitsi.url).path).strip("/")
    if named.lower() != jitsi.app_id.lower():
        yield (
            f"{origins['jitsi', 'url']}: found a url {f'of {named}' if named else 'without an AppID'} "
            f'with profile "jaas", expected {JAAS_URL}/{jitsi.app_id}; no token of {jitsi.app_id} '
            "admits there; remove it"
        )


def _has_password(url: str) -> bool:
    return urlsplit(url).password is not None


def _all_can_read(file: Path) -> bool:
    try:
        return bool(file.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False


def _is_below(file: Path, folders: Sequence[str]) -> bool:
    return any(file.is_relative_to(folder) for folder in folders)

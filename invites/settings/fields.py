"""Field types of the sections that need more than their text: paths, addresses, lists."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from difflib import get_close_matches
from glob import escape
from os import path as os_path
from pathlib import Path
from typing import Annotated, Final

from pydantic import BeforeValidator, ValidationInfo

from invites.addresses import parse_address
from invites.problems import escaped
from invites.settings import values
from invites.settings.values import Unfit
from invites.text import refuse_encoded_words
from invites.times import zone

_PATTERN: Final = re.compile(r"[*?\[]")
_SQLITE: Final = "sqlite:///"
_POSTGRESQL: Final = ("postgresql+psycopg://", "postgresql://")


@dataclass(frozen=True, slots=True)
class RosterPath:
    """A roster's path or pattern as the job names it, and the folder that it starts from."""

    text: str
    base: Path

    @property
    def is_pattern(self) -> bool:
        """Whether it names files by `*`, `?` or `[…]`: then the newest of them is meant."""
        return _PATTERN.search(self.text) is not None

    @property
    def path(self) -> Path:
        """The absolute path of the file, where it is no pattern."""
        return self.base / self.text

    @property
    def pattern(self) -> str:
        """The absolute pattern for `glob.glob`; characters of the base folder mean themselves."""
        return os_path.join(escape(str(self.base)), self.text)  # noqa: PTH118 - a pattern, no path


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret's raw bytes, which no `repr` shows."""

    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseFolder:
    """What a field's form depends on beside its text."""

    base: Path = Path()
    home: Path | None = None
    special_domains: tuple[str, ...] = ()

    def absolute(self, text: str) -> Path:
        """Return the path that `text` names, from the base or, where it starts so, from `~/`."""
        if self.home is not None and text.startswith("~/"):
            return self.home / text.removeprefix("~/")
        return self.base / text


def _surroundings(info: ValidationInfo) -> BaseFolder:
    return info.context if isinstance(info.context, BaseFolder) else BaseFolder()


def secret(value: object) -> Secret:
    """Return a secret that stands in the settings themselves, in the bytes that it had there."""
    octets = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    if not isinstance(octets, bytes):
        raise Unfit("text in quotes")
    if not octets:
        raise Unfit("text that is not empty")
    return Secret(octets)


def path(value: object, info: ValidationInfo) -> Path:
    """Return an absolute path; a relative one starts from the settings' folder."""
    text = values.text(str(value) if isinstance(value, Path) else value)
    return _surroundings(info).absolute(text)


def path_or_none(value: object, info: ValidationInfo) -> Path | None:
    """Return an absolute path, or None where the text is empty."""
    return None if value in ("", None) else path(value, info)


def roster_paths(value: object, info: ValidationInfo) -> tuple[RosterPath, ...]:
    """Return the roster's paths or patterns; a list is read as one roster."""
    texts = values.names([value] if isinstance(value, str) else value)
    if not texts:
        raise Unfit('a path, a pattern such as "rosters/*.csv", or a list of them')
    around = _surroundings(info)
    return tuple(
        RosterPath(each.removeprefix("~/"), around.home)
        if around.home is not None and each.startswith("~/")
        else RosterPath(each, around.base)
        for each in texts
    )


def ledger_url(value: object, info: ValidationInfo) -> str:
    """Return an SQLAlchemy url; a relative SQLite path starts from the settings' folder."""
    url = values.text(value)
    if url.startswith(_POSTGRESQL):
        return url
    file = url.removeprefix(_SQLITE)
    if file == url or not file or file.startswith((":memory:", "file:", "?")):
        raise Unfit("sqlite:///FILE or postgresql+psycopg://USER@HOST/DATABASE")
    return f"{_SQLITE}{_surroundings(info).absolute(file)}"


def switch(value: object) -> bool:
    """Return true or false, never anything that only looks like it."""
    if not isinstance(value, bool):
        raise Unfit("true or false", remedy="write it without quotes")
    return value


def whole_number(lowest: int, highest: int) -> Callable[[object], int]:
    """Return the check for a whole number from `lowest` to `highest`, both included."""

    def check(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
            raise Unfit(f"a whole number from {lowest} to {highest:,}")
        return value

    return check


def some_of(*allowed: str) -> Callable[[object], tuple[str, ...]]:
    """Return the check for a list of one or more of `allowed`."""

    def check(value: object) -> tuple[str, ...]:
        found = values.names(value)
        if not found or not set(found) <= set(allowed):
            raise Unfit("a list of one or more of " + ", ".join(allowed))
        return found

    return check


def display_name(value: object) -> str:
    """Return a name that a mail header can carry as it is."""
    name = values.text(value)
    refuse_encoded_words(name)
    return name


def email(value: object, info: ValidationInfo) -> str:
    """Return an address with its domain as A-labels; `[roster] special_domains` are taken too."""
    known = _surroundings(info).special_domains
    return parse_address(values.text(value), special_domains=known).mailbox


def emails(value: object, info: ValidationInfo) -> tuple[str, ...]:
    """Return a list of addresses."""
    return tuple(email(each, info) for each in values.names(value))


def reminders(value: object) -> tuple[timedelta, ...]:
    """Return how long before the start each reminder goes out, longest first."""
    if not isinstance(value, list):
        raise Unfit('a list of durations such as ["24h", "1h"]')
    leads = {values.positive_duration(each) for each in value}
    if len(leads) != len(value):
        raise Unfit("a list that has no duration twice")
    return tuple(sorted(leads, reverse=True))


def columns(value: object) -> dict[str, tuple[str, ...]]:
    """Return theirs by ours, each as a tuple."""
    from invites.roster.columns import BY_NAME, folded_name  # noqa: PLC0415

    if not isinstance(value, dict):
        raise Unfit('lines such as email = "E-Mail"')
    found = {
        ours: values.names([theirs] if isinstance(theirs, str) else theirs)
        for ours, theirs in value.items()
    }
    for ours in found:
        if ours not in BY_NAME:
            near = get_close_matches(folded_name(ours), list(BY_NAME), n=1)
            meant = f'; did you mean "{near[0]}"?' if near else ": " + ", ".join(BY_NAME)
            raise Unfit(f'a column of ours to the left of =, which "{escaped(ours)}" is not{meant}')
    folded = [folded_name(each) for theirs in found.values() for each in theirs]
    if len(set(folded)) != len(folded):
        raise Unfit("each of their columns once")
    return found


def zone_name(value: object) -> str:
    """Return the IANA name of a time zone that the pinned zone data knows."""
    return zone(values.text(value)).key


Text = Annotated[str, BeforeValidator(values.text)]
Names = Annotated[tuple[str, ...], BeforeValidator(values.names)]
Switch = Annotated[bool, BeforeValidator(switch)]
WholeNumber = Annotated[int, BeforeValidator(whole_number(1, 1_000))]
Zone = Annotated[str, BeforeValidator(zone_name)]
Email = Annotated[str, BeforeValidator(email)]
RosterPaths = Annotated[tuple[RosterPath, ...], BeforeValidator(roster_paths)]

"""Field types of the sections that need more than their text: paths, addresses, lists."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from glob import escape
from os import path as os_path
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, ValidationInfo

from invites.settings import values
from invites.settings.values import Unfit

_PATTERN: Final = re.compile(r"[*?\[]")
_SQLITE: Final = "sqlite:///"
_POSTGRESQL: Final = ("postgresql+psycopg://", "postgresql://")
_ENCODED_WORD: Final = re.compile(r"=\?.*\?=")


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


def _base(info: ValidationInfo) -> Path:
    context: Mapping[str, Any] = info.context or {}
    base: Path = context.get("base", Path())
    return base


def path(value: object, info: ValidationInfo) -> Path:
    """Return an absolute path; a relative one starts from the settings' folder."""
    if isinstance(value, Path):
        value = str(value)
    return _base(info) / Path(values.text(value))


def path_or_none(value: object, info: ValidationInfo) -> Path | None:
    """Return an absolute path, or None where the text is empty."""
    return None if value in {"", None} else path(value, info)


def roster_paths(value: object, info: ValidationInfo) -> tuple[RosterPath, ...]:
    """Return the roster's paths or patterns; a list is read as one roster."""
    texts = values.names([value] if isinstance(value, str) else value)
    if not texts:
        raise Unfit('a path, a pattern such as "rosters/*.csv", or a list of them')
    return tuple(RosterPath(each, _base(info)) for each in texts)


def ledger_url(value: object, info: ValidationInfo) -> str:
    """Return an SQLAlchemy url; a relative SQLite path starts from the settings' folder."""
    url = values.text(value)
    if url.startswith(_POSTGRESQL):
        return url
    file = url.removeprefix(_SQLITE)
    if file == url or not file or file.startswith((":memory:", "file:", "?")):
        raise Unfit("sqlite:///FILE or postgresql+psycopg://USER@HOST/DATABASE")
    return f"{_SQLITE}{_base(info) / file}"


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
    if _ENCODED_WORD.search(name):
        raise Unfit("a name in plain text, without an encoded word (=?…?=)")
    return name


def email(value: object) -> str:
    """Return an address as it is written; its parts are judged when all settings are known."""
    address = values.text(value)
    if address.count("@") != 1 or address.startswith("@") or address.endswith("@"):
        raise Unfit("an address such as meetings@example.com")
    return address


def emails(value: object) -> tuple[str, ...]:
    """Return a list of addresses."""
    return tuple(email(each) for each in values.names(value))


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
    if not isinstance(value, dict):
        raise Unfit('lines such as email = "E-Mail"')
    return {
        str(ours): values.names([theirs] if isinstance(theirs, str) else theirs)
        for ours, theirs in value.items()
    }


def zone_name(value: object) -> str:
    """Return the IANA name of a time zone that the pinned zone data knows."""
    from zoneinfo import ZoneInfo  # noqa: PLC0415

    name = values.text(value)
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise Unfit("an IANA time zone such as Europe/Berlin or UTC") from None
    return name


Text = Annotated[str, BeforeValidator(values.text)]
Names = Annotated[tuple[str, ...], BeforeValidator(values.names)]
Switch = Annotated[bool, BeforeValidator(switch)]
WholeNumber = Annotated[int, BeforeValidator(whole_number(1, 1_000))]
Zone = Annotated[str, BeforeValidator(zone_name)]
Email = Annotated[str, BeforeValidator(email)]
RosterPaths = Annotated[tuple[RosterPath, ...], BeforeValidator(roster_paths)]

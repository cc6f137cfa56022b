"""The forms of settings that depend on more than their text: on the settings' folder, on [roster]."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

from pydantic import BeforeValidator, ValidationInfo

from invites.addresses import parse_address
from invites.roster.files import RosterPath
from invites.settings.types import Unfit, names, text

_SQLITE: Final = "sqlite:///"
_POSTGRESQL: Final = ("postgresql+psycopg://", "postgresql://")


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret's raw bytes, which no `repr` shows."""

    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FormContext:
    """What a field's form depends on beside its text."""

    base: Path = Path()
    home: Path | None = None
    special_domains: tuple[str, ...] = ()

    def absolute(self, text: str) -> Path:
        """Return the path that `text` names, from the base or, where it starts so, from `~/`."""
        if self.home is not None and text.startswith("~/"):
            return self.home / text.removeprefix("~/")
        return self.base / text


def _context(info: ValidationInfo) -> FormContext:
    return info.context if isinstance(info.context, FormContext) else FormContext()


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
    return _context(info).absolute(text(str(value) if isinstance(value, Path) else value))


def path_or_none(value: object, info: ValidationInfo) -> Path | None:
    """Return an absolute path, or None where the text is empty."""
    return None if value in ("", None) else path(value, info)


def roster_paths(value: object, info: ValidationInfo) -> tuple[RosterPath, ...]:
    """Return the roster's paths or patterns; a list is read as one roster."""
    texts = names([value] if isinstance(value, str) else value)
    if not texts:
        raise Unfit('a path, a pattern such as "rosters/*.csv", or a list of them')
    around = _context(info)
    return tuple(
        RosterPath(each.removeprefix("~/"), around.home)
        if around.home is not None and each.startswith("~/")
        else RosterPath(each, around.base)
        for each in texts
    )


def ledger_url(value: object, info: ValidationInfo) -> str:
    """Return an SQLAlchemy url; a relative SQLite path starts from the settings' folder."""
    url = text(value)
    if url.startswith(_POSTGRESQL):
        return url
    file = url.removeprefix(_SQLITE)
    if file == url or not file or file.startswith((":memory:", "file:", "?")):
        raise Unfit("sqlite:///FILE or postgresql+psycopg://USER@HOST/DATABASE")
    return f"{_SQLITE}{_context(info).absolute(file)}"


def email(value: object, info: ValidationInfo) -> str:
    """Return an address with its domain as A-labels; `[roster] special_domains` are taken too."""
    known = _context(info).special_domains
    return parse_address(text(value), special_domains=known).mailbox


def emails(value: object, info: ValidationInfo) -> tuple[str, ...]:
    """Return a list of addresses."""
    return tuple(email(each, info) for each in names(value))


Email = Annotated[str, BeforeValidator(email)]
RosterPaths = Annotated[tuple[RosterPath, ...], BeforeValidator(roster_paths)]

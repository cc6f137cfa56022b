"""The forms that single settings are written in: text, lists, urls, commands, paths.

Those of amounts and times are in `quantities`.

Each function takes what the TOML file or the environment holds and returns the parsed value,
or raises `Unfit` with the words for what was expected.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import BeforeValidator, ValidationInfo

from invites.addresses import parse_address
from invites.colours import TEXT_CONTRAST, WHITE, contrast
from invites.colours import colour as colour_of
from invites.jitsi.rooms import tenant_from_path
from invites.problems import escaped
from invites.roster.files import RosterPath
from invites.text import CellRefused, check_line, language_tag, refuse_encoded_words
from invites.times import zone

_LISTEN: Final = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9.-]+)):(?P<port>[0-9]{1,5})"
)

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")

JAAS_URL: Final = "https://8x8.vc"
"""Where 8x8 serves JaaS; an app's rooms are below its AppID."""

_URL_EXPECTED = "an address such as https://meet.example.com or https://meet.example.com/tenant"


_SQLITE: Final = "sqlite:///"
_POSTGRESQL: Final = ("postgresql+psycopg://", "postgresql://")


class Unfit(CellRefused):
    """A value that is not of the form that its key wants; `expected` and `remedy` are words."""

    def __init__(self, expected: str, *, remedy: str = "") -> None:
        """Take in words that complete "expected …" and "; …"; neither holds the value itself."""
        self.remedy = remedy
        super().__init__(expected)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """The address and TCP port that the health endpoint listens on."""

    host: str
    port: int


def text(value: object) -> str:
    """Return `value` where it is text of one line that says something."""
    if not isinstance(value, str):
        raise Unfit("text in quotes")
    if not value.strip():
        raise Unfit("text that is not empty", remedy="fill it in or remove the line")
    return check_line(value).strip()


def ping(value: object) -> str:
    """Return a dead man's switch's URL, which may be a secret; empty text for none."""
    if value == "":
        return ""
    if isinstance(value, str) and value.isascii() and value.isprintable() and " " not in value:
        try:
            parts = urlsplit(value)
        except ValueError:
            parts = urlsplit("")
        fits = parts.scheme in {"http", "https"} and bool(parts.hostname)
        if fits and not (parts.query or parts.fragment or parts.username):
            return value
    raise Unfit("an http or https address without user, query and fragment, or nothing")


def listen(value: object) -> Listen | None:
    """Return the address and port of `127.0.0.1:9108` or `[::1]:9108`; None for empty text."""
    if value == "":
        return None
    match = _LISTEN.fullmatch(value) if isinstance(value, str) else None
    if match is None or not 0 < int(match["port"]) < 65_536:
        raise Unfit('an address and port such as "127.0.0.1:9108", or "" for none')
    return Listen(host=match["v6"] or match["host"], port=int(match["port"]))


def command(value: object) -> tuple[str, ...]:
    """Return a command's words; text is split as a shell would, but no shell runs it."""
    expected = 'a command such as "pass show jitsi" or ["pass", "show", "jitsi"]'
    if isinstance(value, list):
        words = [word for word in value if isinstance(word, str)]
        if len(words) != len(value):
            raise Unfit(expected)
    elif isinstance(value, str):
        words = _split(value, expected)
    else:
        raise Unfit(expected)
    if not words or not words[0] or any("\0" in word for word in words):
        raise Unfit(expected)
    return tuple(words)


def _split(value: str, expected: str) -> list[str]:
    try:
        return shlex.split(value)
    except ValueError:
        raise Unfit(expected, remedy="close the quotes in it") from None


def language(value: object) -> str:
    """Return a language tag such as `en` or `pt-BR`, as a roster's cell has it."""
    return language_tag(text(value))


def names(value: object) -> tuple[str, ...]:
    """Return a list of texts, none of them empty or twice."""
    if not isinstance(value, (list, tuple)):
        raise Unfit('a list such as ["one", "two"]')
    found = tuple(text(item) for item in value)
    if len(set(found)) != len(found):
        raise Unfit("a list that has no value twice")
    return found


def server_url(value: object) -> str:
    """Return the url without trailing slash: https (or http), a host, at most a tenant's path."""
    url = text(value)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Unfit(_URL_EXPECTED) from None
    if parts.scheme not in {"https", "http"} or not parts.hostname or port == 0:
        raise Unfit(_URL_EXPECTED)
    if parts.username is not None or parts.query or parts.fragment or "?" in url or "#" in url:
        raise Unfit(_URL_EXPECTED, remedy="leave out login, ?query and #fragment")
    if any(char.isspace() for char in url):
        raise Unfit(_URL_EXPECTED, remedy="leave out the blanks")
    tenant_from_path(parts.path)
    host = _ascii_host(parts.hostname)
    bracketed = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{bracketed}{f':{port}' if port else ''}{parts.path.rstrip('/')}"


def _ascii_host(host: str) -> str:
    """Return a host in lower case and A-labels, as browsers and certificates have it."""
    if host.isascii():
        return host.lower()
    import idna  # noqa: PLC0415 - only where a name needs it

    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError:
        raise Unfit(_URL_EXPECTED) from None


def is_loopback(host: str) -> bool:
    """Return whether `host` (a name or an address, no port) is this machine itself."""
    bare = host.strip("[]").rstrip(".").lower()
    if bare == "localhost" or bare.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return False


def host_name(value: object) -> str:
    """Return the name or address of a mail server, without port or scheme."""
    host = text(value)
    bare = host.removeprefix("[").removesuffix("]")
    try:
        ipaddress.ip_address(bare)
    except ValueError:
        if any(char in host for char in ":/@ []"):
            raise Unfit(
                "a host name or address such as smtp.example.com",
                remedy="the port has its own key, port",
            ) from None
        return host
    return bare


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


def some_of(*allowed: str, or_none: bool = False) -> Callable[[object], tuple[str, ...]]:
    """Return the check for a list of one or more of `allowed`; of none as well with `or_none`."""

    def check(value: object) -> tuple[str, ...]:
        found = names(value)
        if not (found or or_none) or not set(found) <= set(allowed):
            wanted = "a list of " if or_none else "a list of one or more of "
            raise Unfit(wanted + ", ".join(allowed))
        return found

    return check


def display_name(value: object) -> str:
    """Return a name that a mail header can carry as it is."""
    name = text(value)
    refuse_encoded_words(name)
    return name


def colour(value: object) -> str:
    """Return a colour as `#rrggbb` on which white text can be read, and which can be on white."""
    found = colour_of(text(value))
    if found is None:
        raise Unfit('a colour such as "#1d4ed8"')
    ratio = contrast(found, WHITE)
    if ratio < TEXT_CONTRAST:
        raise Unfit(
            f"a colour with a contrast to white of at least {TEXT_CONTRAST:g} (this one has "
            f"{ratio:.1f})",
            remedy="take a darker one: buttons have white text on it",
        )
    return found


def greeting(value: object) -> str:
    """Return a greeting in which `{name}`, where it is, stands for the attendee's name."""
    said = check_line(text(value))
    if set("{}") & set(said.replace("{name}", "", 1)):
        raise Unfit('a greeting such as "Dear {name}," with no other braces')
    return said


def columns(value: object) -> dict[str, tuple[str, ...]]:
    """Return theirs by ours, each as a tuple."""
    from invites.roster.columns import BY_NAME, folded_name  # noqa: PLC0415
    from invites.roster.parts import PARTS  # noqa: PLC0415

    ours_known = (*BY_NAME, *sorted(PARTS))
    if not isinstance(value, dict):
        raise Unfit('lines such as email = "E-Mail"')
    found = {
        ours: names([theirs] if isinstance(theirs, str) else theirs)
        for ours, theirs in value.items()
    }
    for ours in found:
        if ours not in ours_known:
            near = get_close_matches(folded_name(ours), ours_known, n=1)
            meant = f'; did you mean "{near[0]}"?' if near else ": " + ", ".join(ours_known)
            raise Unfit(f'a column of ours to the left of =, which "{escaped(ours)}" is not{meant}')
    folded = [folded_name(each) for theirs in found.values() for each in theirs]
    if len(set(folded)) != len(folded):
        raise Unfit("each of their columns once")
    return found


def zone_name(value: object) -> str:
    """Return the IANA name of a time zone that the pinned zone data knows."""
    return zone(text(value)).key


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


def path(value: object, info: ValidationInfo) -> Path:
    """Return an absolute path; a relative one starts from the settings' folder."""
    return _context(info).absolute(text(str(value) if isinstance(value, Path) else value))


def logo(value: object, info: ValidationInfo) -> str | Path:
    """Return the https URL of a picture, or the path of one that mails are to bring along."""
    url = text(value)
    if _SCHEME.match(url) is None:
        return path(url, info)
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or not url.isascii() or set(url) & set(' "<>'):
        raise Unfit(
            'a file such as "logo.png", or an https URL such as https://example.com/logo.png'
        )
    return url


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
        RosterPath.of(each.removeprefix("~/"), around.home)
        if around.home is not None and each.startswith("~/")
        else RosterPath.of(each, around.base)
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


Text = Annotated[str, BeforeValidator(text)]
Names = Annotated[tuple[str, ...], BeforeValidator(names)]
Switch = Annotated[bool, BeforeValidator(switch)]
WholeNumber = Annotated[int, BeforeValidator(whole_number(1, 1_000))]
Zone = Annotated[str, BeforeValidator(zone_name)]
Email = Annotated[str, BeforeValidator(email)]
RosterPaths = Annotated[tuple[RosterPath, ...], BeforeValidator(roster_paths)]

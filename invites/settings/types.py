"""The forms that single settings are written in: durations, shares, rates, days, urls, lists.

Each function takes what the TOML file or the environment holds and returns the parsed value,
or raises `Unfit` with the words for what was expected.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from difflib import get_close_matches
from fractions import Fraction
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import BeforeValidator

from invites.jitsi.rooms import tenant_from_path
from invites.languages import language_tag
from invites.problems import escaped
from invites.text import CellRefused, check_line, refuse_encoded_words
from invites.times import NAMED_FORMATS, zone

UNITS: Final = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
"""Seconds in each unit of a duration or rate, largest first."""

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""In the order of `datetime.weekday()`."""

LONGEST_DURATION: Final = timedelta(days=36_500)

_DURATION: Final = re.compile(
    r"(?=[0-9])" + "".join(rf"(?:(?P<{unit}>[0-9]{{1,10}}){unit})?" for unit in UNITS)
)
_SHARE: Final = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?) ?%")
_RATE: Final = re.compile(r"([0-9]{1,9}) ?/ ?([smhd])")
_CLOCK: Final = re.compile(r"([0-9]{2}):([0-9]{2})")
_LISTEN: Final = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9.-]+)):(?P<port>[0-9]{1,5})"
)

JAAS_URL: Final = "https://8x8.vc"
"""Where 8x8 serves JaaS; an app's rooms are below its AppID."""

_URL_EXPECTED = "an address such as https://meet.example.com or https://meet.example.com/tenant"


class Unfit(CellRefused):
    """A value that is not of the form that its key wants; `expected` and `remedy` are words."""

    def __init__(self, expected: str, *, remedy: str = "") -> None:
        """Take in words that complete "expected …" and "; …"; neither holds the value itself."""
        self.remedy = remedy
        super().__init__(expected)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """At most `count` messages in each `period`."""

    count: int
    period: timedelta


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


def duration(value: object) -> timedelta:
    """Return the duration that `15m`, `24h`, `60s`, `100d` or `1h30m` says, at most 100 years."""
    expected = "a duration such as 60s, 15m, 24h, 100d or 1h30m"
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise Unfit(expected, remedy="write whole numbers with d, h, m or s, in quotes")
    seconds = sum(int(number) * UNITS[unit] for unit, number in match.groupdict("0").items())
    if seconds > LONGEST_DURATION.total_seconds():
        raise Unfit(f"a duration of at most {LONGEST_DURATION.days}d")
    return timedelta(seconds=seconds)


def positive_duration(value: object) -> timedelta:
    """Return a duration that is longer than nothing."""
    length = duration(value)
    if not length:
        raise Unfit("a duration longer than 0s")
    return length


def duration_or_none(value: object) -> timedelta | None:
    """Return a duration, or None where the text is empty."""
    return None if value == "" else duration(value)


def share(value: object, at_most: int = 100) -> Fraction:
    """Return the share that a percentage such as `10%` says, without rounding; `at_most` in %."""
    match = _SHARE.fullmatch(value.strip()) if isinstance(value, str) else None
    parsed = Fraction(match[1]) / 100 if match else None
    if parsed is None or parsed * 100 > at_most:
        expected = f"a percentage from 0% to {at_most}% such as 10%"
        raise Unfit(expected, remedy="write it in quotes")
    return parsed


def growth(value: object) -> Fraction:
    """Return a share that may be more than all there is: twice as many is a growth of 100%."""
    return share(value, at_most=900)


def rate(value: object) -> tuple[RateLimit, ...]:
    """Return the limits of `30/m, 10000/d`, shortest period first; none for empty text."""
    expected = 'limits such as "30/m, 10000/d" (s, m, h or d; each once), or "" for none'
    if not isinstance(value, str):
        raise Unfit(expected)
    if not value.strip():
        return ()
    matches = [_RATE.fullmatch(part.strip()) for part in value.split(",")]
    found = {match[2]: int(match[1]) for match in matches if match is not None}
    if len(found) != len(matches) or not all(found.values()):
        raise Unfit(expected)
    return tuple(
        RateLimit(count=found[unit], period=timedelta(seconds=UNITS[unit]))
        for unit in reversed(UNITS)
        if unit in found
    )


def due_at(value: object) -> time | str:
    """Return the wall time that `02:15` says, without zone, or a cron expression as it stands."""
    expected = "a time of day from 00:00 to 23:59 such as 02:15"
    if not isinstance(value, str):
        raise Unfit(expected, remedy="write it in quotes")
    if len(value.split()) > 1:
        return _cron(value)
    match = _CLOCK.fullmatch(value)
    if match is None or int(match[1]) > 23 or int(match[2]) > 59:
        raise Unfit(f'{expected}, or a cron expression such as "15 2 * * mon-fri"')
    return time(int(match[1]), int(match[2]))


def _cron(value: str) -> str:
    from invites.due.rule import demand_cron  # noqa: PLC0415

    try:
        demand_cron(value)
    except ValueError:
        raise Unfit(
            "a cron expression with minute, hour, day of the month, month and weekday that comes "
            'some day, such as "15 2 * * mon-fri"'
        ) from None
    return " ".join(value.split())


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


def weekdays(value: object) -> frozenset[int]:
    """Return the days of `mon-sun`, `mon,wed` or `fri-mon` as `datetime.weekday()` numbers."""
    if not isinstance(value, str):
        raise Unfit(_DAYS_EXPECTED)
    days: set[int] = set()
    for part in value.lower().split(","):
        first, dash, last = (piece.strip() for piece in part.partition("-"))
        begin, end = _weekday(first), _weekday(last if dash else first)
        days.update((begin + step) % 7 for step in range((end - begin) % 7 + 1))
    return frozenset(days)


_DAYS_EXPECTED: Final = (
    'days such as "mon-sun", "mon-fri" or "mon,wed" (' + ", ".join(WEEKDAYS) + ")"
)


def _weekday(name: str) -> int:
    if name not in WEEKDAYS:
        raise Unfit(_DAYS_EXPECTED)
    return WEEKDAYS.index(name)


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


def date_formats(value: object) -> tuple[str, ...]:
    """Return names of date formats, or `strptime` forms that keep day, year, hour and minute."""
    found = names([value] if isinstance(value, str) and value else value or [])
    if not all(form in NAMED_FORMATS or _keeps_the_minute(form) for form in found):
        raise Unfit(
            f"a list of {', '.join(NAMED_FORMATS)} or forms with day, month, year, hour and "
            'minute such as "%d.%m.%Y %H:%M"'
        )
    return found


def _keeps_the_minute(form: str) -> bool:
    sample = datetime(2026, 11, 25, 17, 48, tzinfo=UTC)
    try:
        again = datetime.strptime(sample.strftime(form), form)  # noqa: DTZ007 - with or without zone
    except (ValueError, UnicodeError):
        return False
    return again.replace(tzinfo=UTC) == sample


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


def reminders(value: object) -> tuple[timedelta, ...]:
    """Return how long before the start each reminder goes out, longest first."""
    if not isinstance(value, list):
        raise Unfit('a list of durations such as ["24h", "1h"]')
    leads = {positive_duration(each) for each in value}
    if len(leads) != len(value):
        raise Unfit("a list that has no duration twice")
    return tuple(sorted(leads, reverse=True))


def columns(value: object) -> dict[str, tuple[str, ...]]:
    """Return theirs by ours, each as a tuple."""
    from invites.roster.columns import BY_NAME, folded_name  # noqa: PLC0415

    if not isinstance(value, dict):
        raise Unfit('lines such as email = "E-Mail"')
    found = {
        ours: names([theirs] if isinstance(theirs, str) else theirs)
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
    return zone(text(value)).key


Text = Annotated[str, BeforeValidator(text)]
Names = Annotated[tuple[str, ...], BeforeValidator(names)]
Switch = Annotated[bool, BeforeValidator(switch)]
WholeNumber = Annotated[int, BeforeValidator(whole_number(1, 1_000))]
Zone = Annotated[str, BeforeValidator(zone_name)]

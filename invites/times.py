"""Time zones and the times that a roster writes: from text to an instant, or the reason why not.

The one home of zone look-up: the zones are those of the pinned `tzdata`, never the system's,
which may be years older.
"""

from __future__ import annotations

import re
import zoneinfo
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final
from zoneinfo import ZoneInfo

from tzdata import IANA_VERSION  # type: ignore[import-untyped]

from invites.text import CellRefused, counted

TZDATA_VERSION: Final[str] = IANA_VERSION
"""The release of the IANA time zone database that all zones come from, such as `2026f`."""

FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 9998
"""The years that a meeting may be in: its window is counted from 1970, and ends before 10000."""

LONGEST_NAME: Final = 40
"""Characters of a wrong zone for which a right one is looked for; the longest zone has 32."""

EXAMPLE: Final = "a date and time such as 2026-01-31 10:00"

zoneinfo.reset_tzpath(())

_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d)(?::(\d\d))? ?(Z|[+-]\d\d(?::?\d\d)?)?", re.ASCII
)
_DATE_ALONE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_OTHER_ORDER = re.compile(r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}\b.*", re.ASCII)


class ZoneRefused(CellRefused):
    """A name that the pinned time zone database does not have."""


class TimeRefused(CellRefused):
    """A text that is no time, or a time that its zone does not have exactly once."""


@cache
def zone_names() -> frozenset[str]:
    """Return the names of all zones of the pinned database."""
    return frozenset(zoneinfo.available_timezones())


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """Return the zone with this IANA name, by the pinned rules.

    Raises ZoneRefused, with the name that was probably meant where there is one.
    """
    if name not in zone_names():
        raise ZoneRefused(_zone_expected(name))
    return ZoneInfo(name)


@lru_cache(maxsize=1024)
def footer_of(name: str) -> str:
    """Return what a zone's file says of all years after those that it lists (RFC 9636 3.3)."""
    file = files("tzdata.zoneinfo").joinpath(*name.split("/"))
    return file.read_bytes().rsplit(b"\n", 2)[1].decode("ascii")


@cache
def _zones_by_folded_name() -> dict[str, str]:
    """Return the names of zones by their lower-case form, and by that of their city alone."""
    names = sorted(zone_names(), reverse=True)
    cities = {name.rpartition("/")[2].casefold(): name for name in names}
    return cities | {name.casefold(): name for name in names}


def _zone_expected(name: str) -> str:
    """Return what to expect instead of `name`; only what looks like a zone is searched for."""
    folded = name.replace(" ", "_").casefold()
    meant = _zones_by_folded_name().get(folded)
    if meant is None and "/" in folded and len(folded) < LONGEST_NAME:
        from difflib import get_close_matches  # noqa: PLC0415 - only where a name is wrong

        area = folded.partition("/")[0]
        near = [known for known in _zones_by_folded_name() if known.startswith(area[:2])]
        found = get_close_matches(folded, near, n=1, cutoff=0.8)
        meant = _zones_by_folded_name()[found[0]] if found else None
    hint = f"; did you mean {meant}?" if meant else ""
    return f"an IANA time zone such as Europe/Berlin{hint}"


NAMED_FORMATS: Final = {
    "iso": (),
    "de": ("%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S"),
    "us": ("%m/%d/%Y %I:%M %p", "%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M:%S"),
    "excel": (),
}
"""What `[roster] date_format` can name: forms of `strptime`; "iso" and "excel" have code."""

_SERIAL = re.compile(r"[1-9]\d{4,6}(?:[.,]\d{1,15})?", re.ASCII)
_SERIAL_ZERO = datetime(1899, 12, 30)  # noqa: DTZ001 - a wall time, whose zone is another column's
"""Day 0 of a spreadsheet's dates; day 61 is 1900-03-01 (ECMA-376 18.17.4.1)."""


def parse_time(text: str, date_format: tuple[str, ...] = ()) -> datetime:
    """Return the time that `text` writes: aware where it has an offset, else without zone.

    Read are `2026-12-01 09:00`, also with seconds, `T`, an offset or `Z`; with `date_format` only
    what it names or (as `strptime` has it) describes, the first that fits.
    Raises TimeRefused; a day that does not exist is refused like any other text.
    """
    parsed = _by_formats(text, date_format) if date_format else _by_iso(text)
    if not FIRST_YEAR <= parsed.year <= LAST_YEAR:
        raise TimeRefused(f"a year from {FIRST_YEAR} to {LAST_YEAR}")
    return parsed


def _by_iso(text: str) -> datetime:
    found = _TIME.fullmatch(text)
    if found is None:
        raise TimeRefused(_why_not_iso(text))
    year, month, day, hour, minute, second, offset = found.groups()
    clock = f"{year}-{month}-{day}T{hour}:{minute}:{second or '00'}"
    try:
        return datetime.fromisoformat(clock + _iso_offset(offset))
    except ValueError:
        raise TimeRefused(_why_no_date(int(year), int(month), int(day))) from None


def _iso_offset(offset: str | None) -> str:
    if offset is None or offset == "Z":
        return offset or ""
    return offset + ":00" if len(offset) == len("+01") else offset


def _by_formats(text: str, date_format: tuple[str, ...]) -> datetime:
    for form in date_format:
        try:
            return _by_format(text, form)
        except TimeRefused:  # another form may fit
            continue
    examples = " or ".join(_example_of(form) for form in date_format)
    raise TimeRefused(
        f"a date and time such as {examples} ([roster] date_format is {', '.join(date_format)})"
    )


def _by_format(text: str, form: str) -> datetime:
    if form == "iso":
        return _by_iso(text)
    if form == "excel":
        return _by_serial(text)
    for pattern in NAMED_FORMATS.get(form, (form,)):
        try:
            return datetime.strptime(text, pattern)  # noqa: DTZ007 - its zone is another column's
        except ValueError:
            continue
    raise TimeRefused(_example_of(form))


def _by_serial(text: str) -> datetime:
    if not _SERIAL.fullmatch(text):
        raise TimeRefused(_example_of("excel"))
    days = Decimal(text.replace(",", "."))
    return _SERIAL_ZERO + timedelta(seconds=round(days * 86_400))


def _example_of(form: str) -> str:
    if form == "iso":
        return "2026-01-31 10:00"
    if form == "excel":
        return "46053.416667"
    pattern = NAMED_FORMATS.get(form, (form,))[0]
    return datetime(2026, 1, 31, 10, tzinfo=UTC).strftime(pattern)


def _why_not_iso(text: str) -> str:
    if _DATE_ALONE.fullmatch(text):
        return f"{EXAMPLE}, not a date alone"
    if _OTHER_ORDER.fullmatch(text) and not _DATE_ALONE.match(text):
        return f"{EXAMPLE}; for another order of day and month set [roster] date_format"
    return EXAMPLE


def _why_no_date(year: int, month: int, day: int) -> str:
    try:
        first = date(year, month, 1)
    except ValueError:
        return f"{EXAMPLE}; months are 01 to 12"
    days = ((first + timedelta(days=31)).replace(day=1) - first).days if year < LAST_YEAR else 31
    if not 1 <= day <= days:
        return f"{EXAMPLE}; {first:%B %Y} has {days} days"
    return f"{EXAMPLE}; hours end at 23, minutes and seconds at 59, offsets at 23:59"


def instant(seconds: int) -> datetime:
    """Return seconds since 1970 as an aware datetime in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def iso_z(moment: datetime) -> str:
    """Return an aware datetime as `2031-01-01T08:44:00Z`, with a fraction where it has one."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def local(moment: datetime, in_zone: str, *, seconds: bool = False, weekday: bool = False) -> str:
    """Return an instant as people of a zone (an IANA name) read it: `2031-01-01 09:44 Asia/Tokyo`.

    The one form of times for people, apart from what receivers of mail read in their language.
    """
    day, clock = "%a %Y-%m-%d" if weekday else "%Y-%m-%d", "%H:%M:%S" if seconds else "%H:%M"
    return f"{moment.astimezone(zone(in_zone)):{day} {clock}} {in_zone}"


def in_utc(moment: datetime, in_zone: ZoneInfo, *, with_offset: str = "") -> datetime:
    """Return `moment` in UTC; where it has no offset, clocks in `in_zone` show it.

    `with_offset` says in the refusal how an offset can be written, "" for ISO 8601.
    Raises TimeRefused for a time that the zone skips, and for one that it has twice: the offset
    before a change and the one after it differ (PEP 495), in the gap the first is the smaller.
    """
    if moment.tzinfo is not None:
        return moment.astimezone(UTC)
    local = moment.replace(tzinfo=in_zone)
    before, after = local.utcoffset(), local.replace(fold=1).utcoffset()
    if before != after:
        raise TimeRefused(_why_not_once(local, with_offset))
    return local.astimezone(UTC)


def _why_not_once(local: datetime, with_offset: str) -> str:
    """Return what to expect instead of `local`, a time that its zone skips or has twice."""
    first, second = local, local.replace(fold=1)
    place = f"in {local.tzinfo} on {local:%Y-%m-%d}"
    if _offset(first) < _offset(second):
        latest, earliest = second.astimezone(UTC), first.astimezone(UTC)
        around = [when.astimezone(local.tzinfo) for when in (latest, earliest)]
        return (
            f"a time that exists: {local:%H:%M} is skipped {place}, "
            f"clocks there go forward; {around[0]:%H:%M} and {around[1]:%H:%M} exist"
        )
    if with_offset:
        return f"an offset: {local:%H:%M} comes twice {place}; {with_offset}"
    written = [f"{when:%Y-%m-%d %H:%M}{_as_iso(_offset(when))}" for when in (first, second)]
    return (
        f"an offset: {local:%H:%M} comes twice {place}; "
        f"write {written[0]} for the first, {written[1]} for the second"
    )


def _offset(moment: datetime) -> timedelta:
    return moment.utcoffset() or timedelta()


def _as_iso(offset: timedelta) -> str:
    sign = "-" if offset < timedelta() else "+"
    minutes = round(abs(offset).total_seconds() / 60)
    return f"{sign}{minutes // 60:02d}:{minutes % 60:02d}"


CLOCK_TOLERANCE: Final = timedelta(minutes=5)
"""A clock this much behind what the ledger remembers is still taken for the same clock."""

_RELEASE = re.compile(r"(\d{4})([a-z]{1,2})", re.ASCII)


def clock_fault(last_run: int | None, now: int, *, ahead: timedelta, in_zone: str) -> str | None:
    """Return why the clock can't be trusted, or None; both times are seconds since 1970.

    A pause between two runs is no fault, unless it is longer than `ahead`.  The times are told on
    the clock of `in_zone` (IANA).
    """
    if last_run is not None and last_run - now > CLOCK_TOLERANCE.total_seconds():
        words = "is behind"
    elif last_run is not None and now - last_run > ahead.total_seconds():
        words = f"is more than {counted(ahead.days, 'day')} past"
    else:
        return None
    found, last = (local(instant(seconds), in_zone, seconds=True) for seconds in (now, last_run))
    return (
        f"clock: found {found}, which {words} the ledger's last run at {last}; "
        "expected a clock that is right; set it, or give --accept-clock if it is"
    )


def zone_data_fault(recorded: str | None, current: str) -> str | None:
    """Return why the time zone data can't be trusted, or None; versions read as `2026f`."""
    release = _RELEASE.fullmatch(current)
    if release is None:
        return (
            f'time zone data: found version "{current[:40]}", expected a release such as 2026f; '
            "install the tzdata package anew"
        )
    earlier = _RELEASE.fullmatch(recorded or "")
    if earlier is not None and _order(release) < _order(earlier):
        return (
            f"time zone data: found version {current}, expected {recorded} or later, with which "
            "the ledger's invitations were made; update the tzdata package"
        )
    return None


def _order(release: re.Match[str]) -> tuple[int, int, str]:
    year, letters = release.groups()
    return int(year), len(letters), letters

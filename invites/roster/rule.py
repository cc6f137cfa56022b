"""From a cell of `recurrence` to a rule: an RRULE (RFC 5545 3.3.10), or a short form of one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import Final

from invites.model import WEEKDAYS, Frequency, Recurrence
from invites.roster.recurrence import UNITS, WORKING_DAYS, Rule, checked, not_in_outlook
from invites.text import CellRefused

EXAMPLES: Final = '"weekly until 2027-02-01", "every 2 weeks on mon,wed x 10" or an RRULE'


def parse_rule(text: str) -> Rule:
    """Return the rule that a cell writes; raises CellRefused, which names the part that is wrong."""
    written = text.strip()
    if re.match(r"(?:RRULE:)?[A-Z]+=", written, re.IGNORECASE):
        return _rrule(written)
    return _short_form(written)


_PARTS: Final = (
    *("FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "BYMONTHDAY", "BYMONTH", "BYSETPOS", "WKST"),
)
_DAY = re.compile(r"([+-]?\d{1,2})?(MO|TU|WE|TH|FR|SA|SU)", re.ASCII)
_UNTIL = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)(Z?))?", re.ASCII)


def _rrule(text: str) -> Rule:
    parts = _parts_of(text.upper().removeprefix("RRULE:"))
    try:
        frequency = Frequency(parts.pop("FREQ", ""))
    except ValueError:
        raise CellRefused(
            "a rule that Outlook can express: FREQ=DAILY, WEEKLY, MONTHLY or YEARLY"
        ) from None
    count = _number(parts, "COUNT", at_least=1)
    until = _until(parts.pop("UNTIL", ""))
    days, nth = _byday(parts.pop("BYDAY", ""), frequency)
    set_position = _number(parts, "BYSETPOS", negative=True)
    if set_position is not None:
        if nth or not days:
            raise CellRefused("BYSETPOS with a BYDAY of plain days, such as BYDAY=MO,TU;BYSETPOS=1")
        nth = set_position
    recurrence = Recurrence(
        frequency=frequency,
        interval=_number(parts, "INTERVAL", at_least=1) or 1,
        weekdays=days,
        nth=nth,
        month_day=_number(parts, "BYMONTHDAY", negative=True) or 0,
        month=_number(parts, "BYMONTH", at_least=1) or 0,
        week_start=_week_start(parts.pop("WKST", "MO")),
    )
    return checked(Rule(recurrence=recurrence, count=count, until=until))


def _parts_of(text: str) -> dict[str, str]:
    parts: dict[str, str] = {}
    for part in text.rstrip(";").split(";"):
        name, equals, value = part.strip().partition("=")
        if not equals or not value:
            raise CellRefused(f"parts such as FREQ=WEEKLY, not {part.strip()[:20]!r}")
        if name in parts:
            raise CellRefused(f"each part once; {name} comes twice")
        if name not in _PARTS:
            raise not_in_outlook(
                f"not {name[:20]}", f"the parts that it has are {', '.join(_PARTS)}"
            )
        parts[name] = value
    return parts


def _number(
    parts: dict[str, str], name: str, *, at_least: int = 0, negative: bool = False
) -> int | None:
    value = parts.pop(name, None)
    if value is None:
        return None
    if "," in value:
        raise not_in_outlook(f"one number in {name}, not {value[:20]}", "make a series of each")
    if not re.fullmatch(r"[+-]?\d{1,4}" if negative else r"\d{1,4}", value, re.ASCII):
        raise CellRefused(f"a number in {name}, not {value[:20]!r}")
    number = int(value)
    if number < (-9999 if negative else at_least) or (negative and number == 0):
        raise CellRefused(f"another number in {name} than {value[:20]}")
    return number


def _byday(value: str, frequency: Frequency) -> tuple[tuple[str, ...], int]:
    """Return the days, in the week's order, and the ordinal that they have."""
    if not value:
        return (), 0
    found = [_DAY.fullmatch(day.strip()) for day in value.split(",")]
    if not all(found):
        raise CellRefused(f"days such as MO or 1TU in BYDAY, not {value[:20]!r}")
    ordinals = {match[1] for match in found if match and match[1]}
    days = {match[2] for match in found if match}
    if not ordinals:
        return tuple(day for day in WEEKDAYS if day in days), 0
    if frequency in {Frequency.DAILY, Frequency.WEEKLY}:
        raise CellRefused(f"days without number in BYDAY of FREQ={frequency}, such as MO")
    if len(found) > 1:
        raise not_in_outlook(
            f"one day with a number in BYDAY, not {value[:20]}", "make a series of each"
        )
    return (*days,), int(ordinals.pop())


def _until(value: str) -> datetime | None:
    if not value:
        return None
    found = _UNTIL.fullmatch(value)
    if found is None:
        raise CellRefused(f"UNTIL as 20270201 or 20270201T080000Z, not {value[:20]!r}")
    year, month, day, hour, minute, second, zulu = found.groups()
    try:
        last = date(int(year), int(month), int(day))
        clock = time(int(hour), int(minute), int(second)) if hour else time.max
    except ValueError:
        raise CellRefused(f"a date in UNTIL that exists, not {value[:20]}") from None
    return datetime.combine(last, clock, tzinfo=UTC if zulu else None)


def _week_start(value: str) -> str:
    if value not in WEEKDAYS:
        raise CellRefused(f"a day such as MO in WKST, not {value[:20]!r}")
    return value


# Short forms


_WORDS: Final[Mapping[str, str]] = {
    name: day
    for day, names in zip(
        WEEKDAYS,
        (
            ("mon", "monday"),
            ("tue", "tues", "tuesday"),
            ("wed", "wednesday"),
            ("thu", "thur", "thurs", "thursday"),
            ("fri", "friday"),
            ("sat", "saturday"),
            ("sun", "sunday"),
        ),
        strict=True,
    )
    for name in (*names, f"{names[-1]}s")
}
_ORDINALS: Final[Mapping[str, int]] = {
    "1st": 1,
    "first": 1,
    "2nd": 2,
    "second": 2,
    "3rd": 3,
    "third": 3,
    "4th": 4,
    "fourth": 4,
    "last": -1,
}
_FREQUENCIES: Final[Mapping[str, Frequency]] = {
    "daily": Frequency.DAILY,
    "weekly": Frequency.WEEKLY,
    "monthly": Frequency.MONTHLY,
    "yearly": Frequency.YEARLY,
}
_END = re.compile(
    r"\s+(?:until\s+(?P<until>\S+)|(?:x|for)\s*(?P<x>\d{1,4})(?:\s+times)?|(?P<times>\d{1,4})\s+times)$",
    re.ASCII,
)
_EVERY = re.compile(
    r"every\s+(?:(?P<number>\d{1,4}|other)\s+)?(?P<unit>day|week|month|year)s?", re.ASCII
)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def _short_form(text: str) -> Rule:
    folded = " ".join(text.casefold().split())
    end = _END.search(folded)
    head, _, on = (folded[: end.start()] if end else folded).partition(" on ")
    recurrence = _with_days(_head(head), on)
    count = until = None
    if end is not None:
        number = end["x"] or end["times"]
        count = int(number) if number else None
        until = _until_date(end["until"]) if end["until"] else None
    if count == 0:
        raise CellRefused("at least one date")
    return checked(Rule(recurrence=recurrence, count=count, until=until))


def _head(text: str) -> Recurrence:
    """Return what the words before "on" mean."""
    if text in _FREQUENCIES:
        return Recurrence(frequency=_FREQUENCIES[text])
    if text in {"weekdays", "every weekday"}:
        return Recurrence(frequency=Frequency.WEEKLY, weekdays=WORKING_DAYS)
    every = _EVERY.fullmatch(text)
    if every is not None:
        number = {None: "1", "other": "2"}.get(every["number"], every["number"])
        return Recurrence(frequency=UNITS[every["unit"]], interval=int(number or 1))
    days = _days(text.removeprefix("every ")) if text.startswith("every ") else None
    if days:
        return Recurrence(frequency=Frequency.WEEKLY, weekdays=days)
    raise CellRefused(f"a rule such as {EXAMPLES}; {text[:40]!r} is not known")


def _with_days(recurrence: Recurrence, on: str) -> Recurrence:
    """Return the rule with what is said after "on"."""
    if not on:
        return recurrence
    if recurrence.frequency is Frequency.WEEKLY and not recurrence.weekdays:
        days = _days(on)
        if days:
            return replace(recurrence, weekdays=days)
        raise CellRefused(f'days such as "on mon,wed" in a weekly rule, not {on[:40]!r}')
    if recurrence.frequency is Frequency.MONTHLY:
        return _on_in_month(recurrence, on.removeprefix("the "))
    raise CellRefused(
        f'no days after {recurrence.frequency.value.lower()!r}, not "on {on[:40]}"; '
        "the first date says when, or an RRULE does"
    )


def _days(text: str) -> tuple[str, ...]:
    """Return the weekdays of a list such as `mon,wed` or `monday and friday`; () for none."""
    words = re.sub(r",|\band\b", " ", text).split()
    if words in (["weekdays"], ["weekday"]):
        return WORKING_DAYS
    days = {_WORDS.get(word) for word in words}
    return () if None in days else tuple(day for day in WEEKDAYS if day in days)


def _on_in_month(recurrence: Recurrence, on: str) -> Recurrence:
    word, _, rest = on.partition(" ")
    nth = _ORDINALS.get(word)
    if nth is not None and rest:
        if (nth, rest) == (-1, "day"):
            return replace(recurrence, month_day=-1)
        days = _days(rest)
        if days:
            return replace(recurrence, weekdays=days, nth=nth)
    number = re.fullmatch(r"(?:day )?(\d{1,2})(?:st|nd|rd|th|\.)?", on, re.ASCII)
    if number is not None and number[1] != "0":
        return replace(recurrence, month_day=int(number[1]))
    raise CellRefused(
        'a day such as "on 1st tue", "on last fri", "on 15th" or "on last day" in a monthly rule, '
        f"not {on[:40]!r}"
    )


def _until_date(text: str) -> datetime:
    if not _DATE.fullmatch(text):
        raise CellRefused(f'a date such as "until 2027-02-01", not {text[:20]!r}')
    try:
        return datetime.combine(date.fromisoformat(text), time.max)
    except ValueError:
        raise CellRefused(f'a date after "until" that exists, not {text}') from None

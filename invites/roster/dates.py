"""Which settings read the dates that a file has, and whether that is certain: for `check --suggest`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import Final

from invites.roster.cells import RosterRules
from invites.roster.parts import as_clock, as_date, as_length
from invites.text import CellRefused
from invites.times import TimeRefused, parse_time

LOOKED_AT: Final = 2_000
"""Different texts of a column that are looked at."""

MOSTLY: Final = 0.9
"""Part of a column's texts that have to be of a kind; the others are problems of their rows."""


class CellKind(StrEnum):
    """What a column's texts are."""

    MOMENT = "date and time"
    DATE = "date"
    CLOCK = "time of day"
    OTHER = "other"


class DateOrder(StrEnum):
    """In which order a form has day and month."""

    YEAR_FIRST = "year first"
    DAY_FIRST = "day first"
    MONTH_FIRST = "month first"


@dataclass(frozen=True, slots=True)
class Family:
    """Forms of one way to write dates: those of `date_format`, without and with seconds and halves."""

    order: DateOrder
    forms: tuple[str, ...]


def _family(order: DateOrder, date: str) -> Family:
    clocks = ("%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M:%S %p")
    return Family(order, tuple(f"{date} {clock}" for clock in clocks))


FAMILIES: Final = (
    Family(DateOrder.YEAR_FIRST, ("iso",)),
    Family(DateOrder.DAY_FIRST, ("de",)),
    Family(DateOrder.MONTH_FIRST, ("us",)),
    _family(DateOrder.DAY_FIRST, "%d/%m/%Y"),
    _family(DateOrder.DAY_FIRST, "%d-%m-%Y"),
    _family(DateOrder.DAY_FIRST, "%d.%m.%y"),
    _family(DateOrder.DAY_FIRST, "%d/%m/%y"),
    _family(DateOrder.DAY_FIRST, "%d.%m.%Y,"),
    _family(DateOrder.DAY_FIRST, "%d/%m/%Y,"),
    _family(DateOrder.MONTH_FIRST, "%m/%d/%y"),
    _family(DateOrder.MONTH_FIRST, "%m-%d-%Y"),
    _family(DateOrder.MONTH_FIRST, "%m/%d/%Y,"),
    _family(DateOrder.YEAR_FIRST, "%Y/%m/%d"),
    _family(DateOrder.YEAR_FIRST, "%Y-%m-%d"),
    _family(DateOrder.YEAR_FIRST, "%Y.%m.%d"),
    Family(DateOrder.YEAR_FIRST, ("%Y年%m月%d日 %H:%M",)),
    Family(DateOrder.YEAR_FIRST, ("excel",)),
)
"""The ways to write dates that are known, the more common first; `us` has its own halves."""


def kind_of(texts: Collection[str]) -> CellKind:
    """Return what most of a column's texts are, empty ones apart."""
    some = list(islice(filter(None, texts), LOOKED_AT))
    if not some:
        return CellKind.OTHER
    plain = RosterRules()
    tests: tuple[tuple[CellKind, Callable[[str], bool]], ...] = (
        (CellKind.CLOCK, lambda text: _takes(as_clock, text, plain)),
        (CellKind.MOMENT, lambda text: any(_is_moment(text, each.forms) for each in FAMILIES)),
        (CellKind.DATE, lambda text: any(_is_date(text, each.forms) for each in FAMILIES)),
    )
    for kind, test in tests:
        if sum(map(test, some)) >= MOSTLY * len(some):
            return kind
    return CellKind.OTHER


def are_lengths(texts: Collection[str]) -> bool:
    """Tell whether most of a column's texts can be how long a meeting takes."""
    some = list(islice(filter(None, texts), LOOKED_AT))
    fitting = sum(_takes(as_length, text, RosterRules()) for text in some)
    return bool(some) and fitting >= MOSTLY * len(some)


@dataclass(frozen=True, slots=True)
class Reading:
    """One value for `date_format`, its order of day and month, and a text that shows it."""

    forms: tuple[str, ...]
    order: DateOrder
    example: str = ""


def readings_of(
    moments: Iterable[str], dates: Iterable[str], rules: RosterRules
) -> tuple[Reading, ...]:
    """Return what `date_format` may be for these texts: nothing where the rules read them as it is.

    Two readings differ in the order of day and month, and no text tells which of them is right.
    Where no way to write dates reads all of them, it is several: those that read most, in turn.
    """
    texts = [(text, _is_moment) for text in islice(moments, LOOKED_AT)]
    texts += [(text, _is_date) for text in islice(dates, LOOKED_AT)]
    current = rules.date_format or ("iso",)
    left = [(text, reads) for text, reads in texts if not reads(text, current)]
    if rules.typed:
        left = [(text, reads) for text, reads in left if not reads(text, ("iso",))]
    if not left:
        return ()
    whole = [each for each in FAMILIES if all(reads(text, each.forms) for text, reads in left)]
    if not whole:
        return _several(left, rules)
    first = {each.order: each for each in reversed(whole)}
    both = [
        first[order] for order in (DateOrder.DAY_FIRST, DateOrder.MONTH_FIRST) if order in first
    ]
    chosen = both if len(both) > 1 else whole[:1]
    return tuple(_reading(each, left, rules) for each in chosen)


def _reading(
    family: Family, texts: Sequence[tuple[str, Callable[..., bool]]], rules: RosterRules
) -> Reading:
    """Return a family's reading, with those of its forms alone that the texts need."""
    needed = []
    left = list(texts)
    for form in family.forms:
        rest = [(text, reads) for text, reads in left if not reads(text, (form,))]
        if len(rest) < len(left):
            needed.append(form)
        left = rest
    kept = [form for form in rules.date_format if form not in needed]
    return Reading((*kept, *needed), family.order, _telling(texts))


def _telling(texts: Sequence[tuple[str, Callable[..., bool]]]) -> str:
    """Return a text that shows the order of day and month best: one with a number above 12."""
    orders = [each.forms for each in FAMILIES if each.order is DateOrder.MONTH_FIRST]
    days = [each.forms for each in FAMILIES if each.order is DateOrder.DAY_FIRST]
    for text, reads in texts:
        if any(reads(text, forms) for forms in orders) != any(reads(text, forms) for forms in days):
            return text
    return texts[0][0]


def _several(
    texts: Sequence[tuple[str, Callable[..., bool]]], rules: RosterRules
) -> tuple[Reading, ...]:
    forms = list(rules.date_format)
    left = list(texts)
    order = DateOrder.YEAR_FIRST
    while left and len(forms) < len(rules.date_format) + 3:
        best = max(FAMILIES, key=lambda one: sum(reads(text, one.forms) for text, reads in left))
        reading = _reading(best, left, replace(rules, date_format=()))
        rest = [(text, reads) for text, reads in left if not reads(text, best.forms)]
        if len(rest) == len(left):
            break
        order = best.order if order is DateOrder.YEAR_FIRST else order
        forms += [form for form in reading.forms if form not in forms]
        left = rest
    return (Reading(tuple(forms), order, _telling(texts)),) if forms else ()


def _is_moment(text: str, forms: tuple[str, ...]) -> bool:
    try:
        parse_time(text, forms)
    except TimeRefused:
        return False
    return True


def _is_date(text: str, forms: tuple[str, ...]) -> bool:
    return _takes(as_date, text, RosterRules(date_format=forms))


def _takes(parse: Callable[[str, RosterRules], object], text: str, rules: RosterRules) -> bool:
    try:
        parse(text, rules)
    except CellRefused:
        return False
    return True


def has_offset(text: str, rules: RosterRules) -> bool:
    """Tell whether a time says by itself which zone's it is."""
    try:
        moment: datetime = parse_time(text, rules.date_format)
    except TimeRefused:
        return False
    return moment.tzinfo is not None

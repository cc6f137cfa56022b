"""How much, how long and when, as settings write it."""

from __future__ import annotations

from datetime import time, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invites.settings import quantities
from invites.settings.quantities import RateLimit
from invites.settings.types import Unfit
from invites.text import CellRefused

PARTS = st.fixed_dictionaries(
    {},
    optional={unit: st.integers(min_value=0, max_value=20_000) for unit in ("d", "h", "m", "s")},
).filter(bool)
LENGTHS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


@given(PARTS)
def test_a_duration_is_the_sum_of_its_parts(parts: dict[str, int]) -> None:
    """Any choice of d, h, m and s in this order says their sum."""
    text = "".join(f"{parts[unit]}{unit}" for unit in "dhms" if unit in parts)
    expected = timedelta(**{LENGTHS[unit]: number for unit, number in parts.items()})
    assert quantities.duration(text) == expected


@given(st.text(max_size=12) | st.integers() | st.floats() | st.none() | st.booleans())
def test_what_is_no_duration_is_refused_in_words(value: object) -> None:
    """Nothing but numbers with units is taken, and nothing else than Unfit is raised."""
    try:
        length = quantities.duration(value)
    except Unfit:
        return
    assert isinstance(value, str)
    assert value.strip()[-1] in "dhms"
    assert length >= timedelta(0)


@pytest.mark.parametrize(
    "text", ["", " ", "15", "m", "15 m", "15min", "-5m", "1.5h", "1m1h", "1h1h", "５m", "15M"]
)
def test_other_forms_of_durations_are_refused(text: str) -> None:
    """A bare number, another order of units, blanks inside or a fraction is no duration."""
    with pytest.raises(Unfit, match="a duration such as 60s, 15m, 24h, 100d or 1h30m"):
        quantities.duration(text)


def test_a_duration_has_at_most_a_hundred_years() -> None:
    """What would overflow a date is refused before it can."""
    assert quantities.duration("36500d") == timedelta(days=36_500)
    with pytest.raises(Unfit, match="at most 36500d"):
        quantities.duration("36500d1s")
    with pytest.raises(Unfit, match="at most 36500d"):
        quantities.duration("9999999999d")


def test_where_a_length_is_needed_nothing_is_refused() -> None:
    """`longest` and the like are more than 0s."""
    assert quantities.positive_duration("1s") == timedelta(seconds=1)
    with pytest.raises(Unfit, match="longer than 0s"):
        quantities.positive_duration("0h0s")


def test_an_empty_reminder_is_none() -> None:
    """Empty text says that there is to be none."""
    assert quantities.duration_or_none("") is None
    assert quantities.duration_or_none("10m") == timedelta(minutes=10)


@given(st.integers(min_value=0, max_value=100_00))
def test_a_percentage_is_read_without_rounding(hundredths: int) -> None:
    """Two decimals of a percentage are an exact share."""
    text = f"{hundredths // 100}.{hundredths % 100:02d}%"
    assert quantities.share(text) == Fraction(hundredths, 10_000)


@pytest.mark.parametrize("value", ["101%", "100.1%", "-1%", "10", "10 percent", 10, 0.1, "%", None])
def test_what_is_no_percentage_is_refused(value: object) -> None:
    """A share is text with a percent sign, from 0 to 100."""
    with pytest.raises(Unfit, match="a percentage from 0% to 100%"):
        quantities.share(value)


def test_rates_are_read_shortest_period_first() -> None:
    """`30/m, 10000/d` are two limits, in whatever order they are written."""
    expected = (
        RateLimit(count=30, period=timedelta(minutes=1)),
        RateLimit(count=10_000, period=timedelta(days=1)),
    )
    assert quantities.rate("30/m, 10000/d") == expected
    assert quantities.rate("10000 / d,30/m") == expected
    assert quantities.rate("") == ()


@pytest.mark.parametrize("value", ["30", "30/w", "0/m", "30/m,", "30/m,40/m", "-1/m", 30, None])
def test_what_is_no_rate_is_refused(value: object) -> None:
    """An unknown period, none at all, a limit of nothing or one period twice is refused."""
    with pytest.raises(Unfit, match="limits such as"):
        quantities.rate(value)


def test_a_time_of_day_has_two_digits_each() -> None:
    """HH:MM from 00:00 to 23:59."""
    assert quantities.due_at("02:15") == time(2, 15)
    assert quantities.due_at("23:59") == time(23, 59)


def test_a_due_time_may_be_a_cron_expression() -> None:
    """Five fields that come some day, kept as they are but for blanks."""
    assert quantities.due_at("15  2 * * mon-fri") == "15 2 * * mon-fri"
    with pytest.raises(Unfit, match="a cron expression with minute, hour"):
        quantities.due_at("0 0 31 2 *")


@pytest.mark.parametrize("value", ["24:00", "02:60", "2:15", "0215", "02:15:00", "02.15", 215, ""])
def test_what_is_no_time_of_day_is_refused(value: object) -> None:
    """Everything else is refused, an hour of one digit too."""
    with pytest.raises(Unfit, match="from 00:00 to 23:59"):
        quantities.due_at(value)


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("mon-sun", {0, 1, 2, 3, 4, 5, 6}),
        ("mon,wed", {0, 2}),
        ("Mon , WED", {0, 2}),
        ("fri-mon", {4, 5, 6, 0}),
        ("tue", {1}),
        ("mon-tue,sat", {0, 1, 5}),
    ],
)
def test_days_are_names_and_spans_of_names(text: str, days: set[int]) -> None:
    """Days are numbered as `datetime.weekday()` does; a span may go over the week's end."""
    assert quantities.weekdays(text) == days


@pytest.mark.parametrize("value", ["", "monday", "mon-", "-mon", "mon;tue", "mon-tue-wed", 1, None])
def test_what_are_no_days_is_refused(value: object) -> None:
    """Full names, open spans and other separators are refused."""
    with pytest.raises(Unfit, match="days such as"):
        quantities.weekdays(value)


def test_a_date_format_keeps_day_month_year_hour_and_minute() -> None:
    """What `strptime` would lose is refused before a roster is read by it."""
    for form in ("%d.%m.%Y %H:%M", "%m/%d/%Y %I:%M %p", "%d.%m.%y %H.%M.%S", "%Y%m%dT%H%M%z"):
        assert quantities.date_formats(form) == quantities.date_formats([form]) == (form,)
    assert quantities.date_formats(["iso", "de", "us", "excel"]) == ("iso", "de", "us", "excel")
    assert quantities.date_formats([]) == quantities.date_formats("") == ()
    for form in ("%d.%m.%Y", "%H:%M", "%d.%m. %H:%M", "%Q", "DD.MM.YYYY", "%d.%m.%Y %I:%M", "DE"):
        with pytest.raises(Unfit, match="a list of iso, de, us, excel or forms with day"):
            quantities.date_formats([form])
    for value in (7, [7], ["de", "de"], [""]):
        with pytest.raises(CellRefused):
            quantities.date_formats(value)


def test_a_growth_may_be_more_than_all_there_is() -> None:
    """A scope that triples at each term's start sets 250%."""
    assert quantities.growth("250%") == Fraction(5, 2)
    for value in ("901%", "-1%", "2", 2):
        with pytest.raises(Unfit, match="a percentage from 0% to 900%"):
            quantities.growth(value)

"""The forms of single settings."""

from __future__ import annotations

from datetime import time, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invites.jitsi.rooms import TenantRefused
from invites.settings import types
from invites.settings.types import Listen, RateLimit, Unfit
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
    assert types.duration(text) == expected


@given(st.text(max_size=12) | st.integers() | st.floats() | st.none() | st.booleans())
def test_what_is_no_duration_is_refused_in_words(value: object) -> None:
    """Nothing but numbers with units is taken, and nothing else than Unfit is raised."""
    try:
        length = types.duration(value)
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
        types.duration(text)


def test_a_duration_has_at_most_a_hundred_years() -> None:
    """What would overflow a date is refused before it can."""
    assert types.duration("36500d") == timedelta(days=36_500)
    with pytest.raises(Unfit, match="at most 36500d"):
        types.duration("36500d1s")
    with pytest.raises(Unfit, match="at most 36500d"):
        types.duration("9999999999d")


def test_where_a_length_is_needed_nothing_is_refused() -> None:
    """`longest` and the like are more than 0s."""
    assert types.positive_duration("1s") == timedelta(seconds=1)
    with pytest.raises(Unfit, match="longer than 0s"):
        types.positive_duration("0h0s")


def test_an_empty_reminder_is_none() -> None:
    """Empty text says that there is to be none."""
    assert types.duration_or_none("") is None
    assert types.duration_or_none("10m") == timedelta(minutes=10)


@given(st.integers(min_value=0, max_value=100_00))
def test_a_percentage_is_read_without_rounding(hundredths: int) -> None:
    """Two decimals of a percentage are an exact share."""
    text = f"{hundredths // 100}.{hundredths % 100:02d}%"
    assert types.share(text) == Fraction(hundredths, 10_000)


@pytest.mark.parametrize("value", ["101%", "100.1%", "-1%", "10", "10 percent", 10, 0.1, "%", None])
def test_what_is_no_percentage_is_refused(value: object) -> None:
    """A share is text with a percent sign, from 0 to 100."""
    with pytest.raises(Unfit, match="a percentage from 0% to 100%"):
        types.share(value)


def test_rates_are_read_shortest_period_first() -> None:
    """`30/m, 10000/d` are two limits, in whatever order they are written."""
    expected = (
        RateLimit(count=30, period=timedelta(minutes=1)),
        RateLimit(count=10_000, period=timedelta(days=1)),
    )
    assert types.rate("30/m, 10000/d") == expected
    assert types.rate("10000 / d,30/m") == expected
    assert types.rate("") == ()


@pytest.mark.parametrize("value", ["30", "30/w", "0/m", "30/m,", "30/m,40/m", "-1/m", 30, None])
def test_what_is_no_rate_is_refused(value: object) -> None:
    """An unknown period, none at all, a limit of nothing or one period twice is refused."""
    with pytest.raises(Unfit, match="limits such as"):
        types.rate(value)


def test_a_time_of_day_has_two_digits_each() -> None:
    """HH:MM from 00:00 to 23:59."""
    assert types.due_at("02:15") == time(2, 15)
    assert types.due_at("23:59") == time(23, 59)


def test_a_due_time_may_be_a_cron_expression() -> None:
    """Five fields that come some day, kept as they are but for blanks."""
    assert types.due_at("15  2 * * mon-fri") == "15 2 * * mon-fri"
    with pytest.raises(Unfit, match="a cron expression with minute, hour"):
        types.due_at("0 0 31 2 *")


@pytest.mark.parametrize("value", ["24:00", "02:60", "2:15", "0215", "02:15:00", "02.15", 215, ""])
def test_what_is_no_time_of_day_is_refused(value: object) -> None:
    """Everything else is refused, an hour of one digit too."""
    with pytest.raises(Unfit, match="from 00:00 to 23:59"):
        types.due_at(value)


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
    assert types.weekdays(text) == days


@pytest.mark.parametrize("value", ["", "monday", "mon-", "-mon", "mon;tue", "mon-tue-wed", 1, None])
def test_what_are_no_days_is_refused(value: object) -> None:
    """Full names, open spans and other separators are refused."""
    with pytest.raises(Unfit, match="days such as"):
        types.weekdays(value)


def test_where_to_listen_is_an_address_and_a_port() -> None:
    """IPv4, a name, or IPv6 in brackets; empty text for nowhere."""
    assert types.listen("127.0.0.1:9108") == Listen(host="127.0.0.1", port=9108)
    assert types.listen("[::1]:9108") == Listen(host="::1", port=9108)
    assert types.listen("") is None


@pytest.mark.parametrize("value", ["9108", ":9108", "::1:9108", "a:0", "a:65536", "a:b", 9108])
def test_what_is_no_address_with_port_is_refused(value: object) -> None:
    """A port alone or one that does not exist is refused."""
    with pytest.raises(Unfit, match="an address and port"):
        types.listen(value)


def test_a_command_is_words_and_no_shell_text() -> None:
    """Text is split as a shell would, a list is taken as it is."""
    assert types.command("pass show 'jitsi app'") == ("pass", "show", "jitsi app")
    assert types.command(["pass", "show", "a b"]) == ("pass", "show", "a b")


@pytest.mark.parametrize("value", ["", "  ", "it's", [], [""], ["a", 1], ["a\0b"], 7, None])
def test_what_is_no_command_is_refused(value: object) -> None:
    """No words, open quotes, or other things than text are refused."""
    with pytest.raises(Unfit, match="a command such as"):
        types.command(value)


def test_a_date_format_keeps_day_month_year_hour_and_minute() -> None:
    """What `strptime` would lose is refused before a roster is read by it."""
    for form in ("%d.%m.%Y %H:%M", "%m/%d/%Y %I:%M %p", "%d.%m.%y %H.%M.%S", "%Y%m%dT%H%M%z"):
        assert types.date_formats(form) == types.date_formats([form]) == (form,)
    assert types.date_formats(["iso", "de", "us", "excel"]) == ("iso", "de", "us", "excel")
    assert types.date_formats([]) == types.date_formats("") == ()
    for form in ("%d.%m.%Y", "%H:%M", "%d.%m. %H:%M", "%Q", "DD.MM.YYYY", "%d.%m.%Y %I:%M", "DE"):
        with pytest.raises(Unfit, match="a list of iso, de, us, excel or forms with day"):
            types.date_formats([form])
    for value in (7, [7], ["de", "de"], [""]):
        with pytest.raises(CellRefused):
            types.date_formats(value)


def test_a_language_is_a_tag() -> None:
    """Of the form that a roster's cell has, for one is the other's default."""
    assert types.language("pt-br") == "pt-BR"
    for value in ("e", "english language", "de-", "german"):
        with pytest.raises(CellRefused, match="a language tag"):
            types.language(value)
    with pytest.raises(CellRefused, match="did you mean pt-BR"):
        types.language("pt_BR")
    for value in ("", 7):
        with pytest.raises(Unfit, match="text"):
            types.language(value)


@pytest.mark.parametrize("value", ["", "  ", "a\nb", "a\0", "a\u2028b", "a\u202eb", 7, None, True])
def test_text_is_one_line_that_says_something(value: object) -> None:
    """Empty text, control characters, line separators and bidi overrides are refused."""
    with pytest.raises(Unfit.__base__, match=r"expected (text|one line)"):
        types.text(value)


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("https://meet.example.com", "https://meet.example.com"),
        ("https://meet.example.com/", "https://meet.example.com"),
        ("https://Meet.Example.COM:8443/Team.One/", "https://meet.example.com:8443/Team.One"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("https://[::1]:8443", "https://[::1]:8443"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
    ],
)
def test_a_url_has_its_host_in_one_spelling_and_no_slash_at_its_end(given: str, url: str) -> None:
    """The host is lower case and ASCII, the path stays, for the tenant is folded apart."""
    assert types.server_url(given) == url


@pytest.mark.parametrize(
    "value",
    [
        "meet.example.com",
        "ftp://meet.example.com",
        "https://",
        "https:///room",
        "https://meet.example.com?jwt=x",
        "https://meet.example.com#x",
        "https://login:word@meet.example.com",
        "https://meet.example.com:0",
        "https://meet.example.com:99999",
        "https://meet.example.com:port",
        "https://meet example.com",
        "https://[::1",
        "https://\u3002\u3002.example",
        7,
        "",
    ],
)
def test_what_is_no_server_is_refused(value: object) -> None:
    """No scheme, another one, no host, a login, a query, a fragment, blanks, bad ports."""
    with pytest.raises(Unfit, match=r"expected (an address such as https|text)"):
        types.server_url(value)


def test_a_path_of_two_segments_is_no_tenant() -> None:
    """The path is the tenant; a room behind it is refused."""
    with pytest.raises(TenantRefused, match="one tenant as the url's path"):
        types.server_url("https://meet.example.com/team/standup")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.", "a.localhost", "127.0.0.9", "[::1]"])
def test_this_machine_is_known_by_its_names(host: str) -> None:
    """The name localhost and what is below it, 127.0.0.0/8 and ::1."""
    assert types.is_loopback(host)


@pytest.mark.parametrize("host", ["smtp.example.com", "10.0.0.1", "::2", "localhost.example.com"])
def test_other_machines_are_not_this_one(host: str) -> None:
    """A private address is another machine all the same."""
    assert not types.is_loopback(host)


def test_a_mail_server_is_a_name_or_an_address_alone() -> None:
    """Scheme and port have no place in it, brackets of IPv6 are taken off."""
    assert types.host_name("smtp.example.com") == "smtp.example.com"
    assert types.host_name("[::1]") == "::1"
    for value in ("smtp.example.com:587", "smtp://smtp.example.com", "me@example.com", "a b"):
        with pytest.raises(Unfit, match="a host name or address"):
            types.host_name(value)


def test_a_growth_may_be_more_than_all_there_is() -> None:
    """A scope that triples at each term's start sets 250%."""
    assert types.growth("250%") == Fraction(5, 2)
    for value in ("901%", "-1%", "2", 2):
        with pytest.raises(Unfit, match="a percentage from 0% to 900%"):
            types.growth(value)

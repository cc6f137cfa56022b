"""The page to look at: what it says, that it gives nothing away, and that a browser can use it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page as BrowserPage

from invites.jitsi.validity import ValidityRule
from invites.model import Roster
from invites.problems import Problem
from invites.report.timeline import MeetingTime, span_words, timelines
from tests.factory import START, Factory
from tests.peers.chromium import chromium

HOUR = timedelta(hours=1)


def slot(
    start: datetime = START, *, title: str = "Planning", length: timedelta = HOUR
) -> MeetingTime:
    """Return a meeting in Berlin, whose clock shows 09:00 at START."""
    return MeetingTime(
        title=title, start=start, end=start + length, timezone="Europe/Berlin", note=""
    )


@pytest.fixture
def browser() -> Iterator[BrowserPage]:
    """Yield a page of a telephone's width."""
    with chromium(390, 800) as page:
        yield page


def test_the_index_names_people_and_links_to_files(factory: Factory, tmp_path: Path) -> None:
    """Escaped, with no link to a meeting, and each file that it names is there."""
    out = tmp_path / "out"
    people = [factory.attendee(number, moderator=number == 1) for number in range(1, 4)]
    hostile = factory.attendee(9, name="<script>alert(1)</script>")
    meetings = (factory.meeting(*people), factory.meeting(hostile, id="x", title="<b>& more"))
    factory.build(out, *meetings, composer=factory.composer(demo=True))
    page = (out / "index.html").read_text("utf-8")
    assert "<script>alert" not in page
    assert "&lt;b&gt;&amp; more" in page
    assert "4 invitations to 2 meetings" in page
    assert "2031-12-02 09:00–10:00" in page
    assert "2031-12-02 08:45–10:30" in page
    assert "A demonstration" in page
    assert "jwt" not in page
    named = re.findall('href="([^"]*)"', page)
    assert len(named) == 4 * len(("look", "mail", "calendar"))
    assert all((out / name).is_file() for name in named)


@pytest.mark.parametrize(("form", "linked"), [("mbox", {"invitations.mbox"}), ("tar", set())])
def test_the_index_links_to_what_a_browser_opens(
    form: str, linked: set[str], factory: Factory, tmp_path: Path
) -> None:
    """The one file of an mbox; no member of a tar can be opened."""
    factory.build(tmp_path / "out", factory.meeting(), composer=factory.composer(), form=form)
    page = (tmp_path / "out/index.html").read_text("utf-8")
    assert set(re.findall('href="([^"]*)"', page)) == linked


def test_the_index_and_the_mail_tell_the_same_minutes(factory: Factory, tmp_path: Path) -> None:
    """A window of odd seconds is told in the full minutes that lie within it."""
    out, rule = tmp_path / "out", ValidityRule(skew=timedelta(seconds=75))
    start = START + timedelta(seconds=20)
    meeting = factory.meeting(start=start, end=start + timedelta(minutes=30))
    factory.build(out, meeting, composer=factory.composer(rule=rule))
    assert "2031-12-02 08:46–10:00" in (out / "index.html").read_text("utf-8")
    (page,) = out.rglob("*/*.html")
    assert "The link opens at 08:46 and closes at 10:00." in page.read_text("utf-8")


def test_what_was_left_out_and_used_stands_on_the_page(factory: Factory, tmp_path: Path) -> None:
    """Each problem with its row, the roster by its name and digest, whatever folder it lay in."""
    problem = Problem(row=7, column="email", found="<x>", expected="an address")
    roster = Roster(
        source="/somewhere/team.csv",
        digest="ab" * 32,
        meetings=(),
        rows_read=3,
        accepted=2,
        rejected=1,
        left_out=(problem,),
    )
    out = tmp_path / "out"
    factory.build(out, factory.meeting(), composer=factory.composer(), roster=roster)
    page = (out / "index.html").read_text("utf-8")
    assert "team.csv: row 7, column email: found &#34;&lt;x&gt;&#34;, expected an address" in page
    assert f"team.csv: 3 rows, SHA-256 {'ab' * 32}" in page
    assert "/somewhere" not in page
    assert "<b>1</b> rows left out" in page


def test_meetings_at_the_same_time_lie_one_below_the_other() -> None:
    """Each has room for its title, and a day ends at its own midnight."""
    late = START + timedelta(hours=14, minutes=50)
    (berlin,) = timelines([slot(), slot(START + HOUR), slot(late), slot(START + timedelta(days=1))])
    first, second = berlin.days
    assert (berlin.timezone, first.name, second.name) == (
        "Europe/Berlin",
        "2031-12-02 Tue",
        "2031-12-03 Wed",
    )
    assert [bar.lane for bar in first.bars] == [0, 1, 0]
    assert first.bars[0].left == pytest.approx(100 * 9 / 24)
    assert first.bars[2].late
    assert all(bar.left + bar.width <= 100.01 for bar in first.bars)


def test_more_than_a_month_of_days_is_counted() -> None:
    """The table has them all; a year of lines would bury it."""
    (berlin,) = timelines(slot(START + timedelta(days=day)) for day in range(40))
    assert (len(berlin.days), berlin.more) == (31, 9)


def test_a_span_names_the_second_day_where_it_differs() -> None:
    """On the clock of the zone that is asked for."""
    assert span_words(START, START + HOUR, "Europe/Berlin") == "2031-12-02 09:00–10:00"
    assert span_words(START, START + HOUR, "Asia/Tokyo") == "2031-12-02 17:00–18:00"
    late = START + timedelta(hours=15)
    assert span_words(START, late, "Europe/Berlin") == "2031-12-02 09:00–2031-12-03 00:00"


@pytest.mark.peer("chromium")
def test_ten_thousand_attendees_are_found_sorted_and_printed(
    factory: Factory, tmp_path: Path, browser: BrowserPage
) -> None:
    """A browser lays out a part of them at a time, all of them for print, and loads nothing."""
    people = [factory.attendee(number, moderator=number == 4711) for number in range(1, 2_001)]
    people[10] = factory.attendee(11, name="Zoë Last", moderator=True)
    meetings = [factory.meeting(*people, id=f"m{number}") for number in range(5)]
    factory.build(tmp_path / "out", *meetings, composer=factory.composer())
    asked: list[str] = []
    browser.on("request", lambda request: asked.append(request.url))
    url = (tmp_path / "out/index.html").as_uri()
    browser.goto(url)
    attendees = browser.locator(".listing").first
    rows = attendees.locator("tbody tr")
    assert rows.count() == 300
    assert "10,000 of 10,000, the first 300 shown" in attendees.inner_text()

    attendees.get_by_label("Search").fill("example 1999 planning")
    assert rows.count() == 5
    attendees.get_by_label("Search").fill("")
    attendees.get_by_label("Role").select_option("moderator")
    assert set(rows.locator("td:nth-child(3)").all_inner_texts()) == {"Zoë Last"}
    attendees.get_by_label("Role").select_option("")
    for first in ("Ada Example 1", "Zoë Last"):
        attendees.get_by_role("button", name="Name").click()
        assert rows.first.locator("td").nth(2).inner_text() == first
    browser.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert rows.count() == 10_000
    browser.evaluate("dispatchEvent(new Event('afterprint'))")
    assert rows.count() == 300
    assert asked == [url]
    assert browser.evaluate("document.documentElement.scrollWidth") == 390

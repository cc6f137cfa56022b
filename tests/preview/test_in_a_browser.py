"""The preview in Chromium: search, choose, turn, edit, as somebody who sits there does."""

from __future__ import annotations

import email
from collections.abc import Iterator
from email.policy import default
from pathlib import Path

import icalendar
import pytest
from playwright.sync_api import Page

from tests.peers.axe import barriers
from tests.peers.chromium import chromium
from tests.peers.node import html_faults
from tests.preview.conftest import Served
from tests.world import ADA, BOB, EVE

pytestmark = pytest.mark.peer("chromium")


@pytest.fixture
def page(served: Served) -> Iterator[Page]:
    """Open the preview; an error of the page's script fails the test."""
    faults: list[str] = []
    with chromium(1280, 900) as page:
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        page.goto(served.url)
        page.wait_for_selector(".people button")
        yield page
    assert faults == []


def test_search_finds_people_and_a_click_shows_their_mail(page: Page) -> None:
    """The mail stands in a frame of its own."""
    page.fill("#search", "eve")
    assert page.locator(".people button").count() == 1
    page.click(".people button")
    mail = page.frame_locator("#frame")
    mail.get_by_text("Review").first.wait_for()
    page.fill("#search", "standup")
    assert page.locator(".people button").count() == 2


def test_width_scheme_kind_and_parts_can_be_turned(page: Page) -> None:
    """Phone and dark change the frame; each part is a tab."""
    page.click(".people button >> nth=0")
    mail = page.frame_locator("#frame")
    mail.get_by_text("Standup").first.wait_for()
    light = mail.locator("body").evaluate("body => getComputedStyle(body).backgroundColor")
    page.click("#phone")
    page.click("#dark")
    page.wait_for_selector("#frame.phone.dark")
    mail.get_by_text("Standup").first.wait_for()
    assert page.locator("#frame").bounding_box()["width"] == 360  # type: ignore[index]
    outer = mail.locator(".outer, body").first
    dark = outer.evaluate("one => getComputedStyle(one).backgroundColor")
    assert dark != light
    page.select_option("#kind", "withdrawn")
    page.click("#tab-Calendar")
    page.wait_for_selector(".entry.off")
    page.select_option("#kind", "invitation")
    page.click("#tab-Token")
    page.get_by_text("ADMITTED at").wait_for()
    assert "opens Sat 2031-03-01" in page.locator(".line").get_attribute("aria-label")  # type: ignore[operator]


def test_each_language_is_shown_and_what_is_saved_is_in_it(page: Page, tmp_path: Path) -> None:
    """The mail turns to Arabic, from right to left; both files are whole, and in Arabic as well."""
    page.click(".people button >> nth=0")
    mail = page.frame_locator("#frame")
    for language, word in (("de", "Einladung"), ("ja", "招待"), ("ar", "دعوة")):
        page.select_option("#language", language)
        mail.get_by_text(word, exact=True).first.wait_for()
    assert mail.locator("html").get_attribute("dir") == "rtl"
    for button, name in (("#eml", "invitation.eml"), ("#ics", "invitation.ics")):
        with page.expect_download() as started:
            page.click(button)
        assert started.value.suggested_filename == name
        started.value.save_as(tmp_path / name)
    message = email.message_from_bytes((tmp_path / "invitation.eml").read_bytes(), policy=default)
    assert message.get_body(("html",)).get_content().count("دعوة")  # type: ignore[union-attr]
    calendar = icalendar.Calendar.from_ical((tmp_path / "invitation.ics").read_bytes())
    (event,) = calendar.walk("VEVENT")
    assert event["SUMMARY"] == "Standup"
    (part,) = (one for one in message.walk() if one.get_content_type() == "text/calendar")
    assert part.get_payload(decode=True) == (tmp_path / "invitation.ics").read_bytes()


def test_a_template_s_edit_shows_up_and_so_does_its_fault(page: Page, served: Served) -> None:
    """The mail is another one without a reload; a fault is told with its line, and goes."""
    page.click(".people button >> nth=0")
    mail = page.frame_locator("#frame")
    mail.get_by_text("Hello Ada").first.wait_for()
    folder = served.world.folder / "mine"
    folder.mkdir()
    served.world.sections = '\n[mail]\ntemplates = "mine"\n'
    served.world.write_settings()
    greeting = folder / "greeting.html.j2"
    greeting.write_text("Good day {{ attendee.name }}!")
    mail.get_by_text("Good day Ada!").first.wait_for()
    greeting.write_text("Good day {{ attendee.nam }}!")
    page.locator("#trouble").get_by_text("greeting.html.j2: line 1").wait_for()
    greeting.write_text("Good evening {{ attendee.name }}!")
    page.locator("#trouble").wait_for(state="hidden")
    mail.get_by_text("Good evening Ada!").first.wait_for()


def test_an_edit_and_a_fault_show_up_by_themselves(page: Page, served: Served) -> None:
    """Nobody reloads; the fault goes when it is mended."""
    served.world.write(ADA.replace("Ada", "Ada Example"), BOB, EVE)
    page.get_by_text("Ada Example").first.wait_for()
    served.world.write(ADA, BOB.replace("09:00", "99:00"))
    page.locator("#trouble").get_by_text("row 3, column start").wait_for()
    served.world.write(ADA, BOB)
    page.locator("#trouble").wait_for(state="hidden")
    assert page.locator(".people button").count() == 2


def test_keyboard_and_labels_are_enough(page: Page) -> None:
    """Every control has a name, and tabs turn with the arrow keys."""
    page.click(".people button >> nth=0")
    page.wait_for_selector("#tab-Mail")
    page.focus("#tab-Mail")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#tab-Text[aria-selected=true]")
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('button, select, input, iframe, a')].filter(one =>
            !(one.textContent.trim() || one.getAttribute('aria-label') || one.title
              || (one.labels && one.labels.length))).map(one => one.outerHTML)"""
    )
    assert nameless == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_barrier_stands_in_the_way(page: Page, served: Served, scheme: str) -> None:
    """axe-core finds nothing serious on the page, in any of its parts, in either scheme."""
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    assert barriers(page) == []
    page.click(".people button >> nth=0")
    for part, shown in (
        ("Mail", "#frame"),
        ("Text", "#panel pre"),
        ("Calendar", ".entry"),
        ("Token", ".line"),
        ("Headers", "#panel dl"),
    ):
        page.click(f"#tab-{part}")
        page.wait_for_selector(shown)
        assert barriers(page) == [], part
    page.click("#see-plan")
    page.wait_for_selector("#plan-lines")
    served.world.write(ADA, BOB.replace("09:00", "99:00"))
    page.locator("#trouble").get_by_text("row 3, column start").wait_for()
    assert barriers(page) == [], "the plan, and what is wrong"


@pytest.mark.peer("node")
def test_the_page_is_valid_html_in_each_of_its_parts(page: Page, tmp_path: Path) -> None:
    """html-validate, on what the script made of the page."""
    page.click(".people button >> nth=0")
    files = []
    for part, shown in (("Mail", "#frame"), ("Calendar", ".entry"), ("Token", ".line")):
        page.click(f"#tab-{part}")
        page.wait_for_selector(shown)
        file = tmp_path / f"{part}.html"
        file.write_text(page.content(), encoding="utf-8")
        files.append(file)
    assert html_faults("live", *files) == []

"""What people open in a browser is for everybody, and of the form that browsers are promised."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from invites.invitation import Kind
from tests.peers.axe import barriers
from tests.peers.chromium import chromium
from tests.peers.node import html_faults
from tests.support import SampleBuild


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """Open an empty page."""
    with chromium(1000, 800) as page:
        yield page


@pytest.mark.peer("chromium")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_barrier_stands_in_a_mail_or_a_page(
    page: Page, sample: SampleBuild, mails: list[Path], pages: list[Path], scheme: str
) -> None:
    """axe-core, on each kind of mail, on mails in whatever script, on index and history."""
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    meetings = [folder for folder in sample.folder.iterdir() if folder.is_dir()]
    sampled = [min(folder.glob("*.html")) for folder in meetings]
    assert (len(sampled), len(mails), len(pages)) == (8, 4 * len(Kind), 2)
    found = {}
    for file in (*pages, *sampled, *mails):
        page.goto(file.as_uri())
        if barrier := barriers(page):
            found[file.name] = barrier
    assert found == {}


@pytest.mark.peer("node")
def test_each_mail_is_valid_html(sample: SampleBuild, mails: list[Path]) -> None:
    """html-validate, with all that mail programs need allowed by name."""
    assert html_faults("mail", *mails, *sorted(sample.folder.glob("*/*.html"))) == []


@pytest.mark.peer("node")
def test_each_page_is_valid_html(pages: list[Path]) -> None:
    """The index of a build, and a history."""
    assert html_faults("page", *pages) == []


@pytest.mark.peer("node")
def test_html_validate_finds_what_is_wrong(tmp_path: Path) -> None:
    """Whoever finds nothing anywhere may have looked at nothing."""
    file = tmp_path / "page.html"
    file.write_text("<!DOCTYPE html><html lang=en><title>x</title><p><img src=a></p></html>")
    assert any("wcag/h37" in fault for fault in html_faults("mail", file))

"""What people open in a browser is for everybody: the page of a build, and the mails."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.peers.axe import barriers
from tests.support import SampleBuild

pytestmark = pytest.mark.peer("chromium")


@pytest.fixture
def page() -> Iterator[Page]:
    """Open an empty page in Debian's Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        yield browser.new_page(viewport={"width": 1000, "height": 800})
        browser.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_barrier_stands_in_a_mail_or_in_the_index(
    page: Page, sample: SampleBuild, scheme: str
) -> None:
    """One mail of each meeting of the sample, whatever its script, and what `build` made of it all."""
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    meetings = [folder for folder in sample.folder.iterdir() if folder.is_dir()]
    mails = [min(folder.glob("*.html")) for folder in meetings]
    files = [sample.folder / "index.html", *sorted(mails)]
    assert len(files) == 9
    found = {}
    for file in files:
        page.goto(file.as_uri())
        if barrier := barriers(page):
            found[file.name] = barrier
    assert found == {}

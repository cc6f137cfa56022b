"""A mail that looks and greets as an organisation does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from invites.colours import WHITE, colour, contrast
from invites.invitation import Brand, Kind
from invites.model import Attendee
from invites.templating import LetterFacts, LetterWriter, Templates
from invites.templating.context import KINDS_WITH_LINK
from invites.templating.inline import branded

LINK = "https://meet.example.com/planning?jwt=aaa.bbb.ccc"
BRAND = Brand(
    name="Example Academy",
    colour="#7a1f3d",
    logo="https://example.com/logo.png?size=36&x=1",
    footer="Example Academy\n100 % in Example Street <1>",
    greeting="Dear {name}, welcome back,",
)


@pytest.mark.parametrize("kind", list(Kind))
def test_a_brand_is_in_every_mail(kind: Kind, facts: LetterFacts, attendee: Attendee) -> None:
    """Logo with the name beside it, colour, greeting and footer, in the text part as well."""
    writer = LetterWriter(Templates.load(brand=BRAND))
    letter = writer.letter(kind, facts, attendee, LINK)
    assert 'src="https://example.com/logo.png?size=36&amp;x=1" alt="Example Academy"' in letter.html
    if kind in KINDS_WITH_LINK:  # the others are grey and red
        assert BRAND.colour in letter.html
    assert "#1d4ed8" not in letter.html
    assert "Example Academy<br>\n100 % in Example Street &lt;1&gt;" in letter.html
    assert letter.text.startswith("Dear Ada Example, welcome back,\n")
    assert "Dear Ada Example, welcome back,<br>" in letter.html
    assert "100 % in Example Street <1>\nSent by" in letter.text
    assert writer.shared(kind, facts, attendee, LINK).letter(attendee, LINK) == letter


def test_a_name_without_a_logo_stands_at_the_top(facts: LetterFacts, attendee: Attendee) -> None:
    """And a greeting without a name greets everybody alike."""
    brand = Brand(name="R&D", greeting="Welcome!")
    letter = LetterWriter(Templates.load(brand=brand)).letter(
        Kind.INVITATION, facts, attendee, LINK
    )
    assert ">R&amp;D</p>" in letter.html
    assert "<img" not in letter.html
    assert letter.text.startswith("Welcome!\n\n")


def test_without_a_brand_nothing_is_loaded_from_anywhere(
    writer: LetterWriter, full_facts: LetterFacts, attendee: Attendee
) -> None:
    """No picture, style or font: a mail program asks nobody when it shows one."""
    for kind in Kind:
        page = writer.letter(kind, full_facts, attendee, LINK).html
        assert page.replace(LINK, "").count("http") == 0
        assert "src=" not in page
        assert "url(" not in page


@pytest.mark.parametrize("brand", ["#1d4ed8", "#000000", "#7a1f3d", "#006644", "#595959"])
def test_a_brand_can_be_seen_in_the_dark(brand: str) -> None:
    """As text with 4.5, as a button with 3 around it and 4.5 under its white text."""
    text, fill = branded("#93b7ff #2559d6", brand).split()
    assert contrast(text, "#1c222b") >= 4.5
    assert contrast(fill, "#1c222b") >= 3
    assert contrast(fill, WHITE) >= 4.5


@pytest.mark.parametrize(
    ("text", "found"),
    [("#1D4ED8", "#1d4ed8"), ("#abc", "#aabbcc"), ("abc", None), ("#abcd", None), ("red", None)],
)
def test_a_colour_is_three_or_six_digits(text: str, found: str | None) -> None:
    """As CSS has it, in lower case."""
    assert colour(text) == found


def test_contrast_is_that_of_wcag() -> None:
    """Black on white is 21, a colour on itself 1, #767676 on white just 4.5."""
    assert contrast("#000000", WHITE) == pytest.approx(21)
    assert contrast("#123456", "#123456") == pytest.approx(1)
    assert contrast("#767676", WHITE) == pytest.approx(4.54, abs=0.005)


def test_a_greeting_can_be_translated(
    tmp_path: Path, facts: LetterFacts, attendee: Attendee
) -> None:
    """A catalog of one's own has it as any other message."""
    folder = tmp_path / "catalogs"
    folder.mkdir()
    (folder / "de.po").write_text(
        'msgid "Dear %(name)s,"\nmsgstr "Liebe Studierende, liebe %(name)s,"\n', "utf-8"
    )
    templates = Templates.load(folder.parent, brand=Brand(greeting="Dear {name},"))
    german = replace(attendee, language="de")
    letter = LetterWriter(templates).letter(Kind.INVITATION, facts, german, LINK)
    assert letter.text.startswith("Liebe Studierende, liebe Ada Example,\n")

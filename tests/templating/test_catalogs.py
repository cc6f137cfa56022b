"""Every text that a receiver reads is in every language, and says the same with the same values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract
from babel.messages.pofile import read_po
from jinja2 import nodes

from invites.errors import Exit, TemplateError
from invites.invitation import Kind
from invites.model import Attendee
from invites.shipped import INFORMAL, catalogs, languages, shipped_folder
from invites.templating import LetterFacts, LetterWriter, Templates
from invites.templating.checks import trial_facts
from invites.templating.environment import letter_environment
from invites.templating.sources import Sources

SHIPPED = ("ar", "de", "es", "fr", "it", "ja", "nl", "pl", "pt", "tr", "uk")
INFORMALLY = ("de", "es", "fr", "it", "nl", "pl", "tr", "uk")
LINK = "https://meet.example.com/planning?jwt=aaa.bbb.ccc"
TEMPLATING = Path(__file__).parents[2] / "invites" / "templating"
KEYWORDS = {
    "_": None,
    "gettext": None,
    "ngettext": (1, 2),
    "says": None,
    "counts": (1, 2),
    "_message": None,
    "_messages": (1, 2),
}
TRANSLATORS = {"_", "gettext", "ngettext", "pgettext", "npgettext"}
PLACEHOLDER = re.compile(r"%\((\w+)\)[sd]")


@cache
def sources() -> frozenset[str]:
    """Return the messages of templates and code; of one with plural forms, the singular."""
    found: set[str] = set()
    files = [(path, "jinja2") for path in sorted(shipped_folder().glob("*.j2"))]
    files += [(path, "python") for path in sorted(TEMPLATING.glob("*.py"))]
    for path, method in files:
        options = {"newstyle_gettext": "true", "trimmed": "true"} if method == "jinja2" else {}
        with path.open("rb") as file:
            for _, message, _, _ in extract(method, file, KEYWORDS, (), options):
                found.add(message if isinstance(message, str) else message[0])
    return frozenset(found)


@cache
def catalog(tag: str) -> Catalog:
    """Return a shipped catalog."""
    with (shipped_folder() / "catalogs" / f"{tag}.po").open("rb") as file:
        return read_po(file, abort_invalid=True)


def messages(tag: str) -> dict[str, Message]:
    """Return a shipped catalog's messages by their source."""
    return {one.id if isinstance(one.id, str) else one.id[0]: one for one in catalog(tag) if one.id}


def texts(message: Message) -> tuple[str, ...]:
    """Return a translation in all its plural forms."""
    return (message.string,) if isinstance(message.string, str) else tuple(message.string)


def untranslated(node: nodes.Node) -> Iterator[str]:
    """Yield the texts of a template that no catalog gives: its own, and constants of two words."""
    match node:
        case nodes.Call(node=nodes.Name(name=name)) if name in TRANSLATORS:
            for keyword in node.kwargs:
                yield from untranslated(keyword)
        case nodes.TemplateData():
            yield node.data
        case nodes.Const(value=str(text)) if " " in text.strip():
            yield text
        case _:
            for child in node.iter_child_nodes():
                yield from untranslated(child)


@pytest.mark.parametrize("name", sorted(Sources(None).files.keys() - {"styles.css"}))
def test_no_template_has_a_text_that_cannot_be_translated(name: str) -> None:
    """All prose goes through gettext; a text of one's own would be English in every language."""
    environment = letter_environment(Sources(None).loader(lambda file: file.source))
    # Tags of HTML may go over several pieces: joined, they are told from what is shown.
    said = "\0".join(untranslated(environment.tree(name)))
    if name.endswith(".html.j2"):
        said = re.sub(r"<!--.*?-->|<[^>]*>|&\w+;", " ", said, flags=re.DOTALL)
    assert re.findall(r"[^\W\d_]{2,}", said) == []


def test_a_text_outside_of_gettext_is_found(tmp_path: Path) -> None:
    """Beside a translated one, in an expression, and among tags."""
    for source in ('{{ _("Hello") }} friend', '{{ "Dear friend" if demo }}', "<p {{ 1 }}>Hi</p>"):
        tree = letter_environment(Sources(None).loader(lambda file: file.source)).parse(source)
        said = "\0".join(untranslated(tree))
        assert re.findall(r"[^\W\d_]{2,}", re.sub(r"<[^>]*>", " ", said))


def test_the_languages_are_those_that_are_promised() -> None:
    """English is the source; informal catalogs belong to a language that has a formal one."""
    assert languages() == {"en", *SHIPPED}
    informal = {tag.removesuffix(INFORMAL) for tag in catalogs() if tag.endswith(INFORMAL)}
    assert informal == set(INFORMALLY)


@pytest.mark.parametrize("tag", SHIPPED)
def test_a_catalog_has_every_message_and_no_other(tag: str) -> None:
    """None is left out, none is fuzzy or empty, and none is of an earlier template."""
    found = messages(tag)
    assert set(found) == sources()
    for source, message in found.items():
        assert not message.fuzzy, source
        assert all(texts(message)), source
        assert len(texts(message)) == (
            1 if isinstance(message.id, str) else catalog(tag).num_plurals
        )


@pytest.mark.parametrize("tag", [*SHIPPED, *(f"{tag}{INFORMAL}" for tag in INFORMALLY)])
def test_a_translation_has_the_placeholders_of_its_source(tag: str) -> None:
    """In both directions; a plural form may say its number in words."""
    for source, message in messages(tag).items():
        expected = set(PLACEHOLDER.findall(source))
        for text in texts(message):
            found = set(PLACEHOLDER.findall(text))
            assert found == expected or (len(texts(message)) > 1 and found == expected - {"num"})
            assert PLACEHOLDER.sub("", text).count("%") == 0, text
            assert text == text.strip(), text
            assert not set("<>&") & set(text.replace("->", "")), text


@pytest.mark.parametrize("tag", INFORMALLY)
def test_an_informal_catalog_has_only_what_differs(tag: str) -> None:
    """One home for each text: what is the same informally is in the language's own catalog."""
    formal = messages(tag)
    for source, message in messages(f"{tag}{INFORMAL}").items():
        assert source in formal
        assert texts(message) != texts(formal[source]), source


def facts_of(kind: Kind) -> Iterator[tuple[LetterFacts, Attendee]]:
    """Yield facts of all sorts, as templates of one's own are tried with."""
    for facts, attendee in trial_facts():
        now = facts.meeting.start - timedelta(hours=20) if kind is Kind.REMINDER else None
        yield replace(facts, now=now), attendee


@pytest.mark.parametrize("tag", SHIPPED)
@pytest.mark.parametrize("kind", list(Kind))
def test_a_letter_is_in_one_language_alone(tag: str, kind: Kind, shipped: Templates) -> None:
    """Subject, text, HTML and notes: no English sentence is left, lines and pages are small."""
    writer = LetterWriter(shipped)
    english = [source for source in sources() if source.count(" ") >= 3 and source.isascii()]
    spoken = [re.split(r"%\(\w+\)[sd]", source) for source in english]
    phrases = {piece.strip(" .:()") for pieces in spoken for piece in pieces}
    phrases = {phrase for phrase in phrases if phrase.count(" ") >= 2}
    for facts, attendee in facts_of(kind):
        person = replace(attendee, language=tag)
        letter = writer.letter(kind, facts, person, LINK)
        whole = " ".join(f"{letter.subject} {letter.text} {letter.html} {letter.notes}".split())
        assert [phrase for phrase in phrases if phrase in whole] == []
        assert f'<html lang="{tag}" dir="{"rtl" if tag == "ar" else "ltr"}"' in letter.html
        assert len(letter.html.encode()) < 60_000
        assert max(map(len, letter.text.split("\n"))) <= 78
        assert writer.shared(kind, facts, person, LINK).letter(person, LINK) == letter


def spoken_in(templates: Templates, facts: LetterFacts, attendee: Attendee, tag: str | None) -> str:
    """Return an invitation's subject and text in a language."""
    letter = LetterWriter(templates).letter(
        Kind.INVITATION, facts, replace(attendee, language=tag), LINK
    )
    return f"{letter.subject}\n{letter.text}"


def test_dates_hours_and_zones_are_of_the_language_and_its_region(
    shipped: Templates, facts: LetterFacts, attendee: Attendee
) -> None:
    """`de-AT` has the German catalog and Austria's dates; English is Europe's but for a region."""
    assert "Dienstag, 2. Dezember 2031, 09:00 – 10:00 Uhr (Zeit in Berlin)" in spoken_in(
        shipped, facts, attendee, "de-AT"
    )
    assert "2031年12月2日火曜日 9:00～10:00（ベルリン時間）" in spoken_in(
        shipped, facts, attendee, "ja"
    )
    assert "December 2, 2031, 9:00" in spoken_in(shipped, facts, attendee, "en-US")
    assert "Tuesday, 2 December 2031, 09:00" in spoken_in(shipped, facts, attendee, "en")


def test_a_language_without_a_catalog_falls_back_to_the_settings(
    facts: LetterFacts, attendee: Attendee
) -> None:
    """First the tag, then its beginning, then [mail] language, then English."""
    german = Templates.load(language="de")
    assert "Einladung" in spoken_in(german, facts, attendee, "tlh")
    assert "Einladung" in spoken_in(german, facts, attendee, None)
    assert "Invitation:" in spoken_in(german, facts, attendee, "en-GB")
    assert "Invitation:" in spoken_in(Templates.load(language="tlh"), facts, attendee, None)


@pytest.mark.parametrize("tag", INFORMALLY)
def test_people_are_addressed_formally_unless_the_settings_say_otherwise(
    tag: str, shipped: Templates, facts: LetterFacts, attendee: Attendee
) -> None:
    """[mail] address; languages without a second form are as they are."""
    formal = spoken_in(shipped, facts, attendee, tag)
    informally = Templates.load(informal=True)
    assert spoken_in(informally, facts, attendee, tag) != formal
    for same in ("en", "ja", "ar", "pt"):
        assert spoken_in(informally, facts, attendee, same) == spoken_in(
            shipped, facts, attendee, same
        )


CATALOG = """\
msgid ""
msgstr "Content-Type: text/plain; charset=utf-8\\n"

msgid "Invitation"
msgstr "{word}"
"""


def test_a_language_is_one_catalog_in_a_folder_of_ones_own(
    tmp_path: Path, facts: LetterFacts, attendee: Attendee
) -> None:
    """A new language is found beside the shipped ones, and a shipped one gives what is left out."""
    (tmp_path / "catalogs").mkdir()
    for tag, word in (("sv", "Inbjudan"), ("de", "Vorladung")):
        (tmp_path / "catalogs" / f"{tag}.po").write_text(CATALOG.format(word=word), "utf-8")
    templates = Templates.load(tmp_path)
    swedish = spoken_in(templates, facts, attendee, "sv-SE")
    assert swedish.startswith("Inbjudan: Planning & more, tisdag 2 december 2031")
    assert "Hello Ada Example," in swedish
    german = spoken_in(templates, facts, attendee, "de")
    assert german.startswith("Vorladung: ")
    assert "Guten Tag Ada Example," in german
    assert languages(tmp_path) == languages() | {"sv"}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('msgid "now"\nmgstr "jetzt"\n', "line "),
        ('#, python-format\nmsgid "at %(clock)s"\nmsgstr "um %(uhr)s"\n', "line 2"),
    ],
)
def test_a_faulty_catalog_is_an_error_with_file_and_line(
    content: str, told: str, tmp_path: Path
) -> None:
    """Before anything is sent: a value that is not there would end the night."""
    (tmp_path / "catalogs").mkdir()
    (tmp_path / "catalogs" / "sv.po").write_text(content, "utf-8")
    with pytest.raises(TemplateError, match=rf"sv\.po: {told}") as caught:
        Templates.load(tmp_path)
    assert caught.value.exit_code == Exit.SETTINGS


def test_a_template_without_gettext_works_as_before(
    tmp_path: Path, facts: LetterFacts, attendee: Attendee
) -> None:
    """One's own text is what it is in every language, and may ask for the language itself."""
    (tmp_path / "invitation.subject.j2").write_text(
        "{{ 'Termin' if language == 'de' else 'Meeting' }}: {{ meeting.title }}", "utf-8"
    )
    templates = Templates.load(tmp_path)
    assert spoken_in(templates, facts, attendee, "de").startswith("Termin: Planning")
    assert spoken_in(templates, facts, attendee, "fr").startswith("Meeting: Planning")


def test_a_translation_is_text_also_in_html(
    tmp_path: Path, facts: LetterFacts, attendee: Attendee
) -> None:
    """Whoever translates writes no markup, and can't by mistake."""
    (tmp_path / "catalogs").mkdir()
    (tmp_path / "catalogs" / "sv.po").write_text(CATALOG.format(word="<b>R&D</b>"), "utf-8")
    writer = LetterWriter(Templates.load(tmp_path))
    letter = writer.letter(Kind.INVITATION, facts, replace(attendee, language="sv"), LINK)
    assert "&lt;b&gt;R&amp;D&lt;/b&gt;" in letter.html
    assert letter.subject.startswith("<b>R&D</b>: ")


def test_the_host_reads_no_line_about_the_host(
    writer: LetterWriter, full_facts: LetterFacts, attendee: Attendee
) -> None:
    """Nor do host and others share what they read."""
    host = replace(
        attendee, name="Grace Sample", email="Grace@example.org", address="grace@example.org"
    )
    for kind in Kind:
        theirs = writer.letter(kind, full_facts, host, LINK)
        others = writer.letter(kind, full_facts, attendee, LINK)
        assert "Host" not in f"{theirs.text}{theirs.html}{theirs.notes}"
        assert "Host: Grace Sample" in others.text
        assert writer.shared(kind, full_facts, host, LINK).letter(host, LINK) == theirs
        assert writer.shared(kind, full_facts, attendee, LINK).letter(attendee, LINK) == others

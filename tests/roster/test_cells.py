"""Single cells: what is taken, in which form, and what no accepted text ever holds."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invites.problems import FOUND_AT_MOST, Problem, escaped
from invites.roster.cells import RosterRules
from invites.roster.columns import BY_NAME, COLUMNS, folded_name
from invites.roster.header import edit_distance, letters
from invites.text import CellRefused

RULES = RosterRules()


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("de", "de"),
        ("DE-ch", "de-CH"),
        ("zh-hans-cn", "zh-Hans-CN"),
        ("es-419", "es-419"),
        ("sl-rozaj-biske", "sl-rozaj-biske"),
        ("de-CH-1901", "de-CH-1901"),
        ("en-us-u-ca-gregory", "en-US-u-ca-gregory"),
        ("zh-min-nan", "zh-min-nan"),
        ("i-klingon", "i-klingon"),
        ("x-house", "x-house"),
    ],
)
def test_language_tags_are_read_in_their_recommended_case(written: str, read: str) -> None:
    """Well-formed tags of RFC 5646 are taken, whatever their case."""
    assert BY_NAME["language"].read(written, RULES) == read


@pytest.mark.parametrize(
    "tag", ["d", "english", "de_DE", "de-", "-de", "de--CH", "de-a", "x", "d3"]
)
def test_what_is_no_language_tag_is_refused(tag: str) -> None:
    """Words, underscores and empty subtags are no language."""
    with pytest.raises(CellRefused):
        BY_NAME["language"].read(tag, RULES)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org",
        "https://example.org:8443/a%20b.png?x=1&y=(2)#z",
        "https://xn--bcher-kva.example/a",
        "https://[2001:db8::1]/a.png",
        "HTTPS://EXAMPLE.ORG/A.PNG",
    ],
)
def test_https_urls_are_taken_as_they_stand(url: str) -> None:
    """An avatar's URL is never rewritten."""
    assert BY_NAME["avatar"].read(url, RULES) == url


@pytest.mark.parametrize(
    "url",
    [
        "//example.org/a",
        "data:image/png;base64,AAAA",
        "https://",
        "https://example.org:0/a",
        "https://example.org:99999/a",
        "https://bücher.example/a",
        "https://example.org/a b",
        "https://example.org/%zz",
        "https://[::1/a",
        "https://example.org\\@evil.example",
    ],
)
def test_what_a_browser_reads_otherwise_is_no_avatar(url: str) -> None:
    """Only an absolute https URL in ASCII is one."""
    with pytest.raises(CellRefused):
        BY_NAME["avatar"].read(url, RULES)


@given(st.text(max_size=12), st.sampled_from([c.name for c in COLUMNS]))
def test_no_accepted_text_has_a_control_or_a_line_separator(text: str, name: str) -> None:
    """Whatever the column: only a description has tabs and LF, and nothing has CR or NUL."""
    column = BY_NAME[name]
    try:
        value = column.read(text, RULES)
    except CellRefused as refused:
        assert refused.expected.isprintable()  # noqa: PT017 - either outcome is right
        return
    if isinstance(value, str):
        odd = {char for char in value if unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"}}
        assert odd <= ({"\t", "\n"} if name == "description" else set())


@given(st.text(max_size=200))
def test_a_problem_is_one_printable_line_whatever_was_found(found: str) -> None:
    """Cells are cut at 60 characters and escaped, names of files and columns escaped."""
    problem = Problem(row=7, column="na\nme", found=found, expected="a name")
    line = problem.text("a\x1bb.csv")
    assert line.isprintable()
    assert line.startswith(r"a\x1bb.csv: row 7, column na\nme: found ")
    assert len(escaped(found)) <= FOUND_AT_MOST * len("\\U00010000") + 1


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [
        ("email", "email", 0),
        ("emial", "email", 1),
        ("mail", "email", 1),
        ("emaill", "email", 1),
        ("imail", "email", 1),
        ("meal", "email", 2),
        ("", "ab", 2),
        ("abc", "bca", 2),
    ],
)
def test_edit_distance_counts_a_swap_as_one(one: str, other: str, distance: int) -> None:
    """Inserting, deleting, replacing and swapping neighbours are one edit each, both ways."""
    assert edit_distance(one, other) == edit_distance(other, one) == distance


@pytest.mark.parametrize(
    ("index", "name"), [(0, "A"), (25, "Z"), (26, "AA"), (701, "ZZ"), (702, "AAA")]
)
def test_columns_without_a_name_are_named_by_their_letters(index: int, name: str) -> None:
    """As a spreadsheet shows them."""
    assert letters(index) == name


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("Meeting ID", "meeting_id"),
        ("meeting-id", "meeting_id"),
        ("Organizer E-Mail", "organizer_email"),
        ("E-Mail-Adresse", "email_adresse"),
        ("  Time   zone ", "time_zone"),
        ("the mail", "the_mail"),
    ],
)
def test_header_names_are_folded(header: str, name: str) -> None:
    """Case, blanks and hyphens do not matter, and e-mail is email."""
    assert folded_name(header) == name

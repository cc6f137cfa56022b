"""Styles go into elements, and templates stay what they were."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invites.errors import TemplateError
from invites.templating.inline import JINJA_TAG, Inliner, masked_source
from invites.templating.sources import STYLES, Sources, is_html

CSS = """
.a { color: red; font-family: "Segoe UI", Arial; }  /* a comment with { and } */
.b td { padding: 3px; }
@media (prefers-color-scheme: dark) { .a { color: #fff !important; } }
"""
SOURCES = Sources(None)
HTML_NAMES = sorted(name for name in SOURCES.files if is_html(name))


def _inlined(source: str) -> str:
    return Inliner(CSS).inlined(source, "x.html.j2")


@pytest.mark.parametrize("name", HTML_NAMES)
def test_jinja_tags_of_shipped_templates_are_the_same_before_and_after(name: str) -> None:
    """Inlining moves, loses and changes no Jinja tag, and no line of the file."""
    source = SOURCES.files[name].source
    inlined = Inliner(SOURCES.files[STYLES].source).inlined(source, name)
    assert JINJA_TAG.findall(inlined) == JINJA_TAG.findall(source)
    assert inlined.count("\n") == source.count("\n")
    assert re.sub(r' style="[^"]*"', "", inlined) == re.sub(
        r"<link[^>]*>",
        re.search(r"<style>.*</style>|$", inlined)[0],
        source,  # type: ignore[index]
    )


def test_a_tag_between_rows_stays_between_rows() -> None:
    """A loop around a table's row is not moved out of the table."""
    source = '<table class="b">{% for x in y %}<tr><td>{{ x }}</td></tr>{% endfor %}</table>'
    assert _inlined(source) == source.replace("<td>", '<td style="padding:3px">')


def test_a_less_than_sign_in_a_tag_is_kept() -> None:
    """Comparisons and strings in tags are not HTML."""
    source = """<p class="a">{% if 1 < 2 and "}}" > '<p>' %}{{ "<b>}}" }}{% endif %}</p>"""
    assert JINJA_TAG.findall(_inlined(source)) == JINJA_TAG.findall(source)
    assert "color:red" in _inlined(source)


def test_tags_in_attributes_and_between_attributes_are_kept() -> None:
    """A tag may be an attribute's value, a part of it, or stand among attributes."""
    source = '<a class="a x{{ n }}" {% if r %}dir="rtl"{% endif %} href="{{ link }}">x</a>'
    styled = _inlined(source)
    assert styled.startswith(source.removesuffix(">x</a>"))
    assert "color:red" in styled


def test_an_elements_own_style_prevails() -> None:
    """A style in the template comes after the sheet's, in the same attribute."""
    assert _inlined('<p class="a" style="color:{{ c }}">x</p>').endswith(
        "style=\"color:red;font-family:'Segoe UI',Arial;color:{{ c }}\">x</p>"
    )


def test_dark_mode_stays_in_a_style_element() -> None:
    """At-rules can't be inlined: they replace the link to the sheet; nothing else is in there."""
    page = _inlined('<html><head><link rel="stylesheet" href="styles.css"></head></html>')
    assert page == (
        "<html><head><style>@media (prefers-color-scheme:dark){.a{color:#fff !important}}"
        "</style></head></html>"
    )


def test_a_file_that_begins_inside_a_table_is_styled_too() -> None:
    """An included file may be rows or cells alone."""
    assert 'style="color:red' in _inlined('<tr class="a"><td>{{ x }}</td></tr>')
    assert 'style="color:red' in _inlined('{% if x %}<td class="a">{{ x }}</td>{% endif %}')


def test_an_element_out_of_place_is_an_error_with_its_line() -> None:
    """What HTML would drop can't be styled, and would be dropped in the mail as well."""
    with pytest.raises(TemplateError, match=r"x\.html\.j2: line 2: <tr> can't stand here"):
        _inlined('<p>\n<tr class="a"></tr></p>')


def test_raw_blocks_and_comments_are_left_alone() -> None:
    """What is no markup in the rendered text is none here."""
    source = '{% raw %}{{ <p class="a"> }}{% endraw %}{# <p class="a"> #}<!-- <p class="a"> -->'
    assert _inlined(source) == source


@given(
    st.lists(
        st.sampled_from(
            [
                "<p>",
                "</p>",
                "{{ a }}",
                "{% if x < y %}",
                "{# > #}",
                '"',
                "'",
                "x",
                "\n",
                "<!--",
                "-->",
            ]
        )
    ).map("".join)
)
def test_masking_takes_every_tag_in_its_order(source: str) -> None:
    """Between masks nothing of Jinja is left, and the tags are those of the source."""
    masked, tags = masked_source(source)
    assert tags == JINJA_TAG.findall(source)
    assert not JINJA_TAG.search(masked)

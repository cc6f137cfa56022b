"""Puts the styles into the elements of HTML templates, once, when they are loaded.

css-inline reads HTML, not Jinja2: it would move `{% if %}` out of tables and escape `<` in tags.
So each Jinja tag is masked first, by an HTML comment between elements and by a plain word inside
of them, and css-inline only computes: its `style` of each element is put into the template as it
stands.
Every Jinja tag, blank and line end stays where it is, and so do the line numbers of errors.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

import css_inline

from invites.colours import SHAPE_CONTRAST, TEXT_CONTRAST, contrast, lightened
from invites.errors import TemplateError

_STRING = r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'"""
JINJA_TAG = re.compile(
    r"\{%[-+]?\s*raw\s*[-+]?%\}.*?\{%[-+]?\s*endraw\s*[-+]?%\}"
    r"|\{#.*?#\}"
    rf"|\{{\{{(?:{_STRING}|.)*?\}}\}}"
    rf"|\{{%(?:{_STRING}|.)*?%\}}",
    re.DOTALL,
)
"""A whole Jinja2 tag or comment, or a raw block with what it holds."""

_WORD = "jinja{}tag"
_MASK = re.compile(r"<!--jinja([0-9]+)tag-->|jinja([0-9]+)tag")
_ATTRIBUTES = r"""(?:"[^"]*"|'[^']*'|[^'">])*"""
_ELEMENT = re.compile(
    r"<!--.*?-->"
    r"|<(?P<verbatim>style|script|title|textarea)\b.*?</(?P=verbatim)\s*>"
    rf"|<(?P<name>[A-Za-z][A-Za-z0-9:-]*)(?P<attributes>{_ATTRIBUTES})>",
    re.DOTALL | re.IGNORECASE,
)
_OWN_STYLE = re.compile(r"""\s+style\s*=\s*("[^"]*"|'[^']*')""", re.IGNORECASE)
_NUMBER = "data-invites-number"
_NUMBERED = re.compile(rf'<[^<>]*?\b{_NUMBER}="([0-9]+)"[^<>]*>')
_STYLE = re.compile(r'\sstyle="([^"]*)"')
_STYLESHEET = re.compile(r'<link\b[^>]*\brel="stylesheet"[^>]*>', re.IGNORECASE)
_CONTEXTS = {
    "tr": "<table><tbody>{}</tbody></table>",
    "td": "<table><tbody><tr>{}</tr></tbody></table>",
    "th": "<table><tbody><tr>{}</tr></tbody></table>",
}
"""What an element needs around it to be read at all, for templates that begin inside a table."""


@dataclass(frozen=True, slots=True)
class _Element:
    """A start tag in masked text: where it is, its name and its own style, without quotes."""

    start: int
    end: int
    name: str
    own_style: str

    def with_style(self, tag: str, style: str) -> str:
        """Return the tag's text with `style` before what it says itself, which so prevails."""
        both = ";".join(part.strip().rstrip(";") for part in (style, self.own_style) if part)
        attribute = ' style="' + both.replace('"', "&quot;") + '"'
        if self.own_style:
            return _OWN_STYLE.sub(lambda _: attribute, tag, count=1)
        end = len(tag) - (2 if tag.endswith("/>") else 1)
        return tag[:end].rstrip() + attribute + tag[end:]


class Inliner:
    """Inlines one stylesheet into templates."""

    def __init__(self, css: str, colour: str = "") -> None:
        """Take the stylesheet's text; its at-rules (dark mode, media queries) stay a sheet.

        `colour` takes the place of the shipped one, in the light and in the dark.
        """
        css = branded(css, colour)
        self._inliner = css_inline.CSSInliner(
            extra_css=css, keep_link_tags=True, keep_style_tags=True, load_remote_stylesheets=False
        )
        self._kept = _kept_rules(css)

    def inlined(self, source: str, path: str) -> str:
        """Return a template's source with the styles in its elements.

        `<link rel="stylesheet">` becomes a `<style>` that holds the at-rules.
        Raises TemplateError where an element can't be read in its place.
        """
        masked, tags = masked_source(source)
        elements = list(_elements(masked))
        styles = self._styles(masked, elements)
        styled = _styled(masked, elements, styles, source_path=path)
        with_rules = _STYLESHEET.sub(lambda _: f"<style>{self._kept}</style>", styled)
        return _MASK.sub(lambda match: tags[int(match[1] or match[2])], with_rules)

    def _styles(self, masked: str, elements: list[_Element]) -> dict[int, str]:
        """Return each element's style by its number, as css-inline computes it."""
        # css-inline writes the whole page anew; the numbers find each element in what it wrote.
        numbered = _numbered(masked, elements)
        context = _CONTEXTS.get(elements[0].name.lower() if elements else "", "{}")
        before, after = context.split("{}")
        computed = self._inliner.inline(before + numbered + after)
        return {
            int(match[1]): _compact(html.unescape(style[1]))
            if (style := _STYLE.search(match[0]))
            else ""
            for match in _NUMBERED.finditer(computed)
        }


BRAND_COLOUR = "#1d4ed8"
"""The colour of buttons and labels in styles.css, which `[brand] colour` takes the place of."""

_DARK_TEXT, _DARK_FILL = "#93b7ff", "#2559d6"
_DARK_CARD = "#1c222b"


def branded(css: str, colour: str) -> str:
    """Return `css` in a brand's `colour`; in the dark, as text and as a button can be seen there."""
    if not colour:
        return css
    dark_text = lightened(colour, lambda tried: contrast(tried, _DARK_CARD) >= TEXT_CONTRAST)
    dark_fill = lightened(colour, lambda tried: contrast(tried, _DARK_CARD) >= SHAPE_CONTRAST)
    return (
        css.replace(BRAND_COLOUR, colour)
        .replace(_DARK_TEXT, dark_text)
        .replace(_DARK_FILL, dark_fill)
    )


def masked_source(source: str) -> tuple[str, list[str]]:
    """Return `source` with each Jinja tag masked, and the tags in their order."""
    tags: list[str] = []

    def word(match: re.Match[str]) -> str:
        tags.append(match[0])
        return _WORD.format(len(tags) - 1)

    # A word is right inside of a tag; between tags it would be text, which a table throws out
    # of itself, so there it becomes a comment.
    words = JINJA_TAG.sub(word, source)
    pieces, end = [], 0
    for match in _ELEMENT.finditer(words):
        pieces += [_commented(words[end : match.start()]), match[0]]
        end = match.end()
    return "".join([*pieces, _commented(words[end:])]), tags


def _commented(text: str) -> str:
    return _MASK.sub(lambda match: f"<!--{match[0]}-->", text)


def _elements(masked: str) -> Iterator[_Element]:
    for match in _ELEMENT.finditer(masked):
        if match["name"]:
            own = _OWN_STYLE.search(match["attributes"])
            style = own[1][1:-1] if own else ""
            yield _Element(match.start(), match.end(), match["name"], style)


def _numbered(masked: str, elements: list[_Element]) -> str:
    """Return `masked` with a number in each element, and without the elements' own styles."""

    def tag(index: int, element: _Element) -> str:
        bare = _OWN_STYLE.sub("", masked[element.start : element.end])
        name_end = len(element.name) + 1
        return f'{bare[:name_end]} {_NUMBER}="{index}"{bare[name_end:]}'

    return _replaced(masked, elements, [tag(i, e) for i, e in enumerate(elements)])


def _styled(
    masked: str, elements: list[_Element], styles: dict[int, str], *, source_path: str
) -> str:
    new_tags = []
    for index, element in enumerate(elements):
        tag = masked[element.start : element.end]
        if index not in styles:
            line = masked.count("\n", 0, element.start) + 1
            raise TemplateError(
                f"{source_path}: line {line}: <{element.name}> can't stand here in HTML, "
                "expected an element that fits into the one around it"
            )
        new_tags.append(element.with_style(tag, styles[index]) if styles[index] else tag)
    return _replaced(masked, elements, new_tags)


def _replaced(masked: str, elements: list[_Element], tags: list[str]) -> str:
    pieces, end = [], 0
    for element, tag in zip(elements, tags, strict=True):
        pieces += [masked[end : element.start], tag]
        end = element.end
    return "".join([*pieces, masked[end:]])


def _kept_rules(css: str) -> str:
    """Return the at-rules of `css`, which can't be inlined, without spare blanks."""
    keeping = css_inline.CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)
    page = keeping.inline(f"<style>{re.sub(r'/[*].*?[*]/', '', css, flags=re.DOTALL)}</style>")
    kept = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    text = " ".join(kept[1].split()) if kept else ""
    return re.sub(r"\s*([{};,])\s*", r"\1", text).replace(": ", ":").replace(";}", "}")


def _compact(style: str) -> str:
    return re.sub(r"([:;,])\s+", r"\1", style)

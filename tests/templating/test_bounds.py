"""A template takes only so much time, memory and room, whatever it says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from invites.errors import Exit, TemplateError
from invites.invitation import Kind
from invites.model import Attendee
from invites.templating import LetterFacts, LetterWriter, Templates

Folder = Callable[[dict[str, str]], Path]

GREEDY = {
    "loops within loops": (
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "seconds of the processor",
    ),
    "a macro that calls itself twice": (
        "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(40) }}",
        "seconds of the processor",
    ),
    "a recursive loop": (
        "{% for a in range(99999) recursive %}{{ loop(range(99)) if loop.depth < 4 }}{% endfor %}",
        "seconds of the processor",
    ),
    "a text that doubles": (
        "{% set n = namespace(x='x') %}{% for i in range(50) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
        "MB of memory",
    ),
    "a list that doubles": (
        "{% set n = namespace(x=[1]) %}{% for i in range(50) %}{% set n.x = n.x + n.x %}{% endfor %}",
        "MB of memory",
    ),
    "a long text": (
        "{% for i in range(99999) %}0123456789012345678901234567890123456789{% endfor %}",
        "a text of more than 2,000,000 characters",
    ),
    "a product of a text": ("{{ 'x' * 10000000000 }}", "a number above"),
    "a product of a list": ("{{ (10000000000 * [1])|length }}", "a number above"),
    "a product of numbers": (
        "{% set n = namespace(x=9) %}{% for i in range(99) %}{% set n.x = n.x * n.x %}{% endfor %}",
        "bits",
    ),
    "a power": ("{{ 9 ** 99999 }}", "bits"),
    "a wide format": ("{{ '%9999999999d' % 1 }}", "a width above"),
    "a wide format filter": ("{{ '%9999999999d'|format(1) }}", "a width above"),
    "a wide format method": ("{{ '{:>9999999999}'.format(1) }}", "a width above"),
    "a width in a width": ("{{ '{:>{w}}'.format(1, w=9999999999) }}", "a number above"),
    "a wide centre": ("{{ 'x'|center(9999999999) }}", "a number above"),
    "a wide method": ("{{ 'x'.center(9999999999) }}", "a number above"),
    "a deep indent": ("{{ 'x'|indent(width=9999999999, first=true) }}", "a number above"),
    "filled rows": ("{{ [1]|batch(9999999999, 0)|list|length }}", "a number above"),
    "a file that includes itself": ("{% include 'invitation.subject.j2' %}", "RecursionError"),
}


@pytest.mark.parametrize("greedy", GREEDY)
def test_a_template_that_takes_too_much_is_refused_by_name(greedy: str, folder_of: Folder) -> None:
    """In seconds and before anything is written, with the file, the line and what it takes."""
    source, words = GREEDY[greedy]
    folder = folder_of({"invitation.subject.j2": f"one\n{source}"})
    with pytest.raises(TemplateError, match=words) as caught:
        Templates.load(folder)
    assert caught.value.exit_code is Exit.SETTINGS
    assert f"{folder}/invitation.subject.j2: line 2: " in str(caught.value)


def test_what_takes_little_is_rendered_as_ever(
    folder_of: Folder, facts: LetterFacts, attendee: Attendee
) -> None:
    """Loops know their length, numbers and formats are as Jinja2 has them."""
    source = (
        "{% for i in [3, 4] %}{{ loop.index }}/{{ loop.length }}{{ ':' if loop.last }}{% endfor %}"
        "{{ 6 * 7 }} {{ 2 ** 10 }} {{ 'ab' * 2 }} {{ '%05.1f' % 2.25 }} {{ '%s!'|format('a') }} "
        "{{ '{:>4}'.format('b') }} {{ 'c'|center(3) }}{% for i in 'xy' recursive %}{{ i }}{% endfor %}"
        "{{ 'a{1234567}'.upper() }}"
    )
    folder = folder_of({"invitation.subject.j2": source})
    letter = LetterWriter(Templates.load(folder)).letter(
        Kind.INVITATION, facts, attendee, "https://meet.example.com/r?jwt=a.b.c"
    )
    assert letter.subject == "1/22/2:42 1024 abab 002.2 a!    b  c xyA{1234567}"

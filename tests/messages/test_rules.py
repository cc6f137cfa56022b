"""What templates of one's own may do with the link and the subject, whoever comes first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from invites.errors import Exit, TemplateError
from invites.invitation import Invitation
from invites.model import Attendee
from invites.templating import Templates
from tests.factory import Factory

Compose = Callable[..., list[Invitation]]


@pytest.fixture
def compose(tmp_path: Path) -> Compose:
    """Give what composes for two attendees with templates of one's own; notes are theirs."""

    def composing(notes: tuple[str, str] = ("", "bring cake"), **files: str) -> list[Invitation]:
        for name, content in {"link_html": "", **files}.items():  # its anchor is another one
            (tmp_path / f"{name.replace('_', '.')}.j2").write_text(content, encoding="utf-8")
        factory = Factory(Templates.load(tmp_path))
        people: list[Attendee] = [
            factory.attendee(number, row=number + 1, columns={"note": note})
            for number, note in enumerate(notes, start=1)
        ]
        made = list(factory.composer().compose(factory.meeting(*people), factory.revision))
        for invitation in made:
            factory.verifier().check(invitation)
        return made

    return composing


BESIDE_THE_LINK = {
    "before it in the text": {"join_txt": "{{ columns.note }}{{ link }}\n"},
    "after it in the text": {"join_txt": "{{ link }}{{ columns.note }}\n"},
    "a name before it": {"join_txt": "{{ attendee.group }}{{ link }}\n"},
    "twice in the text": {"join_txt": "{{ link }}{{ link }}\n"},
    "before it in the address": {"join_html": '<a href="{{ columns.note }}{{ link }}">Join</a>'},
    "after it in the address": {"join_html": '<a href="{{ link }}{{ columns.note }}">Join</a>'},
}


@pytest.mark.parametrize("beside", BESIDE_THE_LINK)
def test_a_value_beside_the_link_is_refused_though_the_first_one_is_empty(
    compose: Compose, beside: str
) -> None:
    """Whether the link stands alone does not hang on who is invited first."""
    with pytest.raises(TemplateError, match=r"(alone on a line|expected <a href)") as caught:
        compose(**BESIDE_THE_LINK[beside])
    assert caught.value.exit_code == Exit.SETTINGS


@pytest.mark.parametrize(
    "files",
    [
        {"invitation_txt": "{{ link }}"},
        {"invitation_txt": "{{ link }}\n{{ columns.note }}"},
        {"invitation_txt": "{{ columns.note }}\n{{ link }}"},
        {"invitation_txt": "{{ attendee.name }}: {{ link }}\n{{ link }}\n"},
        {"invitation_txt": "{{ link|length }}\n{{ columns.note }}\n{{ link }}\n"},
        {"invitation_txt": "{% if link %}{{ link }}{% endif %}\n"},
    ],
)
def test_a_link_that_is_once_alone_on_a_line_will_do(
    compose: Compose, files: dict[str, str]
) -> None:
    """At the beginning, at the end, and where a template computes with it."""
    assert len(compose(**files)) == 2


@pytest.mark.parametrize(
    "beside",
    [
        '<a href="{{ link }}#config.startWithAudioMuted=true">Muted</a>',
        '<a href="{{ link }}&amp;lang=de">German</a>',
        '<a href="{{ link }} ">Once more</a>',
        '<a href="https://meet.example.com/help?jwt=">Help</a>',
    ],
)
def test_a_second_anchor_may_lead_to_the_same_link_with_options(
    compose: Compose, beside: str
) -> None:
    """The web client takes options behind the token; one anchor has the link alone."""
    made = compose(join_html=f'<a href="{{{{ link }}}}">Join</a> {beside}')
    assert len(made) == 2


@pytest.mark.parametrize(
    "markup",
    [
        '<link href="{{ link }}">',
        '<p data-href="{{ link }}">Join</p>',
        '<area href="{{ link }}">',
        '<!-- <b href="{{ link }}"> -->',
    ],
)
def test_what_is_no_anchor_is_refused(compose: Compose, markup: str) -> None:
    """With the words of a template's fault, not of reading back."""
    with pytest.raises(TemplateError, match="expected <a href"):
        compose(join_html=markup)


@pytest.mark.parametrize("part", ["txt", "html"])
def test_a_control_character_in_a_template_is_refused(compose: Compose, part: str) -> None:
    """No line end of its own, no NUL: mail programs cut texts there."""
    link = "{{ link }}" if part == "txt" else '<a href="{{ link }}">'
    for control in ("{{ '\\r' }}", "\x0b", "{{ '\\0' }}"):
        with pytest.raises(TemplateError, match="found a control character"):
            compose(**{f"join_{part}": f"a{control}b\n{link}\n"})


def test_a_computed_link_with_a_neighbour_is_refused_for_whom_it_has_one(compose: Compose) -> None:
    """Such a letter is made for each attendee alone, and judged so."""
    with pytest.raises(TemplateError, match="alone on a line"):
        compose(invitation_txt="{{ link|length }}\n{{ columns.note }}{{ link }}\n")


def test_a_subject_of_the_rosters_own_may_not_be_empty(compose: Compose) -> None:
    """The row is named whose subject it would be; the order of rows does not matter."""
    subject = {"invitation_subject": "{{ columns.note }}\n"}
    assert len(compose(("a", "b"), **subject)) == 2
    for notes, row in ((("", "b"), 2), (("a", " "), 3)):
        with pytest.raises(TemplateError, match=f"found no text for row {row}, expected a line"):
            compose(notes, **subject)

"""A shared letter, filled in, is what Jinja2 renders for each attendee."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jinja2
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from markupsafe import escape

from invites.model import Attendance, Attendee, Kind
from invites.templating import Letter, LetterFacts, LetterWriter, Part, SharedLetter, Slot, filled
from invites.templating.context import part_files
from invites.templating.environment import letter_environment
from invites.templating.share import Sharing, sharing_of

EXPRESSIONS = (
    "attendee.name",
    "attendee['email']",
    "attendee.group",
    "link",
    "columns.phone",
    "columns['room nr']",
    "attendee.name|upper",
    "attendee.email|length",
    "attendee.name|safe",
    "columns.phone|default('-')",
    "link|length",
    "attendee.moderator",
    "attendee['moderator']",
    "attendee.features|join(',')",
    "attendee.name ~ '!'",
    "(attendee.name, 1)",
    "attendee.name if attendee.moderator else 'x'",
    "'%s'|format(attendee.name)",
    "columns|length",
    "columns[attendee.group]|default('none')",
    "[attendee]|map(attribute='name')|join",
    "attendee|attr('name')",
    "attendee.name[:3]",
    "meeting.title",
    "when.text",
    "outer|default('')",
)
CONDITIONS = (
    "attendee.moderator",
    "attendee.name == 'Ada'",
    "attendee.name is defined",
    "columns.phone",
    "link",
    "'phone' in columns",
    "attendee.group|length > 2",
    "meeting.tentative",
    "loop is defined",
)
NAMES = ("outer", "inner", "outer", "inner", "other", "attendee", "link", "columns")


def _tags(inside: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return statements around pieces of template."""
    expression, condition = st.sampled_from(["«0»", "«1»"]), st.just("«if»")
    dash = st.sampled_from(["", "-"])
    name = st.sampled_from(NAMES)

    def tag(form: str, *parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.tuples(*parts).map(lambda values: form.format(*values))

    return st.one_of(
        tag("{{% if {} {}%}}{}{{% else %}}{}{{% endif %}}", condition, dash, inside, inside),
        tag("{{% for i in [1, 2] {}%}}{}{{%{} endfor %}}", dash, inside, dash),
        tag(
            "{{% for c in {} %}}{{{{ c }}}}{}{{% endfor %}}",
            expression.map(lambda e: f"[{e}]"),
            inside,
        ),
        tag("{{% for k in [[[]], []] recursive %}}{}{{{{ loop(k)|upper }}}}{{% endfor %}}", inside),
        tag("{{% set {} = {} %}}{}", name, expression, inside),
        tag("{{% set {} %}}{}{{% endset %}}{{{{ outer|default('')|title }}}}", name, inside),
        tag("{{% with {} = {} %}}{}{{% endwith %}}", name, expression, inside),
        tag("{{% filter upper %}}{}{{% endfilter %}}", inside),
        tag("{{% autoescape false %}}{}{{% endautoescape %}}", inside),
        tag(
            "{{% macro m(x={}) %}}{}{{{{ x }}}}{{% endmacro %}}{{{{ m() }}}}{{{{ m(1)|lower }}}}",
            expression,
            inside,
        ),
        tag(
            "{{% macro w() %}}{{{{ caller()|upper }}}}{{% endmacro %}}"
            "{{% call w() %}}{}{{% endcall %}}",
            inside,
        ),
        tag("{{% include 'piece.html.j2' %}}{}", inside),
        tag("{{% include 'piece.txt.j2' %}}{}", inside),
        tag("{{% include ['gone.j2', 'piece.txt.j2'] %}}{}", inside),
        tag("{{% include 'pi' ~ 'ece.txt.j2' %}}{}", inside),
        tag("{{% filter title %}}{{% include 'piece.txt.j2' %}}{{% endfilter %}}{}", inside),
        tag(
            "{{% import 'tools.j2' as t with context %}}{{{{ t.shout() }}}}{{{{ t|upper }}}}{}",
            inside,
        ),
        tag("{{% from 'tools.j2' import shout as {} with context %}}{}", name, inside),
    )


TEXT = st.sampled_from(["", " ", "\n", "x <b>&amp;", "{{ '{{' }}", " \n\n ", "ß"])
BARE = st.sampled_from(["{{ attendee.name }}", "{{link}}", "{{- columns.phone -}}"])
LEAVES = st.one_of(
    TEXT,
    BARE,
    BARE,
    st.tuples(
        st.sampled_from(["", "-"]), st.sampled_from(["«0»", "«1»"]), st.sampled_from(["", "-"])
    ).map(lambda t: f"{{{{{t[0]} {t[1]} {t[2]}}}}}"),
)


def _mixed(inside: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(inside, min_size=2, max_size=4).map("".join)


PIECES = st.recursive(LEAVES, lambda inside: st.one_of(_tags(inside), _mixed(inside)), max_leaves=6)
"""Anything: most values are computed with or captured somewhere."""

PLAIN_PIECES = st.recursive(
    st.one_of(TEXT, BARE),
    lambda inside: st.one_of(
        _mixed(inside),
        inside.map(lambda body: f"{{% if meeting.title -%}}{body}{{%- endif %}}"),
        inside.map(lambda body: f"{{% for i in [1, 2] %}}{body}{{% endfor %}}"),
        inside.map(lambda body: f"{{% if attendee.moderator %}}{body}{{% else %}}no{{% endif %}}"),
        inside.map(lambda body: f"{body}{{% include 'piece.txt.j2' %}}"),
        inside.map(lambda body: f"{{% filter upper %}}{{{{ «0» }}}}{{% endfilter %}}{body}"),
        inside.map(
            lambda body: f"{{% set outer %}}{{{{ «0» }}}}{{% endset %}}{body}{{{{ outer }}}}"
        ),
    ),
    max_leaves=5,
)
"""Mostly bare outputs, with at most one value that is captured."""

FRAMES = st.sampled_from(
    [
        "…",
        "…",
        "{% if attendee.moderator %}…{% endif %}",
        "{% filter upper %}…{% endfilter %}",
        "{% set outer %}…{% endset %}{{ outer|upper }}",
        "{% autoescape false %}…{% endautoescape %}",
    ]
)
"""What a base template may have around its block."""

SUPER = st.sampled_from(["", "", "{{ super() }}", "{{ super() }}", "{{ super()|upper }}"])


@st.composite
def template_files(draw: st.DrawFn) -> dict[str, str]:
    """Draw files in which the parts of an invitation extend, include and import others."""
    palette = {
        "«0»": draw(st.sampled_from(EXPRESSIONS)),
        "«1»": draw(st.sampled_from(EXPRESSIONS)),
        "«if»": draw(st.sampled_from(CONDITIONS)),
    }
    strategy = draw(st.sampled_from([PIECES, PLAIN_PIECES, PLAIN_PIECES]))
    pieces = {name: draw(strategy) for name in ("subject", "text", "html", "base", "block", "part")}
    child = (
        "{% extends 'base.html.j2' %}{% block main %}"
        + draw(SUPER)
        + pieces["html"]
        + "{% endblock %}"
    )
    extends = draw(st.booleans())
    files = {
        "invitation.subject.j2": pieces["subject"],
        "invitation.txt.j2": pieces["text"],
        "invitation.html.j2": child if extends else pieces["html"],
        "calendar.txt.j2": draw(TEXT),
        "base.html.j2": pieces["base"]
        + draw(FRAMES).replace("…", "{% block main %}" + pieces["block"] + "{% endblock %}")
        + draw(st.sampled_from(["", "", "", "{{ self.main() }}", "{{ self.main()|upper }}"])),
        "piece.html.j2": "{{ attendee.name }}{{ «1» }}",
        "piece.txt.j2": "{{ «1» }}",
        "tools.j2": draw(TEXT)
        + "{% macro shout() %}{{ attendee.name|upper }}{{ columns.phone }}{% endmacro %}"
        + draw(st.sampled_from(["", "{{ attendee.email }}"])),
    }
    return {name: _painted(text, palette) for name, text in files.items()}


def _painted(text: str, palette: Mapping[str, str]) -> str:
    """Return `text` with the few expressions of one example in place of what stands for them."""
    for stand_in, expression in palette.items():
        text = text.replace(stand_in, expression)
    return text


HOSTILE = ("Ada <b>x</b>", "{{7*7}} o", "{% if %}", 'O\'Brien, "Bob" & co', "Straße é 日本", "a")
VALUES = st.one_of(
    st.sampled_from(HOSTILE),
    st.sampled_from(HOSTILE),
    st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=12),
)


@st.composite
def attendees(draw: st.DrawFn) -> Attendee:
    """Draw an attendee whose fields try to break out of HTML and Jinja2."""
    address = draw(st.uuids()).hex + "@example.com"
    return Attendee(
        name=draw(VALUES.filter(str.strip)),
        email=draw(st.sampled_from(["o'b&<x>@example.com", "a@example.com"])),
        mailbox=address,
        address=address,
        moderator=draw(st.booleans()),
        attendance=draw(st.sampled_from(Attendance)),
        timezone=draw(st.sampled_from([None, "Asia/Tokyo"])),
        features=draw(st.sampled_from([(), ("recording", "lobby")])),
        group=draw(st.sampled_from(["", "phone", "<g>"])),
        columns={"phone": draw(VALUES), "room nr": draw(VALUES)},
    )


@dataclass
class FewTemplates:
    """Templates of generated files: no names are checked, and nothing is tried beforehand."""

    environment: jinja2.Environment
    trees: Mapping[str, jinja2.nodes.Template]

    @classmethod
    def of(cls, files: Mapping[str, str]) -> FewTemplates:
        """Parse and compile `files`."""
        environment = letter_environment(jinja2.DictLoader(dict(files)))
        return cls(environment, {name: environment.parse(text) for name, text in files.items()})

    def sharing(self, kind: Kind) -> Sharing:
        """Return what the real templates would."""
        return sharing_of(kind, self.trees)

    @property
    def names_of_jinja(self) -> Mapping[str, object]:
        """What Jinja2 itself gives every template."""
        return self.environment.globals

    def render(self, kind: Kind, part: str, context: Mapping[str, object], **_: bool) -> str:
        """Render as the real templates do, and let Jinja2's errors through."""
        return self.environment.get_template(part_files(kind)[part]).render(context)  # type: ignore[index]


def _parts(letter: Letter) -> tuple[str, ...]:
    return letter.subject, letter.text, letter.html, letter.notes


def _filled(shared: SharedLetter, attendee: Attendee, link: str) -> Letter:
    return Letter(
        subject=filled(shared.subject, attendee, link),
        text=filled(shared.text, attendee, link),
        html=_filled_html(shared.html, attendee, link),
        notes=filled(shared.notes, attendee, link),
    )


def _filled_html(part: Part, attendee: Attendee, link: str) -> str:
    return "".join(
        str(escape(piece.value(attendee, link))) if isinstance(piece, Slot) else piece
        for piece in part
    )


def _link(attendee: Attendee) -> str:
    return f"https://meet.example.com/r?jwt={attendee.address}&x"


PEOPLE = tuple(
    Attendee(
        name=name,
        email=f"{number}'<&@example.com",
        mailbox=f"{number}@example.com",
        address=f"{number}@example.com",
        moderator=number % 2 == 0,
        columns={"phone": "" if number == 0 else f"+49 <{number}>", "room nr": name},
    )
    for number, name in enumerate(HOSTILE)
)
NAME, LINK, PHONE = "name", "link", "columns.phone"


@pytest.mark.parametrize(
    ("source", "slots"),
    [
        ("{{ attendee.name }} {{ link }} {{ columns.phone }}", {NAME, LINK, PHONE}),
        ("{{ attendee['name'] }} {{ columns['phone'] }} {{- link -}}", {NAME, LINK, PHONE}),
        ("{% if attendee.moderator %}{{ attendee.name }}{% endif %}", {NAME}),
        ("{% for i in [1, 2] %}{{ attendee.name }}{% endfor %}", {NAME}),
        ("{% with x = 1 %}{{ attendee.name }}{{ x }}{% endwith %}", {NAME}),
        ("{% block b %}{{ attendee.name }}{% endblock %}", {NAME}),
        ("{% include 'name.html.j2' %}", {NAME}),
        ("{% extends 'base.html.j2' %}{% block b %}{{ super() }}!{% endblock %}", {NAME}),
        ("{% extends 'base.html.j2' %}{% block b %}{{ super()|upper }}{% endblock %}", set()),
        (
            "{% extends 'base.html.j2' %}{% block b %}{% set x = super() %}{{ x[1:] }}{% endblock %}",
            set(),
        ),
        ("{% block b %}{{ attendee.name }}{% endblock %}{{ self.b()|upper }}", set()),
        ("{% filter upper %}{{ attendee.name }}{% endfilter %}", set()),
        ("{% filter upper %}{% if 1 %}{{ attendee.name }}{% endif %}{% endfilter %}", set()),
        ("{% filter upper %}{% include 'name.html.j2' %}{% endfilter %}", set()),
        ("{% filter upper %}{% block b %}{{ attendee.name }}{% endblock %}{% endfilter %}", set()),
        (
            "{% extends 'loud.html.j2' %}{% block b %}{{ attendee.name }}{% endblock %}",
            set(),
        ),
        ("{% set x %}{{ attendee.name }}{% endset %}{{ x|upper }}", set()),
        ("{% set x = attendee.name %}{{ x }}{{ link }}", {LINK}),
        ("{% set x = attendee %}{{ x.name }}{{ attendee.name }}", set()),
        ("{% macro m() %}{{ attendee.name }}{% endmacro %}{{ m()|upper }}", set()),
        ("{% macro m(x=attendee.name) %}{{ x|upper }}{% endmacro %}{{ m() }}", set()),
        (
            (
                "{% macro m() %}{{ caller()|upper }}{% endmacro %}"
                "{% call m() %}{{ attendee.name }}{% endcall %}"
            ),
            set(),
        ),
        ("{% from 'tools.html.j2' import shout with context %}{{ shout()|upper }}", set()),
        ("{% import 'tools.html.j2' as n with context %}{{ n|upper }}", set()),
        ("{% import 'name.html.j2' as n with context %}{{ n|upper }}", set()),
        ("{% from 'name.html.j2' import x with context %}{{ attendee.name }}", set()),
        (
            "{% for k in [[[]], []] recursive %}{{ attendee.name }}{{ loop(k)|upper }}{% endfor %}",
            set(),
        ),
        ("{% autoescape false %}{{ attendee.name }}{% endautoescape %}", set()),
        ("{% include 'name.txt.j2' %}", set()),
        ("{% include 'name.' ~ 'html.j2' %}", set()),
        ("{{ attendee.name }}{{ attendee.name|upper }}", set()),
        ("{{ attendee.name|safe }}", set()),
        ("{{ attendee.name ~ '' }}", set()),
        ("{{ attendee.name if attendee.name != 'a' }}", set()),
        ("{{ attendee.name }}{{ [attendee]|map(attribute='name')|join|upper }}", set()),
        ("{{ columns.phone }}{{ columns|join(',') }}", set()),
        ("{{ columns.phone }}{% if columns.phone %}!{% endif %}", set()),
        ("{{ columns.phone }}{% for c in columns %}{{ columns[c] }}{% endfor %}", set()),
        ("{% for link in ['<1>'|safe, 2] %}{{ link }}{% endfor %}", set()),
        ("{% set columns = {'phone': 1} %}{{ columns.phone }}", set()),
        ("{% macro link() %}<x>{% endmacro %}{{ link() }}", set()),
        ("{% from 'tools.html.j2' import shout as link with context %}{{ link() }}", set()),
        ("{{ link|length }}{{ link }}", set()),
        ("{{ attendee.moderator }}{{ attendee.name }}", {NAME}),
    ],
)
def test_only_bare_outputs_are_slots(source: str, slots: set[str], facts: LetterFacts) -> None:
    """Each way to capture or to transform a value is seen, and the letters are right."""
    name = "{{ attendee.name }}"
    files = {
        "invitation.subject.j2": "x",
        "invitation.txt.j2": "x",
        "invitation.html.j2": source,
        "calendar.txt.j2": "x",
        "name.html.j2": name,
        "name.txt.j2": name,
        "tools.html.j2": name + "{% macro shout() %}{{ attendee.name }}{% endmacro %}",
        "base.html.j2": "<{% block b %}{{ attendee.name }}{% endblock %}>",
        "loud.html.j2": "{% filter upper %}{% block b %}{% endblock %}{% endfilter %}",
    }
    templates = FewTemplates.of(files)
    assert {slot.name for slot in templates.sharing(Kind.INVITATION).slots} == slots
    _check_sharing(templates, PEOPLE, facts)


@pytest.mark.parametrize(
    "subject", [" {{ columns.phone }}\n x", "{{ attendee.name }}\n\n{{ columns.phone }}\n"]
)
def test_a_subject_is_one_line_however_it_is_made(subject: str, facts: LetterFacts) -> None:
    """Where lines meet around an empty value, the blanks are folded as if it were not there."""
    parts = dict.fromkeys(part_files(Kind.INVITATION).values(), "{{ columns.phone }}")
    templates = FewTemplates.of({**parts, "invitation.subject.j2": subject})
    _check_sharing(templates, PEOPLE, facts)


def _check_sharing(
    templates: FewTemplates, people: Sequence[Attendee], facts: LetterFacts
) -> frozenset[Slot]:
    """Assert that shared letters equal those rendered for each; return the slots they have."""
    writer = LetterWriter(templates)  # type: ignore[arg-type]
    shared: dict[object, SharedLetter] = {}
    for person in people:
        link = _link(person)
        try:
            expected = writer.letter(Kind.INVITATION, facts, person, link)
        except (jinja2.TemplateError, TypeError):
            event("fails for an attendee")
            continue
        key = writer.key(Kind.INVITATION, person)
        if key not in shared:
            shared[key] = writer.shared(Kind.INVITATION, facts, person, link)
        assert _parts(_filled(shared[key], person, link)) == _parts(expected)
    return frozenset[Slot]().union(*(one.slots for one in shared.values()))


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(files=template_files(), people=st.lists(attendees(), min_size=2, max_size=4))
def test_shared_letters_equal_those_rendered_for_each_attendee(
    files: dict[str, str], people: list[Attendee], facts: LetterFacts
) -> None:
    """Whatever a template does with an attendee's values, sharing never shows."""
    slots = _check_sharing(FewTemplates.of(files), people, facts)
    event("with slots" if slots else "without slots")

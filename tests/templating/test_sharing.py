"""A shared letter, filled in, is what Jinja2 renders for each meeting and attendee."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import jinja2
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from invites.invitation import Brand, Kind
from invites.model import Attendance, Attendee, Status
from invites.templating import LetterFacts, LetterWriter, SharedLetter, Slot
from invites.templating.context import part_files
from invites.templating.environment import LetterEnvironment, letter_environment
from invites.templating.language import Languages
from invites.templating.share import Sharing
from invites.templating.views import BrandView, brand_view

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
    "meeting['title']|upper",
    "meeting.title|wordwrap(3)|safe",
    "meeting.description.split('b')|join('<br>'|safe)",
    "meeting.description.split('b')|map('upper')|list",
    "meeting.title ~ attendee.name",
    "when.text",
    "when_there.text",
    "opens.clock if opens.clock == when.start.clock else host.name",
    "host.name ~ language",
    "organizer.name",
    "outer|default('')",
    "outer|default(meeting.title)",
    "_('Dear %(who)s!', who=attendee.name)",
    "gettext('%(who)s, %(link)s: %(phone)s', who=attendee.name, link=link, phone=columns.phone)",
    "_('%(who)s <of> %(title)s', who=attendee.name|upper, title=meeting.title)",
    "_('%(role)s', role=attendee.moderator)",
    "_('%(who)10s, %(who).2s, %(who)r', who=attendee.name)",
    "_(attendee.group, who=attendee.name)",
    "_('%(who)s', who=_('<%(inner)s>', inner=attendee.name))",
    "ngettext('one %(who)s', '%(num)d %(who)s', 2, who=attendee.name)",
    "_('for %(title)s', title=meeting.title)|upper",
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
    "meeting.title > 'B'",
    "meeting.title and outer|default('')",
    "when_there",
    "when_there.zone == 'UTC'",
    "loop is defined",
)
NAMES = ("outer", "inner", "outer", "inner", "other", "attendee", "link", "columns", "meeting", "_")


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
        tag(
            "{{% for line in meeting.description.split() %}}{{{{ line }}}}{}{{% endfor %}}", inside
        ),
        tag("{{% if when_there %}}{{{{ when_there.text }}}}{}{{% endif %}}", inside),
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
        tag("{{% include 'nest.txt.j2' %}}{}", inside),
        tag("{{% if «if» %}}{{% include 'nest.txt.j2' %}}{{% else %}}{}{{% endif %}}", inside),
        tag("{{% include 'piece.txt.j2' without context %}}{}", inside),
        tag("{{% filter upper %}}{{% include 'set.txt.j2' %}}{{% endfilter %}}{}", inside),
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
        "nest.txt.j2": "{% if when_there %}{{ (when_there.zone, «1»)|first }}"
        "{% if meeting.title == 'nest' %}{% include 'nest.txt.j2' %}{% endif %}"
        "{% else %}{{ «0» }}{% endif %}",
        "set.txt.j2": "{% set " + draw(st.sampled_from(NAMES)) + " = 'x' %}{{ «0» }}",
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

    environment: LetterEnvironment
    sharings: dict[Kind, Sharing] = field(default_factory=dict)
    languages: Languages = field(default_factory=Languages)
    brand: BrandView = field(default_factory=lambda: brand_view(Brand()))

    @classmethod
    def of(cls, files: Mapping[str, str]) -> FewTemplates:
        """Parse and compile `files`."""
        return cls(letter_environment(jinja2.DictLoader(dict(files))))

    def sharing(self, kind: Kind) -> Sharing:
        """Return what the real templates would."""
        if kind not in self.sharings:
            self.sharings[kind] = Sharing(kind, self.environment)
        return self.sharings[kind]

    @property
    def names_of_jinja(self) -> Mapping[str, object]:
        """What Jinja2 itself gives every template."""
        return self.environment.globals

    def render(self, kind: Kind, part: str, context: Mapping[str, object], **_: bool) -> str:
        """Render as the real templates do, and let Jinja2's errors through."""
        return self.environment.get_template(part_files(kind)[part]).render(context)  # type: ignore[index]


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
NAME, LINK, PHONE = "attendee.name", "link", "columns.phone"
COMPUTED = "…"
"""Stands for a slot that a template computes."""


@pytest.mark.parametrize(
    ("source", "slots"),
    [
        ("{{ attendee.name }} {{ link }} {{ columns.phone }}", {NAME, LINK, PHONE}),
        ("{{ attendee['name'] }} {{ columns['phone'] }} {{- link -}}", {NAME, LINK, PHONE}),
        ("{{ meeting.title }} {{ meeting.title|upper }} {{ attendee.name }}", {NAME}),
        ("{% if attendee.moderator %}{{ attendee.name }}{% endif %}", {NAME}),
        ("{% for i in [1, 2] %}{{ attendee.name }}{% endfor %}", {NAME}),
        ("{% for c in meeting.title.split() %}{{ c }}{% endfor %}{{ attendee.name }}", {NAME}),
        ("{% for c in meeting.title %}{{ c }}{{ attendee.name }}{% endfor %}", {NAME}),
        ("{% with x = 1 %}{{ attendee.name }}{{ x }}{% endwith %}", {NAME}),
        ("{% block b %}{{ attendee.name }}{% endblock %}", {NAME}),
        ("{% include 'name.html.j2' %}", {NAME}),
        ("{% include 'name.txt.j2' %}", {NAME}),
        ("{% extends 'base.html.j2' %}{% block b %}{{ super() }}!{% endblock %}", {NAME}),
        ("{% extends 'base.html.j2' %}{% block b %}{{ super()|upper }}{% endblock %}", set()),
        (
            "{% extends 'base.html.j2' %}{% block b %}{% set x = super() %}{{ x[1:] }}{% endblock %}",
            set(),
        ),
        ("{% block b %}{{ attendee.name }}{% endblock %}{{ self.b()|upper }}", set()),
        ("{% filter upper %}{{ attendee.name }}{% endfilter %}", {COMPUTED}),
        ("{% filter upper %}{% if 1 %}{{ attendee.name }}{% endif %}{% endfilter %}", {COMPUTED}),
        ("{% filter upper %}{% include 'name.html.j2' %}{% endfilter %}", {COMPUTED}),
        ("{% filter upper %}{% block b %}{{ attendee.name }}{% endblock %}{% endfilter %}", set()),
        (
            "{% extends 'loud.html.j2' %}{% block b %}{{ attendee.name }}{% endblock %}",
            set(),
        ),
        ("{% set x %}{{ attendee.name }}{% endset %}{{ x|upper }}", set()),
        ("{% set x = attendee.name %}{{ x }}{{ link }}", {LINK}),
        ("{% set x = attendee %}{{ x.name }}{{ attendee.name }}", {NAME}),
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
        (
            "{% for k in [[[]], []] recursive %}{{ attendee.name }}{{ loop(k)|upper }}{% endfor %}",
            set(),
        ),
        ("{% autoescape false %}{{ attendee.name }}{% endautoescape %}", set()),
        ("{% include 'name.' ~ 'html.j2' %}", set()),
        ("{{ attendee.name }}{{ attendee.name|upper }}", {NAME, COMPUTED}),
        ("{{ attendee.name|safe }}", {COMPUTED}),
        ("{{ attendee.name ~ '' }}", {COMPUTED}),
        ("{{ attendee.name if attendee.name != 'a' }}", {COMPUTED}),
        ("{{ attendee.name }}{{ [attendee]|map(attribute='name')|join|upper }}", {NAME, COMPUTED}),
        ("{{ columns.phone }}{{ columns|join(',') }}", {PHONE, COMPUTED}),
        ("{{ columns.phone }}{% if columns.phone %}!{% endif %}", {PHONE}),
        ("{{ columns.phone }}{% for c in columns %}{{ columns[c] }}{% endfor %}", set()),
        ("{% for link in ['<1>'|safe, 2] %}{{ link }}{% endfor %}", set()),
        ("{% set columns = {'phone': 1} %}{{ columns.phone }}", set()),
        ("{% macro link() %}<x>{% endmacro %}{{ link() }}", set()),
        ("{% from 'tools.html.j2' import shout as link with context %}{{ link() }}", set()),
        ("{{ link|length }}{{ link }}", set()),
        ("{{ attendee.moderator }}{{ attendee.name }}", {NAME, COMPUTED}),
        ("{% if when_there %}{{ when_there.text }}{% endif %}{{ attendee.name }}", {NAME}),
        (
            "{% if when_there %}{{ when_there.zone == 'UTC' }}{% endif %}{{ attendee.name }}",
            {NAME},
        ),
    ],
)
def test_what_is_put_out_as_it_is_is_a_slot(
    source: str, slots: set[str], facts: LetterFacts
) -> None:
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
    found = _check_sharing(templates, PEOPLE, [facts])
    plain = {NAME, LINK, PHONE}
    assert {slot.name if slot.name in plain else COMPUTED for slot in found} == slots


@pytest.mark.parametrize(
    "subject", [" {{ columns.phone }}\n x", "{{ attendee.name }}\n\n{{ columns.phone }}\n"]
)
def test_a_subject_is_one_line_however_it_is_made(subject: str, facts: LetterFacts) -> None:
    """Where lines meet around an empty value, the blanks are folded as if it were not there."""
    parts = dict.fromkeys(part_files(Kind.INVITATION).values(), "{{ columns.phone }}")
    templates = FewTemplates.of({**parts, "invitation.subject.j2": subject})
    _check_sharing(templates, PEOPLE, [facts])


def test_what_is_asked_for_in_one_branch_alone_is_not_evaluated_elsewhere(
    facts: LetterFacts,
) -> None:
    """A value that is not there in most meetings costs them nothing, and parts no renderings."""
    source = (
        "{% if when_there %}{% if when_there.zone == 'UTC' %}a{% elif when_there.zone > 'B' %}b"
        "{% endif %}{% else %}{{ attendee.name }}{% endif %}"
    )
    files = dict.fromkeys(part_files(Kind.INVITATION).values(), source)
    templates = FewTemplates.of(files)
    zones = ("Asia/Tokyo", "Europe/Berlin", "UTC")
    meetings = [replace(facts, meeting=replace(facts.meeting, timezone=zone)) for zone in zones]
    _check_sharing(templates, PEOPLE, meetings)
    sharing = templates.sharing(Kind.INVITATION)
    assert (sharing.rendered, sharing.failed) == (1, 0)


def _check_sharing(
    templates: FewTemplates, people: Sequence[Attendee], meetings: Sequence[LetterFacts]
) -> set[Slot]:
    """Assert that shared letters equal those rendered for each; return the slots they have."""
    writer = LetterWriter(templates)  # type: ignore[arg-type]
    slots: set[Slot] = set()
    for facts in meetings:
        for person in people:
            link = _link(person)
            try:
                expected = writer.letter(Kind.INVITATION, facts, person, link)
            except (jinja2.TemplateError, TypeError, AttributeError) as error:
                event("fails for an attendee")
                with pytest.raises(type(error)):
                    writer.shared(Kind.INVITATION, facts, person, link).letter(person, link)
                continue
            shared = writer.shared(Kind.INVITATION, facts, person, link)
            assert shared.letter(person, link) == expected
            slots |= _slots_of(shared)
    return slots


def _slots_of(letter: SharedLetter) -> set[Slot]:
    parts = (letter.subject, letter.text, letter.html, letter.notes)
    return {piece for part in parts for piece in part if isinstance(piece, Slot)}


@st.composite
def meetings(draw: st.DrawFn) -> dict[str, object]:
    """Draw what differs between meetings."""
    return {
        "title": draw(VALUES),
        "description": draw(VALUES),
        "organizer_name": draw(st.sampled_from(["", "Olive <b>"])),
        "status": draw(st.sampled_from([Status.CONFIRMED, Status.TENTATIVE])),
        "timezone": draw(st.sampled_from(["Asia/Tokyo", "Europe/Berlin", "UTC"])),
    }


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    files=template_files(),
    people=st.lists(attendees(), min_size=2, max_size=3),
    told=st.lists(meetings(), min_size=1, max_size=3),
)
def test_shared_letters_equal_those_rendered_for_each_attendee(
    files: dict[str, str], people: list[Attendee], told: list[dict[str, object]], facts: LetterFacts
) -> None:
    """Whatever a template does with the values of meetings and attendees, sharing never shows."""
    every = [
        replace(
            facts,
            meeting=replace(
                facts.meeting,
                **meeting,
                start=facts.meeting.start + timedelta(hours=number),  # type: ignore[arg-type]
            ),
        )
        for number, meeting in enumerate(told)
    ]
    slots = _check_sharing(FewTemplates.of(files), people, every)
    event("with slots" if slots else "without slots")

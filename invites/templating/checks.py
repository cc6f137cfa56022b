"""Representative facts that every template is tried with before anything is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING

from jinja2 import nodes
from jinja2.meta import find_undeclared_variables

from invites.errors import TemplateError
from invites.invitation import Change, Kind, Organizer
from invites.model import (
    Attendance,
    Attendee,
    Frequency,
    Meeting,
    Occurrence,
    Recurrence,
    Series,
    Status,
    Validity,
)
from invites.templating.context import STEMS, LetterFacts, PartName, names_for, part_files
from invites.templating.letters import LetterWriter
from invites.templating.outline import bound_names, constant_names
from invites.templating.sources import Sources, TemplateFile
from invites.templating.views import NAMES, VIEWS, attributes

if TYPE_CHECKING:
    from jinja2 import Environment

    from invites.templating.load import Templates, Trees

TRIAL_LINK = "https://meet.example.com/trial?jwt=header.payload.signature"


class _AnyColumn(dict[str, str]):
    """Columns that any roster might have: each holds some text."""

    def __missing__(self, name: str) -> str:
        return "text"

    def __contains__(self, name: object) -> bool:
        return True


_REFERRING = (nodes.Include, nodes.Extends, nodes.Import, nodes.FromImport)
_START = datetime(2031, 12, 2, 8, tzinfo=UTC)
_END = _START + timedelta(hours=1)

_PLAIN = Attendee(
    name="Trial Attendee",
    email="trial@example.com",
    mailbox="trial@example.com",
    address="trial@example.com",
    columns=_AnyColumn(),
)
_RICH = replace(
    _PLAIN,
    moderator=True,
    attendance=Attendance.OPTIONAL,
    avatar="https://example.com/face.png",
    language="en",
    timezone="Asia/Kolkata",
    features=("recording", "transcription"),
    user_id="trial-1",
    group="trial",
)
_MEETING = Meeting(
    id="trial",
    title="A meeting to try templates with",
    start=_START,
    end=_END,
    timezone="Europe/Berlin",
    attendees=(_PLAIN,),
)
_FACTS = LetterFacts(
    meeting=_MEETING,
    validity=Validity(
        not_before=int(_START.timestamp()) - 960, expires=int(_END.timestamp()) + 1800
    ),
    organizer=Organizer(name="Meetings", email="meetings@example.com"),
    server="meet.example.com",
    room="trial",
)
_CHANGES = (
    Change(field="start", old=_START - timedelta(days=1), new=_START),
    Change(field="title", old="Earlier title", new=_MEETING.title),
    Change(field="description", old="", new="New description"),
    Change(field="moderator", old=False, new=True),
    Change(field="link", old=None, new=None),
)


def try_all(templates: Templates) -> None:
    """Render every kind of letter; raises TemplateError with file and line.

    A kind that computes with the roster's own columns may want cells of a certain form: what
    fails there is found when the roster is.
    """
    writer = LetterWriter(templates, reason_shown=True)
    for kind in Kind:
        for facts, attendee in trial_facts():
            try:
                writer.letter(kind, facts, attendee, TRIAL_LINK)
            except TemplateError:
                if not templates.sharing(kind).computes_columns:
                    raise


def trial_facts() -> Iterator[tuple[LetterFacts, Attendee]]:
    """Yield facts with everything left out, of a series, and with everything there."""
    yield _FACTS, _PLAIN
    rich = replace(
        _MEETING,
        description="First line.\n\nAnother paragraph.",
        organizer_name="Trial Host",
        organizer_email="host@example.com",
        status=Status.TENTATIVE,
    )
    weeks = [
        Occurrence(original=start, start=start, end=start + (_END - _START), cancelled=cancelled)
        for start, cancelled in ((_START, False), (_START + timedelta(weeks=1), True))
    ]
    series = Series(
        recurrence=Recurrence(frequency=Frequency.WEEKLY, weekdays=("TU",)),
        occurrences=tuple(weeks),
    )
    repeats = replace(_FACTS, meeting=replace(_MEETING, series=series), date=weeks[0])
    repeats = replace(repeats, written=_START - timedelta(days=1))
    yield repeats, _PLAIN
    yield replace(repeats, meeting=_MEETING, whole=repeats.meeting), _PLAIN
    ahead = replace(repeats, ahead=timedelta(hours=24))
    yield replace(ahead, links=()), _PLAIN
    given = ((weeks[0], _FACTS.validity),)
    link = (Change(field="date_link", old=None, new=_START),)
    yield replace(ahead, links=given, changes=link, rolling=True, earlier_until=1), _PLAIN
    earlier = _FACTS.validity.expires
    for attendee in (_RICH, replace(_RICH, moderator=False)):
        yield (
            replace(_FACTS, meeting=rich, changes=_CHANGES, demo=True, earlier_until=earlier),
            attendee,
        )


def check_names(sources: Sources, environment: Environment, trees: Trees) -> None:
    """Raise TemplateError with file and line for a name or an attribute that does not exist."""
    used: set[str] = set()
    for kind in Kind:
        for part, entry in part_files(kind).items():
            closure = files_of(entry, trees)
            used.update(closure)
            own = frozenset[str]().union(*(bound_names(trees[name]) for name in closure))
            known = names_for(kind, part) | own
            for name in closure:
                for unknown in unknown_names(trees[name], environment, known, own):
                    raise _error(sources.files[name], unknown, kind, part)
    _check_user_files(sources, used)


def files_of(entry: str, trees: Trees) -> list[str]:
    """Return the names of a template and of all that it refers to."""
    files = [entry]
    for name in files:
        for node in trees[name].find_all(_REFERRING):
            named = constant_names(node.template) or []  # type: ignore[attr-defined]
            files += [each for each in named if each in trees and each not in files]
    return files


def _error(file: TemplateFile, unknown: UnknownName, kind: Kind, part: PartName) -> TemplateError:
    place = f"{file.path}: line {unknown.line}"
    if unknown.what in NAMES:
        where = f"the {part} of a {STEMS[kind]}"
        return TemplateError(
            f'{place}: found "{unknown.what}", which {where} must not show; remove it'
        )
    near = get_close_matches(unknown.what, unknown.known, n=1)
    meant = f'; did you mean "{near[0]}"?' if near else ""
    known = ", ".join(unknown.known)
    return TemplateError(
        f'{place}: found "{unknown.what}", which does not exist{meant}; there are {known}'
    )


def _check_user_files(sources: Sources, used: set[str]) -> None:
    """Refuse a file that overrides nothing and that looks like a misspelt name of one of ours."""
    for name in sorted(sources.user_names - used):
        near = get_close_matches(name, sorted(sources.shipped_names), n=1, cutoff=0.9)
        if near and name not in sources.shipped_names:
            raise TemplateError(
                f'{sources.files[name].path}: no template has this name; did you mean "{near[0]}"? '
                "Rename it, or move it out of the folder"
            )


@dataclass(frozen=True, slots=True)
class UnknownName:
    """A name that a template uses and nothing defines: `what` as it stands there."""

    line: int
    what: str
    known: tuple[str, ...]


def unknown_names(
    tree: nodes.Template,
    environment: Environment,
    known: frozenset[str],
    bound: frozenset[str],
) -> Iterator[UnknownName]:
    """Yield names that nothing defines and attributes that a known name does not have.

    The attributes of `bound` names, which the templates give a meaning themselves, are not known.
    """
    undeclared = find_undeclared_variables(tree) - known - set(environment.globals)
    for name in tree.find_all(nodes.Name):
        if name.name in undeclared and name.ctx == "load":
            yield UnknownName(name.lineno, name.name, tuple(sorted(known)))
    for node in tree.find_all((nodes.Getattr, nodes.Getitem)):
        if (found := _attribute(node)) and found[0] not in bound:
            yield from _unknown_attribute(node.lineno, *found)


def _attribute(node: nodes.Expr) -> tuple[str, str] | None:
    match node:
        case nodes.Getattr(node=nodes.Name(name=root), attr=attr):
            return root, attr
        case nodes.Getitem(node=nodes.Name(name=root), arg=nodes.Const(value=str(attr))):
            return root, attr
        case _:
            return None


def _unknown_attribute(line: int, root: str, attr: str) -> Iterator[UnknownName]:
    known = attributes(VIEWS[root]) if root in VIEWS else frozenset({attr})
    if attr not in known:
        yield UnknownName(line, f"{root}.{attr}", tuple(sorted(f"{root}.{name}" for name in known)))

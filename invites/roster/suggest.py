"""Which settings would make a roster readable: for `check --suggest` alone, never for a build.

What follows from the file is proposed; what the file does not tell (the order of day and month in
03/04/2031, the zone of its times) is a question, which only a person answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from invites.errors import RosterRefusedError
from invites.problems import Problem
from invites.roster.cells import FALSE_WORDS, TRUE_WORDS, RosterRules
from invites.roster.dates import has_offset, readings_of
from invites.roster.meanings import Meanings
from invites.roster.parse import parse_roster
from invites.roster.table import Table
from invites.roster.vocabulary import NO, YES, program_of

Value = str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Proposed:
    """A setting that would help, and why: `section` is `roster` or `roster.columns`."""

    section: str
    key: str
    value: Value
    why: str


@dataclass(frozen=True, slots=True)
class Question:
    """What the file does not tell: the proposals of which one is right, and why it is not known."""

    why: str
    answers: tuple[Proposed, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """What would make a roster readable.

    `passing` counts the rows that pass as it is, `would_pass` those with the proposals (and with
    each question's first answer), `problems` is what is wrong then; `program` wrote the file.
    `zoneless` tells that neither the times nor a column or a setting says in which zone they are.
    """

    rows: int
    passing: int
    would_pass: int
    program: str = ""
    proposals: tuple[Proposed, ...] = ()
    questions: tuple[Question, ...] = ()
    problems: tuple[Problem, ...] = ()
    zoneless: bool = False

    def rules(self, rules: RosterRules) -> RosterRules:
        """Return the rules with the proposals, and with each question's first answer."""
        return rules_with(rules, (*self.proposals, *(each.answers[0] for each in self.questions)))


def rules_with(rules: RosterRules, proposals: Iterable[Proposed]) -> RosterRules:
    """Return the rules as they would be with these settings."""
    columns = dict(rules.columns)
    more: dict[str, object] = {}
    for each in proposals:
        listed = each.value if isinstance(each.value, tuple) else (each.value,)
        if each.section == "roster.columns":
            columns[each.key] = listed
        elif each.key in {"yes", "no"}:
            more[each.key] = frozenset(word.casefold() for word in listed)
        else:
            more[each.key] = each.value
    return replace(rules, columns=columns, **more)  # type: ignore[arg-type]


def suggestion_for(
    table: Table, rules: RosterRules, *, encoding: str = "", zone_here: str = "UTC"
) -> Suggestion:
    """Return what would make `table` readable beyond `rules`.

    `encoding` is what it was read by and the settings lack, "" for nothing; `zone_here` is the zone
    that this machine's clock shows.
    """
    table = replace(table, rows=list(table.rows))
    if table.typed:
        rules = replace(rules, typed=True)
    meanings = Meanings(table, rules)
    proposals = list(_proposals(meanings))
    zoneless = _zoneless(meanings)
    questions = [_zone_question(zone_here)] if zoneless and zone_here not in _UTC else []
    formats = _date_formats(meanings)
    if len(formats) > 1:
        why = f"{formats[0].why.rpartition(' as in ')[2]} may have the day or the month first, and no date tells"
        questions.insert(0, Question(why, formats))
    else:
        proposals += formats
    if encoding:
        why = "the file is not UTF-8, and every byte fits Windows-1252"
        proposals.append(Proposed("roster", "encoding", encoding, why))
    proposals.sort(key=lambda one: (one.section, _FIRST.get(one.key, len(_FIRST))))
    found = Suggestion(
        rows=meanings.rows,
        passing=0 if encoding else _passing(table, rules)[0],
        would_pass=0,
        program=program_of(table.header),
        proposals=tuple(proposals),
        questions=tuple(questions),
        zoneless=zoneless,
    )
    would_pass, problems = _passing(table, found.rules(rules))
    return replace(found, would_pass=would_pass, problems=problems)


_FIRST: Final = {"encoding": 0, "timezone": 1, "date_format": 2}
"""The order in which settings of [roster] are told; the others follow."""


def _passing(table: Table, rules: RosterRules) -> tuple[int, tuple[Problem, ...]]:
    """Return how many rows pass by these rules, and what is wrong with the others."""
    try:
        roster = parse_roster(table, rules, skip_invalid=True)
    except RosterRefusedError as refusal:
        return 0, tuple(refusal.problems)
    return roster.accepted, roster.left_out


def _proposals(meanings: Meanings) -> Iterator[Proposed]:
    """Yield the settings that follow from which columns are ours, and from the words in them."""
    rules = meanings.rules
    yield from _words(meanings)
    if meanings.attendees:
        why = "each address in these cells becomes an attendee"
        yield Proposed("roster", "attendees", meanings.attendees, why)
    if meanings.look_alikes:
        why = "they only look like columns of ours"
        yield Proposed("roster", "extra", (*rules.extra, *meanings.look_alikes), why)
    for ours, name, why in meanings.mapped:
        before = rules.columns.get(ours, ())
        yield Proposed("roster.columns", ours, (*before, name) if before else name, why)


def _words(meanings: Meanings) -> Iterator[Proposed]:
    """Yield the words for yes and no that the file has."""
    at, rules = meanings.found.get("moderator", -1), meanings.rules
    if at < 0 or not meanings.says_yes_or_no(at):
        return
    for key, words, ours, held in (
        ("yes", YES, TRUE_WORDS, rules.yes),
        ("no", NO, FALSE_WORDS, rules.no),
    ):
        more = {text.casefold(): text for text in meanings.texts[at] if text.casefold() in words}
        new = [text for folded, text in more.items() if folded not in ours | held]
        if new:
            what = "a moderator" if key == "yes" else "no moderator"
            why = f"what makes {what} in column {meanings.header[at]}"
            yield Proposed("roster", key, (*sorted(held), *new), why)


def _date_formats(meanings: Meanings) -> tuple[Proposed, ...]:
    """Return what `date_format` may be: nothing, one, or two of which a person knows the right one."""
    moments = meanings.texts_of("start", "end")
    dates = meanings.texts_of("start_date", "end_date")
    return tuple(
        Proposed("roster", "date_format", each.forms, f"{each.order}, as in {each.example}")
        for each in readings_of(moments, dates, meanings.rules)
    )


_UTC: Final = {"", "UTC", "UCT", "GMT", "Zulu", "Universal"} | {
    f"Etc/{name}" for name in ("UTC", "UCT", "GMT", "Zulu", "Universal")
}
"""Names of a machine's zone that say nothing beyond the default."""


def _zoneless(meanings: Meanings) -> bool:
    """Tell whether nothing says in which zone the times are."""
    rules = meanings.rules
    times = meanings.texts_of("start", "end") or meanings.texts_of("start_time", "end_time")
    named = "timezone" in meanings.found or rules.timezone != "UTC"
    return not named and not any(has_offset(text, rules) for text in times[:20])


def _zone_question(here: str) -> Question:
    """Ask for the zone of times that name none; UTC is rarely what a sheet is written in."""
    answers = (
        Proposed("roster", "timezone", here, "the zone of this machine"),
        Proposed("roster", "timezone", "UTC", "what counts as it is"),
    )
    return Question("no column and no setting says in which zone the times are", answers)


def grouped(proposals: Iterable[Proposed]) -> Mapping[str, list[Proposed]]:
    """Return proposals by their section, in order."""
    sections: dict[str, list[Proposed]] = {}
    for each in proposals:
        sections.setdefault(each.section, []).append(each)
    return sections

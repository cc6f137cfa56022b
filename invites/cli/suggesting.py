"""What `check --suggest` says of a roster and, with `--write`, puts into the settings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from invites.cli.output import asked, can_ask
from invites.errors import Exit, SettingsError
from invites.problems import lines_of
from invites.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from invites.cli.options import Call
    from invites.roster.suggest import Proposed, Question, Suggestion
    from invites.settings import Settings


def suggest_settings(call: Call, roster: str, settings: Settings, *, write: bool) -> int:
    """Say which settings would make a roster readable, and write them where that is asked for.

    A question that the file leaves open is asked at a terminal, and else told and left open.
    """
    from invites.roster.source import suggestion_of

    found = suggestion_of(roster, settings.roster_rules(), zone_here=_zone_of_this_machine())
    _show(call, roster, found)
    answers, left = _answered(call, found.questions) if write else ([], list(found.questions))
    _show_questions(call, left)
    chosen = [*found.proposals, *answers]
    written = _write(call, chosen, settings) if write and chosen else None
    call.problems(lines_of(found.problems, roster))
    _document(call, roster, found, left, written)
    if found.problems:
        return Exit.ROSTER
    # The zone has a default by which a roster can be read; the order of day and month has none.
    undecided = any(question.answers[0].key == "date_format" for question in left)
    return Exit.IN_PART if write and (undecided or written is False) else Exit.DONE


def _zone_of_this_machine() -> str:
    """Return the IANA name of the zone in which this machine's clock is shown, "" if unknown."""
    from invites.times import zone_names

    for name in (os.environ.get("TZ", "").lstrip(":"), str(Path("/etc/localtime").resolve())):
        known = name.rpartition("zoneinfo/")[2]
        if known in zone_names():
            return known
    return ""


def _show(call: Call, roster: str, found: Suggestion) -> None:
    known = f" looks like {found.program}" if found.program else ""
    rows = counted(found.rows, "row")
    call.say(
        f"{roster}{known or ':'} {'and has ' if known else ''}{rows}; {found.passing:,} pass now"
    )
    if not found.proposals and not found.questions:
        call.say(
            "no setting was found that would help" if found.problems else "no setting is needed"
        )
        return
    if found.proposals:
        call.say("These settings make it readable:")
        _show_lines(call, found.proposals)
    call.say(f"With them {found.would_pass:,} of {rows} pass")


def _show_lines(call: Call, proposals: Iterable[Proposed]) -> None:
    from invites.roster.suggest import grouped

    for section, members in grouped(proposals).items():
        call.say(f"  [{section}]")
        for each in members:
            call.say(f"  {_line(each)}" + (f"  # {each.why}" if each.why else ""))


def _line(proposal: Proposed) -> str:
    from invites.settings.edit import toml_value

    return f"{proposal.key} = {toml_value(proposal.value)}"


def _answered(call: Call, questions: Sequence[Question]) -> tuple[list[Proposed], list[Question]]:
    """Return what a person chose, and the questions that are left open."""
    if not can_ask(call):
        return [], list(questions)
    answers, left = [], []
    for question in questions:
        call.say(f"{question.why}:")
        for number, answer in enumerate(question.answers, 1):
            call.say(f"  {number}  {_line(answer)}  # {answer.why}")
        given = asked("Which one? Enter leaves it open: ")
        if given.isdigit() and 1 <= int(given) <= len(question.answers):
            answers.append(question.answers[int(given) - 1])
        else:
            left.append(question)
    return answers, left


def _show_questions(call: Call, questions: Iterable[Question]) -> None:
    for question in questions:
        lines = " or ".join(f"{_line(each)} ({each.why})" for each in question.answers)
        call.warn(f"{question.why}; put one of these into [roster]: {lines}")


def _write(call: Call, proposals: Sequence[Proposed], settings: Settings) -> bool:
    """Put the proposals into the settings file, once the difference was shown; tell whether so."""
    from difflib import unified_diff

    from invites.settings.edit import replace_text, with_values

    path = settings.source
    if path is None:
        raise SettingsError(
            "there is no settings file to write to; make one with `invites init`, or name one with "
            "--config"
        )
    before = path.read_text(encoding="utf-8")
    edits = {(each.section, each.key): each.value for each in proposals}
    after = with_values(before, edits, str(path))
    call.say(f"In {path}:")
    # Without the lines around: the secret may stand in one of them.
    for line in unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm=""):
        if not line.startswith(("---", "+++", "@@")):
            call.say(line)
    if can_ask(call) and asked("Write this? [y/N] ").casefold() not in {"y", "yes"}:
        call.say("nothing was written")
        return False
    replace_text(path, after)
    call.say("written")
    return True


def _document(
    call: Call, roster: str, found: Suggestion, left: Iterable[Question], written: bool | None
) -> None:
    call.document(
        command="check",
        roster=roster,
        suggested=True,
        program=found.program,
        rows_read=found.rows,
        rows_passing=found.passing,
        rows_that_would_pass=found.would_pass,
        settings=[_facts(each) for each in found.proposals],
        questions=[
            {"why": each.why, "answers": [_facts(answer) for answer in each.answers]}
            for each in left
        ],
        written=bool(written),
        problems=[problem.facts() for problem in found.problems],
    )


def _facts(proposal: Proposed) -> dict[str, object]:
    value = proposal.value if isinstance(proposal.value, str) else list(proposal.value)
    facts = {"section": proposal.section, "key": proposal.key, "value": value}
    return {**facts, "why": proposal.why}

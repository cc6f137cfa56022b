"""`invites check`: read a roster, say everything that is wrong with it, touch nothing.

`--suggest` says which settings would make it readable, and only `--write` changes them.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from invites.cli.options import Call, NowOption, RosterArgument, SkipInvalidOption, clock
from invites.cli.terminal import asked, can_ask, show, sits_at_terminal
from invites.errors import Exit, RosterRefusedError, SettingsError
from invites.problems import Warned, lines_of
from invites.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from invites.cli.options import Call
    from invites.model import JoinedRows, Meeting, Roster, SeriesTokens
    from invites.problems import Problem
    from invites.roster.suggest import Proposed, Question, Suggestion
    from invites.settings import Settings


SINGLES_TOLD = 10
"""Values of which it is told why their dates stay single; JSON has all of them."""

_CUT = Warned(
    row=None, column=None, text="the file ends without a line end; its last row may be cut"
)

_IN_UTC = (
    "the times count as UTC, for no column and no setting says in which zone they are; where they "
    'are those of a place, set its zone in [roster], such as timezone = "Europe/Berlin"'
)

_NOT_WEIGHED = (
    "the join links' length was not looked at: the settings lack the server's url, the app_id, or "
    "the private key, whose size counts"
)


def check(
    call: Call,
    roster: RosterArgument,
    skip_invalid: SkipInvalidOption = False,
    suggest: Annotated[
        bool, typer.Option("--suggest", help="Say which settings would make the file readable.")
    ] = False,
    write: Annotated[
        bool, typer.Option("--write", help="Put what --suggest says into the settings.")
    ] = False,
    now: NowOption = None,
) -> int:
    """Read and validate a roster; print every problem, change nothing."""
    from invites.roster.source import read_roster

    instant = clock(now, reproducible=True)
    loaded = call.settings()
    if suggest or write:
        return suggest_settings(call, roster, loaded, write=write)
    weighed = loaded.link_scales() is not None
    if not weighed:
        call.detail(_NOT_WEIGHED)
    try:
        read = read_roster(roster, loaded.roster_rules(), skip_invalid=skip_invalid, now=instant)
    except RosterRefusedError as refusal:
        return _refused(call, refusal, links_weighed=weighed)
    cut = () if read.final_newline else (_CUT,)
    call.warn_of(read, cut)
    _show_table(call, read.left_out)
    claims = _claims(call, loaded, read, instant)
    for line in claims:
        call.warn(f"send would refuse: {line}")
    _tell(call, read, (*read.warnings, *cut), instant, links_weighed=weighed, claims=claims)
    return Exit.IN_PART if read.rejected else Exit.DONE


def _settings_may_help(problem: Problem) -> bool:
    """Tell whether a problem is about how the file is written: its header, dates, words, encoding."""
    named = ("date_format", "[roster] yes", "[roster] encoding")
    return problem.row == 1 or any(words in problem.expected for words in named)


def _claims(call: Call, settings: Settings, read: Roster, now: datetime) -> list[str]:
    """Return a line for the meetings that another scope has, where a ledger is there to tell.

    A roster can be right without a ledger, so that none, or one that can't be read, is no fault.
    """
    if settings.source is None:
        return []
    from invites.errors import InvitesError
    from invites.ledger import exists, open_ledger
    from invites.ledger.read import snapshot_of
    from invites.sending.options import claims_needed, scope_for

    url = settings.ledger.url
    scope, _ = scope_for(read.source, settings)
    try:
        if not exists(url):
            return []
        with open_ledger(url, lock=False) as ledger:
            ids = [meeting.id for meeting in read.meetings]
            snapshot = snapshot_of(ledger, scope, meeting_ids=ids, now=now)
        return lines_of(claims_needed(read, snapshot), read.source)
    except (InvitesError, OSError) as fault:
        call.detail(f"whether another scope has a meeting was not looked at: {fault}")
        return []


def _refused(call: Call, refusal: RosterRefusedError, *, links_weighed: bool) -> int:
    """Say why the roster was refused, and return the exit code."""
    call.problems(lines_of(refusal.problems, refusal.source))
    _show_table(call, refusal.problems)
    call.document(
        command="check",
        roster=refusal.source,
        refused=True,
        rows_read=refusal.rows_read,
        links_weighed=links_weighed,
        problems=[problem.facts() for problem in refusal.problems],
        warnings=[],
    )
    rows = "" if refusal.rows_read is None else f" in {counted(refusal.rows_read, 'row')}"
    call.say(f"{refusal.source} is refused: {counted(len(refusal.problems), 'problem')}{rows}")
    if any(_settings_may_help(problem) for problem in refusal.problems):
        call.say(f"what would make it readable: invites check --suggest {quote(refusal.source)}")
    return refusal.exit_code


def _tell(
    call: Call,
    read: Roster,
    warnings: Sequence[Warned],
    now: datetime,
    *,
    links_weighed: bool,
    claims: Sequence[str],
) -> None:
    """Say how much was read and what became of it."""
    attendees = over = dates = 0
    series = []
    for meeting in read.meetings:  # once: those of a large roster are made as they are asked for
        attendees += len(meeting.attendees)
        over += meeting.over_at <= now
        dates += len(meeting.starts)
        if meeting.series is not None:
            series.append(replace(meeting, attendees=()))
    call.document(
        command="check",
        roster=read.source,
        refused=False,
        digest=read.digest,
        rows_read=read.rows_read,
        rows_accepted=read.accepted,
        rows_rejected=read.rejected,
        rows_repeated=read.repeated,
        meetings=len(read.meetings),
        meetings_over=over,
        series=len(series),
        dates=dates,
        joined=None if read.joined is None else _joined_facts(read.joined),
        attendees=attendees,
        links_weighed=links_weighed,
        problems=[problem.facts() for problem in read.left_out],
        warnings=[warning.facts() for warning in warnings],
        would_refuse=list(claims),
    )
    call.say(
        f"{read.source}: {counted(read.rows_read, 'row')}, "
        f"{counted(len(read.meetings), 'meeting')} ({over:,} over), "
        f"{counted(attendees, 'attendee')}, {counted(len(warnings), 'warning')}"
    )
    for line in () if read.joined is None else _joined_words(read.joined):
        call.say(line)
    if series:
        call.say(_series_words(series, call.settings(warn=False).series.tokens))
    if read.repeated:
        call.say(f"{counted(read.repeated, 'row')} said again what another row says")
    if read.rejected:
        call.say(f"{counted(read.rejected, 'row')} left out for their problems")
    call.detail(f"SHA-256 {read.digest}")


def _joined_words(joined: JoinedRows) -> Iterator[str]:
    """Say what became of rows that list each date by itself, and which dates stay single and why."""
    yield (
        f"{counted(joined.rows, 'row')} became {joined.series:,} series of "
        f'{counted(joined.dates, "date")} ([roster] series = "{joined.column}")'
    )
    yield from (single.text for single in joined.single[:SINGLES_TOLD])
    if (rest := len(joined.single) - SINGLES_TOLD) > 0:
        yield f"and the dates of {rest:,} more"


def _joined_facts(joined: JoinedRows) -> dict[str, object]:
    return {
        "column": joined.column,
        "rows": joined.rows,
        "series": joined.series,
        "dates": joined.dates,
        "single": [single.facts() for single in joined.single],
    }


def _series_words(series: Sequence[Meeting], tokens: SeriesTokens) -> str:
    """Say how many meetings repeat, on how many dates, and how long their links live."""
    longest = max(series, key=lambda meeting: meeting.over_at - meeting.opens)
    days = -(-(longest.over_at - longest.opens) // timedelta(days=1))
    dates = sum(len(meeting.starts) for meeting in series)
    links = (
        "each series has one link, which admits from the first date to the last: "
        f"up to {counted(days, 'day')}"
    )
    if tokens != "series":
        links = "each date has a link of its own ([series] tokens)"
    return (
        f"{counted(len(series), 'meeting')} of these {'repeats' if len(series) == 1 else 'repeat'}, "
        f"on {counted(dates, 'date')}; {links}"
    )


def _show_table(call: Call, problems: Sequence[Problem]) -> None:
    """Show the problems as a table as well where somebody sits at a terminal."""
    if problems and sits_at_terminal(call):
        from invites.report.tables import problem_table

        show(problem_table(problems))


def suggest_settings(call: Call, roster: str, settings: Settings, *, write: bool) -> int:
    """Say which settings would make a roster readable, and write them where that is asked for.

    A question that the file leaves open is asked at a terminal, and else told and left open.
    """
    from invites.roster.source import suggestion_of

    found = suggestion_of(roster, settings.roster_rules(), zone_here=_zone_of_this_machine())
    _show(call, roster, found)
    answers, left = _answered(call, found.questions) if write else ([], list(found.questions))
    _show_questions(call, left)
    asked_for_zone = any(one.answers[0].key == "timezone" for one in found.questions)
    if found.zoneless and not asked_for_zone and ("roster", "timezone") not in settings.origins:
        call.warn(_IN_UTC)
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

"""`invites check`: read a roster, say everything that is wrong with it, touch nothing.

`--suggest` says which settings would make it readable, and only `--write` changes them.
"""

from __future__ import annotations

from datetime import timedelta
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from invites.cli.options import Call, NowOption, RosterArgument, SkipInvalidOption, clock
from invites.cli.output import show, sits_at_terminal
from invites.errors import Exit, RosterRefusedError
from invites.problems import Warned, lines_of
from invites.text import counted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from invites.model import Meeting, Roster
    from invites.problems import Problem
    from invites.settings import Settings

_CUT = Warned(
    row=None, column=None, text="the file ends without a line end; its last row may be cut"
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
    import os

    from invites import settings
    from invites.roster.source import read_roster

    instant = clock(now, reproducible=True)
    loaded = settings.load(call.config, environ=os.environ)
    for warning in loaded.warnings:
        call.warn(warning)
    if suggest or write:
        from invites.cli.suggesting import suggest_settings

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
    from invites.sending.scopes import claims_needed, scope_for

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
    attendees = sum(len(meeting.attendees) for meeting in read.meetings)
    series = [meeting for meeting in read.meetings if meeting.series is not None]
    over = sum(meeting.over_at <= now for meeting in read.meetings)
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
        dates=sum(len(meeting.starts) for meeting in read.meetings),
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
    if series:
        call.say(_series_words(series))
    if read.repeated:
        call.say(f"{counted(read.repeated, 'row')} said again what another row says")
    if read.rejected:
        call.say(f"{counted(read.rejected, 'row')} left out for their problems")
    call.detail(f"SHA-256 {read.digest}")


def _series_words(series: Sequence[Meeting]) -> str:
    """Say how many meetings repeat, on how many dates, and how long their links live."""
    longest = max(series, key=lambda meeting: meeting.over_at - meeting.opens)
    days = -(-(longest.over_at - longest.opens) // timedelta(days=1))
    dates = sum(len(meeting.starts) for meeting in series)
    return (
        f"{counted(len(series), 'meeting')} of these {'repeats' if len(series) == 1 else 'repeat'}, "
        f"on {counted(dates, 'date')}; each series has one link, which admits from the first date "
        f"to the last: up to {counted(days, 'day')}"
    )


def _show_table(call: Call, problems: Sequence[Problem]) -> None:
    """Show the problems as a table as well where somebody sits at a terminal."""
    if problems and sits_at_terminal(call):
        from invites.report.tables import problem_table

        show(problem_table(problems))

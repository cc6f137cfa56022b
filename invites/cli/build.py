"""`invites build`: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from invites.cli import spare_the_collector
from invites.cli.options import (
    Call,
    NowOption,
    RosterArgument,
    SkipInvalidOption,
    TemplatesOption,
    VerifyOption,
    clock,
    demand_verify,
)
from invites.cli.terminal import bar, show, sits_at_terminal
from invites.errors import Exit, UsageError
from invites.output.forms import FORMS, INDEX
from invites.text import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invites.build import BuildReport
    from invites.model import Meeting, Roster
    from invites.settings import Settings


def build(
    call: Call,
    roster: RosterArgument,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to write.")] = Path(
        "out"
    ),
    meeting: Annotated[
        list[str] | None,
        typer.Option("--meeting", metavar="ID", help="Only this meeting; may be given again."),
    ] = None,
    form: Annotated[
        str, typer.Option("--as", metavar="|".join(FORMS), help="The form of the messages.")
    ] = next(iter(FORMS)),
    skip_invalid: SkipInvalidOption = False,
    templates: TemplatesOption = None,
    verify: VerifyOption = None,
    html: Annotated[
        bool,
        typer.Option(
            "--html", help="Write each mail's HTML to look at, also beyond 500 invitations."
        ),
    ] = False,
    demo: Annotated[
        bool, typer.Option("--demo", help="Sign with a throw-away secret; needs no settings.")
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            metavar="N",
            min=1,
            help="Processes that work at it; by default one for each core that gains by it.",
        ),
    ] = None,
    now: NowOption = None,
) -> int:
    """Mint a join link for each attendee and write the invitations as email-ready files."""
    if form not in FORMS:
        *others, last = FORMS
        raise UsageError(f'--as: found "{form[:40]}", expected {", ".join(others)} or {last}')
    if html and not FORMS[form].PAGES:
        with_pages = " or ".join(name for name in FORMS if FORMS[name].PAGES)
        raise UsageError(
            f'--html: found "--as {form}", expected --as {with_pages}, which alone has pages'
        )
    demand_verify(verify)
    from invites.output.staging import repair

    repair(out)
    from invites.build import build as build_folder
    from invites.build import jobs_for, selected
    from invites.messages import Composer, Verifier
    from invites.messages.compose import templates_for
    from invites.roster.source import read_roster

    instant = clock(now, reproducible=True)
    spare_the_collector()
    settings = _settings(call, demo=demo, templates=templates)
    read = read_roster(roster, settings.roster_rules(), skip_invalid=skip_invalid, now=instant)
    selection = selected(read, now=instant, meeting_ids=meeting or ())
    composer = Composer.from_settings(settings, templates=templates_for(settings), demo=demo)
    verifier = Verifier(
        composer.sender.server,
        mailbox=composer.sender.organizer.email,
        key=settings.signing_key(),
        everything=verify == "all",
        with_others=composer.sender.show_attendees,
        logo=composer.picture,
    )
    total = selection.invitations
    with bar(call, "Building invitations", total) as advance:
        report = build_folder(
            selection,
            out=out,
            composer=composer,
            verifier=verifier,
            now=instant,
            form=form,
            pages=html,
            roster=read,
            on_invitation=advance,
            jobs=jobs or jobs_for(total),
        )
    call.warn_of(read, report.warnings)
    _show_table(call, selection.meetings)
    _tell(call, read, report, form=form, demo=demo)
    return Exit.IN_PART if read.rejected else Exit.DONE


def _settings(call: Call, *, demo: bool, templates: Path | None) -> Settings:
    """Return the settings with all that building needs, or say all that is missing at once."""
    if demo:
        from secrets import token_bytes

        from invites.settings import demo as demo_settings

        return demo_settings(token_bytes(64), overrides={"mail.templates": templates})
    settings = call.settings(templates=templates)
    settings.require_minting()
    return settings


def _show_table(call: Call, meetings: Sequence[Meeting]) -> None:
    """Show what was made as a table where somebody sits at a terminal."""
    if not meetings or not sits_at_terminal(call):
        return
    from shutil import get_terminal_size

    from invites.report.tables import meeting_table

    show(meeting_table(meetings, columns=get_terminal_size().columns))


def _tell(call: Call, roster: Roster, report: BuildReport, *, form: str, demo: bool) -> None:
    """Say what was made, what was left out and why, and what to open."""
    counts = {
        "rows_read": roster.rows_read,
        "rows_accepted": roster.accepted,
        "rows_rejected": roster.rejected,
        "rows_repeated": roster.repeated,
        "meetings": report.meetings,
        "meetings_over": report.over,
        "meetings_cancelled": report.cancelled,
        "invitations": report.invitations,
        "moderators": report.moderators,
        "read_back": report.read_back,
    }
    call.document(
        command="build",
        out=str(report.out),
        form=form,
        demo=demo,
        manifest=str(report.out / "manifest.csv"),
        **counts,
        warnings=[warning.text for warning in (*roster.warnings, *report.warnings)],
        problems=[problem.facts() for problem in roster.left_out],
    )
    over, cancelled = counted(report.over, "meeting"), report.cancelled
    if not report.invitations:
        call.warn(f"nothing is left to make: {over} over, {cancelled:,} cancelled")
    call.say(
        f"{counted(report.invitations, 'invitation')} ({report.moderators:,} as moderator) to "
        f"{counted(report.meetings, 'meeting')}, from {counted(roster.rows_read, 'row')} "
        f"of {roster.source}"
    )
    if roster.repeated:
        call.say(f"made once: {counted(roster.repeated, 'row')} that another row says too")
    if roster.rejected:
        call.say(f"left out for their problems: {counted(roster.rejected, 'row')}")
    if report.invitations and (report.over or cancelled):
        call.say(f"left out: {over} over, {cancelled:,} cancelled")
    call.say(f"checked: every message; {report.read_back:,} read back by independent parsers")
    if demo:
        call.say(
            "DEMO: signed with a secret made for this run alone, for meet.example.com: "
            "these links admit nobody"
        )
    call.say(f"open {report.out / INDEX}")

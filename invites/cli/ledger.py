"""What the ledger remembers: `invites history` shows it, `forget` erases a person, `ledger` copies it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from unicodedata import normalize

import typer

from invites.cli.options import ByOption, Call, address_of, by_of, clock
from invites.cli.terminal import show
from invites.errors import Exit, UsageError
from invites.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from invites.ledger import Ledger
    from invites.ledger.history import PastMessage, PastRun
    from invites.settings import Settings


MESSAGES_AT_MOST, RUNS_AT_MOST = 100, 20
"""Rows that the tables show where nobody asked for a person or a meeting; `-v` shows all."""


def history(
    call: Call,
    meeting: Annotated[
        str | None, typer.Option("--meeting", metavar="ID", help="Only this meeting.")
    ] = None,
    email: Annotated[
        str | None, typer.Option("--email", metavar="ADDRESS", help="Only this person.")
    ] = None,
    by: ByOption = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write it all as a page for a browser."),
    ] = None,
) -> int:
    """Show what was sent to whom and when, with which outcome, and how each run went."""
    from invites.ledger import history as kept
    from invites.ledger import open_ledger
    from invites.report import tables as shown

    grouped = by_of(by)
    settings = call.settings(warn=False)
    meeting_id = None if meeting is None else normalize("NFC", meeting.strip())
    address = None if email is None else address_of(email, "--email", settings).address
    about_one = meeting_id is not None or address is not None
    everything = call.as_json or call.verbose or html is not None
    whole, concerned = everything or about_one or grouped is not None, set[str]()
    with open_ledger(settings.ledger.url, lock=False) as ledger:
        waiting = kept.waiting(ledger, meeting_id=meeting_id, address=address)
        at_most = None if whole else MESSAGES_AT_MOST
        each = kept.each_message(ledger, meeting_id=meeting_id, address=address, at_most=at_most)
        messages: Iterable[PastMessage] = _noted(each, concerned)
        if html is not None:
            messages = tuple(messages)  # the page looks at them several times
        runs: Iterable[PastRun] = _runs(
            ledger, concerned if about_one else None, everything=everything
        )
        if html is not None:
            runs = tuple(runs)
        # Of a long history one message at a time is in memory; the runs are asked for after them.
        call.document(
            command="history",
            messages=shown.documents_of(messages),
            waiting=shown.documents_of(waiting),
            runs=shown.documents_of(runs),
        )
        if (call.as_json or call.quiet) and html is None:
            return Exit.DONE
        past_messages, past_runs = tuple(messages), tuple(runs)
    timezone = settings.roster.timezone
    if html is not None:
        from invites.report.page import history_page
        from invites.settings.edit import replacing

        page = history_page(past_messages, waiting, past_runs, timezone=timezone)
        with replacing(html) as opened:  # it names everybody who was invited
            opened.writelines(page.pieces())
        call.say(f"open {html}")
        return Exit.DONE
    if past_messages and grouped is not None:
        show(shown.grouped_table(past_messages, by=grouped, timezone=timezone))
    elif past_messages:
        show(shown.message_table(past_messages, timezone=timezone))
    else:
        call.say("No message was sent" + (" that this is about." if about_one else " yet."))
    if waiting:
        show(shown.waiting_table(waiting, timezone=timezone))
    if past_runs:
        show(shown.run_table(past_runs))
    if not whole and len(past_messages) == MESSAGES_AT_MOST:
        call.say(f"The latest {MESSAGES_AT_MOST} messages; -v shows all, --json too.")
    return Exit.DONE


def _noted(messages: Iterator[PastMessage], concerned: set[str]) -> Iterator[PastMessage]:
    """Yield the messages, and note by which runs they were sent."""
    for message in messages:
        concerned.add(message.run_id)
        yield message


def _runs(ledger: Ledger, concerned: set[str] | None, *, everything: bool) -> Iterator[PastRun]:
    """Yield the runs, where asked for a person or a meeting those that concern them."""
    from invites.ledger.history import past_runs

    for run in past_runs(ledger, at_most=None if everything else RUNS_AT_MOST):
        if concerned is None or run.id in concerned:
            yield run


def forget(
    call: Call,
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="The person's mail address.")],
) -> int:
    """Erase a person from the ledger; refused while a roster or an invitation has the person."""
    from invites.ledger import open_ledger
    from invites.ledger.erase import forget as erase

    settings = call.settings(warn=False)
    person = address_of(address, "ADDRESS", settings).address
    now = clock()
    _refuse_expected(person, settings, now)
    with open_ledger(settings.ledger.url, lock=True, outbox=settings.delivery.folder) as ledger:
        forgot = erase(ledger, person, now=now)
    call.document(command="forget", invitations=forgot.invitations, messages=forgot.messages)
    call.say(
        f"Erased from the ledger: {counted(forgot.invitations, 'invitation')} and "
        f"{counted(forgot.messages, 'message')}."
    )
    if not forgot.invitations and not forgot.messages:
        call.say("The ledger had nothing of this person.")
    else:
        call.say(
            "Batches in the outbox, the mail server's logs and backups are not part of the ledger."
        )
    return Exit.DONE


def _refuse_expected(person: str, settings: Settings, now: datetime) -> None:
    """Refuse to forget somebody whom a job's roster still has: the next night would invite anew."""
    from invites.roster.source import expects

    rules = settings.roster_rules()
    jobs = [job for job in settings.jobs if expects(job.source(), person, rules, now=now)]
    if jobs:
        names = ", ".join(f'"{job.name}"' for job in jobs)
        raise UsageError(
            f"the roster of job {names} still expects this person; take the person out of it, let "
            "the invitation be withdrawn, then forget"
        )


def ledger(
    call: Call,
    action: Annotated[Literal["copy"], typer.Argument(metavar="copy", help="Copy everything.")],
    url: Annotated[
        str, typer.Argument(metavar="URL", help="Where to, such as sqlite:////srv/invites.db.")
    ],
) -> int:
    """Copy the ledger to another place or database, whole or not at all."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    from invites.ledger import copy_ledger

    settings = call.settings(warn=False)
    try:
        target = make_url(url)
    except ArgumentError:
        raise UsageError(
            "URL: found no url of a database, expected sqlite:///FILE or postgresql+psycopg://…"
        ) from None
    if target.get_backend_name() not in {"sqlite", "postgresql"}:
        raise UsageError(
            f'URL: found "{target.drivername[:40]}", expected sqlite:///FILE or '
            "postgresql+psycopg://…"
        )
    if target.password is not None:
        raise UsageError(
            "URL: found a password, which every list of processes shows; expected none: "
            "put it into a password file (PGPASSFILE)"
        )
    rows = copy_ledger(settings.ledger.url, url)
    place = target.database if target.get_backend_name() == "sqlite" else url
    call.document(command="ledger", action=action, rows=rows)
    call.say(f"Copied {counted(rows, 'row')} to {place}. The ledger in use is the old one still:")
    call.say(
        "set [ledger] url, see that invites plan shows nothing new, and move the old one away."
    )
    return Exit.DONE

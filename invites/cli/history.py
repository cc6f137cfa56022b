"""`invites history`: what was sent to whom, when, with which outcome, and how each run went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from unicodedata import normalize

import typer

from invites.cli.options import Call
from invites.cli.output import show
from invites.errors import Exit, UsageError

if TYPE_CHECKING:
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
) -> int:
    """Show what was sent to whom and when, with which outcome, and how each run went."""
    import os

    from invites import settings as settings_package
    from invites.ledger import history as kept
    from invites.ledger import open_ledger
    from invites.report import tables as shown

    settings = settings_package.load(call.config, environ=os.environ)
    meeting_id = None if meeting is None else normalize("NFC", meeting.strip())
    address = None if email is None else folded(email, "--email", settings)
    whole = call.as_json or call.verbose or meeting_id is not None or address is not None
    with open_ledger(settings.ledger.url, lock=False) as ledger:
        messages = kept.past_messages(
            ledger,
            meeting_id=meeting_id,
            address=address,
            at_most=None if whole else MESSAGES_AT_MOST,
        )
        waiting = kept.waiting(ledger, meeting_id=meeting_id, address=address)
        runs = kept.past_runs(
            ledger, at_most=None if call.as_json or call.verbose else RUNS_AT_MOST
        )
    if meeting_id is not None or address is not None:
        concerned = {message.run_id for message in messages}
        runs = tuple(run for run in runs if run.id in concerned)
    call.document(
        command="history",
        messages=shown.document_of(messages),
        waiting=shown.document_of(waiting),
        runs=shown.document_of(runs),
    )
    if call.as_json or call.quiet:
        return Exit.DONE
    timezone = settings.roster.timezone
    if messages:
        show(shown.message_table(messages, timezone=timezone))
    else:
        call.say("No message was sent" + (" that this is about." if whole else " yet."))
    if waiting:
        show(shown.waiting_table(waiting, timezone=timezone))
    if runs:
        show(shown.run_table(runs))
    if not whole and len(messages) == MESSAGES_AT_MOST:
        call.say(f"The latest {MESSAGES_AT_MOST} messages; -v shows all, --json too.")
    return Exit.DONE


def folded(text: str, flag: str, settings: Settings) -> str:
    """Return the address as the ledger compares it; UsageError for what is none."""
    from invites.addresses import AddressRefused, parse_address

    try:
        found = parse_address(text.strip(), special_domains=settings.roster.special_domains)
    except AddressRefused as refused:
        raise UsageError(f'{flag}: found "{text[:60]}", expected {refused.expected}') from None
    return found.address

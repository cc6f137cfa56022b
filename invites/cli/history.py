"""`invites history`: what was sent to whom, when, with which outcome, and how each run went."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from unicodedata import normalize

import typer

from invites.cli.options import ByOption, Call, by_of
from invites.cli.output import show
from invites.errors import Exit, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from invites.ledger import Ledger
    from invites.ledger.history import PastMessage, PastRun
    from invites.report.page import Page
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
    import os

    from invites import settings as settings_package
    from invites.ledger import history as kept
    from invites.ledger import open_ledger
    from invites.report import tables as shown

    grouped = by_of(by)
    settings = settings_package.load(call.config, environ=os.environ)
    meeting_id = None if meeting is None else normalize("NFC", meeting.strip())
    address = None if email is None else folded(email, "--email", settings)
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

        _write(html, history_page(past_messages, waiting, past_runs, timezone=timezone))
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


def _write(file: Path, page: Page) -> None:
    """Write a page that only its owner can read, in the place of an earlier one."""
    import os

    # It names everybody who was invited; a name of its own, for two may be written at once.
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.writelines(page.pieces())
        beside.replace(file)
    except BaseException:
        beside.unlink()
        raise


def folded(text: str, flag: str, settings: Settings) -> str:
    """Return the address as the ledger compares it; UsageError for what is none."""
    from invites.addresses import AddressRefused, parse_address

    try:
        found = parse_address(text.strip(), special_domains=settings.roster.special_domains)
    except AddressRefused as refused:
        raise UsageError(f'{flag}: found "{text[:60]}", expected {refused.expected}') from None
    return found.address

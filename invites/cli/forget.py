"""`invites forget`: erase a person from the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from invites.cli.options import Call, clock
from invites.errors import Exit, UsageError
from invites.text import counted

if TYPE_CHECKING:
    from datetime import datetime

    from invites.settings import Settings


def forget(
    call: Call,
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="The person's mail address.")],
) -> int:
    """Erase a person from the ledger; refused while a roster or an invitation has the person."""
    import os

    from invites import settings as settings_package
    from invites.cli.history import folded
    from invites.ledger import open_ledger
    from invites.ledger.erase import forget as erase

    settings = settings_package.load(call.config, environ=os.environ)
    person = folded(address, "ADDRESS", settings)
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

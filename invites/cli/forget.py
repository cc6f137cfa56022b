"""`invites forget`: erase a person from the ledger."""

from __future__ import annotations

from typing import Annotated

import typer

from invites.cli.common import Call, ConfigOption, JsonOption, QuietOption, VerboseOption, clock
from invites.errors import Exit


def forget(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="The person's mail address.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Erase a person from the ledger; refused while an invitation stands."""
    import os

    from invites import settings as settings_package
    from invites.cli.history import folded
    from invites.ledger import open_ledger
    from invites.ledger.forgetting import forget as erase

    call = Call(config=config, as_json=as_json, quiet=quiet, verbose=verbose)
    settings = settings_package.load(call.config, environ=os.environ)
    person = folded(address, "ADDRESS", settings)
    with open_ledger(settings.ledger.url, lock=True) as ledger:
        forgot = erase(ledger, person, now=clock())
    call.document(command="forget", invitations=forgot.invitations, messages=forgot.messages)
    call.say(
        f"Erased from the ledger: {forgot.invitations} invitations and {forgot.messages} messages."
    )
    if not forgot.invitations and not forgot.messages:
        call.say("The ledger had nothing of this person.")
    else:
        call.say(
            "Batches in the outbox, the mail server's logs and backups are not part of the ledger."
        )
    return Exit.DONE

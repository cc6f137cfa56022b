"""`invites ledger copy`: everything in the ledger, to another place or database."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from invites.cli.options import Call
from invites.errors import Exit, UsageError
from invites.text import counted


def ledger(
    call: Call,
    action: Annotated[Literal["copy"], typer.Argument(metavar="copy", help="Copy everything.")],
    url: Annotated[
        str, typer.Argument(metavar="URL", help="Where to, such as sqlite:////srv/invites.db.")
    ],
) -> int:
    """Copy the ledger to another place or database, whole or not at all."""
    import os

    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    from invites import settings as settings_package
    from invites.ledger import copy_ledger

    settings = settings_package.load(call.config, environ=os.environ)
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

"""The flags that `plan` and `send` share: those that select, and those that accept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ToOption = Annotated[
    str | None,
    typer.Option("--to", metavar="folder|smtp", help="The delivery, instead of the configured."),
]
ScopeOption = Annotated[
    str | None,
    typer.Option("--scope", metavar="NAME", help="What the roster speaks for; a job's name."),
]
ClaimOption = Annotated[
    list[str] | None,
    typer.Option("--claim", metavar="SCOPE", help="Move that scope's meetings over."),
]
PartialOption = Annotated[
    bool, typer.Option("--partial", help="The roster is a part of the whole: withdraw nobody.")
]
LimitOption = Annotated[
    int | None, typer.Option("--limit", metavar="N", min=0, help="At most N messages.")
]
OnlyOption = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="email:A|meeting:ID", help="Only this person or meeting."),
]
ResendOption = Annotated[
    bool, typer.Option("--resend", help="Send what stands once more; best with --only.")
]
WithdrawNowOption = Annotated[
    bool, typer.Option("--withdraw-now", help="Withdraw who is missing without waiting.")
]
NewLedgerOption = Annotated[
    bool, typer.Option("--new-ledger", help="Start with an empty ledger: nobody was invited yet.")
]
AcceptShrinkOption = Annotated[
    str | None,
    typer.Option("--accept-shrink", metavar="DIGEST", help="Withdraw all who are gone from it."),
]
AcceptChangeOption = Annotated[
    str | None,
    typer.Option("--accept-change", metavar="DIGEST", help="Send this roster's many updates."),
]
AcceptClockOption = Annotated[bool, typer.Option("--accept-clock", help="The clock is right.")]
NoFinalNewlineOption = Annotated[
    bool, typer.Option("--no-final-newline", help="The roster is whole, though it ends so.")
]
SkipInvalidOption = Annotated[
    bool, typer.Option("--skip-invalid", help="Leave faulty rows out instead of refusing.")
]
TemplatesOption = Annotated[
    Path | None,
    typer.Option("--templates", metavar="DIR", help="Templates found before the shipped ones."),
]
VerifyOption = Annotated[
    str | None,
    typer.Option("--verify", metavar="all", help="Read every message back, not a sample."),
]

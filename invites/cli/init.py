"""`invites init`: a folder to start from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from invites.cli.options import Call, clock
from invites.cli.output import can_ask
from invites.errors import Exit, UsageError

if TYPE_CHECKING:
    from invites.cli.wizard import Answers
    from invites.initialise import Initialised


def init(
    call: Call,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder to start in; made if absent.")
    ] = Path(),
    with_templates: Annotated[
        bool, typer.Option("--with-templates", help="Copy the templates as well, to edit them.")
    ] = False,
) -> int:
    """Write settings, a room key, a ledger and a first roster; never overwrite anything.

    At a terminal it asks for what an installation needs, and tests each answer at once: the server,
    its app id and secret, the mailbox that invites, the language, the mail server.  With -q, and
    without a terminal, it asks for nothing.
    """
    import secrets

    from invites.cli.wizard import Answers, ask_for_settings
    from invites.initialise import SETTINGS_NAME, initialise

    asks = can_ask(call) and not (folder / SETTINGS_NAME).exists()
    answers = ask_for_settings(call) if asks else Answers()
    done = initialise(
        folder,
        room_key=secrets.token_hex(32),
        now=clock(),
        with_templates=with_templates,
        values=answers.values,
        secrets=answers.secrets,
    )
    _tell(call, done, answers)
    if not done.made:
        found = "all else" if done.left_out else "everything"
        raise UsageError(
            f"{folder}: found {found} that init writes, expected something to be missing; "
            "nothing was changed; name an empty folder to start anew"
        )
    return Exit.DONE


def _tell(call: Call, done: Initialised, answers: Answers) -> None:
    for path in done.made:
        call.say(f"made  {path}")
    for path in done.kept:
        call.say(f"kept  {path} (it was there)")
    for path, reason in done.left_out:
        call.warn(f"{path} was not made: {reason}")
    settings = done.folder / "invites.toml"
    if settings in done.made:
        call.say("")
        lacking = _lacking(answers)
        call.say(f"Fill in {lacking} in {settings}, then run:" if lacking else "Now run:")
        call.say(f"  {_first_build(done.folder)}")
        if ("smtp", "host") in answers.values:
            call.say("and to see the whole chain at work: invites try YOUR_ADDRESS")
    elif done.copied_templates:
        call.say("")
        call.say(f'To use the templates, set templates = "templates" in [mail] of {settings}')
    if done.made:
        call.document(
            folder=str(done.folder),
            made=[str(path) for path in done.made],
            kept=[str(path) for path in done.kept],
            left_out=[{"path": str(path), "reason": reason} for path, reason in done.left_out],
        )


def _lacking(answers: Answers) -> str:
    """Return what a person has yet to fill in, "" for nothing."""
    needed = {
        ("jitsi", "url"): "url",
        ("jitsi", "app_id"): "app_id",
        ("jitsi", "secret_file"): "secret",
        ("organizer", "email"): "the organizer's email",
    }
    *most, last = [words for key, words in needed.items() if key not in answers.values] or [""]
    return f"{', '.join(most)} and {last}" if most else last


def _first_build(folder: Path) -> str:
    from shlex import quote

    enter = "" if folder == Path() else f"cd {quote(str(folder))} && "
    return f"{enter}invites build roster.csv"

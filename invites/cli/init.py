"""`invites init`: a folder to start from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from invites.cli.options import Call, clock
from invites.errors import Exit, UsageError

if TYPE_CHECKING:
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
    """Write settings, a room key, a ledger and a first roster; never overwrite anything."""
    import secrets

    from invites.initialise import initialise

    done = initialise(
        folder,
        room_key=secrets.token_hex(32),
        now=clock(),
        with_templates=with_templates,
    )
    _tell(call, done)
    if not done.made:
        found = "all else" if done.left_out else "everything"
        raise UsageError(
            f"{folder}: found {found} that init writes, expected something to be missing; "
            "nothing was changed; name an empty folder to start anew"
        )
    return Exit.DONE


def _tell(call: Call, done: Initialised) -> None:
    for path in done.made:
        call.say(f"made  {path}")
    for path in done.kept:
        call.say(f"kept  {path} (it was there)")
    for path, reason in done.left_out:
        call.warn(f"{path} was not made: {reason}")
    settings = done.folder / "invites.toml"
    if settings in done.made:
        call.say("")
        call.say(f"Fill in url, app_id, secret and the organizer's email in {settings}, then run:")
        call.say(f"  {_first_build(done.folder)}")
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


def _first_build(folder: Path) -> str:
    from shlex import quote

    enter = "" if folder == Path() else f"cd {quote(str(folder))} && "
    return f"{enter}invites build roster.csv"

"""The command line as a whole: its commands, and how errors become messages and exit codes."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from importlib import import_module
from typing import TYPE_CHECKING

import typer

from invites import __version__
from invites.errors import Exit, InvitesError, RosterRefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = ("init", "check", "build", "inspect", "keygen")
"""The commands in the order that `--help` lists them; each is the module of that name here."""

app = typer.Typer(
    name="invites",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
)


def _version(asked: bool) -> None:  # noqa: FBT001 - typer calls it so
    if asked:
        print(f"invites {__version__}")
        raise typer.Exit


@app.callback()
def invites(
    _version: bool = typer.Option(
        False, "--version", help="Show the version and exit.", callback=_version, is_eager=True
    ),
) -> None:
    """Turn a roster (CSV) into calendar invitations with personal Jitsi join links."""


for _name in COMMANDS:
    app.command(_name)(getattr(import_module(f"invites.cli.{_name}"), _name))

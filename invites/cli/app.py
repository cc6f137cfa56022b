"""The command line as a whole: its commands, and how errors become messages and exit codes."""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from dataclasses import fields
from importlib import import_module
from keyword import iskeyword
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from typer.core import TyperGroup
from typer.main import get_command

from invites import __version__
from invites.cli.options import Call, spread
from invites.cli.terminal import STOPPING
from invites.errors import Exit, InvitesError, RosterRefusedError
from invites.problems import lines_of, on_one_line
from invites.text import without_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from invites.problems import Problem

COMMANDS = {
    "init": "init",
    "check": "check",
    "build": "build",
    "plan": "plan",
    "send": "plan",
    "run": "run",
    "schedule": "run",
    "preview": "preview",
    "inspect": "inspect",
    "try": "try_",
    "history": "ledger",
    "ledger": "ledger",
    "forget": "ledger",
    "keygen": "init",
    "doctor": "doctor",
}
"""The commands in the order that `--help` lists them, and the module here that each stands in."""

_STOPPED = "stopped by a signal; run it again"


def _version(asked: bool) -> None:
    if asked:
        print(f"invites {__version__}")
        raise typer.Exit


def _invites(
    call: Call,
    context: typer.Context,
    _version: bool = typer.Option(
        False, "--version", help="Show the version and exit.", callback=_version, is_eager=True
    ),
) -> None:
    """Turn a roster (CSV) into calendar invitations with personal Jitsi join links."""
    given = {field.name: value for field in fields(Call) if (value := getattr(call, field.name))}
    context.default_map = dict.fromkeys(COMMANDS, given)


class _Commands(TyperGroup):
    """The commands, each made ready when it is asked for.

    Making the others ready would take longer than building some hundred invitations.
    """

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = dict.fromkeys(COMMANDS)  # type: ignore[assignment] # for "did you mean"

    def list_commands(self, _context: object) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _context: object, name: str) -> Any:
        return command_named(name) if name in COMMANDS else None


def command_named(name: str) -> Any:
    """Return the command of this name, as the parser has it."""
    module = import_module(f"invites.cli.{COMMANDS[name]}")
    function = getattr(module, f"{name}_" if iskeyword(name) else name)
    alone = typer.Typer(context_settings=_SETTINGS, rich_markup_mode=None, add_completion=False)
    summary = (function.__doc__ or "").partition("\n")[0]
    alone.command(name, short_help=summary)(spread(function))
    return get_command(alone)


_SETTINGS = {"help_option_names": ["--help", "-h"], "max_content_width": 100}


def _called(arguments: list[str]) -> Any:
    """Call the command, directly where its name comes first: the way by the table costs 50 ms."""
    if arguments and arguments[0] in COMMANDS and "_INVITES_COMPLETE" not in os.environ:
        name, *rest = arguments
        return command_named(name)(rest, prog_name=f"invites {name}", standalone_mode=False)
    return _table()(arguments, prog_name="invites", standalone_mode=False)


def _table() -> typer.Typer:
    app = typer.Typer(
        name="invites",
        cls=_Commands,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings=_SETTINGS,
    )
    app.callback()(spread(_invites))
    return app


class _Terminated(BaseException):
    """A signal came: unwind, so that what was begun is cleaned up."""


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    raise _Terminated


def run_command_line(arguments: Sequence[str]) -> int:  # noqa: PLR0911 - one for each way to end
    """Run one command and return its exit code; everything that goes wrong is said on stderr."""
    for number in STOPPING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup stays nohup
            signal.signal(number, _terminate)
    call = Call(
        as_json="--json" in arguments, verbose=not {"-v", "--verbose"}.isdisjoint(arguments)
    )
    try:
        outcome = _called(list(arguments))
    except InvitesError as error:
        return _refused(error, call)
    except typer.TyperException as error:
        return _misused(error, call)
    except (typer.Abort, _Terminated):
        return _ended("Stopped", _STOPPED, Exit.TRY_AGAIN, call)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.FAILED
    except OSError as error:
        return _failed(_in_words(error), call)
    except Exception as error:  # noqa: BLE001 - the last resort: words instead of a traceback
        return _failed(str(InvitesError.of(error)), call)
    return outcome if isinstance(outcome, int) else Exit.DONE


def _misused(error: typer.TyperException, call: Call) -> int:
    """Say how the command is called; errors of the parser know how to show themselves."""
    error.message = without_tokens(error.message)  # the parser quotes words that it can't place
    show = getattr(error, "show", None)
    if show is None:
        call.fail(error)
    else:
        show()
    _document(call, "Usage", error.format_message(), Exit.USAGE)
    return Exit.USAGE


def _refused(error: InvitesError, call: Call) -> int:
    problems: Sequence[Problem] = ()
    if isinstance(error, RosterRefusedError):
        problems = error.problems
        call.problems(lines_of(problems, error.source))
    call.fail(error)
    kind = type(error).__name__.removesuffix("Error")
    _document(call, kind, str(error), error.exit_code, problems)
    return error.exit_code


def _document(
    call: Call, kind: str, text: str, exit_code: Exit, problems: Sequence[Problem] = ()
) -> None:
    """Write the JSON document of a call that failed."""
    call.document(
        error={"kind": kind, "text": text},
        exit_code=int(exit_code),
        problems=[problem.facts() for problem in problems],
    )


def _failed(text: str, call: Call) -> int:
    """Say what nobody foresaw, and where it happened or how to see that."""
    _ended("Failed", text, Exit.FAILED, call)
    if call.verbose:
        traceback.print_exc()
    else:
        call.fail("run it again with -v to see where it happened")
    return Exit.FAILED


def _ended(kind: str, text: str, exit_code: Exit, call: Call) -> Exit:
    """Say why a call ended early."""
    call.fail(text)
    _document(call, kind, text, exit_code)
    return exit_code


def _in_words(error: OSError) -> str:
    """Return what a failed system call means, with its path, and what to do where that is known."""
    place = f"{on_one_line(str(error.filename))}: " if error.filename else ""
    reason = error.strerror or type(error).__name__
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            remedy = "; make room and run it again"
        case errno.EROFS | errno.EACCES | errno.EPERM:
            remedy = "; it must be writable for the account that runs invites"
        case errno.ENOENT if not place:
            remedy = "; the current folder was removed: change to one that is there"
        case _:
            remedy = ""
    return f"{place}{reason}{remedy}"

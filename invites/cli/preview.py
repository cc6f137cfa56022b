"""`invites preview`: every invitation as its receiver will see it, in a browser."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from invites.cli.options import (
    Call,
    NowOption,
    RosterArgument,
    SkipInvalidOption,
    TemplatesOption,
    clock,
)
from invites.errors import Exit, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from invites.settings import Settings


def preview(
    call: Call,
    roster: RosterArgument,
    skip_invalid: SkipInvalidOption = False,
    templates: TemplatesOption = None,
    port: Annotated[
        int,
        typer.Option(
            "--port", metavar="N", min=0, max=65535, help="The port to listen at; 0: a free one."
        ),
    ] = 0,
    open_browser: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in the browser.")
    ] = True,
    demo: Annotated[
        bool, typer.Option("--demo", help="Sign with a throw-away secret; needs no settings.")
    ] = False,
    now: NowOption = None,
) -> int:
    """Show every invitation as its receiver will see it, on a page of this machine alone.

    The page follows edits of the roster, the templates and the settings.  Its address holds a
    random key: give it to nobody.  Ctrl-C ends it.
    """
    if roster == "-":
        raise UsageError("ROSTER: found -, expected a file: the page follows its edits")
    import secrets

    from invites.preview import PreviewInputs, Watcher, application, serve

    secret = secrets.token_bytes(64)
    watcher = Watcher(
        PreviewInputs(
            load=lambda: _settings(call, secret if demo else None, templates),
            clock=lambda: clock(now),
            roster=roster,
            skip_invalid=skip_invalid,
        )
    )
    for line in watcher.view.trouble:
        call.warn(line)
    key = secrets.token_urlsafe(16)

    def ready(at: int) -> None:
        url = f"http://127.0.0.1:{at}/{key}/"
        call.document(command="preview", url=url)
        call.say(f"open {url}")
        call.say("it follows edits of roster, templates and settings; Ctrl-C ends it")
        sys.stdout.flush()  # whoever reads it through a pipe waits for it
        _open(call, url, wanted=open_browser)

    try:
        serve(application(watcher, key), port=port, on_ready=ready)
    except OSError as error:
        raise UsageError(
            f"--port: found {port}, which can't be listened at ({error.strerror}); "
            "expected a free port, or 0"
        ) from None
    return Exit.DONE


def _settings(call: Call, secret: bytes | None, templates: Path | None) -> Settings:
    from invites.settings import demo

    if secret:
        return demo(secret, overrides={"mail.templates": templates})
    return call.settings(warn=False, templates=templates)


def _open(call: Call, url: str, *, wanted: bool) -> None:
    """Open the page where somebody sits there; its address was printed in any case."""
    from invites.cli.terminal import sits_at_terminal

    if wanted and sits_at_terminal(call):
        import webbrowser

        webbrowser.open(url)

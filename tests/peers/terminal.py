"""A person at a real terminal: sees what a program shows, and types when it asks."""

from __future__ import annotations

import os
import pty
import select
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tests.support import ROOT

PATIENCE = 60.0


class Terminal:
    """A program with a pseudo-terminal of its own, as long as the block lasts."""

    def __init__(self, folder: Path, *arguments: str, **environ: str) -> None:
        """Start `invites` with these arguments in `folder`."""
        self.shown = ""
        self._read = 0
        self.code: int | None = None
        self._process, self._master = pty.fork()
        if not self._process:
            os.chdir(folder)
            environment = {**os.environ, "PYTHONPATH": str(ROOT), **environ}
            os.execve(sys.executable, [sys.executable, "-m", "invites", *arguments], environment)  # noqa: S606

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """See the rest, and let the program end."""
        self.end()
        os.close(self._master)

    def answer(self, *turns: tuple[str, str]) -> None:
        """Wait for each question, and type the line that answers it."""
        for question, line in turns:
            self.see(question)
            time.sleep(0.05)  # a hidden question throws away what was typed before it
            os.write(self._master, f"{line}\n".encode())

    def see(self, text: str) -> None:
        """Wait until the program shows a text that was not waited for before."""
        until = time.monotonic() + PATIENCE
        while text not in self.shown[self._read :]:
            if time.monotonic() > until or not self._more():
                raise AssertionError(f"{text!r} is not in {self.shown[self._read :]!r}")
        self._read = self.shown.index(text, self._read) + len(text)

    def end(self) -> int:
        """Return the exit code, once the program has ended."""
        if self.code is None:
            while self._more():
                pass
            _, status = os.waitpid(self._process, 0)
            self.code = os.waitstatus_to_exitcode(status)
        return self.code

    def _more(self) -> bool:
        ready, _, _ = select.select([self._master], [], [], PATIENCE)
        if not ready:
            raise AssertionError(f"nothing more came after {self.shown!r}")
        try:
            more = os.read(self._master, 65_536)
        except OSError:
            return False
        self.shown += more.decode("utf-8", "replace")
        return bool(more)


def at_terminal(
    folder: Path, arguments: Sequence[str], *turns: tuple[str, str], **environ: str
) -> Terminal:
    """Return a program that has ended, after these questions were answered at its terminal."""
    with Terminal(folder, *arguments, **environ) as terminal:
        terminal.answer(*turns)
        terminal.end()
    return terminal

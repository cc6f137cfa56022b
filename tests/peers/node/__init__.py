"""Packages from npm as peers: the scripts in this folder run with what `make peers` installs here."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

FOLDER = Path(__file__).parent


def are_installed() -> bool:
    """Tell whether Node.js and the packages of `package-lock.json` are there."""
    return shutil.which("node") is not None and (FOLDER / "node_modules" / ".ready").exists()


def answer_of(script: str, *arguments: str | Path, given: str = "") -> str:
    """Return what a script of this folder, or of its packages, prints; AssertionError if it fails.

    `given` is its standard input.  A test that calls this is marked `peer("node")`.
    """
    done = subprocess.run(
        ["node", FOLDER / script, *arguments],
        input=given,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    return done.stdout


def html_faults(kind: str, *files: Path) -> list[str]:
    """Return what html-validate finds in files of this kind: mail, page, or live (a page in a browser)."""
    found = json.loads(answer_of("html_validate.mjs", kind, *files))
    assert isinstance(found, list)
    return found

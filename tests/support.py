"""Values that tests of several parts share: the sample as it was built, and a call's answer."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "sample_roster.csv"
COMMAND = (sys.executable, "-m", "invites")
NOW = "2030-06-01T00:00:00Z"
SECRET = "a test's secret, of more than sixty-four bytes: 0123456789 abcdefghijklmnop"
SETTINGS = f"""
[jitsi]
url = "https://meet.example.com"
app_id = "the_app"
secret = "{SECRET}"
[organizer]
name = "Meetings"
email = "meetings@example.com"
"""


@dataclass(frozen=True)
class SampleBuild:
    """The sample roster as `invites build` wrote it, with a secret that the tests know."""

    folder: Path
    secret: str = field(repr=False)
    rows: tuple[dict[str, str], ...]

    def files(self, column: str) -> list[bytes]:
        """Return the bytes of the files that the manifest lists in `column`."""
        return [(self.folder / row[column]).read_bytes() for row in self.rows]


def process(folder: Path, *command: str | Path, **environ: str) -> Answer:
    """Run a program in a process of its own, in `folder`, where it finds this project's modules."""
    ended = subprocess.run(
        [*map(str, command)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return Answer(ended.returncode, ended.stdout, ended.stderr)


def in_a_removed_folder(folder: Path, *arguments: str | Path) -> Answer:
    """Call the command line where its current folder is gone."""
    gone = folder / "gone"
    gone.mkdir()
    return process(gone, "sh", "-c", 'rmdir "$PWD" && exec "$@"', "sh", *COMMAND, *arguments)


def write_settings(folder: Path, text: str = SETTINGS) -> Path:
    """Write an invites.toml (0600) and return its path."""
    config = folder / "invites.toml"
    config.touch(mode=0o600)
    config.write_text(text, encoding="utf-8")
    return config


@dataclass(frozen=True)
class Answer:
    """What one call of the command line came to."""

    code: int
    out: str
    err: str

    def document(self) -> dict[str, Any]:
        """Return standard output as the one JSON document that it is."""
        document = json.loads(self.out)
        assert isinstance(document, dict)
        return document


def _gone(path: Path) -> None:
    path.unlink()


def _replaced(path: Path) -> None:
    copy = path.with_suffix(".copy")
    shutil.copy(path, copy)
    copy.replace(path)


def _log_gone(path: Path) -> None:
    Path(f"{path}-wal").unlink()


LEDGER_GOES = [_gone, _replaced, _log_gone]
"""What may happen to a ledger's file while a run is at work."""
